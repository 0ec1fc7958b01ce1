//! The stages of a segmentation of single images: each image and frame on its own, masks back on its own grid.
//!
//! Two threads fetch, read and prepare ([`super::ahead`]) while the network is at the images before, in batches of equal size on the
//! worker's device. An image that fails keeps its error and the others go on.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use ndarray::{Array3, Array4, ArrayView3, Axis, Ix4};

use super::ahead::{self, Queues};
use super::regions::Regions;
use super::segment::analysed_slices;
use super::segment_groups::{AnalysedFrame, groups};
use super::{Clock, Monitor, Outcome, RunError, told};
use crate::imaging::{
    self, FramesWanted, ImageAttributes, ImageFrame, Pixels, Plane, Projection, VoxelBudget, calibrated_spacing,
    read_image_frames,
};
use crate::manifest::{InfererSpec, SegmentationSpec, TaskSpec};
use crate::model::{LoadedModel, ModelError, spread_of};
use crate::predict::{ImageMask, Region, activate};
use crate::result::{
    ImageFailure, ImageSegmentationContext, ResultContext, ResultUids, SrSopClass, encode_image_segmentation,
};
use crate::run::limits::Limits;
use crate::run::record::Stage;
use crate::run::select::Input;
use crate::source::{InstanceSource, SourceError};
use crate::transform::{Applied, Prepared, TransformChain, image_mean_inside, postprocess_image};

/// Prepared frames that wait in each thread's queue.
const QUEUE: usize = 4;
/// Pixels that go through the network together, at most, whatever the batch size: larger images go in smaller batches.
const BATCH_PIXELS: usize = 1 << 22;
/// Rows × columns of what a network may be given: its layers take many times that.
const MAX_PREPARED: usize = 1 << 22;

/// What a run asks for.
pub(super) struct Question<'a> {
    pub inputs: &'a [Input],
    pub regions: &'a Regions,
    pub force: bool,
    pub limits: Limits,
}

/// From the run's images to the result objects.
pub(super) fn outcome(
    source: &dyn InstanceSource,
    model: &mut LoadedModel,
    question: &Question,
    monitor: &dyn Monitor,
    clock: &Clock,
) -> Result<Outcome, RunError> {
    let Question { inputs, regions, force, limits } = *question;
    let manifest = model.manifest.clone();
    let TaskSpec::Segmentation(task) = &manifest.task else {
        return Err(RunError::Volume("the model classifies: it gives no masks".into()));
    };
    let chain = TransformChain::new(&manifest.preprocessing)?;
    let instances: Vec<&[Input]> = inputs.chunk_by(|a, b| a.id == b.id).collect();
    let reader =
        Reader { source, chain: &chain, instances: &instances, regions, budget: limits.budget(), monitor, clock };
    let analysed = analyse_all(&reader, model, task)?;
    let reasons: Vec<String> =
        analysed.frames.iter().filter_map(|f| Some(format!("{}: {}", f.view, f.outcome.as_ref().err()?))).collect();
    if reasons.len() == analysed.frames.len() {
        return Err(RunError::NoImage(reasons));
    }
    let images = analysed.attributes()?;
    let images: Vec<&ImageAttributes> = images.iter().map(|a| &**a).collect();
    let (mut failures, mut frames) = (Vec::new(), Vec::new());
    for FrameOutcome { instance, frame, view, outcome } in analysed.frames {
        match outcome {
            Ok(masks) => frames.push(AnalysedFrame { image: instance, view, ..masks }),
            Err(reason) => failures.push(ImageFailure { image: instance, view, frame, reason }),
        }
    }
    clock.time(Stage::Encode, || {
        monitor.progress(Stage::Encode, 0, 1);
        let (groups, warnings) = groups(frames, manifest.segments().len());
        let uids = ResultUids::new(&images, &manifest, &model.weights_sha256).on_regions(regions.identity());
        let run = ResultContext {
            manifest: &manifest,
            weights_sha256: &model.weights_sha256,
            images: &images,
            created: time::OffsetDateTime::now_utc(),
            uids: if force { uids.forced(uuid::Uuid::new_v4()) } else { uids },
            software_version: env!("CARGO_PKG_VERSION"),
            sr_sop_class: SrSopClass::default(),
        };
        let context = ImageSegmentationContext { run, groups: &groups, failures: &failures };
        let results = encode_image_segmentation(&context)?;
        let slices = match (&results.report.segmentation, &groups[..]) {
            (Some(_), [group]) => analysed_slices(&group.source.slices, &vec![true; group.images.len()], &results),
            _ => Vec::new(),
        };
        Ok(Outcome { results, slices, warnings })
    })
}

/// What the threads that prepare work with.
struct Reader<'a> {
    source: &'a dyn InstanceSource,
    chain: &'a TransformChain,
    /// The inputs by their instance: one a frame that is wanted.
    instances: &'a [&'a [Input]],
    regions: &'a Regions,
    budget: VoxelBudget,
    monitor: &'a dyn Monitor,
    clock: &'a Clock,
}

/// What a thread tells of an input: its frames one by one, and that there are no more.
enum Message {
    Frame(Box<PreparedFrame>),
    /// Number of the frame, from 1, where there are several.
    Failed(Option<u32>, String),
    End(Result<Arc<ImageAttributes>, Unread>),
    /// The source does not give the image now, but may another time: the whole run has to wait for it.
    Later(SourceError),
}

struct Unread {
    /// None where not even the header can be read.
    attributes: Option<Arc<ImageAttributes>>,
    reason: String,
}

struct PreparedFrame {
    instance: Arc<ImageAttributes>,
    frame: Option<u32>,
    plane: Option<Plane>,
    /// For the values inside the masks.
    image: Projection,
    prepared: Prepared,
}

impl Reader<'_> {
    /// One instance; breaks where the receiver is gone or the run is cancelled.
    fn read_instance(&self, inputs: &[Input], messages: &SyncSender<Message>) -> ControlFlow<()> {
        let Some(input) = inputs.first() else { return ControlFlow::Continue(()) };
        if self.monitor.is_cancelled() {
            return ControlFlow::Break(());
        }
        let end = match self.clock.time(Stage::Fetch, || self.source.fetch(&input.id)) {
            Ok(bytes) => self.read(inputs, &bytes, messages),
            Err(e) if e.is_transient() => Message::Later(e),
            Err(e) => Message::End(Err(Unread { attributes: None, reason: e.to_string() })),
        };
        messages.send(end).map_or(ControlFlow::Break(()), ControlFlow::Continue)
    }

    fn read(&self, inputs: &[Input], dicom: &[u8], messages: &SyncSender<Message>) -> Message {
        let wanted: Vec<u32> = inputs.iter().filter_map(|input| input.frame).collect();
        let mut started = std::time::Instant::now();
        let mut take = |instance: &Arc<ImageAttributes>, number: Option<u32>, frame: Result<ImageFrame, _>| {
            self.clock.add(Stage::Read, started.elapsed());
            let message = match frame {
                Ok(frame) => self.prepare(instance, frame),
                Err(e) => Message::Failed(number, told(&e)),
            };
            let sent = messages.send(message);
            started = std::time::Instant::now();
            if sent.is_err() || self.monitor.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        // All masks are held until the objects are written.
        let (budget, fallback) = (&self.budget, self.source.frame_decoder());
        let wanted = FramesWanted { numbers: &wanted, at_once: usize::MAX, budget, fallback };
        let read = read_image_frames(dicom, &wanted, &mut take);
        Message::End(
            read.map_err(|e| Unread {
                attributes: imaging::read_attributes(dicom).ok().map(Arc::new),
                reason: told(&e),
            }),
        )
    }

    fn prepare(&self, instance: &Arc<ImageAttributes>, frame: ImageFrame) -> Message {
        let ImageFrame { image, frame, plane } = frame;
        let prepared = self.clock.time(Stage::Prepare, || {
            let spacing = plane.as_ref().map(|p| p.pixel_spacing_mm);
            let spacing = spacing.or_else(|| calibrated_spacing(instance).map(|(mm, _)| mm));
            self.regions.prepare_grey(self.chain, &image, frame, spacing)
        });
        let prepared = prepared.and_then(|p| {
            let (_, rows, columns) = p.array.dim();
            let most = MAX_PREPARED;
            let large =
                format!("found {rows} × {columns} pixels for the network, expected at most {most}: add a Resize");
            if rows * columns > most { Err(large) } else { Ok(p) }
        });
        match prepared {
            Ok(prepared) => {
                let instance = instance.clone();
                Message::Frame(Box::new(PreparedFrame { instance, frame, plane, image, prepared }))
            }
            Err(reason) => Message::Failed(frame, reason),
        }
    }
}

/// What became of each frame, in the order of the run's inputs.
struct Analysed {
    /// None where not even the header can be read.
    instances: Vec<Option<Arc<ImageAttributes>>>,
    frames: Vec<FrameOutcome>,
}

struct FrameOutcome {
    /// Index of the instance.
    instance: usize,
    frame: Option<u32>,
    view: String,
    outcome: Result<AnalysedFrame, String>,
}

impl FrameOutcome {
    fn new(instance: usize, inputs: &[Input], frame: Option<u32>, outcome: Result<AnalysedFrame, String>) -> Self {
        // An instance that cannot be read at all fails under the view of its first frame.
        let input = inputs.iter().find(|input| input.frame == frame).or(inputs.first());
        Self { instance, frame, view: input.map(|i| i.view.clone()).unwrap_or_default(), outcome }
    }
}

impl Analysed {
    /// # Errors
    /// A report cannot name an image of which not even the header is there.
    fn attributes(&self) -> Result<Vec<Arc<ImageAttributes>>, RunError> {
        let attributes = |(n, instance): (usize, &Option<Arc<ImageAttributes>>)| {
            let failed = || self.frames.iter().find(|f| f.instance == n);
            instance.clone().ok_or_else(|| RunError::Unreadable {
                view: failed().map(|f| f.view.clone()).unwrap_or_default(),
                reason: failed().and_then(|f| f.outcome.as_ref().err().cloned()).unwrap_or_default(),
            })
        };
        self.instances.iter().enumerate().map(attributes).collect()
    }
}

/// Read and prepare on threads, infer and interpret on this one.
fn analyse_all(reader: &Reader, model: &mut LoadedModel, task: &SegmentationSpec) -> Result<Analysed, RunError> {
    reader.monitor.progress(Stage::Fetch, 0, reader.instances.len());
    let work = |inputs: &&[Input], messages: &SyncSender<Message>| reader.read_instance(inputs, messages);
    ahead::in_order(reader.instances, QUEUE, work, |queues| infer_all(reader, model, task, &queues))
}

fn infer_all(
    reader: &Reader,
    model: &mut LoadedModel,
    task: &SegmentationSpec,
    queues: &Queues<Message>,
) -> Result<Analysed, RunError> {
    let total = reader.instances.len();
    let mut analysed = Analysed { instances: Vec::with_capacity(total), frames: Vec::new() };
    let size = match &model.manifest.inferer {
        InfererSpec::SimpleInferer(spec) => spec.batch_size,
        InfererSpec::SlidingWindowInferer(_) => 1,
    };
    let mut batch = Batch { model, task, size, clock: reader.clock, waiting: Vec::new() };
    for (n, inputs) in reader.instances.iter().enumerate() {
        let instance = loop {
            if reader.monitor.is_cancelled() {
                return Err(RunError::Cancelled);
            }
            // A thread that has ended was told to.
            match queues.next_of(n).ok_or(RunError::Cancelled)? {
                Message::Frame(frame) => {
                    let place = analysed.frames.len();
                    let waits = Err("not analysed".to_owned());
                    analysed.frames.push(FrameOutcome::new(n, inputs, frame.frame, waits));
                    batch.add(place, frame, &mut analysed.frames);
                }
                Message::Failed(frame, reason) => {
                    analysed.frames.push(FrameOutcome::new(n, inputs, frame, Err(reason)));
                }
                Message::End(Ok(instance)) => break Some(instance),
                Message::End(Err(Unread { attributes, reason })) => {
                    analysed.frames.push(FrameOutcome::new(n, inputs, None, Err(reason)));
                    break attributes;
                }
                Message::Later(error) => return Err(error.into()),
            }
        };
        analysed.instances.push(instance);
        reader.monitor.progress(Stage::Infer, n + 1, total);
    }
    batch.flush(&mut analysed.frames);
    Ok(analysed)
}

/// Frames of one size that go through the network together.
struct Batch<'a> {
    model: &'a mut LoadedModel,
    task: &'a SegmentationSpec,
    /// Frames that go together, at most.
    size: usize,
    clock: &'a Clock,
    /// With the place of each among the outcomes.
    waiting: Vec<(usize, Box<PreparedFrame>)>,
}

impl Batch<'_> {
    fn add(&mut self, place: usize, frame: Box<PreparedFrame>, outcomes: &mut [FrameOutcome]) {
        let size = frame.prepared.array.dim();
        if self.waiting.first().is_some_and(|(_, first)| first.prepared.array.dim() != size) {
            self.flush(outcomes);
        }
        self.waiting.push((place, frame));
        let pixels = size.1 * size.2;
        if self.waiting.len() >= self.size || (self.waiting.len() + 1) * pixels > BATCH_PIXELS {
            self.flush(outcomes);
        }
    }

    fn flush(&mut self, outcomes: &mut [FrameOutcome]) {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return;
        }
        let arrays: Vec<_> = waiting.iter().map(|(_, f)| f.prepared.array.view()).collect();
        let answers = self.clock.time(Stage::Infer, || infer(self.model, &arrays));
        if answers.is_err() && waiting.len() > 1 {
            // One image must not fail the others: each for itself.
            for one in waiting {
                self.waiting.push(one);
                self.flush(outcomes);
            }
            return;
        }
        let answers = answers.map_err(|e| e.to_string());
        for (i, (place, frame)) in waiting.into_iter().enumerate() {
            let outcome = answers.as_ref().map_err(Clone::clone).and_then(|(logits, spread)| {
                let logits = logits.index_axis(Axis(0), i).to_owned();
                let spread = spread.as_ref().map(|spread| spread.index_axis(Axis(0), i));
                self.clock.time(Stage::Interpret, || interpret(self.task, logits, spread, *frame))
            });
            if let Some(slot) = outcomes.get_mut(place) {
                slot.outcome = outcome;
            }
        }
    }
}

/// Logits, and their spread where the model combines several answers: (image, segment, row, column).
type LogitsAndSpread = (Array4<f32>, Option<Array4<f32>>);

fn infer(model: &mut LoadedModel, images: &[ArrayView3<f32>]) -> Result<LogitsAndSpread, ModelError> {
    let shape = |found: &[usize], expected: String| ModelError::Output { found: format!("shape {found:?}"), expected };
    let batch = ndarray::stack(Axis(0), images)
        .map_err(|e| ModelError::Output { found: e.to_string(), expected: "images of one size".into() })?;
    let (n, _, rows, columns) = batch.dim();
    let expected = [n, model.manifest.network.num_classes(), rows, columns];
    let (logits, spread) = model.network.forward_with_spread(batch.view().into_dyn())?;
    let logits = logits.dense()?;
    if logits.shape() != expected {
        return Err(shape(logits.shape(), format!("shape {expected:?}")));
    }
    let spread = spread_of::<Ix4>(spread, &expected)?;
    let found = logits.shape().to_vec();
    let logits = logits.into_dimensionality::<Ix4>().map_err(|_| shape(&found, format!("shape {expected:?}")))?;
    Ok((logits, spread))
}

/// Activate → back onto the image's own grid → measure.
fn interpret(
    task: &SegmentationSpec,
    mut probabilities: Array3<f32>,
    spread: Option<ArrayView3<f32>>,
    frame: PreparedFrame,
) -> Result<AnalysedFrame, String> {
    let PreparedFrame { instance, frame, plane, image, prepared } = frame;
    if let Some(bad) = spread.iter().flatten().find(|v| !v.is_finite()) {
        return Err(format!("the spread of the answers: found {bad}, expected finite numbers"));
    }
    activate::sigmoid(&mut probabilities);
    let applied: &[Applied] = &prepared.applied;
    let masks = postprocess_image(&probabilities, &task.postprocessing, applied).map_err(|e| e.to_string())?;
    let calibrated = calibrated_spacing(&instance).map(|(mm, _)| mm);
    let spacing = plane.as_ref().map(|p| p.pixel_spacing_mm).or(calibrated);
    let segments = masks.into_iter().enumerate().map(|(segment, mask)| {
        let region = Region::measure(mask.view(), spacing, mean_inside(&image, &mask)).map(|region| {
            let spread = spread.as_ref().map(|spread| spread.index_axis(Axis(0), segment));
            Region { spread: spread.and_then(|s| image_mean_inside(s, mask.view(), applied)), ..region }
        });
        ImageMask { mask, region }
    });
    Ok(AnalysedFrame { image: 0, view: String::new(), instance, frame, plane, segments: segments.collect() })
}

/// Mean of the values after the modality LUT where the mask is; 0 where it is nowhere.
fn mean_inside(image: &Projection, mask: &ndarray::Array2<u8>) -> f64 {
    fn sum<T: Copy + Into<f64>>(pixels: &ndarray::Array2<T>, mask: &ndarray::Array2<u8>) -> (f64, usize) {
        let inside = pixels.iter().zip(mask).filter(|(_, inside)| **inside != 0);
        inside.fold((0.0, 0), |(sum, n), (&value, _)| (sum + value.into(), n + 1))
    }
    let (sum, n) = match &image.pixels {
        Pixels::U8(a) => sum(a, mask),
        Pixels::U16(a) => sum(a, mask),
        Pixels::I16(a) => sum(a, mask),
    };
    let rescale = image.attributes.rescale;
    if n == 0 { 0.0 } else { rescale.slope * (sum / n as f64) + rescale.intercept }
}
