# An Orthanc with the plugin for trying things out: a folder of its own, a free port, loopback only. Sourced after lib.sh.

ORTHANC_VERSION=${ORTHANC_VERSION:-system}

# Below the ports that the kernel gives to connections (from 32768): one of these may be taken before the server listens.
free_port() {
    local port
    until port=$(shuf -i 12000-31999 -n 1) && port_is_free "$port"; do :; done
    echo "$port"
}
port_is_free() { python3 -c 'import socket, sys; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(sys.argv[1])))' "$1" 2>/dev/null; }

# write_config FOLDER PORT: runs do not stand back (Background): who looks at a demonstration waits for it.
# FOLDER/orthanc.json, with storage and SQLite index in FOLDER/storage. No DICOM port: it would be open to
# the network, and files come in by HTTP here.
write_config() {
    local dicomweb
    dicomweb=$("$REPOSITORY/scripts/orthanc.sh" "$ORTHANC_VERSION" --plugins)/libOrthancDicomWeb.so
    [ -e "$dicomweb" ] || dicomweb=
    jq -n --arg folder "$1" --argjson port "$2" --arg plugin "$REPOSITORY/build/libOrthancAi.so" --arg dicomweb "$dicomweb" \
        --arg models "${MODELS:-$REPOSITORY/models}" '{
            Name: "orthanc-ai", Locale: "C.UTF-8",
            StorageDirectory: "\($folder)/storage", IndexDirectory: "\($folder)/storage",
            HttpPort: $port, RemoteAccessAllowed: false, AuthenticationEnabled: false, DicomServerEnabled: false,
            Plugins: ([$plugin, $dicomweb] | map(select(. != ""))),
            Ai: { Enable: true, ModelsDirectory: $models, Background: false }
        }' >"$1/orthanc.json"
}

# start_server FOLDER: runs it on a free port in the background and returns when the plugin has loaded its models.
# URL is then its address, SERVER its process id.
start_server() {
    local port wait
    port=$(free_port)
    URL=http://127.0.0.1:$port
    write_config "$1" "$port"
    "$REPOSITORY/scripts/orthanc.sh" "$ORTHANC_VERSION" "$1/orthanc.json" >"$1/orthanc.log" 2>&1 &
    SERVER=$!
    for wait in $(seq 240); do
        ! models_are_loaded || return 0
        kill -0 "$SERVER" 2>/dev/null || break
        sleep 0.25
    done
    tail -30 "$1/orthanc.log" >&2
    kill -0 "$SERVER" 2>/dev/null || die "Orthanc ended while starting (its log is above)" "Often: a library is missing, or the plugin and Orthanc do not fit"
    die "Orthanc runs, but the plugin did not load its models within a minute (log above)"
}

models_are_loaded() { request "$URL/ai/models" 2>/dev/null | jq -e 'all(.State != "Loading")' >/dev/null 2>&1; }

# upload FOLDER: every file to the server at $URL; STUDIES are the Orthanc ids of what arrived.
upload() {
    local file answer taken=0 refused=0
    STUDIES=
    while IFS= read -r -d '' file; do
        if answer=$(request --data-binary "@$file" "$URL/instances" 2>/dev/null); then
            taken=$((taken + 1))
            STUDIES+=$(jq -r .ParentStudy <<<"$answer")$'\n'
        else
            refused=$((refused + 1))
        fi
    done < <(find -L "$1" -type f -print0 | sort -z)
    STUDIES=$(sort -u <<<"$STUDIES" | sed '/^$/d')
    say "uploaded $taken files; Orthanc refused $refused (no DICOM)"
    [ -n "$STUDIES" ] || die "Orthanc accepted no file of $1" "STUDY must name a folder with DICOM files"
}

stop_server() {
    [ -n "${SERVER:-}" ] && kill -0 "$SERVER" 2>/dev/null || return 0
    kill -TERM "$SERVER"
    local wait
    for wait in $(seq 120); do
        kill -0 "$SERVER" 2>/dev/null || { wait "$SERVER" 2>/dev/null || true; return 0; }
        sleep 0.25
    done
    say "Orthanc did not stop within 30 s: ending it"
    kill -KILL "$SERVER"
}

# request [CURL_OPTION…] URL: the body on stdout, whatever the status; fails (with the status on stderr) from 400 on.
# `Expect:` is off because Orthanc's server answers 100-continue late for large files; loopback never goes through a proxy.
request() {
    local answer status
    answer=$(curl --silent --show-error --noproxy '*' --header 'Expect:' --write-out '\n%{http_code}' "$@") || return 1
    status=${answer##*$'\n'}
    printf '%s\n' "${answer%$'\n'*}"
    [ "$status" -lt 400 ] || { printf 'HTTP %s\n' "$status" >&2; return 1; }
}
