//! When a frame was acquired, by every attribute that tells time points apart.

use std::collections::BTreeMap;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::attributes::Reader;
use super::functional_groups::FunctionalGroups;

/// Values that order the time points of a series, by DICOM keyword; of any unit, only their order counts.
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
pub struct FrameTimes(BTreeMap<&'static str, i64>);

impl FrameTimes {
    /// Of the frame numbered `frame` from 0.
    pub(super) fn read(dataset: &InMemDicomObject, groups: Option<&FunctionalGroups<'_>>, frame: usize) -> Self {
        let at = Place { dataset, groups, frame };
        let moment = |group, tag| at.in_group(group, tag).and_then(|text| date_time(&text));
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
                    .or_else(|| at.classic(tags::ACQUISITION_DATE_TIME).and_then(|text| date_time(&text)))
                    .or_else(|| at.date_and_time(tags::ACQUISITION_DATE, tags::ACQUISITION_TIME)),
            ),
            ("ContentTime", at.date_and_time(tags::CONTENT_DATE, tags::CONTENT_TIME)),
            ("SeriesNumber", at.classic_number(tags::SERIES_NUMBER)),
        ];
        Self(values.into_iter().filter_map(|(keyword, value)| Some((keyword, value?))).collect())
    }

    /// None where the frame lacks the attribute, or where the keyword is none of the above.
    pub fn get(&self, keyword: &str) -> Option<i64> {
        self.0.get(keyword).copied()
    }

    #[cfg(test)]
    pub(super) fn made(values: &[(&'static str, i64)]) -> Self {
        Self(values.iter().copied().collect())
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

    fn number(&self, group: Tag, tag: Tag) -> Option<i64> {
        millionths(&self.in_group(group, tag)?)
    }

    fn classic_number(&self, tag: Tag) -> Option<i64> {
        millionths(&self.classic(tag)?)
    }

    /// Where there is no date, the time alone: anonymisation removes the one more often than the other.
    fn date_and_time(&self, date: Tag, time: Tag) -> Option<i64> {
        let time = time_of_day(&self.classic(time)?)?;
        Some(self.classic(date).and_then(|text| day(&text)).unwrap_or(0) * DAY + time)
    }
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

fn millionths(text: &str) -> Option<i64> {
    let value: f64 = text.parse().ok()?;
    (value.abs() < 1e12).then_some((value * 1e6).round() as i64)
}

/// DT (PS3.5 6.2): YYYYMMDDHHMMSS.FFFFFF&ZZXX, in microseconds; only with all of the date.
fn date_time(text: &str) -> Option<i64> {
    let (stamp, offset) = match text.rfind(['+', '-']) {
        Some(sign) => (&text[..sign], zone(&text[sign..])?),
        None => (text, 0),
    };
    let (date, time) = (stamp.get(..8)?, stamp.get(8..)?);
    let time = if time.is_empty() { 0 } else { time_of_day(time)? };
    Some(day(date)? * DAY + time - offset)
}

/// "+HHMM" or "-HHMM" in microseconds.
fn zone(text: &str) -> Option<i64> {
    let size = time_of_day(text.get(1..5)?)?;
    Some(if text.starts_with('-') { -size } else { size })
}

/// DA: days in the proleptic Gregorian calendar.
fn day(text: &str) -> Option<i64> {
    // ACR-NEMA wrote dots between the parts (PS3.5 6.2, DA).
    let digits: String = text.chars().filter(|c| *c != '.').collect();
    let all_digits = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit());
    let part = |range: std::ops::Range<usize>| digits.get(range).filter(|_| all_digits)?.parse().ok();
    let month = time::Month::try_from(u8::try_from(part(4..6)?).ok()?).ok()?;
    let date = time::Date::from_calendar_date(part(0..4)?, month, u8::try_from(part(6..8)?).ok()?);
    date.ok().map(|date| i64::from(date.to_julian_day()))
}

/// TM: HH, HHMM, HHMMSS or HHMMSS.FFFFFF, with colons in old files; in microseconds.
fn time_of_day(text: &str) -> Option<i64> {
    let plain: String = text.chars().filter(|c| *c != ':').collect();
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() < 2 || whole.len() > 6 || whole.len() % 2 == 1 {
        return None;
    }
    let part = |at: usize| whole.get(at..at + 2).map_or(Some(0), |two| two.parse::<i64>().ok());
    let micros: i64 = format!("{:0<6.6}", fraction).parse().ok()?;
    let (hours, minutes, seconds) = (part(0)?, part(2)?, part(4)?);
    // 60: a leap second.
    let possible = hours < 24 && minutes < 60 && seconds <= 60;
    possible.then_some(((hours * 60 + minutes) * 60 + seconds) * SECOND + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_and_dates() {
        let cases = [
            ("09", Some(9 * 3600 * SECOND)),
            ("0906", Some((9 * 60 + 6) * 60 * SECOND)),
            ("090629.35", Some(((9 * 60 + 6) * 60 + 29) * SECOND + 350_000)),
            ("09:06:29", Some(((9 * 60 + 6) * 60 + 29) * SECOND)),
            ("000000.0000019", Some(1)),
            ("9", None),
            ("250000", None),
            ("0906x9", None),
            ("", None),
            ("12ä4", None),
        ];
        for (text, expected) in cases {
            assert_eq!(time_of_day(text), expected, "{text}");
        }
        assert_eq!(day("20240301").unwrap() - day("20240228").unwrap(), 2);
        assert_eq!(day("1996.05.21"), day("19960521"));
        for bad in ["20240230", "2024", "", "ABCDEFGH", "202403011"] {
            assert_eq!(day(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments_in_several_zones() {
        let noon = date_time("20181022120000.5").unwrap();
        assert_eq!(date_time("20181022140000.500000+0200"), Some(noon));
        assert_eq!(date_time("20181022103000.5-0130"), Some(noon));
        assert_eq!(date_time("20181023").unwrap() - date_time("20181022").unwrap(), DAY);
        for bad in ["2018", "20181022x", "20181022120000+02", "", "+0100", "2018102ä"] {
            assert_eq!(date_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_keep_their_order() {
        assert_eq!(millionths("2000"), Some(2_000_000_000));
        assert_eq!(millionths("-0.5"), Some(-500_000));
        for bad in ["nan", "inf", "1e300", "x", ""] {
            assert_eq!(millionths(bad), None, "{bad}");
        }
    }
}
