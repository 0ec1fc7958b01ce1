//! The report in a few lines for a terminal.

use std::fmt::Write as _;

use super::EvaluationReport;
use super::figures::{figure, threshold};

impl EvaluationReport {
    /// Without identifiers: what failed by the case's number.
    pub fn summary(&self) -> String {
        let failed = self.failures().count();
        let mut out = String::new();
        let evaluated = self.cases.len() - failed;
        let _ = writeln!(out, "{} {}: {evaluated} cases evaluated, {failed} failed", self.model, self.version);
        for (case, reason) in self.failures() {
            let _ = writeln!(out, "  case {} failed: {reason}", case.number);
        }
        for warning in &self.warnings {
            let _ = writeln!(out, "  warning: {warning}");
        }
        if let Some(evaluation) = &self.classification {
            if let Some(classes) = &evaluation.classes {
                let _ = writeln!(out, "accuracy {}", figure(&classes.overall.accuracy));
                let _ = writeln!(out, "macro F1 {}", figure(&classes.overall.macro_f1));
                let _ = writeln!(out, "macro AUC {}", figure(&classes.macro_auc));
                let _ = writeln!(out, "| truth \\ answer | {} |", classes.names.join(" | "));
                let _ = writeln!(out, "|---|{}", "---|".repeat(classes.names.len()));
                for (name, counts) in classes.names.iter().zip(&classes.confusion) {
                    let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
                    let _ = writeln!(out, "| {name} | {} |", counts.join(" | "));
                }
            }
            for question in &evaluation.questions {
                let name = question.positive.join(" or ");
                let (positives, negatives) = (question.positives, question.negatives);
                let _ =
                    writeln!(out, "{name}: {positives} positive, {negatives} negative; AUC {}", figure(&question.auc));
                for point in &question.operating_points {
                    let rule = &point.rule;
                    let _ = match (&point.figures, point.threshold) {
                        (Some(figures), Some(at)) => writeln!(
                            out,
                            "  threshold {} ({rule}): sensitivity {}, specificity {}, F1 {}",
                            threshold(at),
                            figure(&figures.sensitivity),
                            figure(&figures.specificity),
                            figure(&figures.f1)
                        ),
                        _ => writeln!(out, "  {rule}: {}", point.reason.as_deref().unwrap_or("none")),
                    };
                }
            }
        }
        for segment in &self.segmentation {
            let _ = writeln!(out, "{}: Dice {}", segment.segment, figure(&segment.dice.mean));
            let _ = writeln!(out, "  HD95 {} mm", figure(&segment.hausdorff_95.mean));
            let _ = writeln!(out, "  volume error {} ml", figure(&segment.volume_error_ml.mean));
            let _ = writeln!(out, "  found {}", figure(&segment.sensitivity));
            let _ = writeln!(out, "  rightly left alone {}", figure(&segment.specificity));
        }
        let _ = writeln!(out, "{}", self.disclaimer);
        out
    }
}
