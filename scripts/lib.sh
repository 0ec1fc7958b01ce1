# What the scripts share. Sourced by bash, after `set -euo pipefail`.

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$REPOSITORY/scripts/env.sh"

say() { printf '== %s\n' "$*" >&2; }

# die WHAT [WHAT_TO_DO]: an error names what failed and what the user can do.
die() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf '       %s\n' "$2" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND…: as root, by sudo where needed; returns 77 when neither is possible.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        sudo "$@"
    else
        return 77
    fi
}

# need_space MEGABYTES FOLDER WHAT: a full disk is told before a download, not after it.
need_space() {
    local free
    mkdir -p "$2"
    free=$(df -Pm "$2" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$1" ] || die "$3 needs $1 MB in $2, only $free MB are free" \
        "Free some space, or put the cache elsewhere: ORTHANC_AI_CACHE=/other/folder make …"
}

# inventory FOLDER: size and name of every file, the cheap fingerprint that a stamp file keeps.
# A lost or truncated file shows; reading half a gigabyte on every `make` would not be cheap.
inventory() { (cd "$1" && find . -type f ! -name '.*' -printf '%s %p\n' | LC_ALL=C sort | sha256sum); }
