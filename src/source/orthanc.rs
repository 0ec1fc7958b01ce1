//! The server we live in, as source and as result store, over its REST interface without a network.

use std::collections::BTreeMap;

use dicom_core::Tag;
use ndarray::Array2;
use serde::Deserialize;
use serde_json::Value;

use super::{
    InstanceBytes, InstanceHeader, InstanceId, InstanceSource, Level, Resource, ResultStore, SourceError, StoreStatus,
    StoredInstance,
};
use crate::imaging::{DecodedFrame, FrameDecoder, Pixels};
use crate::orthanc::decode::{self, DecodedImage, PixelFormat};
use crate::orthanc::rest_client::RestClient;
use crate::orthanc::{Host, HostError, host};
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
    if error.is_not_found() {
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

/// The SeriesInstanceUID of a series.
///
/// # Errors
/// [`SourceError::UnknownResource`]
pub fn series_uid(id: &str) -> Result<String, SourceError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Series {
        main_dicom_tags: BTreeMap<String, String>,
    }
    let resource = Resource::new(Level::Series, id);
    let series: Series = get_json(&resource, &resource.to_string())?;
    Ok(series.main_dicom_tags.get("SeriesInstanceUID").cloned().unwrap_or_default())
}

/// Orthanc's id of the instance with this SOPInstanceUID; None where there is none.
///
/// # Errors
/// [`SourceError::Host`]
pub fn instance_with_uid(uid: &str) -> Result<Option<InstanceId>, SourceError> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(rename = "Type")]
        level: String,
        #[serde(rename = "ID")]
        id: String,
    }
    let answer = client()?.post("/tools/lookup", uid.as_bytes()).map_err(|e| SourceError::Host(e.to_string()))?;
    let found: Vec<Found> = serde_json::from_slice(&answer).map_err(|e| SourceError::Host(e.to_string()))?;
    Ok(found.into_iter().find(|f| f.level == "Instance").map(|f| InstanceId(f.id)))
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

/// Orthanc's own decoder (DCMTK, or the GDCM plugin), for what our codecs cannot.
impl FrameDecoder for OrthancSource {
    fn decode(&self, dicom: &[u8], frame: u32) -> Result<DecodedFrame, String> {
        let host = host().map_err(|e| e.to_string())?;
        let image = decode::decode_frame(&host, dicom, frame).map_err(|e| e.to_string())?;
        decoded_frame(image).map(|pixels| DecodedFrame { pixels })
    }
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
        let refuse = |reason: String| SourceError::Store { sop_instance_uid: object.sop_instance_uid.clone(), reason };
        let answer = client()?.post("/instances", &object.bytes).map_err(|e| refuse(e.to_string()))?;
        let answer: Answer = serde_json::from_slice(&answer).map_err(|e| refuse(format!("unexpected answer: {e}")))?;
        let status = match answer.status.as_str() {
            "Success" => StoreStatus::Stored,
            "AlreadyStored" => StoreStatus::AlreadyStored,
            other => return Err(refuse(format!("Orthanc answers {other}"))),
        };
        Ok(StoredInstance {
            id: answer.id,
            kind: object.kind.to_string(),
            path: answer.path,
            series_id: answer.parent_series,
            study_id: answer.parent_study,
            sop_instance_uid: object.sop_instance_uid.clone(),
            status,
        })
    }
}
