//! Checked values: dicom-rs writes whatever it is given, so every value passes here (PS3.5 6.2).

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::ResultError;

/// The keyword of `tag`, "(gggg,eeee)" where the dictionary has none.
pub fn keyword(tag: Tag) -> String {
    StandardDataDictionary.by_tag(tag).map_or_else(|| tag.to_string(), |e| e.alias().to_owned())
}

/// The dictionary's VR of `tag`; UN where it is not one VR.
pub fn standard_vr(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).and_then(|e| e.vr().exact()).unwrap_or(VR::UN)
}

/// One single-valued text element.
///
/// # Errors
/// [`ResultError::Value`] with the keyword where `value` breaks its VR's rules.
pub fn element(tag: Tag, value: &str) -> Result<InMemElement, ResultError> {
    let vr = standard_vr(tag);
    check(vr, value).map_err(|reason| ResultError::Value { attribute: keyword(tag), reason })?;
    Ok(DataElement::new(tag, vr, PrimitiveValue::from(value)))
}

/// Puts one single-valued text element; see [`element`].
pub fn put(object: &mut InMemDicomObject, tag: Tag, value: &str) -> Result<(), ResultError> {
    object.put(element(tag, value)?);
    Ok(())
}

/// Puts one text element of several values, each checked as [`element`] checks one.
pub fn put_values(object: &mut InMemDicomObject, tag: Tag, values: &[String]) -> Result<(), ResultError> {
    let vr = standard_vr(tag);
    for value in values {
        check(vr, value).map_err(|reason| ResultError::Value { attribute: keyword(tag), reason })?;
    }
    object.put(DataElement::new(tag, vr, PrimitiveValue::Strs(values.iter().cloned().collect())));
    Ok(())
}

/// Puts an element of VR US.
pub fn put_us(object: &mut InMemDicomObject, tag: Tag, values: &[u16]) {
    object.put(DataElement::new(tag, VR::US, PrimitiveValue::U16(values.into())));
}

/// Puts an element without a value (Type 2), a sequence as one without items.
pub fn put_empty(object: &mut InMemDicomObject, tag: Tag) {
    match standard_vr(tag) {
        VR::SQ => put_items(object, tag, Vec::new()),
        vr => drop(object.put(DataElement::new(tag, vr, PrimitiveValue::Empty))),
    }
}

/// Puts a sequence.
pub fn put_items(object: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
    object.put(DataElement::new(tag, VR::SQ, dicom_core::value::DataSetSequence::from(items)));
}

/// A VR's rule: most characters, which characters, which form.
type Rule = (usize, fn(char) -> bool, fn(&str) -> bool);

/// Whether `value` (padding removed by the caller or not) can stand as one value of `vr`. The reason never quotes it:
/// it may be a patient's.
///
/// # Errors
/// What was found and what the VR allows, in words.
pub fn check(vr: VR, value: &str) -> Result<(), String> {
    let value = value.trim_end_matches([' ', '\0']);
    let length = value.chars().count();
    let (max, repertoire, form): Rule = match vr {
        VR::AE | VR::SH => (16, text, any),
        VR::LO => (64, text, any),
        VR::PN => (3 * 64 + 2, text, person_name),
        VR::ST => (1024, paragraph, any),
        VR::LT => (10_240, paragraph, any),
        VR::UT => (usize::MAX, paragraph, any),
        VR::UC => (usize::MAX, text, any),
        VR::CS => (16, |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ' || c == '_', any),
        VR::UI => (64, |c| c.is_ascii_digit() || c == '.', |v| !v.is_empty() && v.split('.').all(|n| !n.is_empty())),
        VR::DA => (8, |c| c.is_ascii_digit(), date),
        VR::TM => (14, |c| c.is_ascii_digit() || c == '.', time),
        VR::DT => (26, |c| c.is_ascii_digit() || "+-.".contains(c), any),
        VR::AS => (4, |c| c.is_ascii_alphanumeric(), age),
        VR::IS => (12, |c| c.is_ascii_digit() || c == '-' || c == '+', |v| v.trim().parse::<i32>().is_ok()),
        VR::DS => {
            (16, |c| c.is_ascii_digit() || "+-.eE ".contains(c), |v| v.trim().parse::<f64>().is_ok_and(f64::is_finite))
        }
        _ => return Err(format!("VR {vr} is not text")),
    };
    if length > max {
        return Err(format!("found {length} characters, VR {vr} allows {max}"));
    }
    if let Some(c) = value.chars().find(|&c| !repertoire(c)) {
        return Err(format!("found U+{:04X}, which VR {vr} does not allow", u32::from(c)));
    }
    if form(value) { Ok(()) } else { Err(format!("not of the form that VR {vr} wants")) }
}

fn any(_: &str) -> bool {
    true
}

/// ESC switches character sets (PS3.5 6.1.2.5.3); the backslash separates values.
fn text(c: char) -> bool {
    c != '\\' && (!c.is_control() || c == '\u{1b}')
}

fn paragraph(c: char) -> bool {
    !c.is_control() || "\t\r\n\u{c}\u{1b}".contains(c)
}

/// Up to three component groups of up to 64 characters and five components (PS3.5 6.2.1.1).
fn person_name(value: &str) -> bool {
    let groups: Vec<&str> = value.split('=').collect();
    groups.len() <= 3 && groups.iter().all(|g| g.chars().count() <= 64 && g.split('^').count() <= 5)
}

/// Two digits at `at` as a number.
fn two_digits(value: &str, at: usize) -> Option<u32> {
    value.get(at..at + 2)?.parse().ok()
}

fn date(value: &str) -> bool {
    let within = |at, range: std::ops::RangeInclusive<u32>| two_digits(value, at).is_some_and(|n| range.contains(&n));
    value.len() == 8 && within(4, 1..=12) && within(6, 1..=31)
}

fn time(value: &str) -> bool {
    let (whole, fraction) = value.split_once('.').map_or((value, None), |(w, f)| (w, Some(f)));
    let within = |at, below: u32| whole.len() <= at || two_digits(whole, at).is_some_and(|n| n < below);
    matches!(whole.len(), 2 | 4 | 6)
        && within(0, 24)
        && within(2, 60)
        && within(4, 61)
        && fraction.is_none_or(|f| whole.len() == 6 && (1..=6).contains(&f.len()) && !f.contains('.'))
}

fn age(value: &str) -> bool {
    value.len() == 4 && value[..3].bytes().all(|b| b.is_ascii_digit()) && value.ends_with(['D', 'W', 'M', 'Y'])
}

/// A number as a Decimal String: plain with up to `decimals` decimals where 16 characters hold it, else with an
/// exponent.
///
/// # Errors
/// [`ResultError::Value`] for NaN and infinities.
pub fn decimal_string(attribute: &str, value: f64, decimals: usize) -> Result<String, ResultError> {
    if !value.is_finite() {
        return Err(ResultError::Value {
            attribute: attribute.into(),
            reason: format!("found {value}, expected a finite number"),
        });
    }
    let mut plain = format!("{value:.decimals$}");
    if plain.contains('.') {
        plain.truncate(plain.trim_end_matches('0').trim_end_matches('.').len());
    }
    let is_zero = matches!(plain.as_str(), "0" | "-0");
    if value == 0.0 {
        Ok("0".into())
    } else if is_zero || plain.len() > 16 {
        Ok(format!("{value:.8e}"))
    } else {
        Ok(plain)
    }
}

/// A Decimal String (PS3.5 6.2) as it is where it is valid, else its number in 16 characters: scanners write more digits than
/// the VR allows.
///
/// # Errors
/// [`ResultError::Value`] for what is no finite number.
pub fn valid_decimal(attribute: &str, text: &str) -> Result<String, ResultError> {
    if check(VR::DS, text).is_ok() {
        return Ok(text.to_owned());
    }
    let value: Option<f64> = text.trim().parse().ok().filter(|v: &f64| v.is_finite());
    let shortened = value.and_then(in_sixteen);
    shortened.ok_or_else(|| ResultError::Value { attribute: attribute.into(), reason: "found no finite number".into() })
}

/// The text of at most 16 characters that is nearest to the number; of equal ones the shortest, without an exponent where that
/// does as well.
fn in_sixteen(value: f64) -> Option<String> {
    let plain = (0..16).map(|digits| format!("{value:.digits$}"));
    let forms = plain.chain((0..16).map(|digits| format!("{value:.digits$e}")));
    let off = |text: &String| text.parse::<f64>().map_or(f64::INFINITY, |v| (v - value).abs());
    forms.filter(|text| text.len() <= 16).min_by(|a, b| off(a).total_cmp(&off(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_decimals_keep_what_sixteen_characters_hold() {
        for (text, expected) in [
            ("-166.00000000000003", "-166"),
            ("-166.0", "-166.0"),
            ("0.98480775301220802", "0.98480775301221"),
            ("-0.163175911166534823", "-0.1631759111665"),
            ("0.0000000000012345678901", "1.2345678901e-12"),
            ("123456789012345678", "1.23456789012e17"),
            ("1.0E-00000000000003", "0.001"),
        ] {
            let found = valid_decimal("X", text).unwrap();
            let off = (found.parse::<f64>().unwrap() - text.parse::<f64>().unwrap()).abs();
            assert!(off <= 1e-11 * text.parse::<f64>().unwrap().abs(), "{text}: {found}");
            assert_eq!(check(VR::DS, &found), Ok(()), "{text}: {found}");
            assert_eq!(found, expected, "{text}");
        }
        assert!(valid_decimal("X", "a number").is_err());
    }
}
