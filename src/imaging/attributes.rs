//! The DICOM attributes that selection, preprocessing and results need, read once from an instance.

use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::ImagingError;

/// How stored values become shades (PS3.3 C.7.6.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Photometric {
    /// The lowest value is white: inverted before anything else looks at the image.
    Monochrome1,
    Monochrome2,
    Rgb,
    /// Anything else, decoded by the codec to RGB or refused.
    Other,
}

impl Photometric {
    fn from_term(term: &str) -> Self {
        match term {
            "MONOCHROME1" => Self::Monochrome1,
            "MONOCHROME2" => Self::Monochrome2,
            "RGB" => Self::Rgb,
            _ => Self::Other,
        }
    }
}

/// Modality LUT (PS3.3 C.11.1): `output = slope * stored + intercept`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rescale {
    pub slope: f64,
    pub intercept: f64,
}

/// VOI window (PS3.3 C.11.2), in units after the modality LUT.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VoiWindow {
    pub center: f64,
    pub width: f64,
    pub function: VoiLutFunction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoiLutFunction {
    Linear,
    LinearExact,
    Sigmoid,
}

/// What we keep of an instance beside its pixels. Everything that identifies the patient stays inside `dataset`,
/// which only `result` copies from: no log, error or metric may print it.
#[derive(Debug, Clone)]
pub struct ImageAttributes {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub study_instance_uid: String,
    pub series_instance_uid: String,
    pub modality: String,
    pub photometric: Photometric,
    pub rows: usize,
    pub columns: usize,
    pub number_of_frames: usize,
    pub samples_per_pixel: u16,
    pub bits_allocated: u16,
    pub bits_stored: u16,
    /// PixelRepresentation = 1
    pub signed: bool,
    pub rescale: Rescale,
    /// First VOI window, if any; one that PS3.3 C.11.2.1.2 forbids (no number, no positive width) counts as none.
    pub voi: Option<VoiWindow>,
    /// PixelPaddingValue (0028,0120), in stored values. No transform looks at it: the models were trained on images
    /// whose padding counted as background, and for most mammograms it *is* the background's value.
    pub padding: Option<i32>,
    /// ImageLaterality (0020,0062), or Laterality (0020,0060): "L", "R" or "B".
    pub laterality: Option<String>,
    /// ViewPosition (0018,5101): "CC", "MLO", …
    pub view_position: Option<String>,
    /// Row and column spacing in mm (PixelSpacing, else ImagerPixelSpacing).
    pub pixel_spacing_mm: Option<[f64; 2]>,
    /// The whole data set without PixelData; of a volume's slice, without private and bulky elements too.
    pub dataset: InMemDicomObject,
}

impl ImageAttributes {
    /// Reads and checks the image's attributes. UIDs must be UIDs (PS3.5 9.1), for results will refer to them.
    ///
    /// # Errors
    /// Names the first attribute that is missing or impossible, with what was found and expected.
    pub fn from_dataset(dataset: InMemDicomObject) -> Result<Self, ImagingError> {
        let read = Reader(&dataset);
        let dimension = "1..=65535";
        let bits_allocated = read.required_int(tags::BITS_ALLOCATED, "BitsAllocated", 8..=16, "8 or 16")?;
        if bits_allocated % 8 != 0 {
            return Err(ImagingError::invalid("BitsAllocated", bits_allocated, "8 or 16"));
        }
        let bits_stored = read.required_int(
            tags::BITS_STORED,
            "BitsStored",
            1..=bits_allocated,
            &format!("1..={bits_allocated} (BitsAllocated)"),
        )?;
        // PS3.5 8.1.1: HighBit shall be one less than BitsStored; other layouts were retired with ACR-NEMA.
        let high_bit = bits_stored - 1;
        read.int(tags::HIGH_BIT, "HighBit", high_bit..=high_bit, &format!("{high_bit} (BitsStored - 1)"))?;
        let slope = read.number(tags::RESCALE_SLOPE, "RescaleSlope")?.unwrap_or(1.0);
        if slope == 0.0 {
            return Err(ImagingError::invalid("RescaleSlope", 0, "a number other than 0"));
        }
        let term = read.text(tags::PHOTOMETRIC_INTERPRETATION);
        let expected = "MONOCHROME1 or MONOCHROME2";
        let term = term.ok_or(ImagingError::Missing { keyword: "PhotometricInterpretation", expected })?;
        Ok(Self {
            sop_class_uid: read.uid(tags::SOP_CLASS_UID, "SOPClassUID")?,
            sop_instance_uid: read.uid(tags::SOP_INSTANCE_UID, "SOPInstanceUID")?,
            study_instance_uid: read.uid(tags::STUDY_INSTANCE_UID, "StudyInstanceUID")?,
            series_instance_uid: read.uid(tags::SERIES_INSTANCE_UID, "SeriesInstanceUID")?,
            modality: read.text(tags::MODALITY).unwrap_or_default(),
            photometric: Photometric::from_term(&term),
            rows: read.required_int(tags::ROWS, "Rows", 1..=65535, dimension)? as usize,
            columns: read.required_int(tags::COLUMNS, "Columns", 1..=65535, dimension)? as usize,
            number_of_frames: read
                .int(tags::NUMBER_OF_FRAMES, "NumberOfFrames", 1..=i64::from(i32::MAX), "1 or more")?
                .unwrap_or(1) as usize,
            samples_per_pixel: read.int(tags::SAMPLES_PER_PIXEL, "SamplesPerPixel", 1..=4, "1..=4")?.unwrap_or(1)
                as u16,
            bits_allocated: bits_allocated as u16,
            bits_stored: bits_stored as u16,
            signed: read.int(tags::PIXEL_REPRESENTATION, "PixelRepresentation", 0..=1, "0 or 1")? == Some(1),
            rescale: Rescale {
                slope,
                intercept: read.number(tags::RESCALE_INTERCEPT, "RescaleIntercept")?.unwrap_or(0.0),
            },
            voi: read.voi(),
            padding: read
                .int(tags::PIXEL_PADDING_VALUE, "PixelPaddingValue", -32768..=65535, "16 bits")?
                .map(|v| v as i32),
            laterality: read.text(tags::IMAGE_LATERALITY).or_else(|| read.text(tags::LATERALITY)),
            view_position: read.text(tags::VIEW_POSITION),
            pixel_spacing_mm: read.pair(tags::PIXEL_SPACING).or_else(|| read.pair(tags::IMAGER_PIXEL_SPACING)),
            dataset,
        })
    }
}

/// All values as text, without the blanks around them; None of a sequence. An element that was written with VR UN, by a server
/// that did not know it, has the bytes of its text (PS3.5 6.2.2).
pub(crate) fn element_texts(element: &InMemElement) -> Option<Vec<String>> {
    let blanks = [' ', '\0'];
    match element.value().primitive()? {
        PrimitiveValue::U8(bytes) if element.vr() == VR::UN => {
            let text = String::from_utf8_lossy(bytes);
            Some(text.split('\\').map(|t| t.trim_matches(blanks).to_string()).collect())
        }
        primitive => Some(primitive.to_multi_str().iter().map(|t| t.trim_matches(blanks).to_string()).collect()),
    }
}

/// Typed look-ups in a data set; blanks around values and empty values are nothing.
pub(super) struct Reader<'a>(pub(super) &'a InMemDicomObject);

impl Reader<'_> {
    fn texts(&self, tag: Tag) -> Option<Vec<String>> {
        element_texts(self.0.get(tag)?)
    }

    /// The first value.
    pub(super) fn text(&self, tag: Tag) -> Option<String> {
        let first = self.texts(tag)?.into_iter().next()?;
        // A single value may hold a backslash where the parser did not split it.
        let first = first.split('\\').next()?.trim_matches([' ', '\0']);
        (!first.is_empty()).then(|| first.to_string())
    }

    /// Exactly `N` finite numbers of a decimal string, and their texts as written.
    pub(super) fn decimals<const N: usize>(
        &self,
        tag: Tag,
        keyword: &'static str,
        expected: &'static str,
    ) -> Result<([f64; N], [String; N]), ImagingError> {
        let missing = ImagingError::Missing { keyword, expected };
        let Some(texts) = self.texts(tag) else { return Err(missing) };
        if texts.iter().all(String::is_empty) {
            return Err(missing);
        }
        let misfit = |t: Vec<String>| ImagingError::invalid(keyword, format!("{} values", t.len()), expected);
        let texts = <[String; N]>::try_from(texts).map_err(misfit)?;
        let mut numbers = [0.0; N];
        for (number, text) in numbers.iter_mut().zip(&texts) {
            let finite = text.parse().ok().filter(|v: &f64| v.is_finite());
            *number = finite.ok_or_else(|| ImagingError::invalid(keyword, "a value that is no number", expected))?;
        }
        Ok((numbers, texts))
    }

    pub(super) fn uid(&self, tag: Tag, keyword: &'static str) -> Result<String, ImagingError> {
        let expected = "a UID";
        let uid = self.text(tag).ok_or(ImagingError::Missing { keyword, expected })?;
        let is_uid = uid.len() <= 64 && uid.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if !is_uid {
            let expected = "a UID: at most 64 digits and dots";
            return Err(ImagingError::invalid(keyword, super::part10::printable_uid(&uid), expected));
        }
        Ok(uid)
    }

    pub(super) fn int(
        &self,
        tag: Tag,
        keyword: &'static str,
        range: std::ops::RangeInclusive<i64>,
        expected: &str,
    ) -> Result<Option<i64>, ImagingError> {
        let Some(element) = self.0.get(tag) else { return Ok(None) };
        let Some(primitive) = element.value().primitive() else {
            return Err(ImagingError::invalid(keyword, "a sequence", expected));
        };
        if primitive.calculate_byte_len() == 0 {
            return Ok(None);
        }
        if primitive.multiplicity() != 1 {
            return Err(ImagingError::invalid(keyword, format!("{} values", primitive.multiplicity()), expected));
        }
        let number = primitive.to_int::<i64>();
        match number {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            Ok(number) => Err(ImagingError::invalid(keyword, number, expected)),
            Err(_) => Err(ImagingError::invalid(keyword, "no whole number", expected)),
        }
    }

    fn required_int(
        &self,
        tag: Tag,
        keyword: &'static str,
        range: std::ops::RangeInclusive<i64>,
        expected: &str,
    ) -> Result<i64, ImagingError> {
        let missing = || ImagingError::Invalid { keyword, found: "nothing".into(), expected: expected.into() };
        self.int(tag, keyword, range, expected)?.ok_or_else(missing)
    }

    /// All values of a decimal string that are finite numbers, or `None` if one is not.
    pub(super) fn numbers(&self, tag: Tag) -> Option<Vec<f64>> {
        let element = self.0.get(tag)?;
        let values = if element.vr() == VR::UN {
            self.texts(tag)?.iter().map(|t| t.parse().ok()).collect::<Option<Vec<f64>>>()?
        } else {
            element.value().primitive()?.to_multi_float64().ok()?
        };
        values.iter().all(|v| v.is_finite()).then_some(values)
    }

    pub(super) fn number(&self, tag: Tag, keyword: &'static str) -> Result<Option<f64>, ImagingError> {
        if self.text(tag).is_none() {
            return Ok(None);
        }
        let first = self.numbers(tag).and_then(|values| values.first().copied());
        first.map(Some).ok_or_else(|| ImagingError::invalid(keyword, "no number", "a number"))
    }

    fn pair(&self, tag: Tag) -> Option<[f64; 2]> {
        match self.numbers(tag)?[..] {
            [row, column] if row > 0.0 && column > 0.0 => Some([row, column]),
            _ => None,
        }
    }

    pub(super) fn voi(&self) -> Option<VoiWindow> {
        let function = match self.text(tags::VOILUT_FUNCTION).as_deref() {
            Some("SIGMOID") => VoiLutFunction::Sigmoid,
            Some("LINEAR_EXACT") => VoiLutFunction::LinearExact,
            _ => VoiLutFunction::Linear,
        };
        let center = *self.numbers(tags::WINDOW_CENTER)?.first()?;
        let width = *self.numbers(tags::WINDOW_WIDTH)?.first()?;
        let least = if function == VoiLutFunction::Linear { 1.0 } else { f64::MIN_POSITIVE };
        (width >= least).then_some(VoiWindow { center, width, function })
    }
}
