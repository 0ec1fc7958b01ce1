//! Which model answers a contract: the one that the configuration names, else the first that is made for such a question and takes the
//! images. A demonstration answers only where no model with real weights can run.

use super::Compat;
use crate::api::analyse::submit_error;
use crate::config::{CompatibilityModels, Contract};
use crate::manifest::{InputSpec, Manifest, SelectSpec, TaskSpec};
use crate::model::{ModelInfo, ModelRegistry};
use crate::orthanc::RestError;
use crate::run::service;
use crate::source::InstanceHeader;

/// Images of an exam, in the contract of mammography; and series of a study, in that of dynamic breast MRI.
pub(super) const INPUTS: usize = 4;

/// The models there are, and those that the configuration names.
pub(super) struct Chooser<'a> {
    models: &'a ModelRegistry,
    named: &'a CompatibilityModels,
}

impl Compat {
    pub(super) fn chooser(&self) -> Chooser<'_> {
        Chooser { models: &self.service.models, named: &self.models }
    }
}

impl Chooser<'_> {
    /// The model's name. `channels`: SeriesInstanceUIDs. What judges an image looks at the segments of the model that segments it.
    ///
    /// # Errors
    /// 503 where no model for it is ready, 422 where none takes the images.
    pub fn choose(
        &self,
        contract: Contract,
        headers: &[InstanceHeader],
        channels: &[String],
    ) -> Result<String, RestError> {
        if let Some(named) = self.named.get(contract) {
            return Ok(named.to_owned());
        }
        let candidates = if contract == Contract::ImageClassification {
            let first = self.choose(Contract::ImageSegmentation, headers, channels)?;
            let mut fitting = self.fitting(contract);
            fitting.retain(|model| looks_at(self.models, &model.name).is_some_and(|looked_at| looked_at == first));
            if fitting.is_empty() {
                let reason = format!(
                    "{contract:?}: no model is ready that looks at the segments of {first}, which answers ImageSegmentation: \
                     GET /ai/models tells why"
                );
                return Err(RestError::new(503, reason));
            }
            real_ones(fitting)
        } else {
            self.candidates(contract)
        };
        let mut reasons = Vec::new();
        for model in candidates {
            match service::select(self.models, &model.name, headers, channels) {
                Ok(_) => return Ok(model.name),
                Err(e) => reasons.push(submit_error(e).message),
            }
        }
        if reasons.is_empty() {
            return Err(not_ready(contract));
        }
        Err(RestError::unprocessable(reasons.join("; ")))
    }

    /// Those that are ready, or will be soon; demonstrations where there are no others.
    pub fn candidates(&self, contract: Contract) -> Vec<ModelInfo> {
        real_ones(self.fitting(contract))
    }

    fn fitting(&self, contract: Contract) -> Vec<ModelInfo> {
        let models = self.models;
        let named = self.named(contract);
        let suits = |model: &ModelInfo| {
            named.as_ref().is_none_or(|named| model.name == *named)
                && models.manifest(&model.name).is_some_and(|manifest| is_made_for(&manifest, contract))
        };
        let mut found: Vec<ModelInfo> = models.list().into_iter().filter(|m| m.can_run() && suits(m)).collect();
        // The masks of one image are there to be judged: a model that another looks at goes before one that none does.
        let all = models.list();
        let is_looked_at =
            |name: &str| all.iter().any(|m| looks_at(models, &m.name).is_some_and(|first| first == name));
        found.sort_by_cached_key(|model| !is_looked_at(&model.name));
        found
    }

    /// A named second stage names its first as well.
    fn named(&self, contract: Contract) -> Option<String> {
        let second = self.named.get(Contract::ImageClassification).filter(|_| contract == Contract::ImageSegmentation);
        let first = || second.and_then(|second| looks_at(self.models, second));
        self.named.get(contract).map(str::to_owned).or_else(first)
    }
}

/// Without the demonstrations, unless there is nothing else.
fn real_ones(mut found: Vec<ModelInfo>) -> Vec<ModelInfo> {
    if found.iter().any(|model| !model.demo) {
        found.retain(|model| !model.demo);
    }
    found
}

/// The model whose segments this one looks at.
fn looks_at(models: &ModelRegistry, name: &str) -> Option<String> {
    Some(models.manifest(name)?.input.region_of_interest.as_ref()?.model.clone())
}

pub(super) fn not_ready(contract: Contract) -> RestError {
    RestError::new(503, format!("{contract:?}: no model for it is ready, GET /ai/models tells why"))
}

/// Whether the named models can answer. One whose manifest cannot be read is left to say so itself: GET /ai/models, and 503.
///
/// # Errors
/// The contract whose name is wrong, and what was expected.
pub fn check(models: &ModelRegistry, named: &CompatibilityModels) -> Result<(), (Contract, String)> {
    for contract in Contract::ALL {
        let Some(name) = named.get(contract) else { continue };
        if models.get(name).is_none() {
            let known: Vec<String> = models.list().into_iter().map(|m| m.name).collect();
            return Err((contract, format!("known models: {}", known.join(", "))));
        }
        if models.manifest(name).is_some_and(|manifest| !is_made_for(&manifest, contract)) {
            return Err((contract, format!("expected {}", made_for(contract))));
        }
    }
    let second = Contract::ImageClassification;
    let looked_at = named.get(second).and_then(|name| looks_at(models, name));
    match looked_at.zip(named.get(Contract::ImageSegmentation)) {
        Some((looked_at, first)) if looked_at != first => {
            let reason =
                format!("expected a model that looks at the segments of {first}, which answers ImageSegmentation");
            Err((second, format!("{reason}; this one looks at those of {looked_at}")))
        }
        _ => Ok(()),
    }
}

fn made_for(contract: Contract) -> &'static str {
    match contract {
        Contract::Mammography => "a model that classifies exactly four images",
        Contract::BreastSegmentation => "a model that segments volumes of four channels",
        Contract::ImageSegmentation => "a model that segments single images",
        Contract::ImageClassification => "a model that classifies single images and has a region of interest",
    }
}

/// By its task and the form of its input alone.
fn is_made_for(manifest: &Manifest, contract: Contract) -> bool {
    let (input, classifies) = (&manifest.input, matches!(manifest.task, TaskSpec::Classification(_)));
    let has_region = input.region_of_interest.is_some();
    match contract {
        Contract::Mammography => {
            let four = images(input).is_some_and(|(min, max)| min == INPUTS && max == INPUTS);
            classifies && four && !has_region
        }
        Contract::BreastSegmentation => {
            let four = matches!(&input.select, SelectSpec::Volumes(volumes) if volumes.channels.len() == INPUTS);
            !classifies && four
        }
        Contract::ImageSegmentation => !classifies && images(input).is_some_and(|(min, _)| min <= 1),
        Contract::ImageClassification => classifies && has_region && images(input).is_some_and(|(min, _)| min <= 1),
    }
}

/// How few and how many images one run takes; None of series and volumes.
fn images(input: &InputSpec) -> Option<(usize, usize)> {
    let SelectSpec::Images(images) = &input.select else { return None };
    Some((images.count.min(), images.count.max()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    /// Of the models that come with the plugin, each contract has its own, and real ones like their demonstrations.
    #[test]
    fn each_contract_has_models_of_its_own() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let mut found = vec![0; Contract::ALL.len()];
        for entry in std::fs::read_dir(folder).unwrap() {
            let Ok(text) = std::fs::read_to_string(entry.unwrap().path().join("manifest.json")) else { continue };
            let manifest: Manifest = serde_json::from_str(&text).unwrap();
            let fits: Vec<usize> = (0..found.len()).filter(|i| is_made_for(&manifest, Contract::ALL[*i])).collect();
            assert!(fits.len() <= 1, "{}: {fits:?}", manifest.name);
            fits.iter().for_each(|i| found[*i] += 1);
        }
        assert!(found.iter().all(|n| *n >= 2), "{found:?}");
    }

    /// The models that come with the plugin; these alone have weights, of which nothing is read.
    fn models(ready: &[&str]) -> (tempfile::TempDir, ModelRegistry) {
        let folder = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        for entry in std::fs::read_dir(shipped).unwrap().map(Result::unwrap) {
            let Ok(text) = std::fs::read_to_string(entry.path().join("manifest.json")) else { continue };
            let manifest: Manifest = serde_json::from_str(&text).unwrap();
            let copy = folder.path().join(&manifest.name);
            std::fs::create_dir(&copy).unwrap();
            std::fs::write(copy.join("manifest.json"), text).unwrap();
            if ready.contains(&manifest.name.as_str()) {
                std::fs::write(copy.join(&manifest.weights.file), b"weights").unwrap();
            }
        }
        let registry = ModelRegistry::scan(folder.path()).unwrap();
        (folder, registry)
    }

    fn named(models: serde_json::Value) -> CompatibilityModels {
        serde_json::from_value(models).unwrap()
    }

    /// What is said where there are no images, so that no model takes them.
    #[track_caller]
    fn refused(ready: &[&str], names: serde_json::Value, contract: Contract) -> (u16, String) {
        let (_folder, registry) = models(ready);
        let chooser = Chooser { models: &registry, named: &named(names) };
        let error = chooser.choose(contract, &[], &[]).unwrap_err();
        (error.status, error.message)
    }

    #[test]
    fn a_demonstration_does_not_answer_what_a_real_model_refuses() {
        let (real, demo) = ("mammography-4view", "mammography-4view-demo");
        let (status, said) = refused(&[real, demo], json!({}), Contract::Mammography);
        assert!(status == 422 && said.contains(real) && !said.contains(demo), "{status} {said}");
        let (status, said) = refused(&[demo], json!({}), Contract::Mammography);
        assert!(status == 422 && said.contains(demo), "{status} {said}");
        assert_eq!(refused(&[], json!({}), Contract::Mammography).0, 503);
    }

    #[test]
    fn a_tumour_is_judged_on_the_segments_of_the_model_that_found_it() {
        let ready = ["breast-mri-unet", "breast-mri-unet-demo", "breast-mri-tumour", "breast-mri-tumour-demo"];
        let judge = Contract::ImageClassification;
        // Though there is a real one, it looks at another model's segments.
        let (status, said) = refused(&ready, json!({"ImageSegmentation": "breast-mri-unet-demo"}), judge);
        assert!(status == 422 && said.contains("breast-mri-tumour-demo"), "{status} {said}");
        let (status, said) = refused(&ready, json!({"ImageSegmentation": "breast-mri-unet"}), judge);
        assert!(status == 422 && !said.contains("demo"), "{status} {said}");
        let without = ["breast-mri-unet", "breast-mri-unet-demo", "breast-mri-tumour-demo"];
        let (status, said) = refused(&without, json!({"ImageSegmentation": "breast-mri-unet"}), judge);
        assert!(status == 503 && said.contains("the segments of breast-mri-unet, which"), "{status} {said}");
        // A named second stage brings its first.
        let (_folder, registry) = models(&ready);
        let named = named(json!({"ImageClassification": "breast-mri-tumour-demo"}));
        let first = Chooser { models: &registry, named: &named }.candidates(Contract::ImageSegmentation);
        assert_eq!(first.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["breast-mri-unet-demo"]);
    }

    #[test]
    fn names_that_cannot_answer_are_told() {
        let (_folder, registry) = models(&[]);
        let said = |names| check(&registry, &named(names)).map_err(|(contract, said)| format!("{contract:?}: {said}"));
        let good = json!({"Mammography": "mammography-4view", "BreastSegmentation": "breast-dce-swinunetr",
            "ImageSegmentation": "breast-mri-unet", "ImageClassification": "breast-mri-tumour"});
        assert_eq!(said(good), Ok(()));
        assert_eq!(said(json!({})), Ok(()));
        for (names, expected) in [
            (json!({"Mammography": "nothing"}), "Mammography: known models: breast-dce-swinunetr, "),
            (
                json!({"Mammography": "skin-lesion"}),
                "Mammography: expected a model that classifies exactly four images",
            ),
            (
                json!({"BreastSegmentation": "breast-mri-unet"}),
                "BreastSegmentation: expected a model that segments vol",
            ),
            (json!({"ImageSegmentation": "breast-mri-tumour"}), "ImageSegmentation: expected a model that segments s"),
            (json!({"ImageClassification": "skin-lesion"}), "ImageClassification: expected a model that classifies s"),
            (
                json!({"ImageSegmentation": "breast-mri-unet", "ImageClassification": "breast-mri-tumour-demo"}),
                "ImageClassification: expected a model that looks at the segments of breast-mri-unet, which answers",
            ),
        ] {
            let error = said(names).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
