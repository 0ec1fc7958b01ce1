//! Generates the bindings to Orthanc's plugin SDK, joins the page's modules, and tells the linker where libtorch lies.
//!
//! Environment: `ORTHANC_SDK_INCLUDE` (folder that holds `orthanc/OrthancCPlugin.h`; default: what `make setup` unpacked
//! in the cache) and `LIBTORCH` (the same variable that torch-sys reads).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "src/web/bundle.rs"]
mod bundle;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=orthanc-sdk/wrapper.h");
    let include = sdk_include();
    let header = include.join("orthanc/OrthancCPlugin.h");
    println!("cargo:rerun-if-changed={}", header.display());
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    generate_bindings(&include, &out_dir.join("orthanc_sdk.rs"));
    generate_error_codes(&header, &out_dir.join("orthanc_error_codes.rs"));
    bundle_page(Path::new("src/web/app"), &out_dir.join("app.js"));
    link_libtorch();
}

/// The modules of the page `/ai/app/` as one, which src/web embeds.
fn bundle_page(folder: &Path, target: &Path) {
    println!("cargo:rerun-if-changed=src/web/bundle.rs");
    println!("cargo:rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(folder).expect("the page's folder is readable");
    let files = entries.map(|entry| entry.expect("the page's folder is readable").path());
    let scripts = files.filter(|file| file.extension().is_some_and(|extension| extension == "js"));
    let read = |file: PathBuf| {
        let name = file.file_name().expect("a file has a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(&file).expect("the page's modules are UTF-8"))
    };
    let modules: Vec<(String, String)> = scripts.map(read).collect();
    match bundle::bundle(&modules, "app.js", "early.js") {
        Ok(text) => fs::write(target, text).expect("OUT_DIR is writable"),
        Err(reason) => fail(&format!("{}: {reason}", folder.display())),
    }
}

/// The folder that holds the SDK's header, from the environment or from the cache of `make setup`.
fn sdk_include() -> PathBuf {
    for key in ["ORTHANC_SDK_INCLUDE", "ORTHANC_AI_CACHE", "XDG_CACHE_HOME", "HOME"] {
        println!("cargo:rerun-if-env-changed={key}");
    }
    let include = match env::var_os("ORTHANC_SDK_INCLUDE") {
        Some(include) => PathBuf::from(include),
        None => cache_dir().join("orthanc-1.13.0/usr/include"),
    };
    let header = include.join("orthanc/OrthancCPlugin.h");
    if !header.is_file() {
        fail(&format!(
            "the header of Orthanc's plugin SDK is missing: {} is no file.\n\
             Run `make setup`, which fetches it, or set ORTHANC_SDK_INCLUDE to the folder that holds \
             orthanc/OrthancCPlugin.h (Orthanc SDK 1.13.0 or later; see orthanc-sdk/README.md).",
            header.display()
        ));
    }
    include
}

fn cache_dir() -> PathBuf {
    let from = |key: &str| env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("ORTHANC_AI_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|cache| cache.join("orthanc-ai")))
        .or_else(|| from("HOME").map(|home| home.join(".cache/orthanc-ai")))
        .unwrap_or_else(|| PathBuf::from(".cache/orthanc-ai"))
}

/// The SDK is one header of inline functions over `InvokeService(context, service, &params)`: what we need of it are the
/// params structures, the enumerations and the callbacks' types. `src/orthanc/` writes the inline functions in Rust.
fn generate_bindings(include: &Path, target: &Path) {
    let bindings = bindgen::Builder::default()
        .header("orthanc-sdk/wrapper.h")
        .clang_arg(format!("-I{}", include.display()))
        // Orthanc may send values that this header does not know: a Rust enum would be undefined behaviour.
        .default_enum_style(bindgen::EnumVariation::NewType { is_bitfield: false, is_global: false })
        .prepend_enum_name(false)
        .allowlist_type(
            "_?OrthancPlugin(Context|ErrorCode|Service|Property|Http(Request|Method)|MemoryBuffer|PixelFormat)",
        )
        .allowlist_type("OrthancPlugin(ChangeType|ResourceType|InstanceOrigin|MetricsType|LogLevel|LogCategory)")
        .allowlist_type("OrthancPluginJob(StepStatus|StopReason)")
        .allowlist_type("_OrthancPlugin(RestCallback|OnChangeCallback|OnStoredInstanceCallback)")
        .allowlist_type("_OrthancPlugin(AnswerBuffer|OutputPlusArgument|SetHttpHeader|SendHttpStatus)")
        .allowlist_type("_OrthancPlugin(SetPluginProperty|RetrieveDynamicString|CallRestApi|AccessDicomInstance)")
        .allowlist_type("_OrthancPlugin(GetImageInfo|FreeImage|CreateImage|CreateMemoryBuffer|LogMessage)")
        .allowlist_type("_OrthancPlugin(SetMetricsValue|SetMetricsIntegerValue|RegisterRefreshMetricsCallback)")
        .allowlist_type("_OrthancPlugin(EmitAuditLog|AuditLogHandler|IncomingHttpRequestFilter2)")
        .allowlist_type("_OrthancPlugin(CreateJob2?|FreeJob|SubmitJob)")
        .derive_default(true)
        .generate_comments(false)
        .parse_callbacks(Box::new(ShortVariants))
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
        .generate();
    match bindings {
        Ok(bindings) => {
            bindings.write_to_file(target).unwrap_or_else(|error| fail(&format!("{}: {error}", target.display())))
        }
        Err(error) => fail(&format!("bindgen could not read orthanc/OrthancCPlugin.h: {error}")),
    }
}

/// `OrthancPluginErrorCode::OrthancPluginErrorCode_Success` → `OrthancPluginErrorCode::Success`.
#[derive(Debug)]
struct ShortVariants;

impl bindgen::callbacks::ParseCallbacks for ShortVariants {
    fn enum_variant_name(
        &self,
        _: Option<&str>,
        original: &str,
        _: bindgen::callbacks::EnumVariantValue,
    ) -> Option<String> {
        let (_, variant) = original.trim_start_matches('_').split_once('_')?;
        (variant != "INTERNAL").then(|| variant.to_owned())
    }
}

/// Writes the header's list of error codes as `(value, name, description)`, sorted by value, so that errors carry Orthanc's own
/// words without asking the core (which may be stopping).
fn generate_error_codes(header: &Path, target: &Path) {
    let text = fs::read_to_string(header).unwrap_or_else(|error| fail(&format!("{}: {error}", header.display())));
    let mut codes: Vec<(i32, String, String)> = text.lines().filter_map(parse_error_code).collect();
    codes.sort();
    if !codes.iter().any(|(value, name, _)| *value == 17 && name == "UnknownResource") {
        fail(&format!(
            "{}: the list of OrthancPluginErrorCode has a form this build script cannot read",
            header.display()
        ));
    }
    fs::write(target, format!("&{codes:?}")).unwrap_or_else(|error| fail(&format!("{}: {error}", target.display())));
}

/// One line of the enumeration: `OrthancPluginErrorCode_Name = 17    /*!< Description */,`.
fn parse_error_code(line: &str) -> Option<(i32, String, String)> {
    let (name, rest) = line.trim().strip_prefix("OrthancPluginErrorCode_")?.split_once('=')?;
    let (value, rest) = rest.split_once("/*!<")?;
    let (description, _) = rest.split_once("*/")?;
    Some((value.trim().parse().ok()?, name.trim().to_owned(), description.trim().replace("\\\"", "\"")))
}

/// libtorch never lies in Orthanc's plugins folder (every `*.so` there is loaded as a plugin), so the plugin finds it by its
/// rpath: where it was built, beside an installed plugin, or in the system's folder for it.
fn link_libtorch() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if let Some(libtorch) = env::var_os("LIBTORCH") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", Path::new(&libtorch).join("lib").display());
    }
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/orthanc-ai");
    println!("cargo:rustc-link-arg=-Wl,-rpath,/usr/lib/orthanc-ai/lib");
    // POST /tools/reset unloads every plugin and loads it anew; neither libtorch nor Rust's thread-local destructors survive
    // dlclose, so the library stays mapped.
    println!("cargo:rustc-link-arg-cdylib=-Wl,-z,nodelete");
}

fn fail(message: &str) -> ! {
    eprintln!("error: {message}");
    std::process::exit(1)
}
