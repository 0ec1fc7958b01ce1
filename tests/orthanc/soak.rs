//! Half an hour of a hospital's worst days (`scripts/soak.sh`): good and broken studies arrive all the time, by DICOM and by REST, and the
//! server is killed again and again. Its last line counts what was lost and what was made twice.

use std::time::{Duration, Instant};

use orthanc_ai::phantom::Random;
use serde_json::json;

use crate::automatic::reports;
use crate::exam;
use crate::server::{DEMO, Options, Orthanc, Version, shared};

/// Some file that Orthanc dies of without any plugin (tests/orthanc/bad_input.rs proves it).
const KILLS_ORTHANC: &str = "fuzz_cat03__TC0263_depth_50.dcm";

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[test]
#[ignore = "30 minutes: scripts/soak.sh"]
fn soak() {
    let (minutes, seed) = (setting("SOAK_MINUTES", 30.0), setting("SOAK_SEED", 1u64));
    let version = match std::env::var("ORTHANC_VERSION").as_deref() {
        Ok("1.10.1") => Version::V1_10_1,
        _ => Version::V1_13_0,
    };
    // A kill spends an attempt: by chance the same run may be hit several times.
    let ai = json!({"Rules": [{"Name": "study", "Model": DEMO}], "Runs": {"Attempts": 50}});
    let mut server =
        Orthanc::with(version, &Options { ai, orthanc: json!({"DicomAlwaysAllowStore": true}), ..Options::default() });
    std::thread::sleep(Duration::from_secs(1));
    let broken = broken_files();
    let mut random = Random::new(seed, 0);
    let (mut studies, mut kills, mut bad) = (Vec::<String>::new(), 0, 0);
    let (start, length) = (Instant::now(), Duration::from_secs_f64(minutes * 60.0));
    let mut told = Instant::now();
    while start.elapsed() < length {
        let number = studies.len() as u64;
        let files = exam::files(&exam::options(seed * 1_000_000 + number));
        if random.chance(0.5) {
            server.store_scu("SOAK", &files);
        }
        // Uploading again what came by DICOM changes nothing, and tells where it is.
        studies.push(server.upload_study(&files));
        while random.chance(0.5) {
            let file = &broken[random.integer(0, broken.len() - 1)];
            let _refused = server.try_upload(file);
            bad += 1;
        }
        std::thread::sleep(Duration::from_millis(random.integer(0, 1500) as u64));
        if random.chance(0.15) {
            server.kill();
            kills += 1;
            server.start_again();
        }
        if told.elapsed() > Duration::from_secs(60) {
            told = Instant::now();
            let (s, minutes) = (studies.len(), start.elapsed().as_secs() / 60);
            eprintln!("{minutes} min: {s} studies, {bad} broken files, {kills} kills");
        }
    }
    let reports = |study: &String| reports(&server, study);
    // As long as there is progress.
    let (mut missing, mut since) = (usize::MAX, Instant::now());
    while missing > 0 && since.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_secs(2));
        let now = studies.iter().filter(|s| reports(s) == 0).count();
        if now < missing {
            (missing, since) = (now, Instant::now());
        }
    }
    std::thread::sleep(Duration::from_secs(10));
    let counts: Vec<usize> = studies.iter().map(reports).collect();
    let results: usize = counts.iter().sum();
    let losses = counts.iter().filter(|n| **n == 0).count();
    let doubles = counts.iter().filter(|n| **n > 1).count();
    let failed = server.get("/ai/runs?state=Failed&limit=100000").ok().as_array().unwrap().len();
    let (s, v) = (studies.len(), version.name());
    eprintln!(
        "soak, Orthanc {v}: {s} studies, {results} results, {losses} losses, {doubles} doubles \
         ({kills} kills, {bad} broken files, {failed} failed runs, {minutes} minutes)"
    );
    assert_eq!((losses, doubles), (0, 0), "{}", server.log());
}

/// Of our own making, and what `../shared` has.
fn broken_files() -> Vec<Vec<u8>> {
    let good = exam::files(&exam::options(9_999_999)).remove(0);
    let mut files = vec![Vec::new(), b"DICM".to_vec(), good[..good.len() / 2].to_vec(), good[..400].to_vec()];
    let mut flipped = good.clone();
    flipped.iter_mut().skip(200).step_by(97).for_each(|b| *b ^= 0x5a);
    files.push(flipped);
    if let Some(folder) = shared("data/malformed") {
        let paths = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
        let paths = paths.filter(|p| p.is_file() && p.file_name().unwrap() != KILLS_ORTHANC);
        files.extend(paths.map(|p| std::fs::read(p).unwrap()).filter(|f| f.len() < 4_000_000));
    }
    files
}
