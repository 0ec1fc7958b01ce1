//! Two stages: of each image the region that an earlier model has segmented.
//!
//! It is taken from the earlier model's stored objects where a run of it is known to have analysed these images, else that model is run first, within
//! the same run, where the manifest allows it.

use std::collections::{HashMap, HashSet};

use ndarray::Array2;

use super::segment_images::{self, Question};
use super::{Clock, Monitor, Outcome, RunError};
use crate::imaging::{Image, ImageAttributes, Projection, SegObject};
use crate::manifest::{MissingPolicy, RegionOfInterestSpec};
use crate::model::LoadedModel;
use crate::result::charset::fold_typography;
use crate::result::{ResultKind, ResultObject};
use crate::run::limits::Limits;
use crate::run::record::RunRequest;
use crate::run::stages::KnownRegions;
use crate::source::{InstanceSource, SourceError};
use crate::transform::{ImageRegion, Prepared, TransformChain};

/// Where a run's images are to be looked at.
#[derive(Debug, Default)]
pub(super) struct Regions {
    found: Option<Found>,
}

#[derive(Debug)]
struct Found {
    spec: RegionOfInterestSpec,
    /// By SOPInstanceUID and frame: the segment's pixels, where it has any.
    masks: HashMap<(String, Option<u32>), Array2<u8>>,
    /// SOPInstanceUIDs of the images that the earlier model has analysed.
    analysed: HashSet<String>,
    /// SOPInstanceUIDs of the objects with the masks.
    identity: Vec<String>,
}

impl Regions {
    /// What tells these regions from others: the SOP Instance UIDs of the objects that they come from.
    pub fn identity(&self) -> impl Iterator<Item = &str> {
        self.found.iter().flat_map(|f| f.identity.iter().map(String::as_str))
    }

    /// Carries out the chain on the image, or on its region. `frame`: its number, in a multi-frame instance. `spacing_mm`: of rows and columns, where they are calibrated.
    ///
    /// # Errors
    /// In words: the image has no region, the earlier model could not analyse it, or the chain's own errors.
    pub fn prepare(
        &self,
        chain: &TransformChain,
        image: &Image,
        frame: Option<u32>,
        spacing_mm: Option<[f64; 2]>,
    ) -> Result<Prepared, String> {
        let Some(found) = &self.found else { return chain.apply_image(image).map_err(|e| e.to_string()) };
        let region = found.region(image.attributes(), image.dim(), frame, spacing_mm)?;
        chain.apply_image_to(image, Some(&region)).map_err(|e| e.to_string())
    }

    /// As [`Self::prepare`], of a monochrome image.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn prepare_grey(
        &self,
        chain: &TransformChain,
        image: &Projection,
        frame: Option<u32>,
        spacing_mm: Option<[f64; 2]>,
    ) -> Result<Prepared, String> {
        let Some(found) = &self.found else { return chain.apply(image).map_err(|e| e.to_string()) };
        let region = found.region(&image.attributes, image.pixels.dim(), frame, spacing_mm)?;
        chain.apply_to(image, Some(&region)).map_err(|e| e.to_string())
    }
}

impl Found {
    fn region(
        &self,
        attributes: &ImageAttributes,
        dim: (usize, usize),
        frame: Option<u32>,
        spacing_mm: Option<[f64; 2]>,
    ) -> Result<ImageRegion, String> {
        let sop_instance_uid = &attributes.sop_instance_uid;
        let RegionOfInterestSpec { model, segment, .. } = &self.spec;
        if !self.analysed.contains(sop_instance_uid) {
            return Err(format!("not applicable: {model} could not analyse this image"));
        }
        let none = || format!("not applicable: no {segment} found in this image by {model}");
        let mask = self.masks.get(&(sop_instance_uid.clone(), frame)).ok_or_else(none)?;
        if mask.dim() != dim {
            let ((rows, columns), (of_rows, of_columns)) = (mask.dim(), dim);
            return Err(format!("{model}: found a mask of {rows} × {columns}, expected {of_rows} × {of_columns}"));
        }
        ImageRegion::around(mask, &self.spec, spacing_mm).ok_or_else(none)
    }
}

/// The regions of a run's images, and what was stored on the way to them.
#[derive(Default)]
pub(super) struct FirstStage {
    pub regions: Regions,
    /// Of the earlier model, where it was run first.
    pub objects: Vec<ResultObject>,
    pub warnings: Vec<String>,
}

/// What a run has to find its regions with.
pub(super) struct Finder<'a> {
    pub source: &'a dyn InstanceSource,
    pub request: &'a RunRequest,
    pub limits: Limits,
    pub monitor: &'a dyn Monitor,
    pub clock: &'a Clock,
}

impl Finder<'_> {
    /// The regions that `spec` asks for: the `known` ones, else those that `first` finds now.
    ///
    /// # Errors
    /// [`RunError::Region`]: there are none and the manifest says to refuse; else those of the first model's run.
    pub fn find(
        &self,
        spec: &RegionOfInterestSpec,
        known: Option<&KnownRegions>,
        first: Option<&mut LoadedModel>,
    ) -> Result<FirstStage, RunError> {
        if let Some(known) = known
            && let Some(regions) = self.of_stored(spec, known)?
        {
            return Ok(FirstStage { regions, ..FirstStage::default() });
        }
        let model = &spec.model;
        if spec.when_missing == MissingPolicy::Refuse {
            return Err(RunError::Region(format!("{model} has not analysed these images yet: run it first")));
        }
        let first = first.ok_or_else(|| RunError::NotLoaded {
            model: model.clone(),
            reason: "its result is needed, and it is not ready".into(),
        })?;
        let nowhere = Regions::default();
        let question = Question {
            inputs: &self.request.inputs,
            regions: &nowhere,
            force: self.request.force,
            limits: self.limits,
        };
        let Outcome { results, warnings, .. } =
            segment_images::outcome(self.source, first, &question, self.monitor, self.clock)?;
        let mut found = Found::new(spec);
        // A multi-frame image has an entry a frame.
        let analysed = results.report.images.iter().filter(|image| image.success);
        found.analysed = analysed.map(|image| image.instance_uid.clone()).collect();
        for object in results.objects.iter().filter(|o| o.kind == ResultKind::Seg) {
            let seg = SegObject::read(&object.bytes).map_err(|e| RunError::Region(format!("{model}: {e}")))?;
            found.take(&seg, |_| true);
            found.identity.push(object.sop_instance_uid.clone());
        }
        let warnings = warnings.into_iter().map(|w| format!("{model}: {w}"));
        let told = format!("{model} was run first: it had not analysed these images yet");
        let regions = Regions { found: Some(found) };
        Ok(FirstStage { regions, objects: results.objects, warnings: std::iter::once(told).chain(warnings).collect() })
    }

    /// None where one of the objects is not there any more, or cannot be read as what it was.
    fn of_stored(&self, spec: &RegionOfInterestSpec, known: &KnownRegions) -> Result<Option<Regions>, RunError> {
        let mut found = Found::new(spec);
        found.analysed = known.images.iter().map(|image| image.sop_instance_uid.clone()).collect();
        for (n, object) in known.objects.iter().enumerate() {
            let bytes = match self.source.fetch(&object.id) {
                Ok(bytes) => bytes,
                Err(SourceError::UnknownResource(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let Ok(seg) = SegObject::read(&bytes) else { return Ok(None) };
            // Of an image that was analysed again the latest object counts, and an earlier one of its series does not.
            let of_this: HashSet<&str> = known
                .images
                .iter()
                .filter(|image| image.object == Some(n))
                .map(|image| image.sop_instance_uid.as_str())
                .collect();
            found.take(&seg, |uid| of_this.contains(uid));
            found.identity.push(object.sop_instance_uid.clone());
        }
        Ok(Some(Regions { found: Some(found) }))
    }
}

impl Found {
    fn new(spec: &RegionOfInterestSpec) -> Self {
        Self { spec: spec.clone(), masks: HashMap::new(), analysed: HashSet::new(), identity: Vec::new() }
    }

    /// The masks of the segment in an object, of the images that are `wanted`.
    fn take(&mut self, seg: &SegObject, wanted: impl Fn(&str) -> bool) {
        let label = fold_typography(&self.spec.segment);
        let Some(number) = seg.segments.iter().find(|s| s.label == label).map(|s| s.number) else { return };
        for (index, frame) in seg.frames.iter().enumerate() {
            let Some(source) = frame.source.as_ref().filter(|(uid, _)| wanted(uid)) else { continue };
            if frame.segment.is_some_and(|n| n != number) {
                continue;
            }
            let Some(mask) = seg.mask(index) else { continue };
            let mask = mask.mapv(|n| u8::from(u16::from(n) == number));
            if mask.iter().any(|v| *v != 0) {
                self.masks.insert(source.clone(), mask);
            }
        }
    }
}
