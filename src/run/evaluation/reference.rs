//! The model's masks against reference masks: both are segmentation objects, and are compared slice by slice where they lie in the patient;
//! over photographs and projections, which lie nowhere, image by image.

use std::collections::{BTreeMap, BTreeSet};

use dicom_dictionary_std::{tags, uids};
use ndarray::{Array3, Axis};

use super::super::limits::Limits;
use crate::evaluate::{GridSize, Overlap, overlap};
use crate::imaging::geometry::{cross, dot, sub};
use crate::imaging::{Plane, SegObject, SegPlanes};
use crate::manifest::{Manifest, SegmentSpec};
use crate::result::is_own_result;
use crate::source::{InstanceHeader, InstanceId, InstanceSource};

/// Whether an instance may be a reference: a segmentation that we have not made.
pub(super) fn is_reference(header: &InstanceHeader) -> bool {
    let segmentation = [uids::SEGMENTATION_STORAGE, uids::LABEL_MAP_SEGMENTATION_STORAGE];
    header.get(tags::SOP_CLASS_UID).is_some_and(|class| segmentation.contains(&class))
        && !is_own_result(header.get(tags::MANUFACTURER))
}

/// Each segment of the manifest, compared. `answers`: the model's segmentation objects, none where it found nothing; `references`: none
/// where there is nothing to find. References that are not over one of `inputs` are passed over.
///
/// # Errors
/// In words: no reference is over the inputs, a reference that cannot be read, other segments, another grid, more voxels than `limits`.
pub(super) fn compare(
    manifest: &Manifest,
    source: &dyn InstanceSource,
    inputs: &[InstanceHeader],
    references: &[InstanceId],
    answers: &[Vec<u8>],
    limits: Limits,
) -> Result<Vec<(usize, Overlap)>, String> {
    let segments = manifest.segments();
    let answers = answers.iter().map(|bytes| Masks::read(bytes, segments)).collect::<Result<Vec<_>, _>>()?;
    let mut wanted = Vec::new();
    for id in references {
        let bytes = source.fetch(id).map_err(|e| e.to_string())?;
        let masks = Masks::read(&bytes, segments).map_err(|reason| format!("a reference segmentation: {reason}"))?;
        if masks.is_over(inputs) {
            wanted.push(masks);
        }
    }
    if !references.is_empty() && wanted.is_empty() {
        return Err("no reference segmentation refers to the images that were analysed".into());
    }
    let frames = |masks: &[Masks]| masks.iter().map(|m| m.frames.len()).sum::<usize>();
    if frames(&answers) + frames(&wanted) == 0 {
        let (nothing, grid) =
            (Array3::zeros((1, 1, 1)), GridSize { spacing_mm: Err(String::new()), voxel_ml: Ok(0.0) });
        return (0..segments.len()).map(|i| Ok((i, overlap(nothing.view(), nothing.view(), &grid)?))).collect();
    }
    let all = || answers.iter().chain(&wanted);
    let size = all().map(|m| (m.object.rows, m.object.columns)).collect::<BTreeSet<_>>();
    let [(rows, columns)] = size.into_iter().collect::<Vec<_>>()[..] else {
        return Err(
            "reference and answer have other rows and columns: expected the reference on the images' grid".into()
        );
    };
    let slices = match all().all(|m| m.planes.is_some()) {
        true => Slices::in_space(&all().collect::<Vec<_>>(), inputs)?,
        false => Slices::by_image(&all().collect::<Vec<_>>(), inputs)?,
    };
    let shape = (slices.count, rows, columns);
    // Two masks of a byte a voxel, of what the limit counts as a pixel.
    limits.budget().take(shape.0 * rows * columns).map_err(|e| e.to_string())?;
    let fill = |masks: &[Masks], segment: usize, into: &mut Array3<u8>| {
        into.fill(0);
        for masks in masks {
            masks.add_to(segment, &slices, into);
        }
    };
    let (mut answer, mut reference) = (Array3::zeros(shape), Array3::zeros(shape));
    let mut compared = Vec::with_capacity(segments.len());
    for segment in 0..segments.len() {
        fill(&answers, segment, &mut answer);
        fill(&wanted, segment, &mut reference);
        compared.push((segment, overlap(answer.view(), reference.view(), &slices.grid)?));
    }
    Ok(compared)
}

/// A segmentation object with its segments told by the manifest's.
struct Masks {
    object: SegObject,
    /// One a frame, if they say where they lie.
    planes: Option<Vec<Plane>>,
    frame_of_reference_uid: Option<String>,
    /// Index into the manifest's segments by SegmentNumber.
    segments: BTreeMap<u16, usize>,
    /// Numbers of `object`'s frames, all of them.
    frames: Vec<usize>,
}

impl Masks {
    fn read(bytes: &[u8], segments: &[SegmentSpec]) -> Result<Self, String> {
        let object = SegObject::read(bytes).map_err(|e| e.to_string())?;
        let SegPlanes { frame_of_reference_uid, planes, types } = SegPlanes::read(bytes).map_err(|e| e.to_string())?;
        let by_name = |label: &str| segments.iter().position(|s| s.name.to_lowercase() == label.trim().to_lowercase());
        let by_type = |number: u16| {
            let (value, scheme) = types.iter().find(|(n, _)| *n == number)?.1.as_ref()?;
            segments.iter().position(|s| s.concept.value == *value && s.concept.scheme == *scheme)
        };
        let known = object.segments.iter();
        let mut told: BTreeMap<u16, usize> =
            known.filter_map(|s| Some((s.number, by_name(&s.label).or_else(|| by_type(s.number))?))).collect();
        // One of one is the same one, whatever either calls it.
        if let ([only], [_], true) = (&object.segments[..], segments, told.is_empty()) {
            told.insert(only.number, 0);
        }
        if told.is_empty() {
            let names: Vec<&str> = segments.iter().map(|s| s.name.as_str()).collect();
            let expected = format!("labels or type codes of the model's: {}", names.join(", "));
            return Err(format!("found {} segments, none of them with {expected}", object.segments.len()));
        }
        let frames = (0..object.frames.len()).collect();
        Ok(Self { object, planes, frame_of_reference_uid, segments: told, frames })
    }

    /// Whether the frames refer to one of the instances, or lie in its frame of reference.
    fn is_over(&self, inputs: &[InstanceHeader]) -> bool {
        let refers =
            |uid: &str| self.object.frames.iter().any(|f| f.source.as_ref().is_some_and(|(source, _)| source == uid));
        let own = self.frame_of_reference_uid.as_deref();
        inputs.iter().any(|h| {
            h.get(tags::SOP_INSTANCE_UID).is_some_and(refers)
                || (own.is_some() && self.planes.is_some() && h.get(tags::FRAME_OF_REFERENCE_UID) == own)
        })
    }

    /// Adds a segment's pixels where its frames lie.
    fn add_to(&self, segment: usize, slices: &Slices, into: &mut Array3<u8>) {
        for (frame, number) in self.object.frames.iter().zip(&self.frames) {
            let Some(slice) = slices.of(self, *number) else { continue };
            let told = |number: &u16| self.segments.get(number) == Some(&segment);
            if frame.segment.as_ref().is_some_and(|n| !told(n)) {
                continue;
            }
            let Some(mask) = self.object.mask(*number) else { continue };
            let mut target = into.index_axis_mut(Axis(0), slice);
            target.zip_mut_with(&mask, |voxel, value| {
                if *value != 0 && told(&frame.segment.unwrap_or(u16::from(*value))) {
                    *voxel = 1;
                }
            });
        }
    }
}

/// Where frames lie in the array that masks are compared in.
struct Slices {
    count: usize,
    grid: GridSize,
    place: Place,
}

enum Place {
    /// By the distance along the normal from the origin: (normal, ascending distances, each one's slice).
    Space {
        normal: [f64; 3],
        distances: Vec<f64>,
        slices: Vec<usize>,
    },
    Image(BTreeMap<(String, Option<u32>), usize>),
}

/// How far apart positions may be that are one: files round them.
const SAME_MM: f64 = 0.02;
/// Of a slice's distance: how far slices may be from equal steps.
const EQUAL_STEPS: f64 = 0.05;
/// Of a slice's distance: a greater shift from slice to slice is a tilted gantry's.
const TILT: f64 = 0.02;

impl Slices {
    fn of(&self, masks: &Masks, frame: usize) -> Option<usize> {
        match &self.place {
            Place::Space { normal, distances, slices } => {
                let at = dot(masks.planes.as_ref()?.get(frame)?.position_mm, *normal);
                distances.iter().position(|d| (d - at).abs() <= SAME_MM).map(|i| slices[i])
            }
            Place::Image(images) => images.get(masks.object.frames.get(frame)?.source.as_ref()?).copied(),
        }
    }

    /// # Errors
    /// The planes are not parallel, or not of one grid.
    fn in_space(all: &[&Masks], inputs: &[InstanceHeader]) -> Result<Self, String> {
        let planes: Vec<&Plane> = all.iter().flat_map(|m| m.planes.iter().flatten()).collect();
        let first = *planes.first().ok_or("the segmentations have no frame")?;
        let normal = normal_of(&first.orientation);
        let near = |a: &[f64], b: &[f64], tolerance: f64| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance);
        let spacing = first.pixel_spacing_mm;
        for plane in &planes {
            if !near(&plane.orientation, &first.orientation, 1e-3)
                || !near(&plane.pixel_spacing_mm, &spacing, 1e-3 * spacing[0].min(spacing[1]))
            {
                return Err("reference and answer differ in orientation or pixel spacing: expected one grid".into());
            }
        }
        let mut origins: Vec<(f64, [f64; 3])> =
            planes.iter().map(|p| (dot(p.position_mm, normal), p.position_mm)).collect();
        origins.sort_by(|a, b| a.0.total_cmp(&b.0));
        check_one_grid(&origins, normal, spacing)?;
        origins.dedup_by(|next, kept| next.0 - kept.0 <= SAME_MM);
        let distances: Vec<f64> = origins.iter().map(|(d, _)| *d).collect();
        // The images tell how far slices are apart that have no frame between them.
        let mut known = distances.clone();
        known.extend(inputs.iter().filter_map(|h| position(h, &first.orientation)).map(|p| dot(p, normal)));
        known.sort_by(f64::total_cmp);
        known.dedup_by(|next, kept| *next - *kept <= SAME_MM);
        let step = known.windows(2).map(|pair| pair[1] - pair[0]).reduce(f64::min);
        // Files round positions: the whole way tells the step better than one of its parts.
        let whole = known.last().zip(known.first()).map_or(0.0, |(last, first)| last - first);
        let step = step.map(|least| whole / (whole / least).round().max(1.0));
        let ranks: Vec<usize> = (0..distances.len()).collect();
        let (slices, equal) = match step {
            None => (ranks, true),
            Some(step) => {
                let steps: Vec<f64> = distances.iter().map(|d| (d - distances[0]) / step).collect();
                let equal = steps.iter().all(|s| (s - s.round()).abs() <= EQUAL_STEPS);
                // In a volume the slices before the first and after the last have no mask: one on each side shows that.
                let place = |s: &f64| s.round() as usize + 1;
                if equal { (steps.iter().map(place).collect(), true) } else { (ranks, false) }
            }
        };
        let count = slices.last().copied().unwrap_or_default() + if step.is_some() && equal { 2 } else { 1 };
        let thickness = step.or(first.slice_spacing_mm);
        let shift = step.filter(|_| equal).map_or(0.0, |step| largest_shift(&origins, normal, step));
        let spacing_mm = match (equal, step) {
            (false, _) => Err("the slices are not equally far apart".to_owned()),
            (true, Some(step)) if shift > TILT * step => {
                Err("the slices are shifted against one another (gantry tilt): the axes are not at right angles".into())
            }
            (true, step) => Ok([step.unwrap_or(1.0), spacing[0], spacing[1]]),
        };
        let voxel_ml = match thickness {
            Some(thickness) if equal => Ok(thickness * spacing[0] * spacing[1] / 1000.0),
            Some(_) => Err("the slices are not equally far apart".to_owned()),
            None => Err("the slice has no thickness".to_owned()),
        };
        let grid = GridSize { spacing_mm, voxel_ml };
        Ok(Self { count, grid, place: Place::Space { normal, distances, slices } })
    }

    /// # Errors
    /// A frame does not say which image it is over.
    fn by_image(all: &[&Masks], inputs: &[InstanceHeader]) -> Result<Self, String> {
        let mut images = BTreeMap::new();
        for frame in all.iter().flat_map(|m| &m.object.frames) {
            let source = frame.source.clone();
            let source = source.ok_or("a frame says neither where it lies nor which image it is over")?;
            let next = images.len();
            images.entry(source).or_insert(next);
        }
        let spacing = inputs.iter().find_map(|h| {
            let is_source = images.keys().any(|(uid, _)| h.get(tags::SOP_INSTANCE_UID) == Some(uid));
            let spacing = h.get(tags::PIXEL_SPACING).or_else(|| h.get(tags::IMAGER_PIXEL_SPACING));
            numbers::<2>(spacing.filter(|_| is_source)?)
        });
        let spacing_mm = match (images.len(), spacing) {
            (1, Some([row, column])) => Ok([1.0, row, column]),
            (1, None) => Err("the image has no pixel spacing".to_owned()),
            _ => Err("the masks are over several images".to_owned()),
        };
        let grid = GridSize { spacing_mm, voxel_ml: Err("the images are no slices of a volume".into()) };
        Ok(Self { count: images.len(), grid, place: Place::Image(images) })
    }
}

/// Frames of one distance along the normal have one origin.
fn check_one_grid(origins: &[(f64, [f64; 3])], normal: [f64; 3], spacing: [f64; 2]) -> Result<(), String> {
    let tolerance = (0.05 * spacing[0].min(spacing[1])).max(SAME_MM);
    for pair in origins.windows(2).filter(|pair| pair[1].0 - pair[0].0 <= SAME_MM) {
        let shift = across(pair[0].1, pair[1].1, normal);
        if shift > tolerance {
            return Err(format!(
                "frames of one slice begin {shift:.2} mm apart: expected the reference on the images' grid"
            ));
        }
    }
    Ok(())
}

/// Per slice, mm.
fn largest_shift(origins: &[(f64, [f64; 3])], normal: [f64; 3], step: f64) -> f64 {
    let per_slice = |pair: &[(f64, [f64; 3])]| across(pair[0].1, pair[1].1, normal) * step / (pair[1].0 - pair[0].0);
    origins.windows(2).map(per_slice).fold(0.0, f64::max)
}

/// The distance of two places across the normal.
fn across(a: [f64; 3], b: [f64; 3], normal: [f64; 3]) -> f64 {
    let way = sub(b, a);
    let along = dot(way, normal);
    (dot(way, way) - along * along).max(0.0).sqrt()
}

fn normal_of(o: &[f64; 6]) -> [f64; 3] {
    cross([o[0], o[1], o[2]], [o[3], o[4], o[5]])
}

/// ImagePositionPatient of a slice of this orientation.
fn position(header: &InstanceHeader, orientation: &[f64; 6]) -> Option<[f64; 3]> {
    let own = numbers::<6>(header.get(tags::IMAGE_ORIENTATION_PATIENT)?)?;
    let same = own.iter().zip(orientation).all(|(a, b)| (a - b).abs() <= 1e-3);
    numbers::<3>(header.get(tags::IMAGE_POSITION_PATIENT)?).filter(|_| same)
}

fn numbers<const N: usize>(text: &str) -> Option<[f64; N]> {
    let values: Option<Vec<f64>> =
        text.split('\\').map(|v| v.trim().parse().ok().filter(|v: &f64| v.is_finite())).collect();
    values?.try_into().ok()
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
