//! Phantoms as the network will see them: drawn, wrapped in DICOM, read back, and sent through the model's own
//! preprocessing chain.

use ndarray::Array3;

use crate::imaging::{Image, read_image};
use crate::manifest::transform::{ConvertToUint8Spec, LumaMode, OtherKindPolicy, ToGreySpec, ToRgbSpec, Uint8Mode};
use crate::manifest::{Manifest, RegionOfInterestSpec, TransformSpec};
use crate::model::train::teacher::{Lesson, Teacher, teacher};
use crate::model::train::{PhantomSet, TrainError};
use crate::phantom::{DermoscopyPhantom, DermoscopySopClass};
use crate::transform::{Applied, ImageRegion, Prepared, TransformChain, TransformError};

/// One training image before the chain's pointwise end.
pub(super) struct Sample {
    /// (plane, row, column), the chain up to its last step that is more than a table.
    pub bytes: Array3<u8>,
    /// The manifest's class index.
    pub label: i64,
    /// The lesion's centre in `bytes`, (row, column).
    pub lesion: Option<[f32; 2]>,
}

/// What a channel of the network shows of a plane of bytes.
pub(super) struct Table {
    pub plane: usize,
    pub values: [f32; 256],
}

/// The chain, cut after its last step that is no table: what is kept of an image is 8 bits a pixel and plane.
pub(super) struct Preparation {
    teacher: &'static dyn Teacher,
    spatial: TransformChain,
    region: Option<RegionOfInterestSpec>,
    /// Of each channel.
    pub tables: Vec<Table>,
    /// The manifest's class of each of the teacher's.
    labels: Vec<i64>,
}

impl Preparation {
    pub fn new(manifest: &Manifest) -> Result<Self, TrainError> {
        let teacher = teacher(manifest)?;
        let steps = &manifest.preprocessing;
        let no_table = |s: &TransformSpec| matches!(s, TransformSpec::Resize(_) | TransformSpec::Clahe(_));
        let last = steps.iter().rposition(no_table).unwrap_or(0);
        let (spatial, pointwise) = steps.split_at(last + 1);
        // As many planes as the colours of a picture, or the windows of a CT.
        let planes = spatial.iter().fold(1, |planes, step| match step {
            TransformSpec::ToRgb(_) => 3,
            TransformSpec::Windowing(spec) => spec.windows.len(),
            _ => planes,
        });
        Ok(Self {
            teacher,
            spatial: TransformChain::new(spatial)?,
            region: manifest.input.region_of_interest.clone(),
            tables: tables(pointwise, planes)?,
            labels: labels(manifest, teacher)?,
        })
    }

    /// Draws the `index`-th phantom of a set and prepares it.
    pub fn sample(&self, set: &PhantomSet, index: usize) -> Result<Sample, TrainError> {
        let lesson = self.teacher.draw(set, index)?;
        let prepared = prepare(&self.spatial, self.region.as_ref(), &lesson)?;
        let lesion = lesson.lesion.map(|place| prepared.applied.iter().fold(place, into_prepared));
        Ok(Sample { bytes: prepared.array.mapv(|v| v as u8), label: self.labels[lesson.class], lesion })
    }
}

/// What the chain makes of the image, or of the region that the manifest asks for: an earlier stage's segment, for which
/// the truth stands.
pub(super) fn prepare(
    chain: &TransformChain,
    region: Option<&RegionOfInterestSpec>,
    lesson: &Lesson,
) -> Result<Prepared, TransformError> {
    let region = region.zip(lesson.mask.as_ref());
    let region = region.and_then(|(spec, mask)| ImageRegion::around(mask, spec, lesson.spacing_mm));
    chain.apply_image_to(&lesson.image, region.as_ref())
}

/// A point of the source image in the prepared one: the inverse of `Prepared::to_source`.
fn into_prepared([row, column]: [f32; 2], step: &Applied) -> [f32; 2] {
    match step {
        Applied::CropForeground { kept, .. } => [row - kept.rows.0 as f32, column - kept.columns.0 as f32],
        Applied::Resize { from, to } => [row * to[0] as f32 / from[0] as f32, column * to[1] as f32 / from[1] as f32],
    }
}

/// What the pointwise steps make of each byte, by the chain's own code: a picture with all 256 values in one of its planes is put
/// through them; the channels that follow it show that plane.
fn tables(pointwise: &[TransformSpec], planes: usize) -> Result<Vec<Table>, TrainError> {
    let first = match planes {
        // Luma leaves what is equal in red, green and blue as it is, and so does a screen.
        1 => vec![
            TransformSpec::ToGrey(ToGreySpec { mode: LumaMode::Pil }),
            TransformSpec::ConvertToUint8(ConvertToUint8Spec { mode: Uint8Mode::MinMax }),
        ],
        3 => vec![TransformSpec::ToRgb(ToRgbSpec { grey: OtherKindPolicy::Refuse })],
        found => return Err(TrainError::Option { key: "planes", found, expected: "one plane of bytes or three" }),
    };
    let steps: Vec<TransformSpec> = first.into_iter().chain(pointwise.iter().cloned()).collect();
    let chain = TransformChain::new(&steps)?;
    // A phantom lends its attributes; its pixels are replaced.
    let lender = DermoscopyPhantom { size: (48, 48), ..DermoscopyPhantom::default() };
    let mut picture = read_image(&lender.to_dicom(DermoscopySopClass::default())?.to_bytes()?, None)?;
    let mut shown = |plane: usize| -> Result<Array3<f32>, TrainError> {
        if let Image::Colour(colour) = &mut picture {
            let in_plane = |sample: usize| planes == 1 || sample == plane;
            let ramp = |(r, c, sample)| if in_plane(sample) { (16 * r + c) as u8 } else { 0 };
            colour.rgb = Array3::from_shape_fn((16, 16, 3), ramp);
        }
        Ok(chain.apply_image(&picture)?.array)
    };
    let mut tables: Vec<Option<Table>> = Vec::new();
    for plane in 0..planes {
        let array = shown(plane)?;
        tables.resize_with(array.dim().0, || None);
        for (table, channel) in tables.iter_mut().zip(array.outer_iter()) {
            if channel.iter().any(|v| v.to_bits() != channel[[0, 0]].to_bits()) {
                *table = Some(Table { plane, values: std::array::from_fn(|i| channel[[i / 16, i % 16]]) });
            }
        }
    }
    let found = tables.len();
    let tables: Option<Vec<Table>> = tables.into_iter().collect();
    tables.ok_or(TrainError::Option { key: "channels", found, expected: "channels that each show a plane" })
}

/// The manifest's class of each of the teacher's, by the classes' names.
pub(super) fn labels(manifest: &Manifest, teacher: &dyn Teacher) -> Result<Vec<i64>, TrainError> {
    let label = |name: &&'static str| {
        let index = manifest.classes().iter().position(|c| c.name.eq_ignore_ascii_case(name));
        index.map(|i| i as i64).ok_or(TrainError::Class { name })
    };
    teacher.classes().iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::train::classification::teachers::mammograms::{lesson, phantom};
    use crate::model::train::{Detector, Purpose};
    use crate::phantom::{Class, PhantomView};

    fn manifest(model: &str) -> Manifest {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(model).join("manifest.json");
        Manifest::from_json(&std::fs::read_to_string(file).unwrap()).unwrap()
    }

    /// What training is shown, bytes and table, is what inference computes, bit by bit.
    #[test]
    fn the_cut_chain_equals_the_whole_one() {
        for (model, spacing_mm, size) in [
            ("mammography-4view-demo", 0.6, (400, 300)),
            ("head-ct-haemorrhage-demo", 2.4, (96, 96)),
            ("breast-mri-tumour-demo", 2.6, (128, 128)),
            ("skin-lesion-demo", 1.0, (120, 160)),
        ] {
            let manifest = manifest(model);
            let set = PhantomSet { seed: 1, purpose: Purpose::Training, detector: Some(Detector { spacing_mm, size }) };
            let preparation = Preparation::new(&manifest).unwrap();
            let whole = TransformChain::new(&manifest.preprocessing).unwrap();
            for index in 0..4 {
                let lesson = preparation.teacher.draw(&set, index).unwrap();
                let sample = preparation.sample(&set, index).unwrap();
                let expected = prepare(&whole, manifest.input.region_of_interest.as_ref(), &lesson).unwrap().array;
                assert_eq!(expected.dim().0, preparation.tables.len());
                for ((channel, row, column), value) in expected.indexed_iter() {
                    let table = &preparation.tables[channel];
                    let found = table.values[usize::from(sample.bytes[[table.plane, row, column]])];
                    assert_eq!(found.to_bits(), value.to_bits(), "{model}: ({channel}, {row}, {column})");
                }
            }
        }
    }

    #[test]
    fn the_lesion_is_where_its_place_in_the_prepared_image_says() {
        let chain = TransformChain::new(&manifest("mammography-4view-demo").preprocessing).unwrap();
        let detector = Some(Detector { spacing_mm: 0.6, size: (400, 300) });
        let set = PhantomSet { seed: 2, purpose: Purpose::Training, detector };
        let prepared = |view: &PhantomView| {
            let lesson = lesson(view).unwrap();
            let prepared = prepare(&chain, None, &lesson).unwrap();
            let place = lesson.lesion.map(|place| prepared.applied.iter().fold(place, into_prepared));
            let plane: ndarray::Array2<f32> = prepared.array.index_axis_move(ndarray::Axis(0), 0);
            (plane, place)
        };
        for index in 0..8 {
            let abnormal = phantom(&set, 4 * index);
            assert_eq!(abnormal.class, Class::Mass);
            let (shown, place) = prepared(&abnormal);
            let [row, column] = place.unwrap();
            let (normal, none) = prepared(&PhantomView { class: Class::Normal, ..abnormal });
            assert!(none.is_none());
            let at = |image: &ndarray::Array2<f32>| image[[(row as usize).min(511), (column as usize).min(511)]];
            // A mass is bright in its middle; the crop may shift a little with it. A byte is 1 / 255 / 0.229.
            let change = (at(&shown) - at(&normal)).abs() * 255.0 * 0.229;
            assert!(change > 8.0, "phantom {index}: {change} at ({row}, {column})");
        }
    }
}
