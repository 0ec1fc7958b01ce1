//! From frames to volumes: sorted along the normal, one volume a time point, and nothing left open.

use std::collections::HashSet;

use ndarray::{Array3, s};

use crate::imaging::frames::{MAX_VOXELS, SourceFrame};
use crate::imaging::geometry::{Geometry, cross, decimal, dot, norm, sub, unit};
use crate::imaging::plane::Plane;
use crate::imaging::series_error::SeriesError;
use crate::imaging::time_points::time_points;
use crate::imaging::volume::{SliceSource, Volume};

/// Frames whose positions along the normal differ by less lie at the same one.
const SAME_POSITION_MM: f64 = 0.01;
/// How far a slice may lie from its place on a regular grid: a part of the spacing, at least [`SAME_POSITION_MM`]. There
/// are files whose positions are rounded to 0.1 mm, which is 1.3 % of 7 mm.
const POSITION_TOLERANCE: f64 = 0.02;
/// A step of more than so many usual ones is a gap.
const GAP: f64 = 1.5;
/// Direction cosines of one series may differ by rounding only: 0.03 mm at 150 mm from the first pixel.
const COSINE_TOLERANCE: f64 = 2e-4;
/// Relative, for PixelSpacing.
const SPACING_TOLERANCE: f64 = 1e-4;

/// Stacks the frames of a series into volumes, one a time point, in the order of time.
///
/// Slices are sorted by position, ascending along the normal (row direction × column direction), never by number. Where
/// frames share positions, the first of `time_points` (DICOM keywords, see [`crate::imaging::FrameTimes`]) decides that all frames
/// have and that makes groups with one frame at each position. A single slice is as thick as SpacingBetweenSlices says,
/// else SliceThickness, else 1 mm.
///
/// # Errors
/// [`SeriesError`]: whatever keeps the frames from being complete, regular volumes.
pub fn stack(frames: Vec<SourceFrame>, time_points: &[&str]) -> Result<Vec<Volume>, SeriesError> {
    stack_told(frames, time_points).map(|(volumes, _)| volumes)
}

/// As [`stack`], with the keyword that told several time points apart.
///
/// # Errors
/// As [`stack`].
pub fn stack_told<'k>(
    frames: Vec<SourceFrame>,
    time_points: &[&'k str],
) -> Result<(Vec<Volume>, Option<&'k str>), SeriesError> {
    let first = frames.first().ok_or(SeriesError::Empty)?;
    check_uniform(&frames)?;
    let normal = first.plane.normal();
    let mut placed: Vec<(f64, SourceFrame)> =
        frames.into_iter().map(|frame| (dot(frame.plane.position_mm, normal), frame)).collect();
    placed.sort_by(|(a, f), (b, g)| a.total_cmp(b).then_with(|| identity(f).cmp(&identity(g))));
    let (slots, positions_mm) = positions(placed.iter().map(|(position, _)| *position));
    let (keyword, groups) = if placed.len() == positions_mm.len() {
        (None, vec![(0..placed.len()).collect()])
    } else {
        check_instances(&placed)?;
        let times: Vec<_> = placed.iter().map(|(_, frame)| &frame.times).collect();
        let (keyword, groups) = self::time_points(&slots, &positions_mm, &times, time_points)?;
        (Some(keyword), groups)
    };
    let mut frames: Vec<Option<SourceFrame>> = placed.into_iter().map(|(_, frame)| Some(frame)).collect();
    let volume = |group: Vec<usize>| {
        // Frames are taken out of the list and freed once they are copied.
        let slices: Vec<SourceFrame> = group.iter().filter_map(|&i| frames.get_mut(i)?.take()).collect();
        volume(slices)
    };
    Ok((groups.into_iter().map(volume).collect::<Result<_, _>>()?, keyword))
}

fn identity(frame: &SourceFrame) -> (&str, Option<u32>) {
    (&frame.instance.sop_instance_uid, frame.frame)
}

/// Each position's place among the different ones, and these; `sorted` ascends.
fn positions(sorted: impl Iterator<Item = f64>) -> (Vec<usize>, Vec<f64>) {
    let mut different: Vec<f64> = Vec::new();
    let slots = sorted.map(|position| {
        if different.last().is_none_or(|last| position - last > SAME_POSITION_MM) {
            different.push(position);
        }
        different.len() - 1
    });
    (slots.collect(), different)
}

fn check_instances(placed: &[(f64, SourceFrame)]) -> Result<(), SeriesError> {
    let distinct: HashSet<_> = placed.iter().map(|(_, frame)| identity(frame)).collect();
    let (frames, expected) = (placed.len(), distinct.len());
    if frames == expected { Ok(()) } else { Err(SeriesError::SameInstance { frames, expected }) }
}

/// What all frames of a volume share.
fn check_uniform(frames: &[SourceFrame]) -> Result<(), SeriesError> {
    let size = |f: &SourceFrame| format!("{} × {}", f.values.nrows(), f.values.ncols());
    let numbers = |values: &[f64]| values.iter().map(|v| decimal(*v, 6)).collect::<Vec<_>>().join("\\");
    let close = |a: &Plane, b: &Plane| {
        let pairs = a.pixel_spacing_mm.iter().zip(&b.pixel_spacing_mm);
        pairs.into_iter().all(|(a, b)| (a - b).abs() <= SPACING_TOLERANCE * b)
    };
    let parallel =
        |a: &Plane, b: &Plane| a.orientation.iter().zip(&b.orientation).all(|(a, b)| (a - b).abs() <= COSINE_TOLERANCE);
    uniform(frames, "Rows × Columns", |a, b| a.values.dim() == b.values.dim(), size)?;
    uniform(frames, "PixelSpacing", |a, b| close(&a.plane, &b.plane), |f| numbers(&f.plane.pixel_spacing_mm))?;
    uniform(frames, "ImageOrientationPatient", |a, b| parallel(&a.plane, &b.plane), |f| numbers(&f.plane.orientation))?;
    // The UIDs themselves are the patient's: no error repeats them.
    let first = frames.first().and_then(|f| f.frame_of_reference_uid.as_deref());
    let which = |f: &SourceFrame| match f.frame_of_reference_uid.as_deref() {
        None => "none",
        found if found == first => "one",
        Some(_) => "another",
    };
    uniform(
        frames,
        "FrameOfReferenceUID",
        |a, b| a.frame_of_reference_uid == b.frame_of_reference_uid,
        |f| which(f).into(),
    )
}

fn uniform(
    frames: &[SourceFrame],
    keyword: &'static str,
    same: impl Fn(&SourceFrame, &SourceFrame) -> bool,
    describe: impl Fn(&SourceFrame) -> String,
) -> Result<(), SeriesError> {
    let Some(first) = frames.first() else { return Ok(()) };
    let others: Vec<&SourceFrame> = frames.iter().filter(|f| !same(f, first)).collect();
    match others.first() {
        None => Ok(()),
        Some(other) => Err(SeriesError::Mixed {
            keyword,
            found: describe(other),
            frames: others.len(),
            all: frames.len(),
            expected: describe(first),
        }),
    }
}

/// One volume of sorted slices, each at its own position.
fn volume(slices: Vec<SourceFrame>) -> Result<Volume, SeriesError> {
    let first = slices.first().ok_or(SeriesError::Empty)?;
    let (rows, columns) = first.values.dim();
    let slice_refs: Vec<&SourceFrame> = slices.iter().collect();
    let geometry = geometry(&slice_refs, [rows, columns])?;
    if slices.len().saturating_mul(rows * columns) > MAX_VOXELS {
        return Err(SeriesError::TooLarge { limit: MAX_VOXELS });
    }
    let mut voxels = Array3::zeros((slices.len(), rows, columns));
    let sources = slices.into_iter().enumerate().map(|(i, slice)| {
        voxels.slice_mut(s![i, .., ..]).assign(&slice.values);
        SliceSource::new(slice.instance, slice.frame, slice.plane)
    });
    let slices = sources.collect();
    Ok(Volume { geometry, voxels, slices })
}

/// The grid of frames that lie one a position, whatever their values, and the frames in the order in which they lie in it: as
/// [`stack`], for frames whose pixels are not kept.
///
/// # Errors
/// [`SeriesError`]: whatever keeps the frames from being one regular volume.
pub fn grid(frames: &[SourceFrame]) -> Result<(Geometry, Vec<usize>), SeriesError> {
    let first = frames.first().ok_or(SeriesError::Empty)?;
    check_uniform(frames)?;
    let size = |f: &SourceFrame| [f.instance.rows, f.instance.columns];
    let describe = |f: &SourceFrame| format!("{} × {}", f.instance.rows, f.instance.columns);
    uniform(frames, "Rows × Columns", |a, b| size(a) == size(b), describe)?;
    let normal = first.plane.normal();
    let mut placed: Vec<(f64, usize)> =
        frames.iter().enumerate().map(|(i, frame)| (dot(frame.plane.position_mm, normal), i)).collect();
    placed.sort_by(|(a, f), (b, g)| a.total_cmp(b).then_with(|| f.cmp(g)));
    let (_, different) = positions(placed.iter().map(|(position, _)| *position));
    if different.len() != frames.len() {
        let (frames, positions) = (frames.len(), different.len());
        let looked_at = "one volume is expected".to_string();
        return Err(SeriesError::NotToldApart { frames, positions, most: frames - positions + 1, looked_at });
    }
    let sorted: Vec<&SourceFrame> = placed.iter().filter_map(|(_, i)| frames.get(*i)).collect();
    Ok((geometry(&sorted, size(first))?, placed.into_iter().map(|(_, i)| i).collect()))
}

/// Of sorted slices, each at its own position.
fn geometry(slices: &[&SourceFrame], [rows, columns]: [usize; 2]) -> Result<Geometry, SeriesError> {
    let first = slices.first().ok_or(SeriesError::Empty)?;
    let planes: Vec<&Plane> = slices.iter().map(|slice| &slice.plane).collect();
    let step = slice_step(&planes)?;
    let (row_direction, column_direction) = first.plane.directions();
    let [row_spacing, column_spacing] = first.plane.pixel_spacing_mm;
    Ok(Geometry {
        size: [slices.len(), rows, columns],
        origin_mm: first.plane.position_mm,
        steps_mm: [step, column_direction.map(|v| v * row_spacing), row_direction.map(|v| v * column_spacing)],
        frame_of_reference_uid: first.frame_of_reference_uid.clone(),
    })
}

/// The way from slice to slice, from the first to the last: the grid meets both exactly, and rounding of positions in
/// between does not add up.
fn slice_step(planes: &[&Plane]) -> Result<[f64; 3], SeriesError> {
    let (Some(first), Some(last)) = (planes.first(), planes.last()) else { return Err(SeriesError::Empty) };
    let normal = first.normal();
    if planes.len() == 1 {
        return Ok(normal.map(|v| v * first.slice_spacing_mm.unwrap_or(1.0)));
    }
    let along: Vec<f64> = planes.iter().map(|plane| dot(plane.position_mm, normal)).collect();
    let intervals: Vec<f64> = along.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let usual_mm = {
        let mut sorted = intervals.clone();
        sorted.sort_by(f64::total_cmp);
        // The lower one of two: the larger may be the gap.
        sorted[(sorted.len() - 1) / 2]
    };
    if let Some(i) = intervals.iter().position(|v| *v > GAP * usual_mm) {
        return Err(SeriesError::Gap { after_mm: along[i], found_mm: intervals[i], expected_mm: usual_mm });
    }
    let step = sub(last.position_mm, first.position_mm).map(|v| v / (planes.len() - 1) as f64);
    let spacing = dot(step, normal);
    let tolerance_mm = (POSITION_TOLERANCE * spacing).max(SAME_POSITION_MM);
    let off = |i: usize| {
        let expected: [f64; 3] = std::array::from_fn(|axis| first.position_mm[axis] + i as f64 * step[axis]);
        sub(planes[i].position_mm, expected)
    };
    let worst = |size: &dyn Fn([f64; 3]) -> f64| {
        (0..planes.len()).map(|i| (size(off(i)), i)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default()
    };
    let (off_mm, i) = worst(&|v| dot(v, normal).abs());
    if off_mm > tolerance_mm {
        let least_mm = intervals.iter().copied().fold(f64::INFINITY, f64::min);
        let most_mm = intervals.iter().copied().fold(0.0, f64::max);
        let (expected_mm, at_mm) = (spacing, along[i]);
        return Err(SeriesError::UnequalSpacing { least_mm, most_mm, expected_mm, at_mm, off_mm, tolerance_mm });
    }
    let (off_mm, i) = worst(&|v| norm(cross(v, unit(normal))));
    if off_mm > tolerance_mm {
        return Err(SeriesError::Shifted { at_mm: along[i], off_mm, tolerance_mm });
    }
    Ok(step)
}

#[cfg(test)]
mod tests;
