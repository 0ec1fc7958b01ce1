//! Draws what documents want.

use std::ops::Deref;

use super::{Jpeg, Wanted, overlay};
use crate::imaging::{FrameDecoder, SegObject};

/// A DICOM file's bytes, wherever they are held.
pub type File = Box<dyn Deref<Target = [u8]> + Send>;

/// Of masks over their source.
const OPACITY: f32 = 0.5;

/// Pictures of objects that are asked for by SOPInstanceUID. At most one segmentation and one image are held at a time.
pub struct Pictures<'a> {
    fetch: &'a dyn Fn(&str) -> Option<File>,
    decoder: Option<&'a dyn FrameDecoder>,
    /// The last one read: mostly the next is the same.
    seg: Option<(String, SegObject)>,
}

impl<'a> Pictures<'a> {
    /// `fetch`: None where the object is not there (any more).
    pub fn new(fetch: &'a dyn Fn(&str) -> Option<File>, decoder: Option<&'a dyn FrameDecoder>) -> Self {
        Self { fetch, decoder, seg: None }
    }

    /// None where something of it is not there, or cannot be decoded.
    pub fn draw(&mut self, wanted: &Wanted) -> Option<Jpeg> {
        let picture = match wanted {
            Wanted::HeatMap { uid } => overlay::shown(&(self.fetch)(uid)?, None, self.decoder).ok()?,
            Wanted::Overlay { seg_uid, source_uid, frame } => {
                if self.seg.as_ref().is_none_or(|(uid, _)| uid != seg_uid) {
                    let seg = SegObject::read(&(self.fetch)(seg_uid)?).ok()?;
                    self.seg = Some((seg_uid.clone(), seg));
                }
                let (_, seg) = self.seg.as_ref()?;
                let source = overlay::shown(&(self.fetch)(source_uid)?, *frame, self.decoder).ok()?;
                overlay::overlay(seg, source_uid, *frame, source, OPACITY)?
            }
        };
        Jpeg::of(&picture).ok()
    }
}
