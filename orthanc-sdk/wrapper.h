/* What bindgen reads: see build.rs, which gives the include path. */
#include <orthanc/OrthancCPlugin.h>
