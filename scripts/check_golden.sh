#!/bin/bash
# check_golden.sh FOLDER: is this a complete set of golden fixtures? Every file that follows from its manifest must be there.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

folder=${1:?check_golden.sh FOLDER}
advice="GOLDEN_DIR names a folder with config.json, manifest.json, fixtures/ and contracts/; unset it for the default"
[ -d "$folder" ] || die "GOLDEN_DIR=$folder is no folder" "$advice"
for file in config.json manifest.json; do
    [ -s "$folder/$file" ] || die "GOLDEN_DIR=$folder has no $file" "$advice"
done
fixtures=$(python3 -c 'import json, sys; print("\n".join(json.load(open(sys.argv[1]))["fixtures"]))' "$folder/manifest.json") ||
    die "$folder/manifest.json lists no fixtures" "$advice"
for name in $fixtures; do
    [ -s "$folder/fixtures/$name.safetensors" ] || die "GOLDEN_DIR=$folder is incomplete: fixtures/$name.safetensors is missing" "$advice"
    # Networks have a contract (names and shapes of their weights); pre-processing and sliding window have none to keep.
    case $name in preproc | sliding) continue ;; esac
    [ -s "$folder/contracts/$name.json" ] || die "GOLDEN_DIR=$folder is incomplete: contracts/$name.json is missing" "$advice"
done
