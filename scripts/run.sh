#!/bin/bash
# run.sh: Orthanc with the plugin in the foreground, until Ctrl-C. Its data stay in build/run for the next time.
# PORT (8042), MODELS (models), ORTHANC_VERSION (system, or 1.13.0 after `make setup`), CONFIG (a configuration of your own instead).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$REPOSITORY/scripts/server.sh"

if [ -z "${CONFIG:-}" ]; then
    port=${PORT:-8042}
    port_is_free "$port" || die "Port $port is taken (another Orthanc?)" "Choose another: make run PORT=8043"
    mkdir -p "$REPOSITORY/build/run"
    write_config "$REPOSITORY/build/run" "$port"
    CONFIG=$REPOSITORY/build/run/orthanc.json
    say "Orthanc: http://127.0.0.1:$port/   AI: http://127.0.0.1:$port/ai/app/   configuration: $CONFIG"
fi
exec "$REPOSITORY/scripts/orthanc.sh" "$ORTHANC_VERSION" "$CONFIG"
