#!/bin/bash
# demo.sh: a four-view mammography exam through a live Orthanc: start, upload, analyse, print findings and addresses.
#   STUDY=dir          a folder with DICOM files of your own instead of the synthetic exam
#   MODEL=name         another model than mammography-4view-demo
#   ORTHANC_VERSION    system (default) or 1.13.0 (after `make setup`)
#   KEEP_RUNNING=1     leave the server running until Ctrl-C (default when started from a terminal); 0: stop at once
#   KEEP=1             leave its folder (storage, configuration, log) when it has stopped
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$REPOSITORY/scripts/server.sh"

MODEL=${MODEL:-mammography-4view-demo}
[ -t 0 ] && KEEP_RUNNING=${KEEP_RUNNING:-1} || KEEP_RUNNING=${KEEP_RUNNING:-0}

main() {
    [ -e "$REPOSITORY/build/libOrthancAi.so" ] || die "build/libOrthancAi.so is missing" "make build (or make demo, which does it)"
    FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/orthanc-ai-demo.XXXXXX")
    trap clean_up EXIT
    trap 'exit 130' INT TERM

    local exam=${STUDY:-} study
    if [ -z "$exam" ]; then
        exam=$FOLDER/exam
        say "making a synthetic exam: four views"
        "$REPOSITORY/build/orthanc-ai" phantom mammography --out "$exam"
    fi
    [ -d "$exam" ] || die "STUDY=$exam is no folder"

    say "starting Orthanc ($ORTHANC_VERSION)"
    start_server "$FOLDER"
    upload "$exam"
    local failed=0
    for study in $STUDIES; do
        analyse "$study" || failed=$((failed + 1))
    done
    if [ "$KEEP_RUNNING" = 1 ]; then
        say "Orthanc keeps running; Ctrl-C stops it and removes $FOLDER"
        wait "$SERVER" || true
    fi
    [ "$failed" = 0 ] || die "$failed of $(wc -w <<<"$STUDIES") studies could not be analysed (above)"
}

clean_up() {
    stop_server
    if [ "${KEEP:-0}" = 1 ]; then say "kept: $FOLDER"; else rm -rf "$FOLDER"; fi
}

analyse() {
    local answer
    say "study $1: $MODEL"
    answer=$(request --header 'Content-Type: application/json' --data "$(jq -n --arg model "$MODEL" '{ Model: $model, Synchronous: true }')" "$URL/studies/$1/ai") || {
        jq -r '"\(.Message // "error"): \(.Details // "")"' <<<"$answer" >&2 2>/dev/null || printf '%s\n' "$answer" >&2
        say "the analysis of study $1 failed (above); which models apply, and why not: GET $URL/studies/$1/ai (KEEP_RUNNING=1)"
        return 1
    }
    findings <<<"$answer" || return 1
    [ "$(jq -r .State <<<"$answer")" = Succeeded ] || { say "the run ended as $(jq -r '"\(.State): \(.Error // "no reason given")"' <<<"$answer")"; return 1; }
    printf '\n%s\n\n' "$(jq -r '.Disclaimer' <<<"$answer")"
    printf '%-12s %s\n' 'Explorer' "$URL/app/explorer.html#study?uuid=$1" 'AI page' "$URL/ai/app/"
    jq -r '.Stored[]? | "\(.Kind)\t\(.ID)"' <<<"$answer" | while IFS=$'\t' read -r kind id; do
        printf '%-12s %s\n' "$kind" "$URL/instances/$id" '' "$URL/app/explorer.html#instance?uuid=$id"
    done
}

findings() {
    printf '\n%-8s %-26s %s\n' View Class Probability
    # A failed image has no class: its error stands there instead.
    jq -r 'if (.Results // []) == [] then error("the answer holds no Results") else .Results[] end
        | [.View // "?", .Class // "failed: \(.Error // "no reason given")", if .Probability then (.Probability * 1000 | round / 10 | "\(.) %") else "" end] | @tsv' |
        while IFS=$'\t' read -r view class probability; do
            printf '%-8s %-26s %s\n' "$view" "$class" "$probability"
        done
}

main
