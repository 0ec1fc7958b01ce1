//! Runs from files to stored objects without a server. A test file adds what it needs to [`Bench`] in an `impl` of its own.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::PathBuf;

use orthanc_ai::model::{Device, LoadedModel, ModelRegistry};
use orthanc_ai::run::pipeline::{FirstModel, Monitor, RunError, RunOutcome, RunSettings, run_staged};
use orthanc_ai::run::{Limits, Origin, RunRequest, Stage, select};
use orthanc_ai::source::directory::{DirectorySource, DirectoryStore};
use orthanc_ai::source::{InstanceSource, Level, Resource};

pub struct Quiet;

impl Monitor for Quiet {
    fn progress(&self, _: Stage, _: usize, _: usize) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A folder of images, one of models, one of results.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub files: Vec<Vec<u8>>,
}

impl Bench {
    pub fn new(files: Vec<Vec<u8>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["images", "models", "out"] {
            std::fs::create_dir(folder.path().join(part)).unwrap();
        }
        let bench = Self { folder, files };
        for (i, file) in bench.files.iter().enumerate() {
            std::fs::write(bench.image(i), file).unwrap();
        }
        bench
    }

    pub fn image(&self, number: usize) -> PathBuf {
        self.folder.path().join("images").join(format!("{number:04}.dcm"))
    }

    pub fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    pub fn load(&self, name: &str) -> LoadedModel {
        let registry = ModelRegistry::scan(&self.models()).unwrap();
        let model = registry.load_model(name, Device::cpu());
        model.unwrap_or_else(|| panic!("{name}: {:?}", registry.get(name).map(|m| m.reason)))
    }

    pub fn request(&self, model: &LoadedModel) -> (DirectorySource, RunRequest) {
        let source = DirectorySource::open(&self.folder.path().join("images")).unwrap();
        let resource = Resource::new(Level::Study, "1");
        let headers = source.headers(&resource).unwrap();
        let selection = select::select(&model.manifest.input, &headers, &[]).unwrap();
        let request = RunRequest {
            model: model.manifest.name.clone(),
            resource,
            study: "1".into(),
            inputs: selection.inputs,
            warnings: selection.warnings,
            origin: Origin::Tool,
            priority: 0,
            force: false,
            not_before: None,
        };
        (source, request)
    }

    pub fn run(&self, model: &mut LoadedModel) -> Result<RunOutcome, RunError> {
        self.run_staged(model, FirstModel::default())
    }

    pub fn run_staged(&self, model: &mut LoadedModel, first: FirstModel) -> Result<RunOutcome, RunError> {
        self.run_with(model, first, Limits::default())
    }

    pub fn run_with(
        &self,
        model: &mut LoadedModel,
        first: FirstModel,
        settings: impl Into<RunSettings>,
    ) -> Result<RunOutcome, RunError> {
        let (source, request) = self.request(model);
        let store = DirectoryStore::create(&self.folder.path().join("out")).unwrap();
        run_staged((&source, &store), model, first, &request, settings, &Quiet)
    }

    /// What a run has stored of a kind.
    pub fn stored_paths(&self, outcome: &RunOutcome, kind: &str) -> Vec<PathBuf> {
        let of_kind = outcome.stored.iter().filter(|s| s.kind == kind);
        of_kind.map(|s| self.folder.path().join("out").join(&s.path)).collect()
    }
}
