//! Attributes of one frame of an enhanced multi-frame object (PS3.3 C.7.6.16).

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::ImagingError;
use super::attributes::Reader;

/// The functional groups of an object: what holds for all frames, and what for one.
pub(super) struct FunctionalGroups<'a> {
    shared: Option<&'a InMemDicomObject>,
    per_frame: &'a [InMemDicomObject],
}

impl<'a> FunctionalGroups<'a> {
    /// None for an object without functional groups: a classic one.
    ///
    /// # Errors
    /// PerFrameFunctionalGroupsSequence is there, but has another number of items than there are frames.
    pub(super) fn of(dataset: &'a InMemDicomObject, frames: usize) -> Result<Option<Self>, ImagingError> {
        let items = |tag| dataset.get(tag).and_then(|e| e.items()).unwrap_or_default();
        let shared = items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).first();
        let per_frame = items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        if shared.is_none() && per_frame.is_empty() {
            return Ok(None);
        }
        if !per_frame.is_empty() && per_frame.len() != frames {
            let found = format!("{} items", per_frame.len());
            return Err(ImagingError::invalid(
                "PerFrameFunctionalGroupsSequence",
                found,
                format!("{frames} (NumberOfFrames)"),
            ));
        }
        Ok(Some(Self { shared, per_frame }))
    }

    /// The item of a functional group that has a value of `tag` for this frame, numbered from 0. What is said of the frame
    /// goes before what is said of all.
    pub(super) fn item(&self, frame: usize, group: Tag, tag: Tag) -> Option<&'a InMemDicomObject> {
        let levels = self.per_frame.get(frame).into_iter().chain(self.shared);
        let mut items = levels.filter_map(|level| level.get(group)?.items()?.first());
        items.find(|item| Reader(item).text(tag).is_some())
    }
}
