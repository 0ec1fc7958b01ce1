//! Which model answers a contract: the one that the configuration names, else the first ready one that is made for such a question and
//! takes the images; one with real weights before a demonstration.

use super::Compat;
use crate::api::analyse::submit_error;
use crate::config::Contract;
use crate::manifest::{InputSpec, Manifest, SelectSpec, TaskSpec};
use crate::model::ModelInfo;
use crate::orthanc::RestError;
use crate::source::InstanceHeader;

/// Images of an exam, in the contract of mammography; and series of a study, in that of dynamic breast MRI.
pub(super) const INPUTS: usize = 4;

impl Compat {
    /// The model's name. `channels`: SeriesInstanceUIDs.
    ///
    /// # Errors
    /// 503 where no model for it is ready, 422 where none takes the images.
    pub(super) fn choose(
        &self,
        contract: Contract,
        headers: &[InstanceHeader],
        channels: &[String],
    ) -> Result<String, RestError> {
        if let Some(named) = self.models.get(contract) {
            return Ok(named.to_owned());
        }
        let mut reasons = Vec::new();
        for model in self.candidates(contract) {
            match self.service.select(&model.name, headers, channels) {
                Ok(_) => return Ok(model.name),
                Err(e) => reasons.push(submit_error(e).message),
            }
        }
        if reasons.is_empty() {
            return Err(not_ready(contract));
        }
        Err(RestError::unprocessable(reasons.join("; ")))
    }

    /// Those that are ready, or will be soon, demonstrations last.
    pub(super) fn candidates(&self, contract: Contract) -> Vec<ModelInfo> {
        let models = &self.service.models;
        let named = self.models.get(contract);
        let suits = |model: &ModelInfo| match named {
            Some(named) => model.name == named,
            None => models.manifest(&model.name).is_some_and(|manifest| is_made_for(&manifest, contract)),
        };
        let mut found: Vec<ModelInfo> = models.list().into_iter().filter(|m| m.can_run() && suits(m)).collect();
        // The masks of one image are there to be judged: a model that another looks at goes before one that none does.
        let is_looked_at = |name: &str| {
            let regions = models.list().into_iter().filter_map(|other| models.manifest(&other.name));
            regions.filter_map(|m| m.input.region_of_interest.as_ref().map(|r| r.model.clone())).any(|m| m == name)
        };
        found.sort_by_cached_key(|model| (model.demo, !is_looked_at(&model.name)));
        found
    }
}

pub(super) fn not_ready(contract: Contract) -> RestError {
    RestError::new(503, format!("{contract:?}: no model for it is ready, GET /ai/models tells why"))
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
}
