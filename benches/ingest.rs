//! How fast Orthanc takes images while the plugin analyses on all cores (`cargo bench --bench ingest`): the rate of 2,000 small instances by POST
//! `/instances` and by C-STORE, as a ratio to the rate without the plugin.
//!
//! Analysis is the worst that we have: SwinUNETR at its published size, one run after the other, on as many threads as there are cores. A
//! round starts three servers one after the other (without the plugin, idle, analysing) and sends each the same files; the median of the
//! rounds' ratios is printed. The client computes on the same machine. BACKGROUND=false is Ai.Background, ROUNDS=n how many rounds.

#[path = "full_size/mod.rs"]
mod full_size;
#[path = "ratio/mod.rs"]
#[allow(dead_code)]
mod ratio;
#[allow(dead_code)]
#[path = "../tests/orthanc/server.rs"]
mod server;

use std::process::Command;
use std::time::{Duration, Instant};

use orthanc_ai::phantom::{BreastMriPhantom, Orientation, SeriesLayout};
use serde_json::{Value, json};

use server::{Options, Orthanc, Version};

const INSTANCES: usize = 2000;

#[derive(Clone, Copy, PartialEq)]
enum Plugin {
    None,
    Idle,
    Analysing,
}

fn main() {
    // `cargo test --benches` starts every bench with no work to do.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let rounds: usize = std::env::var("ROUNDS").map_or(5, |rounds| rounds.parse().unwrap());
    let background = !std::env::var("BACKGROUND").is_ok_and(|value| value == "false");
    let models = tempfile::tempdir().unwrap();
    full_size::write_breast_mri(models.path());
    let (work, files) = (study(1, [110, 128, 128]), small_instances());
    let folder = tempfile::tempdir().unwrap();
    for (i, file) in files.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{i:05}.dcm")), file).unwrap();
    }
    let ai = json!({
        "ModelsDirectory": models.path(), "Device": "cpu", "Background": background,
        "Rules": [{"Name": "breast", "Model": full_size::BREAST_MRI, "Where": [{"keyword": "Modality", "equals": "MR"}]}],
    });
    let orthanc = json!({"DicomAlwaysAllowStore": true, "StableAge": 60});
    println!("{INSTANCES} instances of {:.1} kB, Ai.Background {background}", files[0].len() as f64 / 1e3);
    for version in [Version::V1_10_1, Version::V1_13_0] {
        let mut ratios: [Vec<f64>; 4] = Default::default();
        let mut rates: [Vec<f64>; 2] = Default::default();
        for _ in 0..rounds {
            let [none, idle, busy] = [Plugin::None, Plugin::Idle, Plugin::Analysing].map(|plugin| {
                let mut orthanc = orthanc.clone();
                if plugin == Plugin::None {
                    orthanc["Plugins"] = json!([]);
                }
                let options = Options { ai: ai.clone(), orthanc, ..Options::default() };
                [Transport::Rest, Transport::Dicom].map(|transport| {
                    let server = if plugin == Plugin::None {
                        Orthanc::without_plugin(version, &options)
                    } else {
                        Orthanc::with(version, &options)
                    };
                    if plugin == Plugin::Analysing {
                        keep_busy(&server, &work);
                    }
                    let rate = match transport {
                        Transport::Rest => post(&server, &files),
                        Transport::Dicom => store(&server, folder.path()),
                    };
                    if plugin == Plugin::Analysing {
                        assert!(is_busy(&server), "the analysis ended too early");
                    }
                    rate
                })
            });
            for (ratios, value) in
                ratios.iter_mut().zip([idle[0] / none[0], busy[0] / none[0], idle[1] / none[1], busy[1] / none[1]])
            {
                ratios.push(value);
            }
            for (rates, value) in rates.iter_mut().zip(none) {
                rates.push(value);
            }
        }
        let [post_idle, post_busy, store_idle, store_busy] = ratios.map(median);
        let [post, store] = rates.map(median);
        println!(
            "Orthanc {}: POST {post:.0}/s without the plugin, x {post_idle:.3} with it idle, x {post_busy:.3} analysing; \
             C-STORE {store:.0}/s, x {store_idle:.3}, x {store_busy:.3}",
            version.name()
        );
    }
}

#[derive(Clone, Copy)]
enum Transport {
    Rest,
    Dicom,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn study(seed: u64, size: [usize; 3]) -> Vec<Vec<u8>> {
    let spacing_mm = [1.8, 330.0 / size[1] as f32, 330.0 / size[2] as f32];
    let phantom = BreastMriPhantom { seed, size, spacing_mm, orientation: Orientation::Axial, lesion: true };
    let exam = phantom.to_dicom(SeriesLayout::default()).unwrap();
    exam.instances.iter().map(|i| i.to_bytes().unwrap()).collect()
}

/// Slices of 64 × 64 pixels in studies of 320.
fn small_instances() -> Vec<Vec<u8>> {
    let files = (0..).flat_map(|seed| study(100 + seed, [80, 64, 64]));
    files.take(INSTANCES).collect()
}

/// Gives the server more to analyse than it can do meanwhile, and waits until the network computes.
fn keep_busy(server: &Orthanc, work: &[Vec<u8>]) {
    let study = server.upload_study(work);
    for _ in 0..50 {
        server.post(&format!("/studies/{study}/ai"), &json!({"Model": full_size::BREAST_MRI, "Force": true})).ok();
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_busy(server) {
        assert!(Instant::now() < deadline, "{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_busy(server: &Orthanc) -> bool {
    let runs = server.get("/ai/runs?state=Running").ok();
    runs.as_array().unwrap().iter().any(|run: &Value| run["State"] == "Running")
}

/// Instances a second, a connection each (on one that is kept, Nagle's algorithm and delayed acknowledgements cost 40 ms an answer).
fn post(server: &Orthanc, files: &[Vec<u8>]) -> f64 {
    let start = Instant::now();
    for file in files {
        assert_eq!(server.upload(file).status, 200);
    }
    files.len() as f64 / start.elapsed().as_secs_f64()
}

/// Instances a second in one association of dcmtk's storescu.
fn store(server: &Orthanc, folder: &std::path::Path) -> f64 {
    let start = Instant::now();
    let out = Command::new("storescu")
        .env("TCP_NODELAY", "1")
        .args(["-aec", "ORTHANC", "+sd", "127.0.0.1", &server.dicom.to_string()])
        .arg(folder)
        .output()
        .expect("storescu (package dcmtk)");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    INSTANCES as f64 / start.elapsed().as_secs_f64()
}
