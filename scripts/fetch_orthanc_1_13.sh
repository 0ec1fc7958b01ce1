#!/bin/bash
# fetch_orthanc_1_13.sh header|server: Orthanc 1.13.0 from Debian's next release, unpacked in $ORTHANC_AI_CACHE/orthanc-1.13.0.
#   header  the plugin SDK (usr/include/orthanc/OrthancCPlugin.h), which the build needs
#   server  also Orthanc with its DICOMweb and PostgreSQL plugins and every library they load, for the tests (scripts/orthanc.sh runs it)
# Nothing is installed and no package script runs, so neither root nor a second machine is needed. apt checks the release's signature
# and with it each package's hash; its configuration, lists and status lie in a folder of ours, the system's stay as they are.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

VERSION=1.13.0
SUITE=${ORTHANC_1_13_SUITE:-forky}
OURS=$ORTHANC_AI_CACHE/orthanc-$VERSION
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
APT=$ORTHANC_AI_CACHE/downloads/apt-$SUITE
SERVER='orthanc orthanc-dicomweb orthanc-postgresql orthanc-dev libgcc-s1'

main() {
    case ${1:-} in
        header) local packages='orthanc-dev' megabytes=300 ;;
        server) local packages=$SERVER megabytes=700 ;;
        *) die "fetch_orthanc_1_13.sh: header or server, not '${1:-}'" ;;
    esac
    ! given_by_user "$1" || return 0
    ! is_complete "$OURS" header || [ "$1" = server ] || return 0
    ! is_complete "$OURS" server || return 0

    say "Orthanc $VERSION ($1) from Debian's suite $SUITE"
    need_space "$megabytes" "$ORTHANC_AI_CACHE" "Orthanc $VERSION"
    private_apt
    apt update || die "apt could not read the suite $SUITE (its message is above)" \
        "Check the network and apt's proxy settings. Without them: set ORTHANC_SDK_INCLUDE to a folder with orthanc/OrthancCPlugin.h of $VERSION"
    check_version
    unpack "$1" "$packages"
    rm -rf "$APT"
}

# A site with its own header or its own unpacked server names it, and nothing is downloaded.
given_by_user() {
    if [ "$1" = header ]; then
        [ "$ORTHANC_SDK_INCLUDE" != "$OURS/usr/include" ] || return 1
        [ -e "$ORTHANC_SDK_INCLUDE/orthanc/OrthancCPlugin.h" ] || die "ORTHANC_SDK_INCLUDE is set to $ORTHANC_SDK_INCLUDE, which has no orthanc/OrthancCPlugin.h" \
            "Name the folder above orthanc/OrthancCPlugin.h, or unset it to have the header downloaded"
    else
        [ "$ORTHANC_1_13_ROOT" != "$OURS" ] || return 1
        [ -e "$ORTHANC_1_13_ROOT/usr/sbin/Orthanc" ] || die "ORTHANC_1_13_ROOT is set to $ORTHANC_1_13_ROOT, which has no usr/sbin/Orthanc" "Unset it to have Orthanc $VERSION downloaded"
    fi
}

is_complete() { [ -e "$1/.$2" ] && cmp -s "$1/.$2" <(inventory "$1") && { [ "$2" = header ] || has_all_packages "$1"; }; }

# A server that an earlier checkout unpacked from fewer packages is completed.
has_all_packages() { [ "$(cat "$1/.packages" 2>/dev/null)" = "$SERVER" ]; }

# An apt of our own on the archive that the system's apt uses.
private_apt() {
    [ -e "$KEYRING" ] || die "Debian's archive key $KEYRING is missing" "As root: apt-get install debian-archive-keyring"
    local archive
    archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -1)
    # Without package lists (a slim image) apt knows addresses only.
    [ -n "$archive" ] || archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m 1 '/debian/*$') ||
        die "apt's sources name no Debian archive" "Orthanc $VERSION comes from there: add one to /etc/apt/sources.list.d"
    rm -rf "$APT"
    mkdir -p "$APT"/lists/partial "$APT"/cache/archives/partial "$APT"/debs
    : >"$APT/status"
    echo "deb [signed-by=$KEYRING] $archive $SUITE main" >"$APT/sources.list"
    # Read after the system's configuration, whose proxies and credentials so stay in force.
    cat >"$APT/apt.conf" <<END
Dir::Etc { SourceList "$APT/sources.list"; SourceParts "/dev/null"; Preferences "/dev/null"; PreferencesParts "/dev/null"; };
Dir::State { Lists "$APT/lists"; Status "$APT/status"; Extended_States "$APT/extended_states"; };
Dir::Cache "$APT/cache";
APT::Architecture "amd64";
#clear APT::Architectures;
APT::Architectures { "amd64"; };
APT::Sandbox::User "$(id -un)";
// A list that could not be fetched is an error, not a warning.
APT::Update::Error-Mode "any";
// Container images empty the system's package cache after each update: not our business.
#clear APT::Update::Post-Invoke;
// The package list alone: no translations, no metadata for software centres.
Acquire::Languages "none";
Acquire::IndexTargets::deb { DEP-11 { DefaultEnabled "false"; }; };
Acquire::Retries "5";
END
}

apt() { apt-get -qq --config-file "$APT/apt.conf" "$@" >&2; }

check_version() {
    local found
    found=$(awk -v RS= '/^Package: orthanc-dev\n/' <(apt_list) | sed -n 's/^Version: //p' | sort -V | tail -1)
    [[ "$found" == "$VERSION"* ]] || die "Debian's suite $SUITE has moved on: it offers Orthanc ${found:-nothing}, not $VERSION" \
        "Name another suite (ORTHANC_1_13_SUITE=…), or a header (ORTHANC_SDK_INCLUDE=…) and an unpacked server (ORTHANC_1_13_ROOT=…) of that version"
}
apt_list() { /usr/lib/apt/apt-helper cat-file "$APT"/lists/*_Packages*; }

# Packages for one process only: the shared libraries, their data (DICOM dictionary, C locale, OpenSSL's legacy provider), Orthanc.
# The rest of what a system install would bring (service managers, shells' tools) has no use in a folder.
KEEP='^(lib.*|zlib1g|openssl-provider-legacy|dcmtk-data|orthanc.*)$'
DROP='^lib(perl|python|systemd-shared|.*-dev$).*'

unpack() {
    local closure target=$OURS.partial deb
    if [ "$1" = header ]; then
        closure=$2
    else
        # shellcheck disable=SC2086 # a list of packages
        closure=$(apt -s install --no-install-recommends $2 2>&1 | awk '/^Inst/ { print $2 }' | grep -E "$KEEP" | grep -vE "$DROP" | sort)
        grep -qx orthanc <<<"$closure" || die "apt cannot resolve the packages of Orthanc $VERSION in $SUITE"
    fi
    # shellcheck disable=SC2086
    (cd "$APT/debs" && apt download $closure) || die "Packages of Orthanc $VERSION could not be downloaded from $SUITE (apt's message is above)" "Check network and disk, then run the same command again"
    rm -rf "$target"
    mkdir -p "$target"
    for deb in "$APT"/debs/*.deb; do
        dpkg-deb --extract "$deb" "$target" || die "$deb could not be unpacked" "Is the disk full? Then free some space and run the same command again"
    done
    # orthanc-dev drops its header and, with the server, nothing else that compilers would look for.
    [ -e "$target/usr/include/orthanc/OrthancCPlugin.h" ] || die "orthanc-dev of $SUITE has no usr/include/orthanc/OrthancCPlugin.h"
    inventory "$target" >"$target/.header"
    if [ "$1" = server ]; then
        cp "$target/.header" "$target/.server"
        echo "$SERVER" >"$target/.packages"
    fi
    # Two renames: a test that starts a server meanwhile finds one.
    rm -rf "$OURS.old"
    [ ! -e "$OURS" ] || mv "$OURS" "$OURS.old"
    mv "$target" "$OURS"
    rm -rf "$OURS.old"
    say "$(wc -w <<<"$closure") packages, $(du -sm "$OURS" | cut -f1) MB in $OURS"
}

main "$@"
