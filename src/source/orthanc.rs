//! The server we live in, as source and as result store, over its REST interface without a network.

use std::collections::BTreeMap;

use dicom_core::Tag;
use ndarray::{Array2, Array3};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::notes::{Note, StudyNotes};
use super::pictures::DicomPicture;
use super::{
    Catalogue, Change, ChangeKind, InstanceBytes, InstanceHeader, InstanceId, InstanceSource, Level, Resource,
    ResultStore, SourceError, StoreStatus, StoredInstance,
};
use crate::document::Subject;
use crate::imaging::{DecodedFrame, FrameDecoder, Pixels};
use crate::orthanc::decode::{self, DecodedImage, PixelFormat};
use crate::orthanc::rest_client::RestClient;
use crate::orthanc::rest_server::Method;
use crate::orthanc::{ErrorCode, Host, HostError, host};
use crate::phantom::demo::DemoFile;
use crate::result::ResultObject;

/// Stateless: the host may change under a reset.
#[derive(Debug, Clone, Copy)]
pub struct OrthancSource;

fn host() -> Result<Host, SourceError> {
    host::current().ok_or_else(|| SourceError::Host("the server is stopping".into()))
}

fn client() -> Result<RestClient, SourceError> {
    host().map(RestClient::new)
}

/// GET of a resource of Orthanc's; 404 is [`SourceError::UnknownResource`].
fn get_json<T: for<'de> Deserialize<'de>>(resource: &Resource, path: &str) -> Result<T, SourceError> {
    client()?.get_json(path).map_err(|e| host_error(resource, &e))
}

fn host_error(resource: &Resource, error: &HostError) -> SourceError {
    // An id of another level is of a bad type to 1.10.1, and unknown to later ones.
    if error.is_not_found() || error.code() == Some(ErrorCode::BAD_PARAMETER_TYPE) {
        SourceError::UnknownResource(resource.to_string())
    } else {
        SourceError::Host(error.to_string())
    }
}

/// Orthanc's id of the study that a resource belongs to.
///
/// # Errors
/// [`SourceError::UnknownResource`]
pub fn study_of(resource: &Resource) -> Result<String, SourceError> {
    #[derive(Deserialize)]
    struct Parent {
        #[serde(rename = "ID")]
        id: String,
    }
    let path = match resource.level {
        Level::Study => resource.to_string(),
        Level::Series | Level::Instance => format!("{resource}/study"),
    };
    get_json::<Parent>(resource, &path).map(|p| p.id)
}

/// Patient and study as Orthanc has them, in UTF-8.
///
/// # Errors
/// [`SourceError::UnknownResource`]
pub fn subject_of(study: &str) -> Result<Subject, SourceError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Study {
        main_dicom_tags: BTreeMap<String, Value>,
        #[serde(default)]
        patient_main_dicom_tags: BTreeMap<String, Value>,
    }
    let resource = Resource::new(Level::Study, study);
    let study: Study = get_json(&resource, &resource.to_string())?;
    let text = |keyword: &str| {
        let value = study.patient_main_dicom_tags.get(keyword).or_else(|| study.main_dicom_tags.get(keyword));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    Ok(Subject {
        patient_name: text("PatientName"),
        patient_id: text("PatientID"),
        birth_date: text("PatientBirthDate"),
        sex: text("PatientSex"),
        study_date: text("StudyDate"),
        study_description: text("StudyDescription"),
        accession_number: text("AccessionNumber"),
    })
}

/// The SeriesInstanceUID of a series.
///
/// # Errors
/// [`SourceError::UnknownResource`]
pub fn series_uid(id: &str) -> Result<String, SourceError> {
    let resource = Resource::new(Level::Series, id);
    let series: Series = get_json(&resource, &resource.to_string())?;
    Ok(series.main_tag("SeriesInstanceUID"))
}

/// The StudyInstanceUID of a study.
///
/// # Errors
/// [`SourceError::UnknownResource`]
pub fn study_uid(study: &Resource) -> Result<String, SourceError> {
    let found: Series = get_json(study, &study.to_string())?;
    Ok(found.main_tag("StudyInstanceUID"))
}

/// Whether a text has the form of Orthanc's identifiers (SHA-1 in five groups).
pub fn is_id(text: &str) -> bool {
    text.len() == 44 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// Orthanc's id of the instance with this SOPInstanceUID; None where there is none.
///
/// # Errors
/// [`SourceError::Host`]
pub fn instance_with_uid(uid: &str) -> Result<Option<InstanceId>, SourceError> {
    Ok(lookup(uid)?.into_iter().find(|f| f.level == "Instance").map(|f| InstanceId(f.id)))
}

/// A resource that has the identifier that was looked up.
#[derive(Deserialize)]
struct Found {
    #[serde(rename = "Type")]
    level: String,
    #[serde(rename = "ID")]
    id: String,
}

/// Resources with this SOPInstanceUID, SeriesInstanceUID, StudyInstanceUID or PatientID.
fn lookup(identifier: &str) -> Result<Vec<Found>, SourceError> {
    let answer =
        client()?.post("/tools/lookup", identifier.as_bytes()).map_err(|e| SourceError::Host(e.to_string()))?;
    serde_json::from_slice(&answer).map_err(|e| SourceError::Host(e.to_string()))
}

/// Orthanc's ids of the studies of a patient, who is named by Orthanc's id or by the PatientID; none where there is no such patient.
///
/// # Errors
/// [`SourceError::Host`]
pub fn studies_of_patient(patient: &str) -> Result<Vec<String>, SourceError> {
    let ids = lookup(patient)?.into_iter().filter(|found| found.level == "Patient").map(|found| found.id).collect();
    studies_of(patient, ids, |id| match client()?.get_json::<Patient>(&format!("/patients/{id}")) {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.is_not_found() || e.code() == Some(ErrorCode::BAD_PARAMETER_TYPE) => Ok(None),
        Err(_) => Err(SourceError::Host("the patient cannot be looked up".into())),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Patient {
    main_dicom_tags: BTreeMap<String, Value>,
    studies: Vec<String>,
}

/// `found`: those that the lookup has for it, which compares normalised identifiers: without case and accents two patients may be one.
/// A path with anything but an id would stand in Orthanc's log, PatientID and all.
fn studies_of(
    patient: &str,
    found: Vec<String>,
    get: impl Fn(&str) -> Result<Option<Patient>, SourceError>,
) -> Result<Vec<String>, SourceError> {
    let mut studies = Vec::new();
    for id in found {
        let is_asked = |p: &Patient| {
            p.main_dicom_tags.get("PatientID").and_then(Value::as_str).map(str::trim) == Some(patient.trim())
        };
        studies.extend(get(&id)?.filter(is_asked).into_iter().flat_map(|patient| patient.studies));
    }
    if studies.is_empty() && is_id(patient) {
        studies.extend(get(patient)?.into_iter().flat_map(|patient| patient.studies));
    }
    Ok(studies)
}

impl InstanceSource for OrthancSource {
    fn headers(&self, resource: &Resource) -> Result<Vec<InstanceHeader>, SourceError> {
        #[derive(Deserialize)]
        struct Instance {
            #[serde(rename = "ID")]
            id: String,
        }
        let instances: Vec<Instance> = match resource.level {
            Level::Instance => vec![get_json(resource, &resource.to_string())?],
            Level::Study | Level::Series => get_json(resource, &format!("{resource}/instances"))?,
        };
        Ok(headers(instances.into_iter().map(|i| InstanceId(i.id)).collect()))
    }

    fn fetch(&self, id: &InstanceId) -> Result<InstanceBytes, SourceError> {
        let path = format!("/instances/{id}/file");
        let bytes = client()?.get(&path).map_err(|e| match e.is_not_found() {
            true => SourceError::UnknownResource(format!("/instances/{id}")),
            false => SourceError::Fetch { id: id.clone(), reason: e.to_string() },
        })?;
        Ok(Box::new(bytes))
    }

    fn frame_decoder(&self) -> Option<&dyn FrameDecoder> {
        Some(self)
    }
}

/// The headers in the order of the ids. Each is a request of its own, which mostly waits: for a study of hundreds of slices
/// several are under way at a time.
fn headers(ids: Vec<InstanceId>) -> Vec<InstanceHeader> {
    const THREADS: usize = 4;
    let each = ids.len().div_ceil(THREADS).max(16);
    std::thread::scope(|scope| {
        let parts = ids.chunks(each).map(|part| {
            let read = || part.iter().cloned().map(header).collect::<Vec<_>>();
            (part, scope.spawn(read))
        });
        let parts: Vec<_> = parts.collect();
        let join = |(part, thread): (&[InstanceId], std::thread::ScopedJoinHandle<'_, Vec<InstanceHeader>>)| {
            let lost = |_| part.iter().map(|id| InstanceHeader::unreadable(id.clone(), "internal error")).collect();
            thread.join().unwrap_or_else(lost)
        };
        parts.into_iter().flat_map(join).collect()
    })
}

/// One instance's header; Orthanc reads the file up to the pixel data only.
fn header(id: InstanceId) -> InstanceHeader {
    let resource = Resource::new(Level::Instance, id.0.clone());
    match get_json::<BTreeMap<String, Value>>(&resource, &format!("{resource}/tags?short")) {
        Ok(tags) => {
            let values =
                tags.iter().filter_map(|(tag, value)| Some((tag.parse::<Tag>().ok()?, value.as_str()?.to_string())));
            InstanceHeader::new(id, values.collect())
        }
        Err(e) => InstanceHeader::unreadable(id, e.to_string()),
    }
}

impl Catalogue for OrthancSource {
    fn changes(&self, since: i64, limit: usize) -> Result<Vec<Change>, SourceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Page {
            changes: Vec<Entry>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Entry {
            seq: i64,
            change_type: String,
            #[serde(rename = "ID", default)]
            id: String,
            date: String,
        }
        let page: Page = host_json(&format!("/changes?since={since}&limit={limit}"))?;
        let change = |entry: Entry| {
            let kind = match entry.change_type.as_str() {
                "NewInstance" => ChangeKind::NewInstance,
                "StableSeries" => ChangeKind::StableSeries,
                "StableStudy" => ChangeKind::StableStudy,
                _ => ChangeKind::Other,
            };
            Ok(Change { seq: entry.seq, kind, id: entry.id, date: iso_date(&entry.date)? })
        };
        page.changes.into_iter().map(change).collect()
    }

    fn last_change(&self) -> Result<i64, SourceError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(rename = "Last")]
            last: i64,
        }
        host_json::<Page>("/changes?last").map(|page| page.last)
    }

    fn parent(&self, resource: &Resource) -> Result<Option<Resource>, SourceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Child {
            #[serde(alias = "ParentSeries", alias = "ParentStudy")]
            parent: String,
        }
        let level = match resource.level {
            Level::Instance => Level::Series,
            Level::Series => Level::Study,
            Level::Study => return Ok(None),
        };
        let child = unless_gone(get_json::<Child>(resource, &resource.to_string()))?;
        Ok(child.map(|child| Resource::new(level, child.parent)))
    }

    fn last_update(&self, resource: &Resource) -> Result<Option<OffsetDateTime>, SourceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Updated {
            last_update: String,
        }
        let updated = unless_gone(get_json::<Updated>(resource, &resource.to_string()))?;
        updated.map(|u| iso_date(&u.last_update)).transpose()
    }

    fn modalities(&self, resource: &Resource) -> Result<Option<Vec<String>>, SourceError> {
        let series: Vec<Series> = match resource.level {
            Level::Study => get_json(resource, &format!("{resource}/series"))?,
            Level::Series => vec![get_json(resource, &resource.to_string())?],
            Level::Instance => return Ok(None),
        };
        Ok(Some(series.iter().map(|s| s.main_tag("Modality")).collect()))
    }

    fn remote_aet(&self, resource: &Resource) -> Result<Option<String>, SourceError> {
        #[derive(Deserialize)]
        struct Children {
            #[serde(alias = "Series", alias = "Instances")]
            children: Vec<String>,
        }
        let mut at = resource.clone();
        while at.level != Level::Instance {
            let level = if at.level == Level::Study { Level::Series } else { Level::Instance };
            let children = unless_gone(get_json::<Children>(&at, &at.to_string()))?;
            let Some(first) = children.and_then(|c| c.children.into_iter().next()) else { return Ok(None) };
            at = Resource::new(level, first);
        }
        match client()?.get(&format!("{at}/metadata/RemoteAET")) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()).filter(|aet| !aet.is_empty())),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(SourceError::Host(e.to_string())),
        }
    }
}

/// The part of a series' description that we read; a study's has it too.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Series {
    /// Of ExtraMainDicomTags some may be sequences, and some null.
    main_dicom_tags: BTreeMap<String, Value>,
}

impl Series {
    /// A text; empty where there is none.
    fn main_tag(&self, keyword: &str) -> String {
        self.main_dicom_tags.get(keyword).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

fn host_json<T: for<'de> Deserialize<'de>>(path: &str) -> Result<T, SourceError> {
    client()?.get_json(path).map_err(|e| SourceError::Host(e.to_string()))
}

fn unless_gone<T>(answer: Result<T, SourceError>) -> Result<Option<T>, SourceError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(SourceError::UnknownResource(_)) => Ok(None),
        Err(e) => Err(e),
    }
}

/// "20261121T175236", UTC, as Orthanc writes the time of a change and of an update.
fn iso_date(text: &str) -> Result<OffsetDateTime, SourceError> {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]");
    let date = time::PrimitiveDateTime::parse(text.get(..15).unwrap_or(text), format);
    date.map(time::PrimitiveDateTime::assume_utc)
        .map_err(|_| SourceError::Host(format!("Orthanc's date \"{text}\" is not YYYYMMDDThhmmss")))
}

/// Orthanc's own decoder (DCMTK, or the GDCM plugin), for what our codecs cannot.
impl FrameDecoder for OrthancSource {
    fn decode(&self, dicom: &[u8], frame: u32) -> Result<DecodedFrame, String> {
        let host = host().map_err(|e| e.to_string())?;
        let image = decode::decode_frame(&host, dicom, frame).map_err(|e| e.to_string())?;
        decoded_frame(image).map(|pixels| DecodedFrame { pixels })
    }

    fn decode_colour(&self, dicom: &[u8], frame: u32) -> Result<Array3<u8>, String> {
        let host = host().map_err(|e| e.to_string())?;
        decoded_colour(decode::decode_frame(&host, dicom, frame).map_err(|e| e.to_string())?)
    }
}

/// RGB of 8 bits; Orthanc has converted YBR and palettes.
fn decoded_colour(image: DecodedImage) -> Result<Array3<u8>, String> {
    let shape = (image.height, image.width, 3);
    let samples = match image.pixel_format {
        PixelFormat::Rgb24 => image.data,
        PixelFormat::Rgb48 => {
            let word = |b: &[u8]| u32::from(u16::from_ne_bytes([b[0], b[1]]));
            image.data.chunks_exact(2).map(|b| ((word(b) * 255 + 32_767) / 65_535) as u8).collect()
        }
        other => return Err(format!("Orthanc decodes to {other:?}, expected RGB")),
    };
    Array3::from_shape_vec(shape, samples)
        .map_err(|e| format!("Orthanc decodes to an image of another size than it says: {e}"))
}

/// Monochrome pixels in the machine's byte order, as Orthanc lays them out.
fn decoded_frame(image: DecodedImage) -> Result<Pixels, String> {
    let shape = (image.height, image.width);
    let pairs = || image.data.chunks_exact(2).map(|b| [b[0], b[1]]);
    let pixels = match image.pixel_format {
        PixelFormat::Grayscale8 => Array2::from_shape_vec(shape, image.data).map(Pixels::U8),
        PixelFormat::Grayscale16 => {
            Array2::from_shape_vec(shape, pairs().map(u16::from_ne_bytes).collect()).map(Pixels::U16)
        }
        PixelFormat::SignedGrayscale16 => {
            Array2::from_shape_vec(shape, pairs().map(i16::from_ne_bytes).collect()).map(Pixels::I16)
        }
        other => return Err(format!("Orthanc decodes to {other:?}, expected a monochrome format")),
    };
    pixels.map_err(|e| format!("Orthanc decodes to an image of another size than it says: {e}"))
}

/// The metadata of a study under a number. By number it needs no entry in `UserMetadata`.
fn metadata(study: &str, number: u16) -> (Resource, String) {
    let resource = Resource::new(Level::Study, study);
    let path = format!("{resource}/metadata/{number}");
    (resource, path)
}

impl StudyNotes for OrthancSource {
    fn note(&self, study: &str, number: u16) -> Result<Option<Note>, SourceError> {
        let (resource, path) = metadata(study, number);
        match client()?.get_with_etag(&path) {
            Ok((text, version)) => Ok(Some(Note { text: String::from_utf8_lossy(&text).into_owned(), version })),
            // That the study is gone shows when something is written.
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(host_error(&resource, &e)),
        }
    }

    fn set_note(
        &self,
        study: &str,
        number: u16,
        text: Option<&str>,
        before: Option<&Note>,
    ) -> Result<bool, SourceError> {
        let (resource, path) = metadata(study, number);
        // Looked at where `CheckRevisions` is on.
        let version = before.and_then(|note| note.version.as_deref()).map(|version| ("If-Match", version));
        let method = if text.is_some() { Method::Put } else { Method::Delete };
        match client()?.call(method, &path, version.as_slice(), text.unwrap_or_default().as_bytes()) {
            Ok(_) => Ok(true),
            Err(e) if e.http_status() == Some(409) => Ok(false),
            Err(e) if e.is_not_found() && text.is_none() => Ok(true),
            Err(e) => Err(host_error(&resource, &e)),
        }
    }

    /// The core has labels since 1.12.0, its database not always.
    fn labels(&self, study: &str) -> Result<Option<Vec<String>>, SourceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct System {
            #[serde(default)]
            has_labels: bool,
        }
        if !host_json::<System>("/system")?.has_labels {
            return Ok(None);
        }
        let resource = Resource::new(Level::Study, study);
        get_json(&resource, &format!("{resource}/labels")).map(Some)
    }

    fn set_label(&self, study: &str, label: &str, present: bool) -> Result<(), SourceError> {
        let resource = Resource::new(Level::Study, study);
        let path = format!("{resource}/labels/{label}");
        let client = client()?;
        let answer = if present { client.put(&path, &[]).map(drop) } else { client.delete(&path) };
        answer.map_err(|e| host_error(&resource, &e))
    }
}

impl ResultStore for OrthancSource {
    fn find(&self, sop_instance_uid: &str) -> Result<Option<String>, SourceError> {
        Ok(instance_with_uid(sop_instance_uid)?.map(|id| Resource::new(Level::Instance, id.0).to_string()))
    }

    fn discard(&self, path: &str) -> Result<(), SourceError> {
        match client()?.delete(path) {
            Err(e) if !e.is_not_found() => Err(SourceError::Host(e.to_string())),
            _ => Ok(()),
        }
    }

    fn store(&self, object: &ResultObject) -> Result<StoredInstance, SourceError> {
        store_file(&object.bytes, &object.kind.to_string(), &object.sop_instance_uid)
    }
}

/// Stores a picture.
///
/// # Errors
/// [`SourceError::Store`]
pub fn store_picture(picture: &DicomPicture) -> Result<StoredInstance, SourceError> {
    store_file(&picture.bytes, "picture", &picture.sop_instance_uid)
}

/// Stores a file of a synthetic study.
///
/// # Errors
/// [`SourceError::Store`]
pub fn store_demo_file(file: &DemoFile) -> Result<StoredInstance, SourceError> {
    store_file(&file.bytes, "phantom", &file.sop_instance_uid)
}

fn store_file(bytes: &[u8], kind: &str, sop_instance_uid: &str) -> Result<StoredInstance, SourceError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(rename = "ID")]
        id: String,
        parent_study: String,
        parent_series: String,
        path: String,
        status: String,
    }
    let refuse = |reason: String| SourceError::Store { sop_instance_uid: sop_instance_uid.to_owned(), reason };
    let answer = client()?.post("/instances", bytes).map_err(|e| refuse(e.to_string()))?;
    let answer: Answer = serde_json::from_slice(&answer).map_err(|e| refuse(format!("unexpected answer: {e}")))?;
    let status = match answer.status.as_str() {
        "Success" => StoreStatus::Stored,
        "AlreadyStored" => StoreStatus::AlreadyStored,
        other => return Err(refuse(format!("Orthanc answers {other}"))),
    };
    Ok(StoredInstance {
        id: answer.id,
        kind: kind.to_owned(),
        path: answer.path,
        series_id: answer.parent_series,
        study_id: answer.parent_study,
        sop_instance_uid: sop_instance_uid.to_owned(),
        status,
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_patient_is_the_one_that_was_asked_for() {
        let id = "0123456789-".repeat(4);
        let asked = RefCell::new(Vec::new());
        let of = |patient: &str, found: &[&str]| {
            let get = |id: &str| {
                asked.borrow_mut().push(id.to_owned());
                let (name, study) = match id {
                    "upper" => ("AB 1", "s1"),
                    "lower" => ("ab 1", "s2"),
                    _ => ("other", "s3"),
                };
                Ok(serde_json::from_value(json!({"MainDicomTags": {"PatientID": name}, "Studies": [study]})).ok())
            };
            studies_of(patient, found.iter().map(|id| (*id).to_owned()).collect(), get).unwrap()
        };
        assert_eq!(of("ab 1", &["upper", "lower"]), ["s2"]);
        assert_eq!(of("AB 1 ", &["upper", "lower"]), ["s1"]);
        assert!(of("Ab 1", &["upper", "lower"]).is_empty());
        asked.borrow_mut().clear();
        // No PatientID becomes a path.
        assert!(of("12345678", &[]).is_empty() && of("abc-def", &[]).is_empty());
        assert!(asked.borrow().is_empty(), "{asked:?}");
        assert_eq!(of(&id, &[]), ["s3"]);
        assert_eq!(asked.take(), [id]);
    }
}
