//! The report as one page: no script, nothing loaded from elsewhere, light and dark, printable.

use std::fmt::Write as _;

use super::figures::{decimal, escape, figure, threshold};
use super::svg::Plot;
use super::{CaseReport, EvaluationReport};
use crate::evaluate::calibration::Calibration;
use crate::evaluate::classification::{ClassesEvaluation, OperatingPoint, QuestionEvaluation};
use crate::evaluate::estimate::Measure;
use crate::evaluate::segmentation::{SegmentEvaluation, Summary};

const STYLE: &str = include_str!("report.css");
/// Cases shown one by one.
const MAX_ROWS: usize = 200;

/// The whole page.
pub fn html(report: &EvaluationReport) -> String {
    let title = format!("Evaluation of {}", report.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\"><title>{0}</title><style>{STYLE}</style></head><body><h1>{0}</h1>\
         <p class=\"disclaimer\">{1}</p>",
        escape(&title),
        escape(&disclaimer(report)),
    );
    page += &about(report);
    if let Some(evaluation) = &report.classification {
        if let Some(classes) = &evaluation.classes {
            page += &of_classes(classes);
        }
        for question in &evaluation.questions {
            page += &of_question(question, report.classes.len());
        }
    }
    for segment in &report.segmentation {
        page += &of_segment(segment);
    }
    page += &cases(report);
    page += NOTES;
    let _ = writeln!(page, "<p class=\"disclaimer\">{}</p></body></html>", escape(&disclaimer(report)));
    page
}

fn disclaimer(report: &EvaluationReport) -> String {
    let demo = if report.demo { "DEMO weights. " } else { "" };
    format!(
        "{demo}Figures of AI-generated, unverified answers, for research use only. They hold for these cases and are no clearance for \
         diagnostic use. {}",
        report.disclaimer
    )
}

fn about(report: &EvaluationReport) -> String {
    let failed = report.failures().count();
    let rows = [
        ("Model", format!("{} {}", report.model, report.version)),
        ("Weights", format!("SHA-256 {}", report.weights)),
        ("Program", format!("orthanc-ai {}", report.software_version)),
        ("Date", report.created.clone()),
        ("Truth", report.labels.clone()),
        (
            "Cases",
            format!("{} evaluated, {failed} failed, of {} patients", report.cases.len() - failed, report.patients),
        ),
        ("Case", report.combination.clone()),
    ];
    let rows: String = rows.iter().map(|(k, v)| format!("<tr><th>{k}</th><td>{}</td></tr>", escape(v))).collect();
    let warnings: String = report.warnings.iter().map(|w| format!("<li>{}</li>", escape(w))).collect();
    let warnings = if warnings.is_empty() { String::new() } else { format!("<ul class=\"warnings\">{warnings}</ul>") };
    format!("<table>{rows}</table>{warnings}")
}

fn row(name: &str, cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
    format!("<tr><th>{}</th>{cells}</tr>", escape(name))
}

fn head(columns: &[&str]) -> String {
    let cells: String = columns.iter().map(|c| format!("<th>{}</th>", escape(c))).collect();
    format!("<tr>{cells}</tr>")
}

fn figures(rows: &[(&str, &Measure)]) -> String {
    let rows: String = rows.iter().map(|(name, measure)| row(name, &[figure(measure)])).collect();
    format!("<table>{}{rows}</table>", head(&["", "value (95 % interval)"]))
}

fn of_classes(classes: &ClassesEvaluation) -> String {
    let overall = &classes.overall;
    let mut out = String::from("<h2>All classes</h2>");
    out += &figures(&[
        ("Accuracy", &overall.accuracy),
        ("Balanced accuracy (macro sensitivity)", &overall.balanced_accuracy),
        ("Macro precision", &overall.macro_precision),
        ("Macro F1", &overall.macro_f1),
        ("Cohen's kappa", &overall.cohens_kappa),
        ("AUC, macro (each class against the others)", &classes.macro_auc),
        ("AUC, micro", &classes.micro_auc),
        ("Brier score (all classes)", &classes.brier),
        ("Expected calibration error of the answer", &classes.confidence.expected_calibration_error),
    ]);
    let names: Vec<&str> = classes.names.iter().map(String::as_str).collect();
    out += "<h3>Confusion matrix</h3><table class=\"matrix\">";
    out += &head(&[&["truth \\ answer"], &names[..]].concat());
    for (name, counts) in names.iter().zip(&classes.confusion) {
        out += &row(name, &counts.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    out += "</table><h3>By class</h3><table>";
    out += &head(&["", "cases", "sensitivity", "specificity", "precision", "F1"]);
    for (name, of) in names.iter().zip(&classes.by_class) {
        let cells = [&of.sensitivity, &of.specificity, &of.precision, &of.f1].map(figure);
        out += &row(name, &[&[of.cases.to_string()], &cells[..]].concat());
    }
    out += "</table><div class=\"plots\">";
    out += &reliability("Calibration of the answer", &classes.confidence);
    out + "</div>"
}

fn of_question(question: &QuestionEvaluation, classes: usize) -> String {
    let name = question.positive.join(" or ");
    let against = if question.positive.len() < classes && classes > 2 { " against the others" } else { "" };
    let mut out = format!(
        "<h2>{}{against}</h2><p>{} positive cases, {} negative.</p>",
        escape(&name),
        question.positives,
        question.negatives
    );
    out += &figures(&[
        ("AUC", &question.auc),
        ("Average precision", &question.average_precision),
        ("Brier score", &question.calibration.brier),
        ("Expected calibration error", &question.calibration.expected_calibration_error),
    ]);
    if !question.operating_points.is_empty() {
        out += "<h3>Thresholds</h3><table>";
        let columns =
            ["", "threshold", "sensitivity", "specificity", "precision", "negative predictive value", "F1", "accuracy"];
        out += &head(&columns);
        for point in &question.operating_points {
            out += &operating_point(point);
        }
        out += "</table>";
    }
    out += "<div class=\"plots\">";
    if !question.roc.is_empty() {
        let points = question.roc.iter().map(|p| (p.false_positive_rate, p.true_positive_rate));
        let mut plot = Plot::new(format!("ROC, {name}"), "1 − specificity", "sensitivity").diagonal().line(points);
        for point in &question.operating_points {
            let Some(figures) = &point.figures else { continue };
            if let (Some(sensitivity), Some(specificity)) = (figures.sensitivity.value(), figures.specificity.value()) {
                let words = format!("{}: threshold {}", point.rule, point.threshold.map(threshold).unwrap_or_default());
                plot = plot.point((1.0 - specificity, sensitivity), figures.sensitivity.interval(), &words);
            }
        }
        out += &plot.finish();
    }
    if !question.precision_recall.is_empty() {
        let points = question.precision_recall.iter().map(|p| (p.recall, p.precision));
        let title = format!("Precision and recall, {name}");
        out += &Plot::new(title, "recall (sensitivity)", "precision").steps(points).finish();
    }
    out += &reliability(&format!("Calibration, {name}"), &question.calibration);
    out + "</div>"
}

fn operating_point(point: &OperatingPoint) -> String {
    let Some(figures) = &point.figures else {
        return row(&point.rule, &[format!("none: {}", point.reason.as_deref().unwrap_or_default())]);
    };
    let interval = point.threshold_interval;
    let interval = interval.map(|[low, high]| format!(" ({} to {})", threshold(low), threshold(high)));
    let value = format!("{}{}", point.threshold.map(threshold).unwrap_or_default(), interval.unwrap_or_default());
    let cells = [
        &figures.sensitivity,
        &figures.specificity,
        &figures.precision,
        &figures.negative_predictive_value,
        &figures.f1,
        &figures.accuracy,
    ];
    row(&point.rule, &[&[value], &cells.map(figure)[..]].concat())
}

fn reliability(title: &str, calibration: &Calibration) -> String {
    let mut plot = Plot::new(title, "probability", "observed share").diagonal();
    for bin in &calibration.bins {
        if let (Some(mean), Some(observed)) = (bin.mean_probability, bin.observed.value()) {
            plot = plot.point((mean, observed), bin.observed.interval(), &format!("{} cases", bin.cases));
        }
    }
    plot.finish()
}

fn of_segment(segment: &SegmentEvaluation) -> String {
    let mut out = format!("<h2>{}</h2><p>{} cases.</p><table>", escape(&segment.segment), segment.cases);
    out += &head(&["", "cases", "mean (95 % interval)", "SD", "least", "quartiles", "greatest"]);
    for (name, summary) in [
        ("Dice", &segment.dice),
        ("IoU", &segment.intersection_over_union),
        ("HD95, mm", &segment.hausdorff_95),
        ("Volume error, ml", &segment.volume_error_ml),
        ("Volume error, %", &segment.volume_error_percent),
        ("Absolute volume error, %", &segment.absolute_volume_error_percent),
    ] {
        out += &row(name, &summary_cells(summary));
    }
    out += "</table>";
    out + &figures(&[
        ("Found: the answer overlaps with the reference", &segment.sensitivity),
        ("Rightly left alone: both are empty", &segment.specificity),
    ])
}

fn summary_cells(summary: &Summary) -> Vec<String> {
    let text = |value: Option<f64>| value.map(decimal).unwrap_or_default();
    let quartiles = [summary.first_quartile, summary.median, summary.third_quartile];
    vec![
        summary.cases.to_string(),
        figure(&summary.mean),
        text(summary.standard_deviation),
        text(summary.minimum),
        quartiles.map(text).join(" / "),
        text(summary.maximum),
    ]
}

fn cases(report: &EvaluationReport) -> String {
    let mut out = String::from(
        "<h2>Cases</h2><p>Numbered as in the table of the cases (CSV), which names them as the labels do.</p>",
    );
    let segments: Vec<&str> = report.segmentation.iter().map(|s| s.segment.as_str()).collect();
    let mut columns = vec!["case", "images"];
    if !report.classes.is_empty() {
        columns.extend(["truth", "answer", "probability of the answer"]);
    }
    let names: Vec<String> = segments.iter().flat_map(|s| [format!("{s}: Dice"), format!("{s}: HD95, mm")]).collect();
    columns.extend(names.iter().map(String::as_str));
    columns.push("failed");
    let _ = write!(out, "<table>{}", head(&columns));
    // Those that failed first: nobody should have to look for them.
    let (failed, evaluated): (Vec<_>, Vec<_>) = report.cases.iter().partition(|c| c.failed.is_some());
    for case in failed.into_iter().chain(evaluated).take(MAX_ROWS) {
        out += &case_row(case, report.classes.is_empty(), &segments);
    }
    out += "</table>";
    if report.cases.len() > MAX_ROWS {
        let _ = write!(out, "<p>{} more cases are in the table of the cases (CSV).</p>", report.cases.len() - MAX_ROWS);
    }
    out
}

fn case_row(case: &CaseReport, without_classes: bool, segments: &[&str]) -> String {
    let mut cells = vec![case.images.to_string()];
    if !without_classes {
        let highest = case.probabilities.iter().copied().reduce(f64::max);
        cells.extend([
            case.truth.clone().unwrap_or_default(),
            case.answer.clone().unwrap_or_default(),
            highest.map(decimal).unwrap_or_default(),
        ]);
    }
    for segment in segments {
        let found = case.segments.iter().find(|s| s.segment == *segment).map(|s| &s.overlap);
        cells.extend(
            [found.map(|o| figure(&o.dice)), found.map(|o| figure(&o.hausdorff_95))].map(Option::unwrap_or_default),
        );
    }
    cells.push(case.failed.clone().unwrap_or_default());
    row(&case.number.to_string(), &cells)
}

const NOTES: &str = "<h2>How to read this</h2><ul>\
<li>Intervals are of 95 %: Wilson's for proportions, DeLong's for the area under the ROC curve (AUC), else 2000 bootstrap resamples \
with a fixed seed. They take the cases as independent; images of one patient are not, and then the intervals are too narrow.</li>\
<li>A threshold that was chosen here was chosen on these cases, and its figures are of the same cases: expect a little less on others.</li>\
<li>A case is positive from the threshold on. The threshold lies midway between two scores of the cases.</li>\
<li>Calibration: ten bins of equal width; bars are the intervals of the observed share.</li>\
<li>Dice and IoU leave out cases where reference and answer are both empty; HD95 needs both. HD95: 95th percentile of the distances \
from each surface voxel to the other surface, the larger of the two directions, between voxel centres.</li></ul>";
