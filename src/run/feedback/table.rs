//! Judgements as a table.

use super::{Feedback, Verdict};
use crate::evaluate::report::plain_cell;

const COLUMNS: [&str; 11] =
    ["Time", "Model", "Version", "Run", "Study", "Finding", "Answer", "Verdict", "Comment", "User", "Current"];

/// One line a judgement, in the order given; `Current` is 1 for those that count, 0 for what their user has replaced. UTF-8 with a byte order
/// mark, so that spreadsheets read it, and no cell is a formula.
pub fn feedback_csv(feedback: &[Feedback]) -> Vec<u8> {
    let mut lines = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(b"\xef\xbb\xbf".to_vec());
    // Writing to memory does not fail, and all lines have the header's length.
    let _ = lines.write_record(COLUMNS);
    for given in feedback {
        let line: [String; COLUMNS.len()] = [
            given.time.to_string(),
            plain_cell(&given.model),
            plain_cell(&given.version),
            given.run.to_string(),
            plain_cell(&given.study),
            plain_cell(&given.finding),
            plain_cell(&given.answer),
            given.verdict.map(Verdict::name).unwrap_or_default().to_owned(),
            plain_cell(given.comment.as_deref().unwrap_or_default()),
            plain_cell(given.user.as_deref().unwrap_or_default()),
            u8::from(given.current).to_string(),
        ];
        let _ = lines.write_record(&line);
    }
    lines.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::record::RunId;
    use crate::run::timestamp::Timestamp;

    #[test]
    fn a_table_that_spreadsheets_read_and_do_not_compute() {
        let given = Feedback {
            run: RunId("r".into()),
            model: "m".into(),
            version: "1.0".into(),
            study: "s".into(),
            finding: "1.2/Mass".into(),
            answer: "Mass: 87.0 %, present".into(),
            verdict: Some(Verdict::Reject),
            comment: Some("=HYPERLINK(\"http://elsewhere\"), \"ä\"".into()),
            user: Some("@alice".into()),
            time: Timestamp::from_milliseconds(1_767_323_045_678).unwrap(),
            current: true,
        };
        let earlier = Feedback { verdict: None, comment: None, user: None, current: false, ..given.clone() };
        let table = String::from_utf8(feedback_csv(&[given, earlier])).unwrap();
        let expected = "\u{feff}Time,Model,Version,Run,Study,Finding,Answer,Verdict,Comment,User,Current\r\n\
            2026-01-02T03:04:05.678Z,m,1.0,r,s,1.2/Mass,\"Mass: 87.0 %, present\",Reject,\
            \"'=HYPERLINK(\"\"http://elsewhere\"\"), \"\"ä\"\"\",'@alice,1\r\n\
            2026-01-02T03:04:05.678Z,m,1.0,r,s,1.2/Mass,\"Mass: 87.0 %, present\",,,,0\r\n";
        assert_eq!(table, expected);
    }
}
