//! Points in time as DICOM writes them (DA, TM, DT: PS3.5 6.2), on a scale where later is more.

/// What orders time points: a number, or a time of day with its date where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeValue {
    /// None of a number, and of a time without a date.
    day: Option<i64>,
    /// Microseconds of the day, or millionths of a number.
    value: i64,
}

impl TimeValue {
    /// DS or IS; None for what is no number.
    pub fn number(text: &str) -> Option<Self> {
        Some(Self { day: None, value: millionths(text.trim())? })
    }

    /// DT, in whatever time zone; None without the whole date.
    pub fn date_time(text: &str) -> Option<Self> {
        let (day, value) = date_time(text.trim())?;
        Some(Self { day: Some(day), value })
    }

    /// DA and TM. Where there is no date, the time alone: anonymisation removes the one more often than the other.
    pub fn date_and_time(date: Option<&str>, time: &str) -> Option<Self> {
        Some(Self { day: date.and_then(|text| day(text.trim())), value: time_of_day(time.trim())? })
    }
}

/// The values of one attribute as numbers that can be compared. Dates count where all values have one: a time without a
/// date lies neither before nor after a date.
pub fn on_one_scale(values: &[TimeValue]) -> Vec<i64> {
    let dated = values.iter().all(|v| v.day.is_some());
    values.iter().map(|v| v.day.filter(|_| dated).unwrap_or(0) * DAY + v.value).collect()
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

fn millionths(text: &str) -> Option<i64> {
    let value: f64 = text.parse().ok()?;
    (value.abs() < 1e12).then_some((value * 1e6).round() as i64)
}

/// DT (PS3.5 6.2): YYYYMMDDHHMMSS.FFFFFF&ZZXX, as day and microseconds; only with all of the date.
fn date_time(text: &str) -> Option<(i64, i64)> {
    let (stamp, offset) = match text.rfind(['+', '-']) {
        Some(sign) => (&text[..sign], zone(&text[sign..])?),
        None => (text, 0),
    };
    let (date, time) = (stamp.get(..8)?, stamp.get(8..)?);
    let time = if time.is_empty() { 0 } else { time_of_day(time)? };
    Some((day(date)?, time - offset))
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
        let moment = |text: &str| date_time(text).map(|(day, time)| day * DAY + time);
        let noon = moment("20181022120000.5").unwrap();
        assert_eq!(moment("20181022140000.500000+0200"), Some(noon));
        assert_eq!(moment("20181022103000.5-0130"), Some(noon));
        assert_eq!(moment("20181022233000-0100"), moment("20181023003000"));
        assert_eq!(moment("20181023").unwrap() - moment("20181022").unwrap(), DAY);
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

    #[test]
    fn dates_count_for_all_or_none() {
        let at = |date: Option<&str>, time: &str| TimeValue::date_and_time(date, time).unwrap();
        let dated = [at(Some("20240102"), "0001"), at(Some("20240101"), "2359")];
        let [later, earlier] = on_one_scale(&dated)[..] else { panic!() };
        assert_eq!(later - earlier, 120 * SECOND);
        // One date is lacking: against a whole date a bare time would be the earliest of all.
        let partly = [at(Some("20240101"), "1000"), at(None, "1001"), at(Some(""), "1002")];
        assert_eq!(on_one_scale(&partly), [600, 601, 602].map(|minutes| minutes * 60 * SECOND));
    }
}
