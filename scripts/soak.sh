#!/bin/bash
# soak.sh: good and broken studies and random kills for half an hour; the last line counts studies, results, losses and doubles.
#   SOAK_MINUTES=30  SOAK_SEED=1  ORTHANC_VERSION=1.13.0|1.10.1
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$REPOSITORY"
[ -e build/libOrthancAi.so ] || die "build/libOrthancAi.so is not there" "make build makes it"
cargo test --release --locked --test orthanc -- --ignored --nocapture --exact soak::soak
