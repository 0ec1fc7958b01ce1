#!/bin/bash
# fetch_rest_tools.sh: what looks at the REST interface's description from outside, in $VALIDATOR_HOME/rest: openapi-spec-validator for the
# tests, schemathesis for scripts/fuzz_rest.sh. Apart from the DICOM readers, whose versions of the same packages may differ.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PINNED='openapi-spec-validator==0.9.0 schemathesis==4.32.5'
VENV=$VALIDATOR_HOME/rest
STAMP=$VENV/.orthanc-ai

[ "$(cat "$STAMP" 2>/dev/null)" != "$PINNED" ] || exit 0
say "tools for the REST interface: $PINNED"
need_space 200 "$VALIDATOR_HOME" "the tools"
rm -rf "$VENV"
python3 -m venv "$VENV" || die "python3 cannot make a virtual environment in $VENV" "As root: apt-get install python3-venv"
# shellcheck disable=SC2086 # a list of requirements
"$VENV/bin/pip" install --quiet --disable-pip-version-check $PINNED >&2 ||
    die "pip could not install $PINNED (its message is above)" "Check the network and pip's settings (pip config list), then run the same command again"
printf '%s\n' "$PINNED" >"$STAMP"
