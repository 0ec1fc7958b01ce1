//! The exam as DICOM: CT Image (PS3.3 A.3), one file a slice; a localizer, the brain's series and the skull's.

use std::path::{Path, PathBuf};

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, InMemDicomObject};
use ndarray::{Array2, ArrayView2};

use super::{HeadCt, HeadCtPhantom, HeadCtScan, Kernel};
use crate::phantom::dicom::{
    PhantomError, Series, TIME, bytes, code, decimal, file, general_image, image_pixel, patient_and_study, text, texts,
    uid, write,
};
use crate::phantom::shapes::{Point, plus};

/// Which series the study has beside the brain's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadCtLayout {
    /// A lateral localizer (ImageType LOCALIZER), one image.
    pub localizer: bool,
    /// The same slices with the bone kernel.
    pub bone: bool,
    /// InstanceNumber falls along the slices' normal.
    pub reversed: bool,
}

/// What a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeadCtSeries {
    Localizer,
    Slices(Kernel),
}

impl HeadCtSeries {
    /// SeriesNumber.
    pub fn number(self) -> usize {
        match self {
            Self::Localizer => 1,
            Self::Slices(Kernel::Soft) => 2,
            Self::Slices(Kernel::Bone) => 3,
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Localizer => "SYNTHETIC PHANTOM Topogram",
            Self::Slices(Kernel::Soft) => "SYNTHETIC PHANTOM Head 5.0 brain",
            Self::Slices(Kernel::Bone) => "SYNTHETIC PHANTOM Head 5.0 bone",
        }
    }
}

/// An exam with its files' objects.
#[derive(Debug, Clone)]
pub struct HeadCtStudy {
    /// The brain's series.
    pub exam: HeadCt,
    pub study_instance_uid: String,
    /// Series by series, slice by slice.
    pub instances: Vec<HeadCtInstance>,
}

/// One image, ready to be written or uploaded.
#[derive(Debug, Clone)]
pub struct HeadCtInstance {
    pub series: HeadCtSeries,
    /// Along the normal, from 0.
    pub slice: usize,
    pub instance_number: usize,
    pub series_instance_uid: String,
    pub sop_instance_uid: String,
    /// Whether a reader would see a haemorrhage in it.
    pub shows_haemorrhage: bool,
    pub object: FileDicomObject<InMemDicomObject>,
}

impl HeadCtInstance {
    /// The file's bytes (DICOM Part 10, explicit VR little endian).
    ///
    /// # Errors
    /// [`PhantomError::Dataset`] when the data set cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PhantomError> {
        bytes(&self.object)
    }

    /// Writes `{series number}/{instance number}.dcm` into the folder and returns its path.
    ///
    /// # Errors
    /// [`PhantomError::Write`]
    pub fn write_to(&self, folder: &Path) -> Result<PathBuf, PhantomError> {
        let series = format!("{:02}", self.series.number());
        write(&self.object, folder.join(series).join(format!("{:04}.dcm", self.instance_number)))
    }
}

impl HeadCtPhantom {
    /// Draws the exam and wraps each image in a file.
    ///
    /// # Errors
    /// [`PhantomError::Option`] for a size, spacing or tilt that no series has.
    pub fn to_dicom(&self, layout: HeadCtLayout) -> Result<HeadCtStudy, PhantomError> {
        let exam = self.render(Kernel::Soft)?;
        let scan = self.scan()?;
        let mut instances = Vec::new();
        if layout.localizer {
            instances.push(self.encode(&scan, layout, HeadCtSeries::Localizer, 0, scan.localizer().view(), false)?);
        }
        let bone = layout.bone.then(|| self.render(Kernel::Bone)).transpose()?;
        for (kernel, drawn) in [(Kernel::Soft, Some(&exam)), (Kernel::Bone, bone.as_ref())] {
            let Some(drawn) = drawn else { continue };
            for (slice, values) in drawn.values.outer_iter().enumerate() {
                let shows = drawn.areas_mm2[slice] >= super::LEAST_AREA_MM2;
                instances.push(self.encode(&scan, layout, HeadCtSeries::Slices(kernel), slice, values, shows)?);
            }
        }
        let study_instance_uid = uid(&(self, layout), "study");
        Ok(HeadCtStudy { exam, study_instance_uid, instances })
    }

    /// Draws one slice of the brain's series and wraps it in a file, for those who need no other.
    ///
    /// # Errors
    /// As [`Self::to_dicom`].
    pub fn slice_to_dicom(&self, slice: usize) -> Result<HeadCtInstance, PhantomError> {
        let scan = self.scan()?;
        let drawn = scan.slice(slice.min(self.size[0] - 1), Kernel::Soft);
        let series = HeadCtSeries::Slices(Kernel::Soft);
        self.encode(&scan, HeadCtLayout::default(), series, slice, drawn.values.view(), drawn.shows_haemorrhage())
    }

    fn encode(
        &self,
        scan: &HeadCtScan,
        layout: HeadCtLayout,
        series: HeadCtSeries,
        slice: usize,
        values: ArrayView2<'_, i16>,
        shows_haemorrhage: bool,
    ) -> Result<HeadCtInstance, PhantomError> {
        let options = (self, layout);
        let place = if layout.reversed { self.size[0] - 1 - slice } else { slice };
        let instance_number = if series == HeadCtSeries::Localizer { 1 } else { place + 1 };
        let series_instance_uid = uid(&options, &format!("series {}", series.number()));
        let sop_instance_uid = uid(&options, &format!("series {} slice {slice}", series.number()));
        let mut set = InMemDicomObject::new_empty();
        let patient_id = format!("PHANTOM-{}", self.seed);
        let (study, description) = (uid(&options, "study"), "SYNTHETIC PHANTOM Head CT");
        patient_and_study(&mut set, "PHANTOM^HEAD CT", &patient_id, &study, description);
        series_and_equipment(&mut set, series, &series_instance_uid);
        text(&mut set, tags::FRAME_OF_REFERENCE_UID, VR::UI, &uid(&options, "frame of reference"));
        text(&mut set, tags::POSITION_REFERENCE_INDICATOR, VR::LO, "");
        scan.plane(&mut set, series, slice, self.gantry_tilt_degrees);
        image(&mut set, series, instance_number);
        pixel_module(&mut set, series, values);
        let object = file(set, uids::CT_IMAGE_STORAGE, &sop_instance_uid)?;
        Ok(HeadCtInstance {
            series,
            slice,
            instance_number,
            series_instance_uid,
            sop_instance_uid,
            shows_haemorrhage,
            object,
        })
    }
}

/// Of the localizer, mm.
const LOCALIZER_SPACING: f64 = 1.6;
const LOCALIZER_SIZE: (usize, usize) = (140, 150);

impl HeadCtScan {
    /// The middle of the slices.
    fn middle(&self) -> [f64; 3] {
        let geometry = self.geometry();
        geometry.to_patient(geometry.size.map(|n| 0.5 * (n - 1) as f64))
    }

    /// The localizer's first pixel; it looks from the left: rows run to the feet, columns to the back.
    fn localizer_origin(&self) -> [f64; 3] {
        let ([x, y, z], (rows, columns)) = (self.middle(), LOCALIZER_SIZE);
        let half = |n: usize| 0.5 * (n - 1) as f64 * LOCALIZER_SPACING;
        [x, y - half(columns), z + half(rows)]
    }

    /// Attenuation along lines from left to right, on the scale that scanners give their localizers.
    fn localizer(&self) -> Array2<i16> {
        const STEP_MM: f32 = 4.0;
        let origin = self.localizer_origin().map(|v| v as f32);
        let spacing = LOCALIZER_SPACING as f32;
        Array2::from_shape_fn(LOCALIZER_SIZE, |(row, column)| {
            let start = plus(origin, [0.0, column as f32 * spacing, -(row as f32) * spacing]);
            let water: f32 = (-24..=24)
                .map(|i| {
                    let p: Point = plus(start, [i as f32 * STEP_MM, 0.0, 0.0]);
                    let density = self.head.sample(self.scanner.body(p), self.blood.as_ref());
                    density.map_or(0.0, |s| (s.density + 1000.0).max(0.0) / 1000.0 * STEP_MM)
                })
                .sum();
            super::scanner::stored(6.0 * water - 1000.0)
        })
    }

    /// Image Plane module, and the gantry.
    fn plane(&self, set: &mut InMemDicomObject, series: HeadCtSeries, slice: usize, tilt_degrees: f32) {
        let (position, orientation, spacing) = match series {
            HeadCtSeries::Localizer => {
                (self.localizer_origin(), [0.0, 1.0, 0.0, 0.0, 0.0, -1.0], [LOCALIZER_SPACING; 2])
            }
            HeadCtSeries::Slices(_) => {
                let geometry = self.geometry();
                let [thickness, row, column] = geometry.spacing_mm();
                // What SliceThickness and SpacingBetweenSlices say is along the normal, the table's step is not.
                let normal = thickness * f64::from(tilt_degrees).to_radians().cos();
                text(set, tags::SLICE_THICKNESS, VR::DS, &decimal(normal, 4));
                text(set, tags::SPACING_BETWEEN_SLICES, VR::DS, &decimal(normal, 4));
                text(set, tags::GANTRY_DETECTOR_TILT, VR::DS, &decimal(f64::from(tilt_degrees), 2));
                (geometry.to_patient([slice as f64, 0.0, 0.0]), geometry.orientation(), [row, column])
            }
        };
        if series == HeadCtSeries::Localizer {
            set.put(DataElement::empty(tags::SLICE_THICKNESS, VR::DS));
        }
        texts(set, tags::IMAGE_POSITION_PATIENT, VR::DS, position.map(|v| decimal(v, 4)));
        texts(set, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, orientation.map(|v| decimal(v, 10)));
        texts(set, tags::PIXEL_SPACING, VR::DS, spacing.map(|v| decimal(v, 4)));
        text(set, tags::SLICE_LOCATION, VR::DS, &decimal(position[2], 4));
    }
}

fn series_and_equipment(set: &mut InMemDicomObject, series: HeadCtSeries, series_instance_uid: &str) {
    let (number, description, model) = (series.number(), series.description(), "Head CT phantom");
    Series { modality: "CT", series_instance_uid, number, description, time: TIME, model }.put(set);
    text(set, tags::PATIENT_POSITION, VR::CS, "HFS");
    text(set, tags::BODY_PART_EXAMINED, VR::CS, "HEAD");
    code(set, tags::ANATOMIC_REGION_SEQUENCE, ["69536005", "SCT", "Head"], None);
}

/// General Image and CT Image modules.
fn image(set: &mut InMemDicomObject, series: HeadCtSeries, instance_number: usize) {
    let kind = if series == HeadCtSeries::Localizer { "LOCALIZER" } else { "AXIAL" };
    texts(set, tags::IMAGE_TYPE, VR::CS, ["ORIGINAL", "PRIMARY", kind].map(String::from));
    general_image(set, instance_number, TIME);
    text(set, tags::ACQUISITION_NUMBER, VR::IS, if series == HeadCtSeries::Localizer { "1" } else { "2" });
    text(set, tags::IMAGE_COMMENTS, VR::LT, "SYNTHETIC PHANTOM: no patient and no X-ray was involved");
    text(set, tags::KVP, VR::DS, "120");
    let kernel = match series {
        HeadCtSeries::Localizer => "T20s",
        HeadCtSeries::Slices(Kernel::Soft) => "H31s",
        HeadCtSeries::Slices(Kernel::Bone) => "H70s",
    };
    text(set, tags::CONVOLUTION_KERNEL, VR::SH, kernel);
}

/// Image Pixel, CT Image and VOI LUT modules: 12 bits of which 0 is -1024 HU.
fn pixel_module(set: &mut InMemDicomObject, series: HeadCtSeries, values: ArrayView2<'_, i16>) {
    image_pixel(set, (1, "MONOCHROME2"), values.dim(), 12);
    text(set, tags::RESCALE_INTERCEPT, VR::DS, "-1024");
    text(set, tags::RESCALE_SLOPE, VR::DS, "1");
    text(set, tags::RESCALE_TYPE, VR::LO, "HU");
    let (centre, width) = match series {
        HeadCtSeries::Localizer => ("0", "1800"),
        HeadCtSeries::Slices(Kernel::Soft) => ("40", "80"),
        HeadCtSeries::Slices(Kernel::Bone) => ("600", "2800"),
    };
    text(set, tags::WINDOW_CENTER, VR::DS, centre);
    text(set, tags::WINDOW_WIDTH, VR::DS, width);
    let stored = values.iter().map(|v| (i32::from(*v) + 1024).clamp(0, 4095) as u16);
    set.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(stored.collect())));
}
