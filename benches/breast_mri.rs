//! Breast DCE-MRI (4 phases × 110 slices × 256²) through a live Orthanc: how much the rest adds to the inference, and how much
//! memory a run takes (`cargo bench --bench breast_mri`).
//!
//! With SwinUNETR at its published width (24; pseudo-random weights, to which time and memory are indifferent) as the model's
//! manifest has it, and with the demo weights, whose mask is a tumour's: what measuring, encoding and storing it takes.
//! Prints medians: the stages' seconds, total / inference, and peak resident memory above the idle server with the models loaded.
//! Reading is summed over two threads; "before" is what the clock says to the inference's beginning.

#[path = "full_size/mod.rs"]
mod full_size;
#[path = "ratio/mod.rs"]
#[allow(dead_code)]
mod ratio;
#[allow(dead_code)]
#[path = "../tests/orthanc/server.rs"]
mod server;

use orthanc_ai::phantom::{BreastMriPhantom, Orientation, SeriesLayout};
use serde_json::{Value, json};

use server::{Options, Orthanc, Version};

const RUNS: usize = 5;
const DEMO: &str = "breast-dce-swinunetr-demo";

fn main() {
    // `cargo test --benches` starts every bench with no work to do.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let models = tempfile::tempdir().unwrap();
    full_size::write_breast_mri(models.path());
    let demo = server::root().join("models").join(DEMO);
    std::fs::create_dir(models.path().join(DEMO)).unwrap();
    for file in ["manifest.json", "weights.safetensors"] {
        std::fs::copy(demo.join(file), models.path().join(DEMO).join(file)).unwrap();
    }
    let phantom = BreastMriPhantom {
        seed: 78,
        size: [110, 256, 256],
        spacing_mm: [1.8, 1.3, 1.3],
        orientation: Orientation::Axial,
        lesion: true,
    };
    let exam = phantom.to_dicom(SeriesLayout::default()).unwrap();
    let files: Vec<Vec<u8>> = exam.instances.iter().map(|i| i.to_bytes().unwrap()).collect();
    println!("{} files of {:.0} kB, 2 threads", files.len(), files[0].len() as f64 / 1e3);
    for version in [Version::V1_10_1, Version::V1_13_0] {
        let ai = json!({"ModelsDirectory": models.path(), "Threads": 2, "Device": "cpu"});
        let server = Orthanc::with(version, &Options { ai, ..Options::default() });
        let study = server.upload_study(&files);
        for model in [full_size::BREAST_MRI, DEMO] {
            report(&server, &study, model, version.name());
        }
    }
}

fn report(server: &Orthanc, study: &str, model: &str, version: &str) {
    let (idle, _) = server.memory();
    // New result objects each time: what is stored already is not stored again.
    let body = json!({"Model": model, "Synchronous": true, "Force": true});
    let run = |_| server.post(&format!("/studies/{study}/ai"), &body).ok();
    let runs: Vec<Value> = (0..=RUNS).map(run).skip(1).collect();
    let median = |of: &dyn Fn(&Value) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let stage = |name: &'static str| move |run: &Value| run["StageSeconds"][name].as_f64().unwrap_or_default();
    let [total, infer, interpret, encode, store] =
        ["total", "infer", "interpret", "encode", "store"].map(|name| median(&stage(name)));
    let sum = |run: &Value, names: &[&'static str]| names.iter().map(|name| stage(name)(run)).sum::<f64>();
    let before = median(&|run| stage("total")(run) - sum(run, &["infer", "interpret", "encode", "store"]));
    let ratio = median(&|run| stage("total")(run) / stage("infer")(run));
    let [fetch, read, prepare] = ["fetch", "read", "prepare"].map(|name| median(&stage(name)));
    let (_, peak) = server.memory();
    let found = runs[0]["Segmentation"]["Segments"][0]["Found"] == true;
    println!(
        "Orthanc {version}, {model}: end to end {total:.2} s = {ratio:.3} x inference ({infer:.2} s); before it {before:.2} s \
         (fetch {fetch:.2}, read {read:.2} on two threads, prepare {prepare:.2}), interpret {interpret:.2}, encode {encode:.3}, \
         store {store:.3} ({}); peak memory {:.0} MB above idle ({:.0} MB)",
        if found { "a SEG and an SR" } else { "an SR" },
        peak.saturating_sub(idle) as f64 / 1e6,
        idle as f64 / 1e6,
    );
}
