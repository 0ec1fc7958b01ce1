# The build's and the tests' environment. Source it: `. scripts/env.sh`. Sets variables, does nothing else (scripts/setup.sh does).
# Whatever the caller has set is kept: a site with its own libtorch (CUDA, say) sets LIBTORCH and nothing is downloaded.

ORTHANC_AI_CACHE=${ORTHANC_AI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/orthanc-ai}

# libtorch of tch 0.26: folders lib and include.
LIBTORCH=${LIBTORCH:-$ORTHANC_AI_CACHE/libtorch-2.13.0}

# Orthanc 1.13.0, unpacked beside the system's, and the SDK header that comes with it (orthanc/OrthancCPlugin.h).
ORTHANC_1_13_ROOT=${ORTHANC_1_13_ROOT:-$ORTHANC_AI_CACHE/orthanc-1.13.0}
ORTHANC_SDK_INCLUDE=${ORTHANC_SDK_INCLUDE:-$ORTHANC_1_13_ROOT/usr/include}

# Outside the checkout, so that a fresh clone (CI) does not compile the dependencies again.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ORTHANC_AI_CACHE/target}
CARGO_NET_RETRY=${CARGO_NET_RETRY:-5}

# Other people's DICOM readers (highdicom, pydicom, dcmqi) that check our results, in a virtual environment `venv`.
VALIDATOR_HOME=${VALIDATOR_HOME:-$ORTHANC_AI_CACHE/validators}

# The OHIF viewer (dist/index.html …) in which tests open our results.
OHIF_ROOT=${OHIF_ROOT:-$ORTHANC_AI_CACHE/ohif-3.13.2}

# Our binaries find libtorch by their run path; build scripts and test binaries of dependencies do not.
case ":${LD_LIBRARY_PATH:-}:" in
    *":$LIBTORCH/lib:"*) ;;
    *) LD_LIBRARY_PATH=$LIBTORCH/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} ;;
esac

# rustup's default place, for shells that were started before it was installed.
command -v cargo >/dev/null 2>&1 || PATH=$PATH:$HOME/.cargo/bin

export ORTHANC_AI_CACHE LIBTORCH ORTHANC_1_13_ROOT ORTHANC_SDK_INCLUDE CARGO_TARGET_DIR CARGO_NET_RETRY VALIDATOR_HOME OHIF_ROOT LD_LIBRARY_PATH PATH
