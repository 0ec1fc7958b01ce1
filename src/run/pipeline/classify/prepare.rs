//! Fetch, read and prepare, ahead of the network.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use ndarray::Array3;

use super::super::ahead::{self, THREADS};
use super::super::regions::Regions;
use super::super::{Clock, Monitor, RunError, told};
use crate::imaging::{self, FramesWanted, Image, ImageAttributes, ImagingError, VoxelBudget, calibrated_spacing};
use crate::run::limits::Limits;
use crate::run::record::Stage;
use crate::run::select::Input;
use crate::source::InstanceSource;
use crate::transform::TransformChain;

/// An image ready for the network, and what the result needs of its source.
pub(super) struct PreparedImage {
    /// None where not even the header can be read, and of the second and later frames of an instance.
    pub attributes: Option<ImageAttributes>,
    /// (channel, row, column); or why this image cannot be analysed.
    pub array: Result<Array3<f32>, String>,
}

impl PreparedImage {
    fn failed(attributes: Option<ImageAttributes>, reason: String) -> Self {
        Self { attributes, array: Err(reason) }
    }
}

type Prepared = Result<PreparedImage, RunError>;

/// What the threads work with.
pub(super) struct Preparation<'a> {
    pub source: &'a dyn InstanceSource,
    pub chain: &'a TransformChain,
    /// Where the images are looked at.
    pub regions: &'a Regions,
    pub limits: Limits,
    pub monitor: &'a dyn Monitor,
    pub clock: &'a Clock,
    /// Prepared images that wait for the network at most. Beside them each thread holds one, decoded or prepared.
    pub ahead: usize,
}

impl Preparation<'_> {
    /// Hands the images to `consume` one by one, in the order of `inputs`, and prepares the next ones meanwhile. An error ends the run: the
    /// source does not give an image now but may another time, or the run is cancelled.
    ///
    /// Inputs of one instance follow one another.
    ///
    /// # Errors
    /// What `consume` gives.
    pub fn in_order<T>(
        &self,
        inputs: &[Input],
        consume: impl FnOnce(&mut dyn Iterator<Item = Prepared>) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        let instances: Vec<&[Input]> = instances(inputs).collect();
        let done = AtomicUsize::new(0);
        self.monitor.progress(Stage::Fetch, 0, inputs.len());
        let work =
            |instance: &&[Input], queue: &SyncSender<Prepared>| self.prepare(instance, (&done, inputs.len()), queue);
        ahead::in_order(&instances, self.ahead.div_ceil(THREADS), work, |queues| {
            let instance_of = instances.iter().enumerate().flat_map(|(i, inputs)| inputs.iter().map(move |_| i));
            // A thread ends before its time by a panic alone, which goes on when the threads are joined.
            consume(&mut instance_of.map(|i| queues.next_of(i).unwrap_or(Err(RunError::Panic))))
        })
    }

    /// The images of one instance, into the queue; breaks where nobody takes them any more, and after an error that ends the run.
    fn prepare(
        &self,
        inputs: &[Input],
        (done, all): (&AtomicUsize, usize),
        queue: &SyncSender<Prepared>,
    ) -> ControlFlow<()> {
        let put = |image: PreparedImage| {
            if self.monitor.is_cancelled() {
                return give_up(queue, RunError::Cancelled);
            }
            self.monitor.progress(Stage::Prepare, done.fetch_add(1, Ordering::Relaxed) + 1, all);
            queue.send(Ok(image)).map_or(ControlFlow::Break(()), ControlFlow::Continue)
        };
        if self.monitor.is_cancelled() {
            return give_up(queue, RunError::Cancelled);
        }
        let Some(first) = inputs.first() else { return ControlFlow::Continue(()) };
        let bytes = match self.clock.time(Stage::Fetch, || self.source.fetch(&first.id)) {
            Ok(bytes) => bytes,
            Err(e) if e.is_transient() => return give_up(queue, e.into()),
            Err(e) => return inputs.iter().try_for_each(|_| put(PreparedImage::failed(None, e.to_string()))),
        };
        let budget = self.limits.budget_of_part(THREADS);
        let frames: Vec<u32> = inputs.iter().filter_map(|input| input.frame).collect();
        if frames.len() == inputs.len() {
            self.frames(&bytes, &frames, &budget, put)
        } else {
            let decoder = self.source.frame_decoder();
            let image = self.clock.time(Stage::Read, || imaging::read_image_within(&bytes, decoder, &budget));
            let image = image.map_err(|e| failed(&bytes, &e));
            // An image of a mammogram's size is not held twice.
            drop(bytes);
            put(image.map_or_else(|failed| failed, |image| self.apply(image, None)))
        }
    }

    fn frames(
        &self,
        bytes: &[u8],
        frames: &[u32],
        budget: &VoxelBudget,
        mut put: impl FnMut(PreparedImage) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut end = ControlFlow::Continue(());
        let (mut reading, mut named) = (Instant::now(), false);
        let wanted = FramesWanted { numbers: frames, at_once: 1, budget, fallback: self.source.frame_decoder() };
        let read = imaging::read_image_frames(bytes, &wanted, &mut |instance, number, frame| {
            self.clock.add(Stage::Read, reading.elapsed());
            let mut image = match frame {
                Ok(frame) => self.apply(Image::Grey(frame.image), number),
                Err(e) => PreparedImage::failed(Some((**instance).clone()), told(&e)),
            };
            image.attributes = image.attributes.filter(|_| !named);
            named = true;
            end = put(image);
            reading = Instant::now();
            end
        });
        match read {
            Ok(_) => end,
            Err(e) => frames.iter().try_for_each(|_| put(failed(bytes, &e))),
        }
    }

    /// `frame`: its number, in a multi-frame instance.
    fn apply(&self, image: Image, frame: Option<u32>) -> PreparedImage {
        let prepared = self.clock.time(Stage::Prepare, || {
            let spacing = calibrated_spacing(image.attributes()).map(|(mm, _)| mm);
            self.regions.prepare(self.chain, &image, frame, spacing)
        });
        PreparedImage { array: prepared.map(|p| p.array), attributes: Some(image.into_attributes()) }
    }
}

/// The inputs by their instance.
pub(super) fn instances(inputs: &[Input]) -> impl Iterator<Item = &[Input]> {
    inputs.chunk_by(|a, b| a.id == b.id)
}

/// The report still names the image that failed.
fn failed(bytes: &[u8], error: &ImagingError) -> PreparedImage {
    PreparedImage::failed(imaging::read_attributes(bytes).ok(), told(error))
}

fn give_up(queue: &SyncSender<Prepared>, error: RunError) -> ControlFlow<()> {
    // Where nobody listens any more, the run has ended already.
    let _gone = queue.send(Err(error));
    ControlFlow::Break(())
}
