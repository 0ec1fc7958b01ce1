//! From a run's instances to one volume a channel, all on one grid.
//!
//! A slice that cannot be read ends the run: a volume with a hole has no answer. Fetching and reading go over the slices
//! on two threads; the files are let go of one by one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Clock, Monitor, RunError, told};
use crate::imaging::{self, Geometry, SourceFrame, Volume, VoxelBudget};
use crate::manifest::{MismatchPolicy, VolumesSpec};
use crate::run::record::Stage;
use crate::run::select::Input;
use crate::source::InstanceSource;

/// Slices that lean by more against their normal are told of: less is what rounded positions give.
const TILT_DEGREES: f64 = 0.5;

/// The input of one run.
#[derive(Debug)]
pub(super) struct Channels {
    /// In the manifest's order, all on the grid of the first.
    pub volumes: Vec<Volume>,
    /// Of each whether its values were interpolated on that grid.
    pub resampled: Vec<bool>,
    /// What a reader of the results should know.
    pub warnings: Vec<String>,
}

/// Fetch → read, each instance on its own; the frames of each series. What a header claims is taken from `budget` before its pixels
/// are decoded.
pub(super) fn read_all(
    source: &dyn InstanceSource,
    inputs: &[Input],
    budget: &VoxelBudget,
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
            match read_instance(source, input, budget, clock) {
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

fn read_instance(
    source: &dyn InstanceSource,
    input: &Input,
    budget: &VoxelBudget,
    clock: &Clock,
) -> Result<Vec<SourceFrame>, RunError> {
    let bytes = clock.time(Stage::Fetch, || source.fetch(&input.id))?;
    let frames = clock.time(Stage::Read, || imaging::read_frames_within(&bytes, source.frame_decoder(), budget));
    frames.map_err(|e| RunError::Volume(format!("{}: instance {}: {}", input.view, input.id, told(&e))))
}

/// One volume a channel, all on the grid of the first.
///
/// # Errors
/// [`RunError::Volume`]: frames that are no volumes, another number of them than there are channels, too few slices, a channel
/// without an image, grids that differ.
pub(super) fn channels(rule: &VolumesSpec, series: Vec<Vec<SourceFrame>>) -> Result<Channels, RunError> {
    let names = rule.names();
    let keywords: Vec<&str> = rule.time_points.iter().map(|k| k.keyword()).collect();
    let one_each = series.len() == names.len();
    let (mut volumes, mut warnings) = (Vec::with_capacity(names.len()), Vec::new());
    for (i, frames) in series.into_iter().enumerate() {
        let name = if one_each { names[i] } else { "the series" };
        let (stacked, keyword) = imaging::stack_told(frames, &keywords).map_err(|e| refuse(format!("{name}: {e}")))?;
        if one_each && stacked.len() != 1 {
            return Err(refuse(format!("{name}: found {} time points in the series, expected 1", stacked.len())));
        }
        warnings.extend(keyword.map(|keyword| format!("the phases were told apart and ordered by {keyword}")));
        volumes.extend(stacked);
    }
    if volumes.len() != names.len() {
        let (found, expected) = (volumes.len(), names.len());
        return Err(refuse(format!("found {found} time points, expected {expected} ({})", names.join(", "))));
    }
    for (name, volume) in names.iter().zip(&volumes) {
        check(rule, name, volume)?;
    }
    warnings.extend(tilt(&names, &volumes));
    onto_first_grid(rule, volumes, warnings)
}

fn refuse(reason: String) -> RunError {
    RunError::Volume(reason)
}

fn check(rule: &VolumesSpec, name: &str, volume: &Volume) -> Result<(), RunError> {
    let found = volume.geometry.size[0];
    if found < rule.min_slices {
        return Err(refuse(format!("{name}: found {found} slices, expected {} or more", rule.min_slices)));
    }
    // A network has an answer to nothing, too.
    match volume.constant_value() {
        Some(value) => Err(refuse(format!("{name}: found the value {value} in every voxel, expected an image"))),
        None => Ok(()),
    }
}

/// The masks lie on the tilted grid, slice by slice and with true volumes; but the network saw the slices as if they stood upright on
/// one another, and viewers that build volumes may refuse them.
fn tilt(names: &[&str], volumes: &[Volume]) -> Option<String> {
    let tilted = |v: &Volume| v.gantry_tilt_degrees() > TILT_DEGREES;
    let (name, volume) = names.iter().zip(volumes).find(|(_, v)| tilted(v))?;
    let degrees = volume.gantry_tilt_degrees();
    Some(format!(
        "{name}: the slices lean by {degrees:.1} degrees against their normal (gantry tilt); the model saw them as if they did not"
    ))
}

fn onto_first_grid(rule: &VolumesSpec, volumes: Vec<Volume>, mut warnings: Vec<String>) -> Result<Channels, RunError> {
    let names = rule.names();
    let grid = volumes[0].geometry.clone();
    let (mut placed, mut resampled) = (Vec::with_capacity(volumes.len()), Vec::with_capacity(volumes.len()));
    for (name, volume) in names.iter().zip(volumes) {
        let difference = grid.same_grid(&volume.geometry).err();
        resampled.push(difference.is_some());
        placed.push(match difference {
            None => volume,
            Some(difference) if rule.mismatch == MismatchPolicy::Refuse => {
                return Err(refuse(format!("{name} is not on the grid of {}: {difference}", names[0])));
            }
            Some(_) => {
                warnings.push(format!(
                    "{name} was resampled onto the grid of {}: its values inside the masks are interpolated",
                    names[0]
                ));
                onto(&grid, volume).map_err(|e| refuse(format!("{name}: {e}")))?
            }
        });
    }
    Ok(Channels { volumes: placed, resampled, warnings })
}

fn onto(grid: &Geometry, volume: Volume) -> Result<Volume, String> {
    let voxels = imaging::resample_linear(volume.voxels.view(), &volume.geometry, grid)?;
    Ok(Volume { geometry: grid.clone(), voxels, slices: volume.slices })
}

#[cfg(test)]
mod tests;
