//! A segmentation object as masks on one grid in the patient: what a surface is made from.

use ndarray::{Array3, Axis};

use super::geometry::{dot, norm, sub};
use super::{Geometry, ImagingError, Plane, SegObject, SegPlanes};
use crate::imaging::frames::MAX_VOXELS;

/// How far apart positions along the normal may be that are one: files round them.
const SAME_MM: f64 = 0.02;
/// Of a slice's distance: how far slices may lie from equal steps.
const EQUAL_STEPS: f64 = 0.05;

/// A segmentation whose frames are slices of one grid, which may be oblique, and sheared as by a tilted gantry.
#[derive(Debug, Clone)]
pub struct SegVolume {
    /// From the first slice that has a frame to the last.
    pub geometry: Geometry,
    pub object: SegObject,
    /// The slice of each frame.
    slices: Vec<usize>,
}

impl SegVolume {
    /// Reads a segmentation, ours or another's.
    ///
    /// # Errors
    /// [`ImagingError`]: no segmentation that [`SegObject`] and [`SegPlanes`] read; frames that do not say where they lie, or are not slices of one grid.
    pub fn read(dicom: &[u8]) -> Result<Self, ImagingError> {
        let object = SegObject::read(dicom)?;
        let SegPlanes { frame_of_reference_uid, planes, .. } = SegPlanes::read(dicom)?;
        let planes = planes.ok_or(ImagingError::Missing {
            keyword: "ImagePositionPatient",
            expected: "frames that say where they lie in the patient: there is no surface over single images",
        })?;
        let (slices, mut geometry) = grid(&planes, [object.rows, object.columns])?;
        geometry.frame_of_reference_uid = frame_of_reference_uid;
        Ok(Self { geometry, object, slices })
    }

    /// The mask of one segment, (slice, row, column), 1 inside; all 0 where no frame has it.
    pub fn mask(&self, number: u16) -> Array3<u8> {
        let mut mask = Array3::zeros(self.geometry.size);
        for (index, (frame, slice)) in self.object.frames.iter().zip(&self.slices).enumerate() {
            if frame.segment.is_some_and(|n| n != number) {
                continue;
            }
            let Some(values) = self.object.mask(index) else { continue };
            let wanted = |value: u8| if frame.segment.is_some() { value != 0 } else { u16::from(value) == number };
            let mut into = mask.index_axis_mut(Axis(0), *slice);
            into.zip_mut_with(&values, |voxel, value| *voxel |= u8::from(wanted(*value)));
        }
        mask
    }
}

fn grid(planes: &[Plane], [rows, columns]: [usize; 2]) -> Result<(Vec<usize>, Geometry), ImagingError> {
    let expected = "parallel slices of one grid at equal distances";
    let irregular = |keyword, found: String| ImagingError::invalid(keyword, found, expected);
    let first = planes.first().ok_or_else(|| irregular("NumberOfFrames", "no frame".into()))?;
    let near = |a: &[f64], b: &[f64], tolerance: f64| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance);
    let spacing = first.pixel_spacing_mm;
    for plane in planes {
        if !near(&plane.orientation, &first.orientation, 1e-3) {
            return Err(irregular("ImageOrientationPatient", "several directions".into()));
        }
        if !near(&plane.pixel_spacing_mm, &spacing, 1e-3 * spacing[0].min(spacing[1])) {
            return Err(irregular("PixelSpacing", "several".into()));
        }
    }
    let normal = first.normal();
    let mut places: Vec<(f64, [f64; 3])> = planes.iter().map(|p| (dot(p.position_mm, normal), p.position_mm)).collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places.dedup_by(|next, kept| next.0 - kept.0 <= SAME_MM);
    let (lowest, highest) = (places[0], places[places.len() - 1]);
    let way = highest.0 - lowest.0;
    // Frames without a voxel may be absent: then the least distance need not be the slices', but the written one may.
    let least = places.windows(2).map(|pair| pair[1].0 - pair[0].0).reduce(f64::min);
    let candidates = least.into_iter().chain(first.slice_spacing_mm);
    let steps = |spacing: f64| {
        let count = (way / spacing).round().max(1.0);
        let step: [f64; 3] = std::array::from_fn(|axis| (highest.1[axis] - lowest.1[axis]) / count);
        let regular = places.iter().all(|(distance, place)| {
            let n = ((distance - lowest.0) / way * count).round();
            let expected: [f64; 3] = std::array::from_fn(|axis| lowest.1[axis] + n * step[axis]);
            norm(sub(*place, expected)) <= (EQUAL_STEPS * way / count).max(SAME_MM)
        });
        regular.then_some((step, count as usize))
    };
    let (slice_step, last) = match least {
        None => (normal.map(|v| v * first.slice_spacing_mm.unwrap_or(1.0)), 0),
        Some(_) => candidates
            .filter_map(steps)
            .next()
            .ok_or_else(|| irregular("ImagePositionPatient", format!("{} uneven positions", places.len())))?,
    };
    if (last + 1).saturating_mul(rows * columns) > MAX_VOXELS {
        let found = format!("{} slices between the first frame and the last", last + 1);
        return Err(ImagingError::invalid("ImagePositionPatient", found, format!("at most {MAX_VOXELS} voxels")));
    }
    let [rx, ry, rz, cx, cy, cz] = first.orientation;
    let slice = |plane: &Plane| {
        let part = if last == 0 { 0.0 } else { (dot(plane.position_mm, normal) - lowest.0) / way * last as f64 };
        part.round().clamp(0.0, last as f64) as usize
    };
    let geometry = Geometry {
        size: [last + 1, rows, columns],
        origin_mm: lowest.1,
        steps_mm: [slice_step, [cx, cy, cz].map(|v| v * spacing[0]), [rx, ry, rz].map(|v| v * spacing[1])],
        frame_of_reference_uid: None,
    };
    Ok((planes.iter().map(slice).collect(), geometry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(position_mm: [f64; 3], slice_spacing_mm: Option<f64>) -> Plane {
        Plane {
            position_mm,
            orientation: [1.0, 0.0, 0.0, 0.0, 0.0, -1.0],
            pixel_spacing_mm: [2.0, 3.0],
            slice_spacing_mm,
            position_text: Default::default(),
            orientation_text: Default::default(),
            pixel_spacing_text: Default::default(),
            thickness_text: None,
        }
    }

    #[test]
    fn sheared_slices_in_any_order_with_gaps() {
        // Normal to these is +y; from slice to slice 1 mm along z.
        let at = |n: f64| plane([5.0, 4.0 * n, n], Some(4.0));
        let (slices, grid) = grid(&[at(3.0), at(0.0), at(1.0), at(3.0)], [10, 20]).unwrap();
        assert_eq!((slices, grid.size), (vec![3, 0, 1, 3], [4, 10, 20]));
        assert_eq!(grid.origin_mm, [5.0, 0.0, 0.0]);
        assert_eq!(grid.steps_mm, [[0.0, 4.0, 1.0], [0.0, 0.0, -2.0], [3.0, 0.0, 0.0]]);
    }

    #[test]
    fn the_written_distance_helps_where_frames_are_absent() {
        let at = |y: f64| plane([0.0, y, 0.0], Some(1.5));
        let (slices, grid) = grid(&[at(0.0), at(3.0), at(7.5)], [4, 4]).unwrap();
        assert_eq!((slices, grid.size[0]), (vec![0, 2, 5], 6));
        assert_eq!(grid.steps_mm[0], [0.0, 1.5, 0.0]);
    }

    #[test]
    fn one_slice_is_as_thick_as_written() {
        let (slices, grid) = grid(&vec![plane([0.0, 7.0, 0.0], Some(2.5)); 2], [4, 4]).unwrap();
        assert_eq!((slices, grid.size, grid.steps_mm[0]), (vec![0, 0], [1, 4, 4], [0.0, 2.5, 0.0]));
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        let at = |y: f64| plane([0.0, y, 0.0], None);
        let refused = |planes: &[Plane]| grid(planes, [4, 4]).unwrap_err().to_string();
        assert!(refused(&[at(0.0), at(1.0), at(2.4)]).contains("found 3 uneven positions"));
        let turned = Plane { orientation: [0.0, 1.0, 0.0, 0.0, 0.0, -1.0], ..at(1.0) };
        assert!(refused(&[at(0.0), turned]).starts_with("ImageOrientationPatient: found several directions"));
        let other = Plane { pixel_spacing_mm: [2.0, 2.0], ..at(1.0) };
        assert!(refused(&[at(0.0), other]).starts_with("PixelSpacing"));
        assert!(refused(&[at(0.0), at(0.03), at(1_000_000.0)]).contains("slices between"));
    }
}
