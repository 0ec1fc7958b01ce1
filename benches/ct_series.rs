//! 64 slices of a head CT through the full-size ResNet50 at 224 × 224, from the files to the report (`cargo bench --bench ct_series`).
//!
//! Prints the share of the network's own throughput: the time of the same batches through the network alone, already prepared, over the
//! time of the run, which fetches, decodes, windows, resizes and encodes beside it. The two are measured in turn, so that a slow moment of a
//! shared machine hits both; the median of the rounds' ratios is printed. The weights are
//! pseudo-random: the time does not depend on them.

#[path = "../tests/support/ct_series.rs"]
mod ct_series;
#[allow(dead_code)]
#[path = "ratio/mod.rs"]
mod ratio;

use std::time::Instant;

use ndarray::{Array4, Axis};
use orthanc_ai::imaging::read_instance;
use orthanc_ai::model::{LoadedModel, ModelRegistry};
use orthanc_ai::result::ResultObject;
use orthanc_ai::run::pipeline::{self, Monitor};
use orthanc_ai::run::select::{Selection, select};
use orthanc_ai::run::{Limits, Origin, RunRequest, Stage};
use orthanc_ai::source::directory::DirectorySource;
use orthanc_ai::source::{InstanceSource, Level, Resource, ResultStore, SourceError, StoreStatus, StoredInstance};
use orthanc_ai::transform::TransformChain;
use serde_json::json;

const ROUNDS: usize = 7;
const SLICES: usize = 64;
const BATCH: usize = 16;

fn main() {
    // `cargo test --benches` starts every bench with no work to do.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let device = ratio::device();
    let folder = tempfile::tempdir().unwrap();
    let (models, slices) = (folder.path().join("models"), folder.path().join("slices"));
    let series = ct_series::CtSeries { size: 512, ..ct_series::CtSeries::new(3, SLICES) };
    std::fs::create_dir_all(&slices).unwrap();
    for (n, file) in series.files().iter().enumerate() {
        std::fs::write(slices.join(format!("{n:04}.dcm")), file).unwrap();
    }
    ct_series::write_model(&models, "slices", |manifest| {
        manifest["network"]["ResNet50"]["width"] = json!(64);
        manifest["inferer"]["SimpleInferer"]["batch_size"] = json!(BATCH);
        manifest["preprocessing"][1]["Resize"]["spatial_size"] = json!([224, 224]);
    });
    let mut model = ModelRegistry::scan(&models).unwrap().load_model("slices", device).unwrap();
    let source = DirectorySource::open(&slices).unwrap();
    let headers = source.headers(&Resource::new(Level::Study, "1")).unwrap();
    let selection = select(&model.manifest.input, &headers, &[]).unwrap();
    let batches = prepared(&model, &source, &selection);

    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let start = Instant::now();
        for batch in &batches {
            model.network.forward(batch.view().into_dyn()).unwrap();
        }
        let network = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let outcome = run(&source, &mut model, &selection);
        let seconds = start.elapsed().as_secs_f64();
        let stage = |name: &str| outcome.stage_seconds.get(name).copied().unwrap_or_default();
        // The first round warms up caches and oneDNN's primitives.
        if round > 0 {
            rounds.push((network / seconds, network, seconds, ["read", "prepare", "infer", "encode"].map(stage)));
        }
    }
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (share, network, seconds, [read, prepare, infer, encode]) = rounds[ROUNDS / 2];
    println!(
        "{SLICES} slices of 512x512, ResNet50 at 224x224 in batches of {BATCH}: {:.1} % of the network's own throughput \
         (all rounds {:.1} to {:.1}); network alone {network:.3} s, run {seconds:.3} s; read {read:.3} and prepare {prepare:.3} s \
         (summed over two threads), infer {infer:.3}, encode {encode:.4}",
        100.0 * share,
        100.0 * rounds[0].0,
        100.0 * rounds[ROUNDS - 1].0,
    );
}

/// What the network gets, batch by batch.
fn prepared(model: &LoadedModel, source: &DirectorySource, selection: &Selection) -> Vec<Array4<f32>> {
    let chain = TransformChain::new(&model.manifest.preprocessing).unwrap();
    let batch = |inputs: &[orthanc_ai::run::select::Input]| {
        let images = inputs.iter().map(|input| {
            let bytes = source.fetch(&input.id).unwrap();
            chain.apply(&read_instance(&bytes, None).unwrap()).unwrap().array
        });
        let images: Vec<_> = images.collect();
        let views: Vec<_> = images.iter().map(|i| i.view()).collect();
        ndarray::stack(Axis(0), &views).unwrap()
    };
    selection.inputs.chunks(BATCH).map(batch).collect()
}

fn run(source: &DirectorySource, model: &mut LoadedModel, selection: &Selection) -> pipeline::RunOutcome {
    let request = RunRequest {
        model: model.manifest.name.clone(),
        resource: Resource::new(Level::Study, "1"),
        study: "1".into(),
        inputs: selection.inputs.clone(),
        warnings: Vec::new(),
        origin: Origin::Tool,
        priority: 0,
        force: false,
        not_before: None,
    };
    pipeline::run(source, &Nowhere, model, &request, Limits::default(), &Quiet).unwrap()
}

struct Quiet;

impl Monitor for Quiet {
    fn progress(&self, _: Stage, _: usize, _: usize) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Takes every object and keeps none.
struct Nowhere;

impl ResultStore for Nowhere {
    fn store(&self, object: &ResultObject) -> Result<StoredInstance, SourceError> {
        Ok(StoredInstance {
            id: object.sop_instance_uid.clone(),
            kind: object.kind.to_string(),
            path: String::new(),
            series_id: String::new(),
            study_id: String::new(),
            sop_instance_uid: object.sop_instance_uid.clone(),
            status: StoreStatus::Stored,
        })
    }
    fn find(&self, _: &str) -> Result<Option<String>, SourceError> {
        Ok(None)
    }
    fn discard(&self, _: &str) -> Result<(), SourceError> {
        Ok(())
    }
}
