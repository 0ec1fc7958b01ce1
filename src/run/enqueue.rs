//! Puts runs into the store: those that are asked for, and those of the models that follow one.

use std::sync::Arc;

use super::record::{ModelCard, Origin, Run, RunRequest};
use super::select;
use super::service::{SubmitError, known, not_ready};
use super::stages::KnownRegions;
use super::store::{InsertRule, Inserted, RunStore};
use crate::manifest::{Manifest, MissingPolicy};
use crate::model::ModelRegistry;
use crate::result::Report;
use crate::source::{InstanceHeader, StoredInstance};

/// What a run is put together from.
pub(super) struct Queue<'a> {
    pub store: &'a dyn RunStore,
    pub models: &'a ModelRegistry,
}

impl Queue<'_> {
    /// Inserts a run of the request, on the regions that earlier results name. `just_now`: a result that the store does not have yet.
    ///
    /// # Errors
    /// [`SubmitError`]: no such model or not ready; no region in any of the images; or the store's.
    pub fn insert(
        &self,
        request: RunRequest,
        rule: InsertRule,
        just_now: Option<(&Report, &[StoredInstance])>,
    ) -> Result<Inserted, SubmitError> {
        let manifest = self.ready(&request.model)?;
        let weights_sha256 = self.models.weights_sha256(&request.model).map_err(|error| SubmitError::NotReady {
            name: request.model.clone(),
            reason: format!("{}/{}: {error}", request.model, manifest.weights.file),
        })?;
        let regions = self.regions(&manifest, &request, just_now)?;
        let card = ModelCard {
            title: manifest.title.clone(),
            version: manifest.version.clone(),
            weights_sha256,
            demo: manifest.demo,
            disclaimer: manifest.report.disclaimer.clone(),
        };
        Ok(self.store.insert(&Run::on_regions(request, card, regions), rule)?)
    }

    fn ready(&self, model: &str) -> Result<Arc<Manifest>, SubmitError> {
        let info = known(self.models, model)?;
        let manifest = self.models.manifest(model).filter(|_| info.can_run());
        manifest.ok_or_else(|| not_ready(&info))
    }

    /// None where the model looks at whole images, and where the other model has yet to be run.
    fn regions(
        &self,
        manifest: &Manifest,
        request: &RunRequest,
        just_now: Option<(&Report, &[StoredInstance])>,
    ) -> Result<Option<KnownRegions>, SubmitError> {
        let Some(spec) = &manifest.input.region_of_interest else { return Ok(None) };
        let known = match just_now.filter(|(report, _)| report.model == spec.model) {
            Some(result) => KnownRegions::of(spec, &request.inputs, [result]),
            None => None,
        };
        let known = match known {
            None => KnownRegions::find(self.store, spec, &request.study, &request.inputs)?,
            known => known,
        };
        let refuse = |reason: String| {
            Err(SubmitError::NotApplicable { model: request.model.clone(), reason: select::NotApplicable(reason) })
        };
        match known {
            Some(known) if known.any() => Ok(Some(known)),
            Some(known) => {
                let (images, segment, first) = (known.images.len(), &spec.segment, &spec.model);
                refuse(format!("no {segment} found in {images} images by {first}"))
            }
            None if spec.when_missing == MissingPolicy::Refuse => {
                refuse(format!("{} has not analysed these images yet: run it first", spec.model))
            }
            None => {
                // It is run first, in the same run.
                self.ready(&spec.model)?;
                Ok(None)
            }
        }
    }

    /// Asks for runs of the models that follow `run`, on what it was asked for, before its own end is recorded: a server that is killed in between
    /// does both again. What cannot be asked for is told, and fails nothing.
    pub fn follow(
        &self,
        run: &Run,
        result: (&Report, &[StoredInstance]),
        headers: &dyn Fn() -> Result<Vec<InstanceHeader>, String>,
    ) -> Vec<String> {
        let then = self.models.manifest(&run.request.model).map(|m| m.then.clone()).unwrap_or_default();
        if then.is_empty() {
            return Vec::new();
        }
        let headers = match headers() {
            Ok(headers) => headers,
            Err(reason) => return then.iter().map(|model| format!("{model} was not run: {reason}")).collect(),
        };
        let ask = |model: &String| -> Result<(), SubmitError> {
            let selection = super::service::select(self.models, model, &headers, &[])?;
            let request = RunRequest {
                model: model.clone(),
                inputs: selection.inputs,
                warnings: selection.warnings,
                not_before: None,
                ..run.request.clone()
            };
            // What follows a run that was taken is taken too, however many wait.
            let unless_known = matches!(run.request.origin, Origin::Rule(_));
            self.insert(request, InsertRule { limit: usize::MAX, unless_known }, Some(result)).map(drop)
        };
        let failed = then.iter().filter_map(|model| Some((model, ask(model).err()?)));
        failed.map(|(model, error)| format!("{model} was not run: {error}")).collect()
    }
}
