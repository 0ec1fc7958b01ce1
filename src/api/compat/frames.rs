//! GET `/api/mri/segmentation/instances/{id}/frames/?frame_index=N`: the mask on the n-th analysed slice.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dicom_dictionary_std::tags;
use image::{GrayImage, ImageEncoder, Luma};
use ndarray::Array2;
use serde_json::json;

use super::route;
use crate::api::analyse::source_error;
use crate::api::overlay::{invalid, segmentation};
use crate::api::store_error;
use crate::imaging::SegObject;
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::record::SliceResult;
use crate::run::{Run, RunFilter};
use crate::source::orthanc::OrthancSource;
use crate::source::{InstanceSource, Level, Resource};

/// `{"success", "frame_data": base64 PNG, "frame_index"}`: grey, 255 inside of any segment, on the source's grid. `frame_index` counts the
/// analysed slices from 0 as [`Pages`] has them, those without a mask included.
///
/// The originals' page turns the picture left to right (`scaleX(-1)`), so it is given mirrored: what the page shows lies right.
/// `mirrored=false`: as it lies on the source.
pub fn frame(request: &Request<'_>) -> Result<Response, RestError> {
    route(request, &[Method::Get], |compat| {
        let (mut index, mut mirrored) = (0usize, true);
        for (key, value) in &request.query {
            match key.as_ref() {
                "frame_index" => index = value.parse().map_err(|_| invalid(key, value, "a slice's number from 0"))?,
                "mirrored" => mirrored = value.parse().map_err(|_| invalid(key, value, "true or false"))?,
                other => return Err(invalid("query", other, "frame_index, mirrored")),
            }
        }
        let (id, seg) = segmentation(request)?;
        let filter = RunFilter { stored: Some(id.0), limit: Some(1), ..RunFilter::default() };
        let runs = compat.service.store.list(&filter).map_err(store_error)?;
        let run = runs.first();
        let run = run.ok_or_else(|| RestError::not_found("no run is known that stored this segmentation"))?;
        let pages = Pages::of(&OrthancSource, &run.slices)?;
        let slice = pages.nth_analysed(index).ok_or_else(|| {
            let count = run.slices.iter().filter(|s| s.analysed).count();
            RestError::not_found(format!("frame_index: found {index}, expected 0 to {}", count.saturating_sub(1)))
        })?;
        let png = mask_png(&seg, &slice.mask_frames, mirrored)?;
        Response::json(&json!({"success": true, "frame_data": STANDARD.encode(png), "frame_index": index}))
    })
}

/// Orthanc's id of the object with the masks, where the run has one.
pub(super) fn seg_of<'r>(run: &'r Run, sop_instance_uid: Option<&str>) -> Option<&'r str> {
    let stored = run.stored.iter().find(|stored| Some(stored.sop_instance_uid.as_str()) == sop_instance_uid);
    stored.map(|stored| stored.id.as_str())
}

/// The slices of a volume as a page shows them: by InstanceNumber, which may run against the normal by which a run counts.
pub(super) struct Pages<'a> {
    pub slices: &'a [SliceResult],
    pub reversed: bool,
}

impl<'a> Pages<'a> {
    /// Images without InstanceNumber are taken as shown along the normal.
    ///
    /// # Errors
    /// The order cannot be known: a header cannot be read (500, 404 where the image is gone), or its InstanceNumber is no number (422). A mask
    /// over the wrong slice would be worse than none.
    pub fn of(source: &dyn InstanceSource, slices: &'a [SliceResult]) -> Result<Self, RestError> {
        let Some((first, last)) = slices.first().zip(slices.last()) else {
            return Ok(Self { slices, reversed: false });
        };
        let reversed = match (instance_number(source, first)?, instance_number(source, last)?) {
            (Some(from), Some(to)) => (from, first.frame) > (to, last.frame),
            _ => false,
        };
        Ok(Self { slices, reversed })
    }

    /// The first and the last analysed slice, from 0.
    pub fn analysed(&self) -> Option<(usize, usize)> {
        let first = self.slices.iter().position(|s| s.analysed)?;
        let last = self.slices.iter().rposition(|s| s.analysed)?;
        let end = self.slices.len() - 1;
        Some(if self.reversed { (end - last, end - first) } else { (first, last) })
    }

    pub fn nth_analysed(&self, index: usize) -> Option<&'a SliceResult> {
        let mut analysed = self.slices.iter().filter(|s| s.analysed);
        if self.reversed { analysed.rev().nth(index) } else { analysed.nth(index) }
    }
}

/// None where the image has none.
fn instance_number(source: &dyn InstanceSource, slice: &SliceResult) -> Result<Option<i64>, RestError> {
    let id = &slice.instance_id;
    let headers = source.headers(&Resource::new(Level::Instance, id.clone())).map_err(source_error)?;
    let unreadable = |reason: &str| RestError::internal(format!("instance {id}: the header cannot be read: {reason}"));
    let header = headers.first().ok_or_else(|| unreadable("there is none"))?;
    if let Some(reason) = header.unreadable_reason() {
        return Err(unreadable(reason));
    }
    let Some(number) = header.get(tags::INSTANCE_NUMBER) else { return Ok(None) };
    let no_number = |_| RestError::unprocessable(format!("instance {id}: InstanceNumber is no whole number"));
    number.trim().parse().map(Some).map_err(no_number)
}

/// The union of the frames' masks (from 0), 8 bits grey, 0 or 255.
pub(super) fn mask_png(seg: &SegObject, frames: &[usize], mirrored: bool) -> Result<Vec<u8>, RestError> {
    let masks: Vec<Array2<u8>> = frames.iter().filter_map(|frame| seg.mask(*frame)).collect();
    let picture = mask_picture(&masks, (seg.rows, seg.columns), mirrored);
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(Cursor::new(&mut png))
        .write_image(picture.as_raw(), picture.width(), picture.height(), image::ExtendedColorType::L8)
        .map_err(|e| RestError::internal(format!("the picture cannot be encoded: {e}")))?;
    Ok(png)
}

fn mask_picture(masks: &[Array2<u8>], (rows, columns): (usize, usize), mirrored: bool) -> GrayImage {
    GrayImage::from_fn(columns as u32, rows as u32, |x, y| {
        let column = if mirrored { columns - 1 - x as usize } else { x as usize };
        let inside = masks.iter().any(|mask| mask[(y as usize, column)] != 0);
        Luma([if inside { 255 } else { 0 }])
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::ops::RangeInclusive;

    use super::*;
    use crate::source::{InstanceBytes, InstanceHeader, InstanceId, SourceError};

    pub fn slices(count: usize, analysed: RangeInclusive<usize>) -> Vec<SliceResult> {
        let slice = |i: usize| SliceResult {
            instance_id: format!("slice-{i}"),
            frame: None,
            analysed: analysed.contains(&i),
            mask_frames: vec![i],
        };
        (0..count).map(slice).collect()
    }

    #[test]
    fn slices_are_counted_as_a_page_shows_them() {
        let slices = slices(10, 1..=6);
        let along = Pages { slices: &slices, reversed: false };
        assert_eq!(along.analysed(), Some((1, 6)));
        assert_eq!(along.nth_analysed(0).unwrap().instance_id, "slice-1");
        assert_eq!(along.nth_analysed(5).unwrap().instance_id, "slice-6");
        assert!(along.nth_analysed(6).is_none());
        // Shown last to first, the page's slice number 3 is the first that was analysed: slice 6.
        let against = Pages { slices: &slices, reversed: true };
        assert_eq!(against.analysed(), Some((3, 8)));
        assert_eq!(against.nth_analysed(0).unwrap().instance_id, "slice-6");
        assert_eq!(against.nth_analysed(5).unwrap().instance_id, "slice-1");
        assert_eq!(Pages { slices: &[], reversed: false }.analysed(), None);
    }

    /// InstanceNumber of each slice, by its id; "?": its header cannot be read, "": it has none.
    struct Numbers([&'static str; 2]);

    impl InstanceSource for Numbers {
        fn headers(&self, resource: &Resource) -> Result<Vec<InstanceHeader>, SourceError> {
            let number = self.0[usize::from(resource.id == "slice-1")];
            let id = InstanceId(resource.id.clone());
            Ok(vec![match number {
                "?" => InstanceHeader::unreadable(id, "busy"),
                _ => InstanceHeader::new(id, [(tags::INSTANCE_NUMBER, number.to_owned())].into()),
            }])
        }

        fn fetch(&self, id: &InstanceId) -> Result<InstanceBytes, SourceError> {
            Err(SourceError::UnknownResource(id.to_string()))
        }
    }

    #[test]
    fn the_order_of_a_page_is_known_or_an_error() {
        let slices = slices(2, 0..=1);
        let reversed = |numbers| Pages::of(&Numbers(numbers), &slices).map(|p| p.reversed).map_err(|e| e.status);
        assert_eq!(reversed(["1", "2"]), Ok(false));
        assert_eq!(reversed(["10 ", "9"]), Ok(true));
        assert_eq!((reversed(["", ""]), reversed(["2", ""])), (Ok(false), Ok(false)));
        assert_eq!((reversed(["?", "1"]), reversed(["2", "?"])), (Err(500), Err(500)));
        assert_eq!(reversed(["2", "1a"]), Err(422));
        assert!(!Pages::of(&Numbers(["?", "?"]), &[]).unwrap().reversed);
    }

    #[test]
    fn masks_are_black_and_white_and_mirrored_for_a_page_that_mirrors() {
        let mut masks = vec![Array2::zeros((2, 3)), Array2::zeros((2, 3))];
        masks[0][(0, 0)] = 1;
        masks[1][(1, 1)] = 2;
        assert_eq!(mask_picture(&masks, (2, 3), false).into_raw(), [255, 0, 0, 0, 255, 0]);
        assert_eq!(mask_picture(&masks, (2, 3), true).into_raw(), [0, 0, 255, 0, 255, 0]);
        assert_eq!(mask_picture(&[], (1, 2), true).into_raw(), [0, 0]);
    }
}
