#!/bin/bash
# setup.sh build|demo|test: installs and downloads what that step needs; each level holds the one before it. Done work is skipped.
#   build  compilers, libtorch, the Orthanc SDK header
#   demo   + Orthanc and its DICOMweb plugin (Debian's packages)
#   test   + Orthanc 1.13.0 beside it, PostgreSQL, DICOM validators, tools for the REST interface, Chromium, Node.js and the OHIF viewer
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

LEVEL=${1:-build}
case $LEVEL in build | demo | test) ;; *) die "setup.sh: unknown level '$LEVEL'" "Levels: build, demo, test" ;; esac

main() {
    check_machine
    mkdir -p "$ORTHANC_AI_CACHE" || die "The cache folder $ORTHANC_AI_CACHE cannot be made" "Name another one: ORTHANC_AI_CACHE=/other/folder make …"
    # Two set-ups at once (two terminals, a CI machine) would unpack over each other.
    exec 9>"$ORTHANC_AI_CACHE/.setup.lock"
    flock -n 9 || { say "waiting for another set-up of $ORTHANC_AI_CACHE"; flock 9; }

    install_packages
    check_cargo
    "$REPOSITORY/scripts/fetch_libtorch.sh"
    "$REPOSITORY/scripts/fetch_orthanc_1_13.sh" header
    if [ "$LEVEL" = test ]; then
        "$REPOSITORY/scripts/fetch_orthanc_1_13.sh" server
        "$REPOSITORY/scripts/fetch_validators.sh"
        "$REPOSITORY/scripts/fetch_rest_tools.sh"
        "$REPOSITORY/scripts/fetch_ohif.sh"
    fi
    own_target_folder
}

check_machine() {
    have apt-get && have dpkg-query || die "This is not a Debian system (no apt-get)" \
        "The set-up is written for Debian 12; elsewhere use the Dockerfile, or install by hand what scripts/setup.sh lists"
    [ "$(dpkg --print-architecture)" = amd64 ] || [ -e "$LIBTORCH/lib/libtorch.so" ] || \
        die "The pinned libtorch is for amd64, this machine is $(dpkg --print-architecture)" "Set LIBTORCH to a libtorch 2.13 of your own"
}

check_cargo() {
    local wanted found
    have cargo || die "No Rust: cargo is not in PATH" "Install Rust with rustup, as its site says, and open a new shell"
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$REPOSITORY/Cargo.toml")
    found=$(rustc --version | cut -d' ' -f2)
    [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -1)" = "$wanted" ] || die "Rust $found is too old, $wanted is needed" "rustup update stable"
}

# The packages of a level, one line a reason.
packages() {
    echo g++ cmake make pkg-config              # torch-sys, OpenJPEG, CharLS
    echo libclang-dev                           # bindgen reads the SDK header
    echo python3 python3-venv ca-certificates   # pip locates and downloads the libtorch wheel
    [ "$LEVEL" != build ] || return 0
    echo orthanc orthanc-dicomweb curl jq       # the demonstration
    [ "$LEVEL" != demo ] || return 0
    echo dcmtk dicom3tools procps               # dsrdump, storescu; dciodvfy; kill
    echo poppler-utils                          # pdftotext
    echo postgresql orthanc-postgresql          # a server of the tests' own (Debian's service is not used), and Orthanc's index in it
    echo chromium
    # A Node.js that is there already (a vendor's package brings its own npm) conflicts with Debian's: leave it.
    have node || echo nodejs
    have npm || echo npm
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_packages() {
    local package service missing=() new_services=()
    for package in $(packages); do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    for service in orthanc postgresql; do
        [[ " ${missing[*]} " != *" $service "* ]] || new_services+=("$service")
    done

    say "installing Debian packages: ${missing[*]}"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
    local by_hand="As root: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    as_root "${apt[@]}" update >&2 || {
        [ $? != 77 ] || die "These Debian packages are missing, and this user is neither root nor allowed to use sudo: ${missing[*]}" "$by_hand"
        say "apt-get update failed; trying with the package lists that are here"
    }
    as_root "${apt[@]}" install --no-install-recommends "${missing[@]}" >&2 </dev/null || die "apt-get could not install: ${missing[*]}" "See its message above (network? disk?), then by hand. $by_hand"
    for service in "${new_services[@]}"; do
        stop_service "$service"
    done
}

# Debian starts a freshly installed server (Orthanc on port 8042), and again at each boot. We asked for the program, not for a
# server; one that was there before us is somebody's and is left alone.
stop_service() {
    say "$1 was installed by us: its system service is stopped and disabled (to have it: systemctl enable --now $1)"
    if [ -d /run/systemd/system ]; then
        as_root systemctl disable --now "$1.service" >&2 || true
    else
        as_root "/etc/init.d/$1" stop >&2 || true
        as_root update-rc.d "$1" disable >&2 || true
    fi
}

# Cargo tells two checkouts that share a target folder apart by file times only, and would hand the one's library to the other
# (the file names of a cdylib carry no hash). When the checkout changes, our own crate is compiled anew; dependencies stay.
own_target_folder() {
    local marker=$CARGO_TARGET_DIR/.checkout profile
    mkdir -p "$CARGO_TARGET_DIR"
    [ "$(cat "$marker" 2>/dev/null)" != "$REPOSITORY" ] || return 0
    if [ -e "$marker" ]; then
        say "the target folder $CARGO_TARGET_DIR served $(cat "$marker"): compiling our crate anew"
        for profile in dev release; do
            (cd "$REPOSITORY" && cargo clean --quiet --package orthanc-ai --profile "$profile")
        done
    fi
    printf '%s\n' "$REPOSITORY" >"$marker"
}

main
