//! What readers say, in the store of runs.

use super::StoreError;
use super::connection::{Database, Durability, Fault, Value};
use super::sql::SqlRunStore;
use super::statements::{integer, query, text};
use crate::run::feedback::agreement::FeedbackCount;
use crate::run::feedback::{Feedback, Judgement, Verdict};
use crate::run::record::{Run, RunId};
use crate::run::timestamp::Timestamp;

/// Keeps judgements with their run, and no longer. As with [`super::RunStore`] every method is one transaction.
pub trait FeedbackStore {
    /// Of the same user's judgements of the finding this one counts from now on. None where the run is gone.
    fn judge(&self, run: &Run, judgement: &Judgement) -> Result<Option<Feedback>, StoreError>;

    /// Of one run, the newest first, replaced ones too.
    fn feedback_of(&self, run: &RunId) -> Result<Vec<Feedback>, StoreError>;

    /// Of all runs, or a model's; the oldest first, replaced ones too.
    fn feedback(&self, model: Option<&str>) -> Result<Vec<Feedback>, StoreError>;

    /// The verdicts that count, of all models or one.
    fn feedback_counts(&self, model: Option<&str>) -> Result<Vec<FeedbackCount>, StoreError>;
}

/// What [`feedback`] reads, in this order.
const COLUMNS: &str =
    "f.run, f.model, f.version, r.study, f.finding, f.answer, f.verdict, f.comment, f.reader, f.created, f.is_current";
const TABLES: &str = "orthanc_ai_feedback f JOIN orthanc_ai_runs r ON r.id = f.run";

impl<D: Database> FeedbackStore for SqlRunStore<D> {
    fn judge(&self, run: &Run, judgement: &Judgement) -> Result<Option<Feedback>, StoreError> {
        // The run's row, so that of two judgements at once one is the later.
        let lock = "SELECT id FROM orthanc_ai_runs WHERE id = ?1 {for update}";
        let replace = "UPDATE orthanc_ai_feedback SET is_current = 0
            WHERE run = ?1 AND finding = ?2 AND reader = ?3 AND is_current = 1";
        let insert = "INSERT INTO orthanc_ai_feedback (run, finding, reader, model, version, answer, verdict, comment, created, is_current)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, {now}, 1) RETURNING sequence";
        let read = format!("SELECT {COLUMNS} FROM {TABLES} WHERE f.sequence = ?1");
        let whose: [Value; 3] = [
            run.id.0.as_str().into(),
            judgement.finding.as_str().into(),
            judgement.user.as_deref().unwrap_or_default().into(),
        ];
        let mut values = whose.to_vec();
        values.extend::<[Value; 5]>([
            run.request.model.as_str().into(),
            run.card.version.as_str().into(),
            judgement.answer.as_str().into(),
            judgement.verdict.map(Verdict::name).into(),
            judgement.comment.as_deref().into(),
        ]);
        self.write(Durability::Full, |c| {
            if query::<D>(c, lock, &whose[..1])?.is_empty() {
                return Ok(None);
            }
            query::<D>(c, replace, &whose)?;
            let rows = query::<D>(c, insert, &values)?;
            let sequence = rows.first().and_then(|row| integer(row, 0)).unwrap_or_default();
            query::<D>(c, &read, &[sequence.into()])?.first().map(|row| feedback(row)).transpose()
        })
    }

    fn feedback_of(&self, run: &RunId) -> Result<Vec<Feedback>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE f.run = ?1 ORDER BY f.sequence DESC");
        self.all(&sql, &[run.0.as_str().into()])
    }

    fn feedback(&self, model: Option<&str>) -> Result<Vec<Feedback>, StoreError> {
        let (of_model, values) = of_model(model);
        self.all(&format!("SELECT {COLUMNS} FROM {TABLES} WHERE {of_model} ORDER BY f.sequence"), &values)
    }

    fn feedback_counts(&self, model: Option<&str>) -> Result<Vec<FeedbackCount>, StoreError> {
        let (of_model, values) = of_model(model);
        let sql = format!(
            "SELECT f.model, f.version, f.created / 86400000, f.verdict, count(*) FROM orthanc_ai_feedback f
            WHERE {of_model} AND f.is_current = 1 AND f.verdict IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        );
        let count = |row: &Vec<Value>| {
            Some(FeedbackCount {
                model: text(row, 0).to_owned(),
                version: text(row, 1).to_owned(),
                day: integer(row, 2)?,
                verdict: Verdict::from_name(text(row, 3))?,
                verdicts: usize::try_from(integer(row, 4)?).ok()?,
            })
        };
        Ok(self.read(&sql, &values)?.iter().filter_map(count).collect())
    }
}

impl<D: Database> SqlRunStore<D> {
    fn all(&self, sql: &str, values: &[Value]) -> Result<Vec<Feedback>, StoreError> {
        let rows = self.read(sql, values)?;
        // What cannot be read is of another version of this plugin.
        Ok(rows.iter().filter_map(|row| feedback(row).ok()).collect())
    }
}

fn of_model(model: Option<&str>) -> (&'static str, Vec<Value>) {
    model.map_or(("1 = 1", Vec::new()), |model| ("f.model = ?1", vec![model.into()]))
}

fn feedback(row: &[Value]) -> Result<Feedback, Fault> {
    let run = RunId(text(row, 0).to_owned());
    let optional = |column: usize| Some(text(row, column)).filter(|text| !text.is_empty());
    let unreadable = |reason: &str| Fault::Unreadable { id: run.clone(), reason: reason.into() };
    let verdict = match optional(6) {
        Some(name) => {
            Some(Verdict::from_name(name).ok_or_else(|| unreadable("a verdict is neither Accept nor Reject"))?)
        }
        None => None,
    };
    let time =
        integer(row, 9).and_then(Timestamp::from_milliseconds).ok_or_else(|| unreadable("feedback has no time"))?;
    Ok(Feedback {
        model: text(row, 1).to_owned(),
        version: text(row, 2).to_owned(),
        study: text(row, 3).to_owned(),
        finding: text(row, 4).to_owned(),
        answer: text(row, 5).to_owned(),
        verdict,
        comment: optional(7).map(str::to_owned),
        user: optional(8).map(str::to_owned),
        time,
        current: integer(row, 10) == Some(1),
        run,
    })
}
