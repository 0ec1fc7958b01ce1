//! Numbers for people.

/// "87.0 %", of 0..=1.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// "87.0 % ± 3.2 %"
pub fn with_spread(share: f64, spread: Option<f64>) -> String {
    match spread {
        Some(spread) => format!("{} ± {}", percent(share), percent(spread)),
        None => percent(share),
    }
}

/// "2026-03-02 11:22:33 UTC" of RFC 3339.
pub fn moment(rfc3339: &str) -> String {
    let Some((date, time)) = rfc3339.split_once('T') else { return rfc3339.to_owned() };
    let clock = time.get(..8).unwrap_or(time);
    let zone = time.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':' || c == '.');
    format!("{date} {clock} {}", if zone == "Z" { "UTC" } else { zone })
}

/// "1970-01-31" of a DICOM date (PS3.5 6.2, DA); other texts as they are.
pub fn date(da: &str) -> String {
    let digits = da.len() == 8 && da.bytes().all(|b| b.is_ascii_digit());
    if digits { format!("{}-{}-{}", &da[..4], &da[4..6], &da[6..]) } else { da.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_people() {
        assert_eq!(with_spread(0.8701, Some(0.032)), "87.0 % ± 3.2 %");
        assert_eq!(with_spread(1.0, None), "100.0 %");
        assert_eq!(moment("2026-03-02T11:22:33.5Z"), "2026-03-02 11:22:33 UTC");
        assert_eq!(moment("2026-03-02T11:22:33+09:00"), "2026-03-02 11:22:33 +09:00");
        assert_eq!(moment("soon"), "soon");
        assert_eq!((date("19700131"), date("unknown")), ("1970-01-31".to_owned(), "unknown".to_owned()));
    }
}
