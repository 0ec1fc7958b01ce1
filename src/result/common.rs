//! Modules that every result object has: equipment, SOP common, the marks of research output.

use std::collections::BTreeSet;

use dicom_core::header::Header;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;
use time::macros::format_description;

use super::charset::fold_typography;
use super::content::code_item;
use super::uid::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, device_uid};
use super::{ResultContext, ResultError, ResultKind, ResultObject, codes, source, vr};
use crate::imaging::ImageAttributes;
use crate::manifest::{CodedConcept, Manifest};

/// Manufacturer (0008,0070) of what this project writes.
pub const MANUFACTURER: &str = "orthanc-ai";
/// The project's own codes, and who answers for them (PS3.16 8.2).
const PRIVATE_SCHEME: (&str, &str, &str) = (codes::PRIVATE, "orthanc-ai private codes", "orthanc-ai project");

/// Creation date and time, in the study's time zone where the source states it.
pub struct Created {
    pub date: String,
    pub time: String,
    /// DT with its offset, so that it is unambiguous without TimezoneOffsetFromUTC.
    pub date_time: String,
}

impl Created {
    pub fn of(ctx: &ResultContext) -> Result<Self, ResultError> {
        let offset = ctx.images.first().and_then(|i| source::timezone_offset(i));
        let local = offset.map_or(ctx.created, |o| ctx.created.to_offset(o));
        let format = |form| local.format(form).map_err(|e| ResultError::Encoding(e.to_string()));
        Ok(Self {
            date: format(format_description!("[year][month][day]"))?,
            time: format(format_description!("[hour][minute][second]"))?,
            date_time: format(format_description!(
                "[year][month][day][hour][minute][second][offset_hour sign:mandatory][offset_minute]"
            ))?,
        })
    }
}

/// The model as a device: the same values in ContributingEquipmentSequence, in the observer context and in the
/// algorithm identification (IHE AIR Table 6.5.3.1-1).
pub struct Algorithm {
    pub manufacturer: &'static str,
    /// Manufacturer's model name, algorithm name.
    pub name: String,
    /// Software version, algorithm version.
    pub version: String,
    pub device_uid: String,
    /// Serial number: the weights are what tells one such device from another.
    pub serial_number: String,
    /// A name for people, marked DEMO for demo weights.
    pub title: String,
}

impl Algorithm {
    pub fn of(ctx: &ResultContext) -> Self {
        Self {
            manufacturer: MANUFACTURER,
            name: ctx.manifest.report.algorithm_name.clone(),
            version: ctx.manifest.version.clone(),
            device_uid: device_uid(ctx.weights_sha256),
            serial_number: ctx.weights_sha256.to_owned(),
            title: demo_marked(ctx.manifest, &ctx.manifest.title),
        }
    }

    fn contributing_equipment(&self, created: &Created) -> Result<InMemDicomObject, ResultError> {
        let mut item = InMemDicomObject::new_empty();
        vr::put_items(
            &mut item,
            tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
            vec![code_item(&codes::PROCESSING_EQUIPMENT.into())?],
        );
        vr::put(&mut item, tags::MANUFACTURER, self.manufacturer)?;
        vr::put(&mut item, tags::MANUFACTURER_MODEL_NAME, &self.name)?;
        vr::put(&mut item, tags::DEVICE_SERIAL_NUMBER, &self.serial_number)?;
        vr::put(&mut item, tags::SOFTWARE_VERSIONS, &self.version)?;
        vr::put(&mut item, tags::DEVICE_UID, &self.device_uid)?;
        vr::put(&mut item, tags::CONTRIBUTION_DATE_TIME, &created.date_time)?;
        vr::put(&mut item, tags::CONTRIBUTION_DESCRIPTION, "AI analysis, for research use only")?;
        Ok(item)
    }
}

/// `text` in ASCII typography, with "DEMO" in front where the model's weights are for show and the text does not say
/// so.
pub fn demo_marked(manifest: &Manifest, text: &str) -> String {
    let text = fold_typography(text);
    if manifest.demo && !text.to_uppercase().contains("DEMO") { format!("DEMO: {text}") } else { text }
}

/// A concept of the manifest, its meaning in ASCII typography.
pub fn concept(c: &CodedConcept) -> CodedConcept {
    CodedConcept { meaning: fold_typography(&c.meaning), ..c.clone() }
}

/// Cut to `max` characters; for texts of the manifest that a mark has made longer than their VR.
pub fn shortened(text: &str, max: usize) -> String {
    text.chars().take(max).collect::<String>().trim_end().to_owned()
}

/// General Series' own attributes (PS3.3 C.7.3.1), but Modality's value, which is the IOD's.
pub fn put_series(
    object: &mut InMemDicomObject,
    ctx: &ResultContext,
    modality: &str,
    series_uid: &str,
    series_number: u32,
) -> Result<(), ResultError> {
    let report = &ctx.manifest.report;
    vr::put(object, tags::MODALITY, modality)?;
    vr::put(object, tags::SERIES_INSTANCE_UID, series_uid)?;
    vr::put(object, tags::SERIES_NUMBER, &series_number.to_string())?;
    // A run's SEG and SR are two series: a list of series must tell them apart.
    let room = 64 - 1 - modality.len();
    let description = shortened(&demo_marked(ctx.manifest, &report.series_description), room);
    vr::put(object, tags::SERIES_DESCRIPTION, &format!("{description} {modality}"))
}

/// Enhanced General Equipment (PS3.3 C.7.5.2): this plugin with these weights.
pub fn put_equipment(object: &mut InMemDicomObject, ctx: &ResultContext) -> Result<(), ResultError> {
    vr::put(object, tags::MANUFACTURER, MANUFACTURER)?;
    vr::put(object, tags::MANUFACTURER_MODEL_NAME, "orthanc-ai")?;
    vr::put(object, tags::DEVICE_SERIAL_NUMBER, ctx.weights_sha256)?;
    vr::put(object, tags::SOFTWARE_VERSIONS, ctx.software_version)
}

/// SOP Common (PS3.3 C.12.1) but SpecificCharacterSet, which goes with the source's texts. Put when all codes are in
/// `object`: private schemes are announced.
pub fn put_sop_common(
    object: &mut InMemDicomObject,
    ctx: &ResultContext,
    created: &Created,
    sop_class_uid: &str,
    sop_instance_uid: &str,
) -> Result<(), ResultError> {
    vr::put(object, tags::SOP_CLASS_UID, sop_class_uid)?;
    vr::put(object, tags::SOP_INSTANCE_UID, sop_instance_uid)?;
    vr::put(object, tags::INSTANCE_CREATION_DATE, &created.date)?;
    vr::put(object, tags::INSTANCE_CREATION_TIME, &created.time)?;
    vr::put(object, tags::CONTENT_QUALIFICATION, "RESEARCH")?;
    let equipment = Algorithm::of(ctx).contributing_equipment(created)?;
    vr::put_items(object, tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, vec![equipment]);
    let mut schemes = BTreeSet::new();
    private_schemes(object, &mut schemes);
    if !schemes.is_empty() {
        let items = schemes.iter().map(|s| scheme_identification(s)).collect::<Result<_, _>>()?;
        vr::put_items(object, tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, items);
    }
    Ok(())
}

/// The private designators (PS3.16 8.2) of the codes in `object`, at any depth.
fn private_schemes(object: &InMemDicomObject, schemes: &mut BTreeSet<String>) {
    for element in object.iter() {
        if let Some(items) = element.value().items() {
            items.iter().for_each(|item| private_schemes(item, schemes));
        } else if element.tag() == tags::CODING_SCHEME_DESIGNATOR
            && let Ok(scheme) = element.to_str()
            && scheme.starts_with("99")
        {
            schemes.insert(scheme.trim_end().to_owned());
        }
    }
}

fn scheme_identification(designator: &str) -> Result<InMemDicomObject, ResultError> {
    let (ours, name, responsible) = PRIVATE_SCHEME;
    let mut item = InMemDicomObject::new_empty();
    vr::put(&mut item, tags::CODING_SCHEME_DESIGNATOR, designator)?;
    let name = if designator == ours { name.to_owned() } else { format!("{designator}, private codes of the model") };
    vr::put(&mut item, tags::CODING_SCHEME_NAME, &name)?;
    if designator == ours {
        vr::put(&mut item, tags::CODING_SCHEME_RESPONSIBLE_ORGANIZATION, responsible)?;
    }
    Ok(item)
}

/// The object with patient and study of `image`, as a file. Last of all: what is in the object decides about the character set.
pub fn finished(
    kind: ResultKind,
    image: &ImageAttributes,
    mut object: InMemDicomObject,
    sop_class_uid: &str,
    [sop_instance_uid, series_instance_uid]: [String; 2],
) -> Result<ResultObject, ResultError> {
    let left_out = source::copy_modules(image, &mut object)?;
    Ok(ResultObject {
        kind,
        sop_class_uid: sop_class_uid.to_owned(),
        sop_instance_uid,
        series_instance_uid,
        study_instance_uid: image.study_instance_uid.clone(),
        bytes: to_part10(object)?,
        left_out,
    })
}

/// The object as a DICOM file (PS3.10) in Explicit VR Little Endian, under our own implementation class UID.
pub fn to_part10(object: InMemDicomObject) -> Result<Vec<u8>, ResultError> {
    to_part10_in(object, uids::EXPLICIT_VR_LITTLE_ENDIAN)
}

/// As [`to_part10`], in another transfer syntax, in which the pixels already are.
pub fn to_part10_in(object: InMemDicomObject, transfer_syntax: &str) -> Result<Vec<u8>, ResultError> {
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(transfer_syntax)
        .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
        .implementation_version_name(IMPLEMENTATION_VERSION_NAME);
    let encoding = |e: &dyn std::fmt::Display| ResultError::Encoding(e.to_string());
    let file = object.with_meta(meta).map_err(|e| encoding(&e))?;
    let mut bytes = Vec::new();
    file.write_all(&mut bytes).map_err(|e| encoding(&e))?;
    Ok(bytes)
}

/// Device observer as AuthorObserverSequence's item (Identified Person or Device Macro, PS3.3 C.17.2): the model.
pub fn author_observer(algorithm: &Algorithm) -> Result<InMemDicomObject, ResultError> {
    let mut item = InMemDicomObject::new_empty();
    vr::put(&mut item, tags::OBSERVER_TYPE, "DEV")?;
    vr::put(&mut item, tags::DEVICE_UID, &algorithm.device_uid)?;
    vr::put(&mut item, tags::MANUFACTURER, algorithm.manufacturer)?;
    vr::put(&mut item, tags::MANUFACTURER_MODEL_NAME, &algorithm.name)?;
    for tag in [tags::STATION_NAME, tags::INSTITUTION_NAME, tags::INSTITUTION_CODE_SEQUENCE] {
        vr::put_empty(&mut item, tag);
    }
    Ok(item)
}
