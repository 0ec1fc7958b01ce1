#!/bin/bash
# test_ohif.sh: a study is analysed by the plugin in each Orthanc, and its results are opened in the OHIF viewer.
#   STUDY=dir            a folder with one study instead of a breast DCE-MRI phantom; the model must find something in it
#   MODEL=name           another model than breast-dce-swinunetr-demo; "none": the study's folder already holds a SEG and an SR
#   ORTHANC_VERSIONS     default "1.10.1 1.13.0"
#   TUMOUR_MM=x,y,z      where STUDY's tumour is (patient coordinates, LPS); the phantom's is known
#   SHOTS=dir            where to keep screenshots (docs/screenshots: those of the documentation)
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$REPOSITORY/scripts/server.sh"

TESTS=$REPOSITORY/tests/ohif
MODEL=${MODEL:-breast-dce-swinunetr-demo}
FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/orthanc-ai-ohif.XXXXXX")
trap 'stop_server; rm -rf "$FOLDER"' EXIT
trap 'exit 130' INT TERM

[ -z "${SHOTS:-}" ] || SHOTS=$(realpath -m "$SHOTS")
export MODEL SHOTS TUMOUR_MM OHIF_DIST=$OHIF_ROOT/dist PYTHON=$VALIDATOR_HOME/venv/bin/python

(cd "$TESTS" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error) >&2 ||
    die "npm could not install what tests/ohif needs (its message is above)" "Check the network and npm's settings (npm config list)"

STUDY=${STUDY:-}
if [ -z "$STUDY" ]; then
    STUDY=$FOLDER/study
    say "making a breast DCE-MRI phantom"
    "$REPOSITORY/build/orthanc-ai" phantom breast-mri --out "$STUDY" | tee "$FOLDER/phantom.txt"
    TUMOUR_MM=$(sed -n 's/^tumour of .* about (\([-0-9., ]*\)) mm (LPS)$/\1/p' "$FOLDER/phantom.txt")
    [ -n "$TUMOUR_MM" ] || die "the phantom's tool does not say where it put the tumour" "It said: $(cat "$FOLDER/phantom.txt")"
fi
[ -d "$STUDY" ] || die "STUDY=$STUDY is no folder"

for ORTHANC_VERSION in ${ORTHANC_VERSIONS:-1.10.1 1.13.0}; do
    say "OHIF: the plugin in Orthanc $ORTHANC_VERSION"
    mkdir "$FOLDER/$ORTHANC_VERSION"
    start_server "$FOLDER/$ORTHANC_VERSION"
    upload "$STUDY"
    [ "$(wc -w <<<"$STUDIES")" = 1 ] || die "STUDY must hold one study, $(wc -w <<<"$STUDIES") were found"
    (cd "$TESTS" && ORTHANC_URL=$URL STUDY_ID=$STUDIES ORTHANC_VERSION=$ORTHANC_VERSION npm test) || { tail -30 "$FOLDER/$ORTHANC_VERSION/orthanc.log" >&2; exit 1; }
    stop_server
done
