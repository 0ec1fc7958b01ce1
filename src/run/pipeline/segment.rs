//! The stages of a segmentation: all slices make volumes on one grid, these one input of the network, and its output one
//! mask a segment on the source's grid.
//!
//! A slice that cannot be read ends the run: a volume with a hole has no answer. Fetching and reading go over the slices
//! on two threads; the files are let go of one by one.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{AnalysedSlice, Clock, Monitor, Outcome, RunError};
use crate::imaging::{self, SegObject, SliceSource, SourceFrame, Volume};
use crate::manifest::{MismatchPolicy, SegmentationSpec, SelectSpec, TaskSpec, VolumesSpec};
use crate::model::{InferError, LoadedModel, inferer};
use crate::predict::{SegmentMask, Segmentation, activate, measure};
use crate::result::{
    self, ResultContext, ResultKind, ResultUids, Results, SegmentationContext, SrSopClass, distinct_instances,
};
use crate::run::record::{RunRequest, Stage};
use crate::run::select::Input;
use crate::source::InstanceSource;
use crate::transform::{PreparedVolume, VolumeChain, postprocess};

/// From the request's slices to the result objects.
pub(super) fn outcome(
    source: &dyn InstanceSource,
    model: &mut LoadedModel,
    request: &RunRequest,
    monitor: &dyn Monitor,
    clock: &Clock,
) -> Result<Outcome, RunError> {
    let manifest = model.manifest.clone();
    let (SelectSpec::Volumes(rule), TaskSpec::Segmentation(task)) = (&manifest.input.select, &manifest.task) else {
        return Err(RunError::Volume("the model segments, but its input.select is not Volumes".into()));
    };
    let chain = VolumeChain::new(&manifest.preprocessing)?;
    let series = read_all(source, &request.inputs, monitor, clock)?;
    let channels = clock.time(Stage::Read, || channels(rule, series))?;
    let prepared = clock.time(Stage::Prepare, || chain.apply(&channels))?;
    monitor.progress(Stage::Prepare, 1, 1);
    let segmentation = segmentation(model, task, &prepared, &channels, monitor, clock)?;
    let slices: Vec<Vec<SliceSource>> = channels.into_iter().map(|c| c.slices).collect();
    clock.time(Stage::Encode, || {
        monitor.progress(Stage::Encode, 0, 1);
        let results = encode(model, request, &slices, &segmentation)?;
        let display =
            results.report.segmentation.as_ref().and_then(|r| rule.channels.iter().position(|c| *c == r.channel));
        let display = display.and_then(|channel| slices.get(channel)).map(Vec::as_slice).unwrap_or_default();
        let slices = analysed_slices(display, &prepared.analysed_slices(), &results);
        Ok(Outcome { results, slices })
    })
}

/// Fetch → read, each instance on its own; the frames of each series.
fn read_all(
    source: &dyn InstanceSource,
    inputs: &[Input],
    monitor: &dyn Monitor,
    clock: &Clock,
) -> Result<Vec<Vec<SourceFrame>>, RunError> {
    const READ_THREADS: usize = 2;
    let next = AtomicUsize::new(0);
    let groups = inputs.iter().map(|i| i.group + 1).max().unwrap_or_default();
    let frames: Mutex<Vec<Vec<SourceFrame>>> = Mutex::new(vec![Vec::new(); groups]);
    let failed: Mutex<Option<RunError>> = Mutex::new(None);
    monitor.progress(Stage::Fetch, 0, inputs.len());
    let read = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(input) = inputs.get(i) else { break };
            if monitor.is_cancelled() || failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                break;
            }
            match read_instance(source, input, clock) {
                Ok(read) => frames.lock().unwrap_or_else(PoisonError::into_inner)[input.group].extend(read),
                Err(error) => *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
            }
            if i % 16 == 15 {
                monitor.progress(Stage::Prepare, i, inputs.len());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..READ_THREADS.min(inputs.len()) {
            scope.spawn(read);
        }
        read();
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    if monitor.is_cancelled() {
        return Err(RunError::Cancelled);
    }
    Ok(frames.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn read_instance(source: &dyn InstanceSource, input: &Input, clock: &Clock) -> Result<Vec<SourceFrame>, RunError> {
    let bytes = clock.time(Stage::Fetch, || source.fetch(&input.id))?;
    let frames = clock.time(Stage::Read, || imaging::read_frames(&bytes, source.frame_decoder()));
    frames.map_err(|e| RunError::Volume(format!("{}: instance {}: {e}", input.view, input.id)))
}

/// One volume a channel, all on the grid of the first.
fn channels(rule: &VolumesSpec, series: Vec<Vec<SourceFrame>>) -> Result<Vec<Volume>, RunError> {
    let refuse = |reason: String| RunError::Volume(reason);
    let keywords: Vec<&str> = rule.time_points.iter().map(|k| k.keyword()).collect();
    let one_each = series.len() == rule.channels.len();
    let mut volumes = Vec::with_capacity(rule.channels.len());
    for (i, frames) in series.into_iter().enumerate() {
        let name = if one_each { rule.channels[i].as_str() } else { "the series" };
        let stacked = imaging::stack(frames, &keywords).map_err(|e| refuse(format!("{name}: {e}")))?;
        if one_each && stacked.len() != 1 {
            return Err(refuse(format!("{name}: found {} time points in the series, expected 1", stacked.len())));
        }
        volumes.extend(stacked);
    }
    if volumes.len() != rule.channels.len() {
        let (found, expected, names) = (volumes.len(), rule.channels.len(), rule.channels.join(", "));
        return Err(refuse(format!("found {found} time points, expected {expected} ({names})")));
    }
    for (name, volume) in rule.channels.iter().zip(&volumes) {
        let found = volume.geometry.size[0];
        if found < rule.min_slices {
            return Err(refuse(format!("{name}: found {found} slices, expected {} or more", rule.min_slices)));
        }
    }
    onto_first_grid(rule, volumes)
}

fn onto_first_grid(rule: &VolumesSpec, volumes: Vec<Volume>) -> Result<Vec<Volume>, RunError> {
    let first_geometry = volumes[0].geometry.clone();
    let place = |(name, volume): (&String, Volume)| {
        let Err(difference) = first_geometry.same_grid(&volume.geometry) else { return Ok(volume) };
        if rule.mismatch == MismatchPolicy::Refuse {
            let first = &rule.channels[0];
            return Err(RunError::Volume(format!("{name} is not on the grid of {first}: {difference}")));
        }
        let resampled = imaging::resample_linear(volume.voxels.view(), &volume.geometry, &first_geometry);
        let voxels = resampled.map_err(|e| RunError::Volume(format!("{name}: {e}")))?;
        Ok(Volume { geometry: first_geometry.clone(), voxels, slices: volume.slices })
    };
    rule.channels.iter().zip(volumes).map(place).collect()
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
    let mut probabilities = clock.time(Stage::Infer, || {
        inferer::infer(&mut *model.network, prepared.array.view(), &manifest.inferer, &mut |done, total| {
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
        let segments = masks.into_iter().map(|mask| {
            let lesion = measure(mask.view(), &geometry, &values, analysed);
            SegmentMask { mask, lesion }
        });
        Ok(Segmentation { segments: segments.collect(), geometry })
    })
}

fn encode(
    model: &LoadedModel,
    request: &RunRequest,
    channels: &[Vec<SliceSource>],
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
fn analysed_slices(display: &[SliceSource], analysed: &[bool], results: &Results) -> Vec<AnalysedSlice> {
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
