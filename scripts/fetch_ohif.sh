#!/bin/bash
# fetch_ohif.sh: the OHIF viewer, a ready build from npm, into $OHIF_ROOT/dist; the tests open our results in it.
# Of the package only: what it depends on went into that build.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PACKAGE=@ohif/app@3.13.2
SHA512=5997719a9986eeba85816f5924b71b82bdd70ad2e2d4a0cd3e831a798e4f3deea3e06e1f8c48e393271933a0ba664d85f3b04ac457e9abe8dde715d907d13c10
OURS=$ORTHANC_AI_CACHE/ohif-3.13.2

main() {
    if [ "$OHIF_ROOT" != "$OURS" ]; then
        [ -e "$OHIF_ROOT/dist/index.html" ] || die "OHIF_ROOT is set to $OHIF_ROOT, which has no dist/index.html" "Name an unpacked $PACKAGE there, or unset OHIF_ROOT to have one downloaded"
        return 0
    fi
    [ "$(cat "$OURS/.stamp" 2>/dev/null)" != "$(stamp)" ] || return 0
    say "OHIF viewer: $PACKAGE, 50 MB to download, once"
    need_space 150 "$OURS.partial" "OHIF"
    rm -rf "$OURS.partial"
    mkdir -p "$OURS.partial"
    (cd "$OURS.partial" && npm pack --silent "$PACKAGE") >/dev/null || die "npm could not download $PACKAGE (its message is above)" "Check the network and npm's settings (npm config list), then run the same command again"
    echo "$SHA512  $(echo "$OURS.partial"/*.tgz)" | sha512sum --check --quiet >&2 || die "$PACKAGE is not the file that was pinned" "A mirror that packs anew? Unpack that version by hand and set OHIF_ROOT to the folder"
    # Source maps are for its developers, the ONNX models' runtime for tools that we do not open.
    tar -xzf "$OURS.partial"/*.tgz -C "$OURS.partial" --strip-components=1 --exclude='*.map' --exclude=package/dist/ort package/dist package/LICENSE
    rm "$OURS.partial"/*.tgz
    rm -rf "$OURS"
    mv "$OURS.partial" "$OURS"
    stamp >"$OURS/.stamp"
}

stamp() { echo "$SHA512"; inventory "$OURS" 2>/dev/null || true; }

main
