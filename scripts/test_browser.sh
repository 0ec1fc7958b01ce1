#!/bin/bash
# test_browser.sh: the browser tests, first against their mock (every state, no waiting), then against the plugin in each Orthanc.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$REPOSITORY/scripts/server.sh"

TESTS=$REPOSITORY/tests/browser
FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/orthanc-ai-browser.XXXXXX")
trap 'stop_server; rm -rf "$FOLDER"' EXIT
trap 'exit 130' INT TERM

(cd "$TESTS" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error) >&2 ||
    die "npm could not install what tests/browser needs (its message is above)" "Check the network and npm's settings (npm config list)"

say "browser tests: mock"
(cd "$TESTS" && ORTHANC_COMMAND="$REPOSITORY/scripts/orthanc.sh system" npm test)

for ORTHANC_VERSION in 1.10.1 1.13.0; do
    say "browser tests: the plugin in Orthanc $ORTHANC_VERSION"
    mkdir "$FOLDER/$ORTHANC_VERSION"
    start_server "$FOLDER/$ORTHANC_VERSION"
    "$REPOSITORY/build/orthanc-ai" phantom mammography --out "$FOLDER/$ORTHANC_VERSION/exam"
    upload "$FOLDER/$ORTHANC_VERSION/exam"
    EXAM=$STUDIES
    "$REPOSITORY/build/orthanc-ai" phantom breast-mri --out "$FOLDER/$ORTHANC_VERSION/dce"
    upload "$FOLDER/$ORTHANC_VERSION/dce"
    (cd "$TESTS" && ORTHANC_URL=$URL STUDY_ID=$EXAM DCE_STUDY_ID=$STUDIES npm test) || { tail -30 "$FOLDER/$ORTHANC_VERSION/orthanc.log" >&2; exit 1; }
    stop_server
done
