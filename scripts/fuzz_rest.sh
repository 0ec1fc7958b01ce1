#!/bin/bash
# fuzz_rest.sh: schemathesis makes requests of GET /ai/openapi.json, right ones and wrong ones, and sends them to a live Orthanc with the plugin.
# Twice: with whatever identifiers it invents, and with those of a study and a run that are there. The server and its archive are thrown away.
#   SECONDS_EACH=120    time of each of the two
#   SEED=number         repeats what an earlier run printed
#   ORTHANC_VERSION     system (default) or 1.13.0 (after `make setup`)
#   KEEP=1              leave the folder (reports, server's log, archive)
# Fails on a status of 500 (503 and 504 are answers that the interface has), an answer that is not what the document says, bad input that is taken,
# a server that ends, and a panic in its log.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$REPOSITORY/scripts/server.sh"

MODEL=${MODEL:-mammography-4view-demo}
SECONDS_EACH=${SECONDS_EACH:-120}
SEED=${SEED:-$RANDOM}
# Not among them: positive_data_acceptance (no schema can say which findings or series there are), and what is said of methods that a route has not
# (the core answers some of them before we are asked). Its own 404 has no Content-Type: identifiers are invented without the checks
# of an answer's form.
CHECKS=not_a_server_error,status_code_conformance,negative_data_rejection

main() {
    [ -e "$REPOSITORY/build/libOrthancAi.so" ] || die "build/libOrthancAi.so is missing" "make build"
    "$REPOSITORY/scripts/fetch_rest_tools.sh"
    FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/orthanc-ai-fuzz.XXXXXX")
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    say "starting Orthanc ($ORTHANC_VERSION)"
    start_server "$FOLDER"
    local failed=0
    prepare
    say "invented identifiers (SEED=$SEED)"
    fuzz invented '' || failed=1
    say "identifiers that are there (SEED=$SEED)"
    request --request POST --header 'Content-Type: application/json' --data '{}' "$URL/ai/queue/resume" >/dev/null
    # DELETE would take away what the others are about.
    CHECKS+=,content_type_conformance,response_schema_conformance
    fuzz known "$(known)" --exclude-method DELETE || failed=1

    kill -0 "$SERVER" 2>/dev/null || { say "the server ended: $FOLDER/orthanc.log"; failed=1; }
    ! grep -n 'panic in ' "$FOLDER/orthanc.log" >&2 || failed=1
    [ "$failed" = 0 ] || die "found something (above); the same again: SEED=$SEED KEEP=1 scripts/fuzz_rest.sh"
    say "nothing found"
}

post() { request --header 'Content-Type: application/json' --data "$2" "$URL$1"; }

# What is there: a study with a run and an evaluation, and a segmentation with its series.
prepare() {
    "$REPOSITORY/build/orthanc-ai" phantom mammography --out "$FOLDER/exam"
    upload "$FOLDER/exam"
    STUDY=$(head -1 <<<"$STUDIES")
    RUN=$(post "/studies/$STUDY/ai" "{\"Model\": \"$MODEL\", \"Synchronous\": true}" | jq -r .ID)
    EVALUATION=$(post "/ai/models/$MODEL/evaluate" "{\"Studies\": {\"$STUDY\": \"1\"}, \"Positive\": [\"Mass\"], \"Combine\": \"max\"}" | jq -r .ID)
    "$REPOSITORY/build/orthanc-ai" phantom breast-slices --count 1 --out "$FOLDER/slices"
    upload "$FOLDER/slices"
    SEGMENTED=$(request "$URL/studies/$(head -1 <<<"$STUDIES")/instances" | jq -r '.[0].ID')
    local stored
    stored=$(post "/instances/$SEGMENTED/ai" '{"Model": "breast-mri-unet-demo", "Synchronous": true}' | jq '.Stored[] | select(.Kind == "SEG")')
    SEG_INSTANCE=$(jq -r .ID <<<"$stored")
    SEG_SERIES=$(jq -r .SeriesID <<<"$stored")
    local each
    for each in "$STUDY" "$RUN" "$EVALUATION" "$SEGMENTED" "$SEG_INSTANCE" "$SEG_SERIES"; do
        [ -n "$each" ] && [ "$each" != null ] || die "what is to be fuzzed could not be made (log: $FOLDER/orthanc.log)"
    done
}

# The operations' parameters with what is there, as schemathesis' configuration has them.
known() {
    parameters '^/studies/' path.id "$STUDY"
    parameters '^/series/' path.id "$SEG_SERIES"
    parameters '^/instances/.*/ai/' path.id "$SEG_INSTANCE"
    parameters '^/instances/[^/]+/ai$' path.id "$SEGMENTED"
    parameters '^/ai/runs/' path.id "$RUN"
    parameters '^/ai/evaluations/' path.id "$EVALUATION"
    parameters '^/ai/models/' path.name "$MODEL"
}
parameters() { printf '[[operations]]\ninclude-path-regex = "%s"\nparameters = { "%s" = "%s" }\n' "$@"; }

# fuzz NAME CONFIGURATION [OPTION…]
fuzz() {
    local name=$1 more=$2
    shift 2
    cat >"$FOLDER/$name.toml" <<END
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503", "504"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "415", "422", "503", "504"]
$more
END
    "$VALIDATOR_HOME/rest/bin/schemathesis" --config-file "$FOLDER/$name.toml" run "$URL/ai/openapi.json" \
        --url "$URL" --checks "$CHECKS" --max-time "$SECONDS_EACH" --request-timeout 120 --seed "$SEED" --continue-on-failure \
        --report junit --report-junit-path "$FOLDER/$name.xml" "$@"
}

clean_up() {
    stop_server
    if [ "${KEEP:-0}" = 1 ]; then say "kept: $FOLDER"; else rm -rf "$FOLDER"; fi
}

main
