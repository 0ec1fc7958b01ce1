#!/bin/bash
# orthanc.sh VERSION CONFIG.json [OPTION…]: runs that Orthanc in the foreground (exec: the caller's child is Orthanc itself).
#   1.10.1  Debian 12's package     1.13.0  the one that fetch_orthanc_1_13.sh unpacked     system  whatever is installed
# orthanc.sh VERSION --plugins: the folder with its plugins (DICOMweb).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -ge 2 ] || die "usage: orthanc.sh 1.10.1|1.13.0|system CONFIG.json|--plugins [OPTION…]"
version=$1 config=$2
shift 2

system() {
    local binary found
    binary=$(PATH=$PATH:/usr/sbin command -v Orthanc) || die "Orthanc is not installed" "scripts/setup.sh demo installs it (as root: apt-get install orthanc)"
    found=$("$binary" --version | sed -n '1s/.* //p') # its first word is the path it was called by
    [ "$version" = system ] || [ "$found" = "$version" ] || die "The system's Orthanc is $found, not $version" "orthanc.sh system runs the one that is here"
    [ "$config" != --plugins ] || { echo /usr/share/orthanc/plugins; exit; }
    exec "$binary" "$config" "$@"
}

# A program of another Debian release, with that release's own C library: its dynamic loader is called by name, with the library
# folders that it shall search.
unpacked() {
    local root=$ORTHANC_1_13_ROOT libraries
    libraries=$root/usr/lib/x86_64-linux-gnu
    [ -x "$root/usr/sbin/Orthanc" ] || die "Orthanc 1.13.0 is not in $root" "scripts/setup.sh test puts it there"
    [ "$config" != --plugins ] || { echo "$root/usr/share/orthanc/plugins"; exit; }
    export DCMDICTPATH=$root/usr/share/dcmtk/dicom.dic:$root/usr/share/dcmtk/private.dic
    export LOCPATH=$root/usr/lib/locale OPENSSL_MODULES=$libraries/ossl-modules
    exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries:$root/usr/lib" --argv0 Orthanc "$root/usr/sbin/Orthanc" "$config" "$@"
}

# The plugin must find libtorch by its own run path, as it has to in a user's Orthanc.
unset LD_LIBRARY_PATH

case $version in
    system | 1.10.1) system "$@" ;;
    1.13.0) unpacked "$@" ;;
    *) die "orthanc.sh: no Orthanc $version here" "Known: 1.10.1, 1.13.0, system" ;;
esac
