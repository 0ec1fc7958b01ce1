//! What one run may take, and what happens when there is no room: clear words, another attempt, nothing lost.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::exam;
use crate::on_every_orthanc;
use crate::server::{DEMO, Options, Orthanc, Version};

on_every_orthanc!(
    runs_compute_in_the_background,
    an_image_beyond_the_memory_limit_is_refused_before_it_is_decoded,
    results_wait_for_room_on_a_full_disk,
    a_full_disk_under_the_runs_is_told,
);

/// How much that leaves to receiving images, benches/ingest.rs measures.
fn runs_compute_in_the_background(version: Version) {
    const SCHED_OTHER: i32 = 0;
    const SCHED_IDLE: i32 = 5;
    for background in [true, false] {
        let ai = json!({"Background": background, "Threads": 2});
        let server = Orthanc::with(version, &Options { ai, ..Options::default() });
        let study = server.upload_study(&exam::files(&exam::options(7191)));
        assert_eq!(server.analyse(&study)["State"], "Succeeded");
        // What fetches and stores may hold a lock that the server waits for: never behind the others.
        let worker = server.thread_policies("orthanc-ai");
        assert!(!worker.is_empty() && worker.iter().all(|p| *p == SCHED_OTHER), "{worker:?}");
        // What computes, and libtorch's threads, which have its name.
        let computing = server.thread_policies("orthanc-ai-net");
        let expected: &[i32] = if background { &[SCHED_IDLE; 2] } else { &[] };
        assert_eq!(computing, expected);
    }
}

fn an_image_beyond_the_memory_limit_is_refused_before_it_is_decoded(version: Version) {
    let ai = json!({"Limits": {"MemoryMegabytes": 64}});
    let server = Orthanc::with(version, &Options { ai, ..Options::default() });
    let small = server.upload_study(&exam::files(&exam::options(7201)));
    assert_eq!(server.analyse(&small)["State"], "Succeeded");
    let large = orthanc_ai::phantom::ExamOptions { size: (2048, 1664), spacing_mm: 0.11, ..exam::options(7202) };
    let large = server.upload_study(&exam::files(&large));
    let before = server.count_instances();
    let body = json!({"Model": DEMO, "Synchronous": true});
    let error = server.post(&format!("/studies/{large}/ai"), &body).error(422);
    assert!(error.contains("found 3407872 pixels after 0 of other files, expected at most 2097152"), "{error}");
    assert!(error.contains("Ai.Limits.MemoryMegabytes"), "{error}");
    assert_eq!(server.count_instances(), before);
}

/// A file system of so many megabytes in memory; None, loudly, where this user may not have one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(megabytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|out| out.status.success());
        if !mounted {
            eprintln!("SKIPPED: a small file system cannot be mounted here (root may)");
            return None;
        }
        Some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) {
        let block = vec![1u8; 1 << 20];
        for i in 0..4096 {
            if std::fs::write(self.path().join(format!("filler-{i}")), &block).is_err() {
                return;
            }
        }
        panic!("it does not become full");
    }

    fn make_room(&self) {
        for entry in std::fs::read_dir(self.path()).unwrap().map(Result::unwrap) {
            if entry.file_name().to_string_lossy().starts_with("filler-") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn results_wait_for_room_on_a_full_disk(version: Version) {
    let Some(disk) = SmallDisk::new(24) else { return };
    // The index needs room, too: it lies elsewhere, as large sites have it.
    let orthanc = json!({"StorageDirectory": disk.path()});
    let ai = json!({"Runs": {"BackoffSeconds": 1, "Attempts": 20}});
    let server = Orthanc::with(version, &Options { ai, orthanc, ..Options::default() });
    let study = server.upload_study(&exam::files(&exam::options(7211)));
    let before = server.count_instances();
    disk.fill();
    let started = server.post(&format!("/studies/{study}/ai"), &json!({"Model": DEMO})).ok();
    let path = started["Path"].as_str().unwrap();
    let wait = |what: &str, done: &dyn Fn(&serde_json::Value) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let run = server.get(path).ok();
            if done(&run) {
                return run;
            }
            assert!(Instant::now() < deadline, "{what}: {run:#}\n{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let waiting = wait("a second attempt", &|run| run["State"] == "Queued" && run["Attempts"].as_u64() >= Some(2));
    let error = waiting["Error"].as_str().unwrap();
    assert!(error.contains("was not stored"), "{error}");
    assert_eq!(server.get("/ai/health").status, 200);
    assert_eq!(server.count_instances(), before);
    disk.make_room();
    let run = wait("the end", &|run| run["Finished"].is_string());
    assert_eq!((&run["State"], &run["Error"]), (&json!("Succeeded"), &json!(null)), "{run:#}");
    assert_eq!(server.count_instances(), before + 1);
}

fn a_full_disk_under_the_runs_is_told(version: Version) {
    let Some(disk) = SmallDisk::new(4) else { return };
    let ai = json!({"Runs": {"Database": disk.path().join("runs.sqlite")}});
    let server = Orthanc::with(version, &Options { ai, ..Options::default() });
    let study = server.upload_study(&exam::files(&exam::options(7221)));
    assert_eq!(server.analyse(&study)["State"], "Succeeded");
    disk.fill();
    let path = format!("/studies/{study}/ai");
    let body = json!({"Model": DEMO, "Force": true});
    // What fits into pages that the file has already is taken.
    let refused = (0..200).map(|_| server.post(&path, &body)).find(|answer| answer.status != 200);
    let details = refused.expect("never full").error(503);
    assert!(details.contains("disk is full"), "{details}");
    assert!(server.log().lines().all(|line| !line.contains("panicked")), "{}", server.log());
    disk.make_room();
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.post(&path, &body).status != 200 {
        assert!(Instant::now() < deadline, "{}", server.log());
        std::thread::sleep(Duration::from_millis(200));
    }
}
