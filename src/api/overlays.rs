//! GET `/series/{id}/ai/overlays.zip` and `/instances/{id}/ai/overlays.zip`: all pictures of a result, as files. Of a segmentation every image that
//! was analysed with its masks (of one that no run here has stored, every image that it names); of heat maps each as it is.

use std::io::{Cursor, Write};
use std::sync::{Mutex, TryLockError};

use dicom_dictionary_std::{tags, uids};
use image::{DynamicImage, RgbImage};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::analyse::source_error;
use super::overlay::{invalid, opacity, picture, read_segmentation};
use super::{allow, orthanc_id, service, store_error};
use crate::document::overlay::{png, shown};
use crate::imaging::SegObject;
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::result::is_own_result;
use crate::run::{Run, RunFilter};
use crate::source::orthanc::{OrthancSource, instance_with_uid};
use crate::source::{InstanceBytes, InstanceHeader, InstanceId, InstanceSource, Level, Resource};

/// Of all pictures together: they are held until they are sent.
const MAX_BYTES: usize = 256 << 20;
/// For the same reason one archive is made at a time.
static MAKING: Mutex<()> = Mutex::new(());

pub fn archive(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let options = options(request)?;
    let (Some(level), Some(id)) = (request.groups.first(), request.groups.get(1)) else {
        return Err(RestError::not_found("unknown resource"));
    };
    let level = Level::from_collection(level).ok_or_else(|| RestError::not_found("unknown resource"))?;
    let headers = OrthancSource.headers(&Resource::new(level, orthanc_id(id)?)).map_err(source_error)?;
    let _alone = match MAKING.try_lock() {
        Err(TryLockError::WouldBlock) => {
            return Err(RestError::unavailable("another archive of pictures is being made", 5));
        }
        guard => guard,
    };
    let files = pages(results(headers)?)?;
    let mut images = Images { options, seg: None, last: None };
    let pictures = files.iter().flat_map(|file| file.pages.iter().map(move |page| (file, page)));
    let count = files.iter().map(|file| file.pages.len()).sum();
    let zip = zipped(pictures.map(|(file, page)| images.draw(file, page)), count, MAX_BYTES)?;
    Ok(Response::ok("application/zip", zip)
        .with_header("Content-Disposition", "attachment; filename=\"ai-overlays.zip\"")
        .with_header("Cache-Control", "private, no-cache")
        .with_header("X-Content-Type-Options", "nosniff"))
}

#[derive(Debug, Clone, Copy)]
struct Options {
    opacity: f32,
    source: bool,
}

fn options(request: &Request<'_>) -> Result<Options, RestError> {
    let mut options = Options { opacity: 0.5, source: true };
    for (key, value) in &request.query {
        match key.as_ref() {
            "opacity" => options.opacity = opacity(value)?,
            "source" => options.source = value.parse().map_err(|_| invalid(key, value, "true or false"))?,
            other => return Err(invalid("query", other, "opacity, source")),
        }
    }
    Ok(options)
}

/// The segmentations, or our heat maps, among the instances, in the order of their numbers.
fn results(mut headers: Vec<InstanceHeader>) -> Result<Vec<(InstanceId, bool)>, RestError> {
    let number = |h: &InstanceHeader| h.get(tags::INSTANCE_NUMBER).and_then(|n| n.parse::<i64>().ok());
    headers.sort_by_key(|h| (number(h), h.id.clone()));
    let is_segmentation = |header: &InstanceHeader| match header.get(tags::SOP_CLASS_UID)? {
        uids::SEGMENTATION_STORAGE | uids::LABEL_MAP_SEGMENTATION_STORAGE => Some(true),
        uids::SECONDARY_CAPTURE_IMAGE_STORAGE => is_own_result(header.get(tags::MANUFACTURER)).then_some(false),
        _ => None,
    };
    let found: Vec<_> = headers.into_iter().filter_map(|h| is_segmentation(&h).map(|seg| (h.id, seg))).collect();
    if found.is_empty() {
        return Err(RestError::unprocessable("found no segmentation and no heat map, expected one or more"));
    }
    Ok(found)
}

/// One result object and the pictures that it makes.
struct File {
    id: InstanceId,
    /// Else the object is the picture.
    is_segmentation: bool,
    pages: Vec<Page>,
}

#[derive(Debug, PartialEq)]
struct Page {
    source: Option<Source>,
    /// Of the segmentation, from 0.
    frames: Vec<usize>,
}

/// Frames are counted from 1.
#[derive(Debug, PartialEq)]
enum Source {
    Instance(InstanceId, Option<u32>),
    Uid(String, Option<u32>),
}

fn pages(results: Vec<(InstanceId, bool)>) -> Result<Vec<File>, RestError> {
    let mut files = Vec::with_capacity(results.len());
    for (id, is_segmentation) in results {
        if !is_segmentation {
            files.push(File { id, is_segmentation, pages: vec![Page { source: None, frames: Vec::new() }] });
            continue;
        }
        // Its masks are read again when they are drawn: a series may have more of them than there is memory.
        let seg = read_segmentation(&id)?;
        let filter = RunFilter { stored: Some(id.0.clone()), limit: Some(1), ..RunFilter::default() };
        let runs = service()?.store.list(&filter).map_err(store_error)?;
        let pages = runs.first().and_then(|run| analysed_pages(run, &id, &seg)).unwrap_or_else(|| named_pages(&seg));
        files.push(File { id, is_segmentation, pages });
    }
    Ok(files)
}

/// Every slice, or image, that the run has looked at for this segmentation; None where it is another's (a region of interest, say).
fn analysed_pages(run: &Run, id: &InstanceId, seg: &SegObject) -> Option<Vec<Page>> {
    let uid = Some(&run.stored.iter().find(|stored| stored.id == id.0)?.sop_instance_uid);
    let page = |instance: &str, frame: Option<u32>, frames: &[usize]| Page {
        source: Some(Source::Instance(InstanceId(instance.to_owned()), frame)),
        frames: frames.to_vec(),
    };
    let of_volume = run.segmentation.as_ref().is_some_and(|volume| volume.seg_instance_uid.as_ref() == uid);
    // Orthanc's frames, as a slice has them, count from 0.
    let slices = run.slices.iter().map(|s| page(&s.instance_id, s.frame.map(|frame| frame + 1), &s.mask_frames));
    let images = run.results.iter().filter_map(|result| {
        let of_image = result.image.segmentation.as_ref().filter(|of| of.seg_instance_uid.as_ref() == uid)?;
        Some(page(&result.instance_id, result.image.frame_number, &of_image.mask_frames))
    });
    // A series whose slices are segmented one by one is told both ways.
    let pages: Vec<Page> = if of_volume { slices.collect() } else { images.collect() };
    let fits = pages.iter().flat_map(|page| &page.frames).all(|frame| *frame < seg.frames.len());
    (fits && !pages.is_empty()).then_some(pages)
}

/// Every image that the segmentation names, in order of first appearance, with all frames that lie on it.
fn named_pages(seg: &SegObject) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (number, frame) in seg.frames.iter().enumerate() {
        let Some((uid, of)) = &frame.source else {
            pages.push(Page { source: None, frames: vec![number] });
            continue;
        };
        let place = *places.entry((uid, of)).or_insert(pages.len());
        match pages.get_mut(place) {
            Some(page) => page.frames.push(number),
            None => pages.push(Page { source: Some(Source::Uid(uid.clone(), *of)), frames: vec![number] }),
        }
    }
    pages
}

struct Images {
    options: Options,
    /// Of the file that is being drawn.
    seg: Option<(InstanceId, SegObject)>,
    /// The frames of one instance follow each other: it is fetched once.
    last: Option<(InstanceId, InstanceBytes)>,
}

impl Images {
    /// A PNG.
    fn draw(&mut self, file: &File, page: &Page) -> Result<Vec<u8>, RestError> {
        if !file.is_segmentation {
            let heat_map = DynamicImage::from(self.image(&file.id, None)?).into_rgba8();
            return png(&heat_map).map_err(RestError::internal);
        }
        let gone = || RestError::not_found("a source image of the segmentation is not on the server");
        let source = match page.source.as_ref().filter(|_| self.options.source) {
            Some(Source::Instance(id, frame)) => Some(self.image(id, *frame)?),
            Some(Source::Uid(uid, frame)) => {
                let id = instance_with_uid(uid).map_err(source_error)?.ok_or_else(gone)?;
                Some(self.image(&id, *frame)?)
            }
            None if self.options.source => return Err(gone()),
            None => None,
        };
        let (_, seg) = match self.seg.take() {
            Some(seg) if seg.0 == file.id => self.seg.insert(seg),
            _ => self.seg.insert((file.id.clone(), read_segmentation(&file.id)?)),
        };
        picture(seg, &page.frames, source, self.options.opacity)
    }

    fn image(&mut self, id: &InstanceId, frame: Option<u32>) -> Result<RgbImage, RestError> {
        let bytes = match self.last.take() {
            Some((last, bytes)) if last == *id => bytes,
            _ => OrthancSource.fetch(id).map_err(source_error)?,
        };
        let image = shown(&bytes, frame, OrthancSource.frame_decoder());
        self.last = Some((id.clone(), bytes));
        image.map_err(|e| RestError::unprocessable(e.to_string()))
    }
}

/// `001.png` and so on, as they are: a PNG is compressed already.
fn zipped(
    pictures: impl Iterator<Item = Result<Vec<u8>, RestError>>,
    count: usize,
    max_bytes: usize,
) -> Result<Vec<u8>, RestError> {
    let failed = |e: &dyn std::fmt::Display| RestError::internal(format!("the archive cannot be written: {e}"));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let digits = count.to_string().len().max(3);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut bytes = 0;
    for (number, picture) in (1..).zip(pictures) {
        let picture: Vec<u8> = picture?;
        bytes += picture.len();
        if bytes > max_bytes {
            let limit = max_bytes >> 20;
            return Err(RestError::unprocessable(format!(
                "found more than {limit} MB in {number} of {count} pictures, expected at most that: ask for single ones (overlay.png)"
            )));
        }
        let number: usize = number;
        zip.start_file(format!("{number:0digits$}.png"), stored).map_err(|e| failed(&e))?;
        zip.write_all(&picture).map_err(|e| failed(&e))?;
    }
    Ok(zip.finish().map_err(|e| failed(&e))?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn pictures_are_numbered_and_bounded() {
        let pictures = || (1..=12u8).map(|n| Ok(vec![n; 1000]));
        let zip = zipped(pictures(), 12, 12_000).unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        let names: Vec<String> =
            (0..zip.len()).map(|n| zip.by_index(n).unwrap().name().unwrap().into_owned()).collect();
        assert_eq!((names.len(), names[0].as_str(), names[11].as_str()), (12, "001.png", "012.png"));
        let mut content = Vec::new();
        zip.by_name("007.png").unwrap().read_to_end(&mut content).unwrap();
        assert_eq!(content, [7; 1000]);
        let refused = zipped(pictures(), 12, 11_999).unwrap_err();
        assert!(refused.status == 422 && refused.message.contains("overlay.png"), "{refused:?}");
        let broken = std::iter::once(Err(RestError::not_found("gone")));
        assert_eq!(zipped(broken, 1, 1).unwrap_err().status, 404);
        let many = zipped((0..1000).map(|_| Ok(vec![0])), 1000, 1000).unwrap();
        assert!(zip::ZipArchive::new(Cursor::new(many)).unwrap().by_name("0001.png").is_ok());
    }

    #[test]
    fn what_has_no_pictures_is_refused() {
        let header = |class: &str, manufacturer: &str| {
            let values = [(tags::SOP_CLASS_UID, class), (tags::MANUFACTURER, manufacturer)];
            let values = values.into_iter().map(|(tag, value)| (tag, value.to_owned())).collect();
            InstanceHeader::new(InstanceId("a".into()), values)
        };
        let sc = uids::SECONDARY_CAPTURE_IMAGE_STORAGE;
        assert_eq!(results(vec![header(sc, "Somebody")]).unwrap_err().status, 422);
        assert_eq!(results(vec![header(uids::CT_IMAGE_STORAGE, "orthanc-ai")]).unwrap_err().status, 422);
        let found = results(vec![header(sc, "orthanc-ai"), header(uids::SEGMENTATION_STORAGE, "Somebody")]).unwrap();
        assert_eq!(found.iter().map(|(_, seg)| *seg).collect::<Vec<_>>(), [false, true]);
    }
}
