//! Calling other people's DICOM readers. dciodvfy (dicom3tools) and dsrdump (dcmtk) come from the distribution; highdicom,
//! pydicom, dcmqi and trimesh from the virtual environment at `$ORTHANC_AI_VALIDATORS` (default: `validators/venv` in the cache);
//! `check_seg` and `check_sr` from `$ORTHANC_AI_SHARED` (default `../shared`). A tool that is not there is skipped, in words.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of what is shared beside the checkout.
pub fn shared() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    std::env::var_os("ORTHANC_AI_SHARED").filter(|v| !v.is_empty()).map_or_else(default, PathBuf::from)
}

/// Python of the virtual environment; None, with a line, where there is none.
pub fn python() -> Option<PathBuf> {
    let python = validators().join("bin/python");
    if !python.exists() {
        eprintln!("SKIPPED highdicom: no virtual environment at $ORTHANC_AI_VALIDATORS or in the cache");
        return None;
    }
    Some(python)
}

/// A program beside the readers that looks at the REST interface; None, with a line, where it is not there.
pub fn rest_tool(name: &str) -> Option<PathBuf> {
    let path = validators().with_file_name("rest").join("bin").join(name);
    if !path.exists() {
        eprintln!("SKIPPED {name}: not found in the folder rest beside $ORTHANC_AI_VALIDATORS, or in the cache");
        return None;
    }
    Some(path)
}

fn validators() -> PathBuf {
    let env = |key: &str| std::env::var_os(key).filter(|v| !v.is_empty()).map(PathBuf::from);
    env("ORTHANC_AI_VALIDATORS").unwrap_or_else(|| {
        let cache = env("ORTHANC_AI_CACHE").or_else(|| env("XDG_CACHE_HOME").map(|c| c.join("orthanc-ai")));
        cache.or_else(|| env("HOME").map(|h| h.join(".cache/orthanc-ai"))).unwrap_or_default().join("validators/venv")
    })
}

/// One of the scripts that call several readers; None, with a line, where it is not there.
pub fn check_script(name: &str) -> Option<PathBuf> {
    let path = shared().join("tools/validators").join(name);
    if !path.exists() {
        eprintln!("SKIPPED {name}: not found under $ORTHANC_AI_SHARED or ../shared");
        return None;
    }
    Some(path)
}

/// None, with a line, where the program is not installed.
pub fn run(program: &Path, args: &[&str]) -> Option<Output> {
    match Command::new(program).args(args).output() {
        Ok(output) => Some(output),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED {}: not installed", program.display());
            None
        }
        Err(e) => panic!("{}: {e}", program.display()),
    }
}

/// What a program said.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// For a person who wants to look: the folder is copied to `$ORTHANC_AI_KEEP`, where that is set.
pub fn keep(dir: &Path) {
    if let Some(keep) = std::env::var_os("ORTHANC_AI_KEEP") {
        let status = Command::new("cp").arg("-r").arg(dir).arg(keep).status().unwrap();
        assert!(status.success());
    }
}
