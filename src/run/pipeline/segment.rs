//! The stages of a segmentation: all slices make volumes on one grid, these one input of the network, and its output one
//! mask a segment on the source's grid.

use std::collections::HashMap;
use std::ops::ControlFlow;

use ndarray::Axis;

use super::channels::{Channels, channels, read_all};
use super::{AnalysedSlice, Clock, Monitor, Outcome, RunError};
use crate::imaging::{SegObject, SliceSource, Volume};
use crate::manifest::{SegmentationSpec, SelectSpec, TaskSpec};
use crate::model::{InferError, LoadedModel, inferer};
use crate::predict::{Lesion, SegmentMask, Segmentation, activate, measure};
use crate::result::{
    self, ChannelSource, ResultContext, ResultKind, ResultUids, Results, SegmentationContext, SrSopClass,
    distinct_instances,
};
use crate::run::limits::Limits;
use crate::run::record::{RunRequest, Stage};
use crate::source::InstanceSource;
use crate::transform::{PreparedVolume, VolumeChain, mean_inside, postprocess};

/// From the request's slices to the result objects.
pub(super) fn outcome(
    source: &dyn InstanceSource,
    model: &mut LoadedModel,
    request: &RunRequest,
    limits: Limits,
    monitor: &dyn Monitor,
    clock: &Clock,
) -> Result<Outcome, RunError> {
    let manifest = model.manifest.clone();
    let (SelectSpec::Volumes(rule), TaskSpec::Segmentation(task)) = (&manifest.input.select, &manifest.task) else {
        return Err(RunError::Volume("the model segments, but its input.select is not Volumes".into()));
    };
    let chain = VolumeChain::new(&manifest.preprocessing)?;
    let series = read_all(source, &request.inputs, &limits.budget(), monitor, clock)?;
    let Channels { volumes, resampled, warnings } = clock.time(Stage::Read, || channels(rule, series))?;
    let prepared = clock.time(Stage::Prepare, || chain.apply(&volumes))?;
    monitor.progress(Stage::Prepare, 1, 1);
    let segmentation = segmentation(model, task, &prepared, &volumes, monitor, clock)?;
    let sources =
        volumes.into_iter().zip(resampled).map(|(v, resampled)| ChannelSource { slices: v.slices, resampled });
    let sources: Vec<ChannelSource> = sources.collect();
    clock.time(Stage::Encode, || {
        monitor.progress(Stage::Encode, 0, 1);
        let results = encode(model, request, &sources, &segmentation)?;
        let names = rule.names();
        let display =
            results.report.segmentation.as_ref().and_then(|r| names.iter().position(|name| *name == r.channel));
        let display = display.and_then(|i| sources.get(i)).map(|c| c.slices.as_slice()).unwrap_or_default();
        let slices = analysed_slices(display, &prepared.analysed_slices(), &results);
        Ok(Outcome { results, slices, warnings })
    })
}

/// Infer → activate → back onto the source's grid → measure.
fn segmentation(
    model: &mut LoadedModel,
    task: &SegmentationSpec,
    prepared: &PreparedVolume,
    channels: &[Volume],
    monitor: &dyn Monitor,
    clock: &Clock,
) -> Result<Segmentation, RunError> {
    let manifest = model.manifest.clone();
    let (mut probabilities, spread) = clock.time(Stage::Infer, || {
        inferer::infer_with_spread(&mut *model.network, prepared.array.view(), &manifest.inferer, &mut |done, total| {
            monitor.progress(Stage::Infer, done, total);
            if monitor.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    })?;
    clock.time(Stage::Interpret, || {
        activate::sigmoid(&mut probabilities);
        let masks = postprocess(&probabilities, &task.postprocessing, &prepared.applied)?;
        let geometry = channels[0].geometry.clone();
        let values: Vec<_> = channels.iter().map(|c| c.voxels.view()).collect();
        let analysed = prepared.analysed_voxels();
        let segments = masks.into_iter().enumerate().map(|(segment, mask)| {
            let lesion = measure(mask.view(), &geometry, &values, analysed).map(|lesion| {
                let spread = spread.as_ref().map(|spread| spread.index_axis(Axis(0), segment));
                Lesion { spread: spread.and_then(|s| mean_inside(s, mask.view(), &prepared.applied)), ..lesion }
            });
            SegmentMask { mask, lesion }
        });
        Ok(Segmentation { segments: segments.collect(), geometry })
    })
}

fn encode(
    model: &LoadedModel,
    request: &RunRequest,
    channels: &[ChannelSource],
    segmentation: &Segmentation,
) -> Result<Results, RunError> {
    let images = distinct_instances(channels);
    let uids = ResultUids::new(&images, &model.manifest, &model.weights_sha256);
    let run = ResultContext {
        manifest: &model.manifest,
        weights_sha256: &model.weights_sha256,
        images: &images,
        created: time::OffsetDateTime::now_utc(),
        uids: if request.force { uids.forced(uuid::Uuid::new_v4()) } else { uids },
        software_version: env!("CARGO_PKG_VERSION"),
        sr_sop_class: SrSopClass::default(),
    };
    Ok(result::encode_segmentation(&SegmentationContext { run, channels }, segmentation)?)
}

/// The displayed slices with the frames of the SEG that lie on them, as another reader finds them in the object.
pub(super) fn analysed_slices(display: &[SliceSource], analysed: &[bool], results: &Results) -> Vec<AnalysedSlice> {
    let mut mask_frames: HashMap<(String, Option<u32>), Vec<usize>> = HashMap::new();
    let seg = results.objects.iter().find(|o| o.kind == ResultKind::Seg);
    if let Some(seg) = seg.and_then(|o| SegObject::read(&o.bytes).ok()) {
        for (number, frame) in seg.frames.into_iter().enumerate() {
            if let Some(source) = frame.source {
                mask_frames.entry(source).or_default().push(number);
            }
        }
    }
    let slice = |(slice, analysed): (&SliceSource, &bool)| {
        let sop_instance_uid = slice.instance.sop_instance_uid.clone();
        let mask_frames = mask_frames.remove(&(sop_instance_uid.clone(), slice.frame)).unwrap_or_default();
        AnalysedSlice { sop_instance_uid, frame: slice.frame, analysed: *analysed, mask_frames }
    };
    display.iter().zip(analysed).map(slice).collect()
}

impl From<InferError> for RunError {
    fn from(error: InferError) -> Self {
        match error {
            InferError::Cancelled => Self::Cancelled,
            error => Self::Volume(error.to_string()),
        }
    }
}
