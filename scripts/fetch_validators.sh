#!/bin/bash
# fetch_validators.sh: other people's readers (of DICOM highdicom, pydicom, dcmqi; of STL trimesh) into $VALIDATOR_HOME/venv; the tests show our results to
# them. dciodvfy and dsrdump are Debian packages (scripts/setup.sh).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PINNED='highdicom==0.28.2 pydicom==3.0.2 dcmqi==1.5.7 trimesh==5.2.0'
VENV=$VALIDATOR_HOME/venv
STAMP=$VENV/.orthanc-ai

own_readers() {
    [ "$(cat "$STAMP" 2>/dev/null)" != "$PINNED" ] || return 0
    say "DICOM validators: $PINNED"
    need_space 700 "$VALIDATOR_HOME" "the validators"
    rm -rf "$VENV"
    python3 -m venv "$VENV" || die "python3 cannot make a virtual environment in $VENV" "As root: apt-get install python3-venv"
    # shellcheck disable=SC2086 # a list of requirements
    "$VENV/bin/pip" install --quiet --disable-pip-version-check $PINNED >&2 ||
        die "pip could not install $PINNED (its message is above)" "Check the network and pip's settings (pip config list), then run the same command again"
    printf '%s\n' "$PINNED" >"$STAMP"
}

# Developers' and CI machines have more readers (PixelMed, OHIF's adapters) in a folder beside the checkout, with a set-up of its own
# that adds them to the same place.
more_readers() {
    local setup=${ORTHANC_AI_SHARED:-$REPOSITORY/../shared}/tools/validators/setup.sh
    [ -x "$setup" ] || { say "no further validators ($setup is absent): the tests that call them say SKIPPED"; return 0; }
    [ ! -e "$VALIDATOR_HOME/.more_readers" ] || return 0
    say "further DICOM validators: $setup"
    "$setup" >&2 || die "$setup failed (its message is above)" "Check the network, then run the same command again"
    touch "$VALIDATOR_HOME/.more_readers"
}

mkdir -p "$VALIDATOR_HOME"
own_readers
more_readers
