#!/bin/bash
# fetch_libtorch.sh: libtorch 2.13.0 for the CPU, out of PyTorch's wheel, into $ORTHANC_AI_CACHE/libtorch-2.13.0/{lib,include}.
# A site with its own libtorch sets LIBTORCH: then nothing is downloaded.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# name, version, SHA-256. The wheel's libtorch_cpu.so is linked with CUDA's runtime and profiler interface, which lie in wheels of
# their own; neither needs a GPU or a driver.
WHEELS='torch 2.13.0 60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7
nvidia-cuda-runtime 13.0.96 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
nvidia-cuda-cupti 13.0.85 4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8'

OURS=$ORTHANC_AI_CACHE/libtorch-2.13.0
DOWNLOADS=$ORTHANC_AI_CACHE/downloads
STAMP=$OURS/.complete

if [ "$LIBTORCH" != "$OURS" ]; then
    [ -e "$LIBTORCH/lib/libtorch.so" ] && [ -d "$LIBTORCH/include/torch" ] ||
        die "LIBTORCH is set to $LIBTORCH, which has no lib/libtorch.so or no include/torch" "Name a libtorch 2.13 there, or unset LIBTORCH to have one downloaded"
    exit 0
fi

stamp() { echo "$WHEELS"; inventory "$OURS"; }
[ ! -e "$STAMP" ] || ! cmp -s "$STAMP" <(stamp) || exit 0

say "libtorch 2.13.0 for the CPU: 540 MB to download, once"
need_space 1100 "$ORTHANC_AI_CACHE" "libtorch"

# A virtual environment of our own: Debian's python3 comes without pip, and pip brings the user's index, proxy and certificates.
PYTHON=$ORTHANC_AI_CACHE/python
"$PYTHON/bin/python" -m pip --version >/dev/null 2>&1 || {
    rm -rf "$PYTHON"
    python3 -m venv "$PYTHON" || die "python3 cannot make a virtual environment in $PYTHON" "As root: apt-get install python3-venv"
}

mkdir -p "$DOWNLOADS"
files=()
while read -r name version sha256; do
    files+=("$("$PYTHON/bin/python" "$REPOSITORY/scripts/fetch_wheel.py" "$name" "$version" "$sha256" "$DOWNLOADS")") || exit 1
done <<<"$WHEELS"

# Unpacked under another name and then renamed: an interrupted run leaves no half libtorch that looks like one.
rm -rf "$OURS" "$OURS.partial"
"$PYTHON/bin/python" "$REPOSITORY/scripts/unpack_libtorch.py" "$OURS.partial" "${files[@]}"
mv "$OURS.partial" "$OURS"
stamp >"$STAMP"
rm -f "${files[@]}"
say "libtorch is in $OURS"
