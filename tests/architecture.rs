//! The rules of ARCHITECTURE.md that a program can check.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// (path below src, code without comments and strings' neighbours: good enough to find an import)
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    assert!(paths.len() > 30, "found {} source files", paths.len());
    let code = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    };
    paths.iter().map(|p| (p.strip_prefix(&root).unwrap().to_str().unwrap().to_string(), code(p))).collect()
}

#[track_caller]
fn only(what: &str, finds: impl Fn(&str) -> bool, allowed: &[&str]) {
    let mut found = 0;
    for (path, _) in files().iter().filter(|(_, code)| finds(code)) {
        found += 1;
        assert!(allowed.iter().any(|a| path.starts_with(a)), "{what} in src/{path}, allowed in {allowed:?}");
    }
    assert!(found > 0, "{what} is nowhere: does this test still look for the right thing?");
}

#[test]
fn unsafe_code_is_in_the_host_layer() {
    only(
        "unsafe code",
        |code| code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl"),
        &["orthanc/"],
    );
}

#[test]
fn tch_is_named_in_model() {
    only("tch", |code| code.contains("tch::"), &["model/"]);
}

#[test]
fn few_know_that_there_is_a_server() {
    let allowed = ["orthanc/", "plugin.rs", "api/", "run/host_job.rs", "source/orthanc.rs"];
    only(
        "crate::orthanc",
        |code| code.contains("crate::orthanc") || code.contains("use super::super::orthanc"),
        &allowed,
    );
}

/// `(folder, what it must not import)`
#[test]
fn imports_go_one_way() {
    let forbidden: [(&str, &[&str]); 11] = [
        (
            "manifest/",
            &["imaging", "transform", "predict", "model", "result", "source", "run", "api", "plugin", "web", "config"],
        ),
        (
            "imaging/",
            &["manifest", "transform", "predict", "model", "result", "source", "run", "api", "plugin", "web", "config"],
        ),
        (
            "surface/",
            &["manifest", "transform", "predict", "model", "result", "source", "run", "api", "plugin", "web", "config"],
        ),
        ("predict/", &["transform", "model", "result", "source", "run", "api", "plugin", "web", "config"]),
        ("evaluate/", &["transform", "model", "result", "source", "run", "api", "plugin", "web", "config", "phantom"]),
        ("transform/", &["model", "result", "source", "run", "api", "plugin", "web", "config", "predict"]),
        ("model/", &["result", "source", "run", "api", "plugin", "web", "config"]),
        ("result/", &["model", "transform", "run", "source", "api", "plugin", "web", "config"]),
        ("document/", &["model", "run", "source", "api", "plugin", "web", "config"]),
        ("source/", &["model", "run", "api", "plugin", "web", "config"]),
        ("run/", &["api", "web"]),
    ];
    for (path, code) in files() {
        for (folder, modules) in forbidden.iter().filter(|(folder, _)| path.starts_with(folder)) {
            for module in *modules {
                let import = format!("crate::{module}::");
                assert!(!code.contains(&import), "src/{path} imports {import} but {folder} must not");
            }
        }
    }
}
