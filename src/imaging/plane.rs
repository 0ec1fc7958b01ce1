//! Where one frame lies in the patient (PS3.3 C.7.6.2, C.7.6.16.2.1, C.7.6.16.2.3, C.7.6.16.2.4).

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::Geometry;
use super::ImagingError;
use super::attributes::Reader;
use super::functional_groups::FunctionalGroups;
use super::geometry::{cross, decimal, dot, norm, unit};

/// How far a direction cosine's length, or the cosine between two, may be off: files round to three digits and more.
const UNIT_TOLERANCE: f64 = 5e-3;

/// Lengths beyond these are mistakes, and would overflow what is computed from them.
const MIN_MM: f64 = 1e-6;
const MAX_MM: f64 = 1e6;

/// The plane of a frame, in the patient's coordinates (LPS, mm).
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// ImagePositionPatient: the centre of the first pixel.
    pub position_mm: [f64; 3],
    /// ImageOrientationPatient, of unit length: the direction of increasing columns, then of increasing rows.
    pub orientation: [f64; 6],
    /// PixelSpacing: between rows, between columns.
    pub pixel_spacing_mm: [f64; 2],
    /// SpacingBetweenSlices, else SliceThickness: what a single slice must be content with.
    pub slice_spacing_mm: Option<f64>,
    /// ImagePositionPatient as written.
    pub position_text: [String; 3],
    /// ImageOrientationPatient as written.
    pub orientation_text: [String; 6],
    /// PixelSpacing as written.
    pub pixel_spacing_text: [String; 2],
    /// SliceThickness as written.
    pub thickness_text: Option<String>,
}

impl Plane {
    /// The plane of each frame.
    ///
    /// # Errors
    /// Names the attribute that is missing, or that cannot be.
    pub(super) fn of_frames(dataset: &InMemDicomObject, frames: usize) -> Result<Vec<Self>, ImagingError> {
        if let Some(groups) = FunctionalGroups::of(dataset, frames)? {
            return (0..frames).map(|frame| Self::of_groups(dataset, &groups, frame)).collect();
        }
        let plane = Self::of_classic(dataset)?;
        if frames == 1 { Ok(vec![plane]) } else { plane.copies(&frame_offsets(dataset, frames)?) }
    }

    fn of_classic(dataset: &InMemDicomObject) -> Result<Self, ImagingError> {
        // Nuclear medicine keeps the plane of its first frame with the detector (PS3.3 C.8.4.11).
        let detector = || dataset.get(tags::DETECTOR_INFORMATION_SEQUENCE)?.items()?.first();
        let holder = |tag| if dataset.get(tag).is_some() { dataset } else { detector().unwrap_or(dataset) };
        let (position, orientation) = (holder(tags::IMAGE_POSITION_PATIENT), holder(tags::IMAGE_ORIENTATION_PATIENT));
        Self::new(position, orientation, dataset, dataset, dataset)
    }

    fn of_groups(
        dataset: &InMemDicomObject,
        groups: &FunctionalGroups<'_>,
        frame: usize,
    ) -> Result<Self, ImagingError> {
        let find = |group: Tag, tag: Tag, keyword| {
            let expected = "a value for each frame in the functional groups";
            groups.item(frame, group, tag).ok_or(ImagingError::Missing { keyword, expected })
        };
        let measures = tags::PIXEL_MEASURES_SEQUENCE;
        let thickness = groups.item(frame, measures, tags::SLICE_THICKNESS);
        Self::new(
            find(tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT, "ImagePositionPatient")?,
            find(tags::PLANE_ORIENTATION_SEQUENCE, tags::IMAGE_ORIENTATION_PATIENT, "ImageOrientationPatient")?,
            find(measures, tags::PIXEL_SPACING, "PixelSpacing")?,
            groups.item(frame, measures, tags::SPACING_BETWEEN_SLICES).or(thickness).unwrap_or(dataset),
            thickness.unwrap_or(dataset),
        )
    }

    fn new(
        position: &InMemDicomObject,
        orientation: &InMemDicomObject,
        spacing: &InMemDicomObject,
        slices: &InMemDicomObject,
        thickness: &InMemDicomObject,
    ) -> Result<Self, ImagingError> {
        let three = "3 numbers in mm: a slice must say where it lies";
        let (position_mm, position_text) =
            Reader(position).decimals(tags::IMAGE_POSITION_PATIENT, "ImagePositionPatient", three)?;
        let (cosines, orientation_text) = Reader(orientation).decimals::<6>(
            tags::IMAGE_ORIENTATION_PATIENT,
            "ImageOrientationPatient",
            "6 direction cosines",
        )?;
        let (pixel_spacing_mm, pixel_spacing_text) =
            Reader(spacing).decimals::<2>(tags::PIXEL_SPACING, "PixelSpacing", "2 positive numbers in mm")?;
        if let Some(bad) = position_mm.iter().find(|v| v.abs() > MAX_MM) {
            return Err(ImagingError::invalid("ImagePositionPatient", bad, format!("at most {MAX_MM} mm")));
        }
        if let Some(bad) = pixel_spacing_mm.iter().find(|v| !(MIN_MM..MAX_MM).contains(*v)) {
            return Err(ImagingError::invalid("PixelSpacing", bad, "2 positive numbers in mm"));
        }
        let positive =
            |tag| Reader(slices).numbers(tag)?.first().map(|v| v.abs()).filter(|v| (MIN_MM..MAX_MM).contains(v));
        Ok(Self {
            position_mm,
            orientation: orthonormal(cosines)?,
            pixel_spacing_mm,
            slice_spacing_mm: positive(tags::SPACING_BETWEEN_SLICES).or_else(|| positive(tags::SLICE_THICKNESS)),
            position_text,
            orientation_text,
            pixel_spacing_text,
            thickness_text: Reader(thickness).text(tags::SLICE_THICKNESS),
        })
    }

    /// Row direction × column direction.
    pub fn normal(&self) -> [f64; 3] {
        let (row, column) = self.directions();
        unit(cross(row, column))
    }

    /// The directions of increasing columns and of increasing rows.
    pub fn directions(&self) -> ([f64; 3], [f64; 3]) {
        let o = self.orientation;
        ([o[0], o[1], o[2]], [o[3], o[4], o[5]])
    }

    /// The grid of the one slice of `rows` × `columns` pixels that lies in this plane; a slice of unknown thickness counts as 1 mm thick.
    pub fn grid(&self, rows: usize, columns: usize, frame_of_reference_uid: Option<String>) -> Geometry {
        let (row_direction, column_direction) = self.directions();
        let [row_spacing, column_spacing] = self.pixel_spacing_mm;
        let step = self.normal().map(|v| v * self.slice_spacing_mm.unwrap_or(1.0));
        Geometry {
            size: [1, rows, columns],
            origin_mm: self.position_mm,
            steps_mm: [step, column_direction.map(|v| v * row_spacing), row_direction.map(|v| v * column_spacing)],
            frame_of_reference_uid,
        }
    }

    /// Parallel planes at these distances along the normal. Their positions are ours, not the file's: written in at most
    /// the 16 characters of a DS.
    fn copies(&self, offsets_mm: &[f64]) -> Result<Vec<Self>, ImagingError> {
        let normal = self.normal();
        let copy = |&offset: &f64| {
            let position_mm: [f64; 3] = std::array::from_fn(|i| self.position_mm[i] + offset * normal[i]);
            let position_text =
                if offset == 0.0 { self.position_text.clone() } else { position_mm.map(|v| decimal(v, 6)) };
            Self { position_mm, position_text, ..self.clone() }
        };
        Ok(offsets_mm.iter().map(copy).collect())
    }
}

fn orthonormal(cosines: [f64; 6]) -> Result<[f64; 6], ImagingError> {
    let [a, b, c, d, e, f] = cosines;
    let (row, column) = ([a, b, c], [d, e, f]);
    let off = (norm(row) - 1.0).abs().max((norm(column) - 1.0).abs()).max(dot(row, column).abs());
    if off > UNIT_TOLERANCE {
        let found = format!("({})", cosines.map(|v| decimal(v, 4)).join(", "));
        return Err(ImagingError::invalid("ImageOrientationPatient", found, "two orthogonal directions of length 1"));
    }
    let ([a, b, c], [d, e, f]) = (unit(row), unit(column));
    Ok([a, b, c, d, e, f])
}

/// How far along the normal each frame of a classic multi-frame image lies from the first, in mm: by
/// GridFrameOffsetVector (PS3.3 C.8.8.3.2, relative form), or SpacingBetweenSlices where the frames are slices and nothing
/// else (SliceVector counts them, PS3.3 C.8.4.8).
fn frame_offsets(dataset: &InMemDicomObject, frames: usize) -> Result<Vec<f64>, ImagingError> {
    let read = Reader(dataset);
    if let Some(offsets) = read.numbers(tags::GRID_FRAME_OFFSET_VECTOR) {
        if offsets.len() != frames || offsets[0] != 0.0 {
            let found = format!("{} values, the first {}", offsets.len(), offsets.first().copied().unwrap_or(f64::NAN));
            return Err(ImagingError::invalid("GridFrameOffsetVector", found, format!("{frames}, the first 0")));
        }
        return Ok(offsets);
    }
    let counted =
        read.numbers(tags::SLICE_VECTOR).is_some_and(|v| v.iter().copied().eq((1..=frames).map(|n| n as f64)));
    match read.numbers(tags::SPACING_BETWEEN_SLICES).as_deref() {
        Some(&[step, ..]) if counted && step != 0.0 => Ok((0..frames).map(|n| n as f64 * step).collect()),
        _ => Err(ImagingError::Missing {
            keyword: "PerFrameFunctionalGroupsSequence",
            expected: "the position of each frame, or GridFrameOffsetVector, or SliceVector and SpacingBetweenSlices",
        }),
    }
}
