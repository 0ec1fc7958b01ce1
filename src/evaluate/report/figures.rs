//! Numbers for people.

use crate::evaluate::estimate::Measure;

/// "0.912 (0.871 to 0.953)", or why there is none.
pub(super) fn figure(measure: &Measure) -> String {
    match measure {
        Measure::Undefined(reason) => format!("none: {reason}"),
        Measure::Estimate(e) => {
            let counts = e.counts.map(|[hits, total]| format!(", {hits} of {total}")).unwrap_or_default();
            match e.interval {
                Some([low, high]) => format!("{} ({} to {}){counts}", decimal(e.value), decimal(low), decimal(high)),
                None => format!("{}{counts}", decimal(e.value)),
            }
        }
    }
}

/// Three significant places behind the point, fewer of large numbers.
pub(super) fn decimal(value: f64) -> String {
    let text = if value.abs() >= 100.0 { format!("{value:.1}") } else { format!("{value:.3}") };
    // "-0.000" is 0.
    if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    }
}

/// A threshold, as exactly as a manifest needs it.
pub(super) fn threshold(value: f64) -> String {
    format!("{value:.4}")
}

/// A text within HTML, also within a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
