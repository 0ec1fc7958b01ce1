#!/bin/bash
# vendor_three.sh [check]: makes src/web/vendor/three/three.min.js, the part of three.js that the page of a 3D surface uses, in one file. Only to
# be run where the version changes; "check" compares the result with the file that is there.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

THREE=0.187.0 ESBUILD=0.28.2
VENDOR=$REPOSITORY/src/web/vendor/three
FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/orthanc-ai-three.XXXXXX")
trap 'rm -rf "$FOLDER"' EXIT

cp "$VENDOR/entry.js" "$FOLDER"
cd "$FOLDER"
# No script of a package is run: esbuild's program comes as a package of its own.
npm install --no-audit --no-fund --ignore-scripts --loglevel=error "three@$THREE" "@esbuild/linux-x64@$ESBUILD" >&2 ||
    die "npm could not install three $THREE and esbuild $ESBUILD (its message is above)" "Check the network and npm's settings (npm config list)"
node_modules/@esbuild/linux-x64/bin/esbuild entry.js --bundle --minify --format=iife --global-name=THREE --target=es2020 --legal-comments=inline --log-level=warning --outfile=three.min.js
if [ "${1:-}" = check ]; then
    cmp three.min.js "$VENDOR/three.min.js" || die "three.min.js is not what three $THREE makes" "Run scripts/vendor_three.sh"
    say "three.min.js is what three $THREE makes"
else
    cp three.min.js "$VENDOR/three.min.js"
    cp node_modules/three/LICENSE "$VENDOR/LICENSE"
fi
