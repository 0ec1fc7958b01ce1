//! When a frame was acquired, by every attribute that tells time points apart.

use std::collections::BTreeMap;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::attributes::Reader;
use super::clock::TimeValue;
use super::functional_groups::FunctionalGroups;

/// Values that order the time points of a series, by DICOM keyword.
///
/// | keyword | of a classic image | of an enhanced one, in this order |
/// |---|---|---|
/// | TemporalPositionIdentifier | itself | TemporalPositionIndex, TemporalPositionTimeOffset, the classic attribute |
/// | TriggerTime | itself | NominalCardiacTriggerDelayTime, the classic attribute |
/// | AcquisitionNumber | itself | FrameAcquisitionNumber, the classic attribute |
/// | AcquisitionTime | AcquisitionDateTime, else AcquisitionDate and -Time | FrameAcquisitionDateTime, FrameReferenceDateTime, the classic ones |
/// | ContentTime | with ContentDate | as a classic image |
/// | SeriesNumber | itself | as a classic image |
///
/// A legacy converted object has the classic attributes in its unassigned functional groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameTimes(BTreeMap<&'static str, TimeValue>);

impl FrameTimes {
    /// Of the frame numbered `frame` from 0.
    pub(super) fn read(dataset: &InMemDicomObject, groups: Option<&FunctionalGroups<'_>>, frame: usize) -> Self {
        let at = Place { dataset, groups, frame };
        let moment = |group, tag| at.in_group(group, tag).and_then(|text| TimeValue::date_time(&text));
        let content = tags::FRAME_CONTENT_SEQUENCE;
        let values = [
            (
                "TemporalPositionIdentifier",
                at.number(content, tags::TEMPORAL_POSITION_INDEX)
                    .or_else(|| at.number(tags::TEMPORAL_POSITION_SEQUENCE, tags::TEMPORAL_POSITION_TIME_OFFSET))
                    .or_else(|| at.classic_number(tags::TEMPORAL_POSITION_IDENTIFIER)),
            ),
            (
                "TriggerTime",
                at.number(tags::CARDIAC_SYNCHRONIZATION_SEQUENCE, tags::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME)
                    .or_else(|| at.classic_number(tags::TRIGGER_TIME)),
            ),
            (
                "AcquisitionNumber",
                at.number(content, tags::FRAME_ACQUISITION_NUMBER)
                    .or_else(|| at.classic_number(tags::ACQUISITION_NUMBER)),
            ),
            (
                "AcquisitionTime",
                moment(content, tags::FRAME_ACQUISITION_DATE_TIME)
                    .or_else(|| moment(content, tags::FRAME_REFERENCE_DATE_TIME))
                    .or_else(|| at.classic(tags::ACQUISITION_DATE_TIME).and_then(|text| TimeValue::date_time(&text)))
                    .or_else(|| at.date_and_time(tags::ACQUISITION_DATE, tags::ACQUISITION_TIME)),
            ),
            ("ContentTime", at.date_and_time(tags::CONTENT_DATE, tags::CONTENT_TIME)),
            ("SeriesNumber", at.classic_number(tags::SERIES_NUMBER)),
        ];
        Self(values.into_iter().filter_map(|(keyword, value)| Some((keyword, value?))).collect())
    }

    /// None where the frame lacks the attribute, or where the keyword is none of the above.
    pub fn get(&self, keyword: &str) -> Option<TimeValue> {
        self.0.get(keyword).copied()
    }

    #[cfg(test)]
    pub(super) fn made(values: &[(&'static str, i64)]) -> Self {
        let value = |value: i64| TimeValue::number(&value.to_string()).unwrap();
        Self(values.iter().map(|(keyword, v)| (*keyword, value(*v))).collect())
    }
}

/// Where the attributes of a frame are looked for.
struct Place<'a> {
    dataset: &'a InMemDicomObject,
    groups: Option<&'a FunctionalGroups<'a>>,
    frame: usize,
}

impl Place<'_> {
    fn in_group(&self, group: Tag, tag: Tag) -> Option<String> {
        Reader(self.groups?.item(self.frame, group, tag)?).text(tag)
    }

    fn classic(&self, tag: Tag) -> Option<String> {
        let converted = self.in_group(tags::UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES_SEQUENCE, tag);
        converted.or_else(|| Reader(self.dataset).text(tag))
    }

    fn number(&self, group: Tag, tag: Tag) -> Option<TimeValue> {
        TimeValue::number(&self.in_group(group, tag)?)
    }

    fn classic_number(&self, tag: Tag) -> Option<TimeValue> {
        TimeValue::number(&self.classic(tag)?)
    }

    fn date_and_time(&self, date: Tag, time: Tag) -> Option<TimeValue> {
        TimeValue::date_and_time(self.classic(date).as_deref(), &self.classic(time)?)
    }
}
