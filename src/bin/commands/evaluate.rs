//! `orthanc-ai evaluate MODEL [DIR]`: how right a model is. About the studies of a folder whose truth is known, through the pipeline of any
//! run and storing nothing of it; without a folder, about phantoms that training never draws.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Args;
use orthanc_ai::evaluate::report::{cases_csv, html};
use orthanc_ai::evaluate::{EvaluationReport, Labels, ThresholdRule};
use orthanc_ai::manifest::{Manifest, OVERRIDE_FILE};
use orthanc_ai::model::train::{Detector, EvaluateOptions, evaluate};
use orthanc_ai::run::Limits;
use orthanc_ai::run::evaluation::{Combine, EvaluationSettings, Evaluator, LabelSource, Names, studies};
use orthanc_ai::source::directory::DirectorySource;
use orthanc_ai::source::{InstanceId, InstanceSource, Level, Resource};
use regex::Regex;

use super::{ModelsArgs, Quiet, load};

/// Says how right a model is, with 95 % intervals.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// The model's name, as `orthanc-ai check` lists it, or its folder
    model: PathBuf,
    /// Folder with DICOM files of the cases; without it the model is tried on phantoms
    folder: Option<PathBuf>,
    #[command(flatten)]
    cases: CasesArgs,
    #[command(flatten)]
    phantoms: PhantomsArgs,
    #[command(flatten)]
    models: ModelsArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Cases of a folder")]
struct CasesArgs {
    /// CSV with a header: SOPInstanceUID, File, SeriesInstanceUID, StudyInstanceUID or PatientID; and label (a class, or 0 or 1), or
    /// reference (a file with the masks)
    #[arg(long, requires = "folder", group = "truth")]
    labels: Option<PathBuf>,
    /// The label is the group "label" (else the first group) of this pattern in the file's name below the folder
    #[arg(long, value_name = "REGEX", requires = "folder", group = "truth")]
    label_from_name: Option<Regex>,
    /// The label is the value of this DICOM attribute
    #[arg(long, value_name = "KEYWORD", requires = "folder", group = "truth")]
    label_tag: Option<String>,
    /// Classes that count as positive together; needed where labels are 0 or 1
    #[arg(long, value_name = "CLASS", value_delimiter = ',', requires = "folder")]
    positive: Vec<String>,
    /// Choose the threshold that finds this share of the positive cases
    #[arg(long, value_name = "SHARE", requires = "folder", conflicts_with = "youden")]
    sensitivity: Option<f64>,
    /// Choose the threshold that leaves this share of the negative cases alone; with --sensitivity: Undetermined between the two
    #[arg(long, value_name = "SHARE", requires = "folder", conflicts_with = "youden")]
    specificity: Option<f64>,
    /// Choose the threshold of the highest sensitivity + specificity
    #[arg(long, requires = "folder")]
    youden: bool,
    /// How several images of one case make one answer: mean, max
    #[arg(long, default_value = "mean", value_parser = combine, requires = "folder")]
    combine: Combine,
    /// Cases of the table that are not in the folder are listed, and stop nothing
    #[arg(long, requires = "folder")]
    allow_missing: bool,
    /// Folder for evaluation.json, evaluation.html, cases.csv, and override.json where a threshold was asked for
    #[arg(short, long, requires = "folder")]
    out: Option<PathBuf>,
    /// Put the chosen thresholds into the model's folder (override.json): from the next start on they decide Present and Absent
    #[arg(long, requires = "folder")]
    write_thresholds: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Phantoms")]
struct PhantomsArgs {
    #[arg(long, default_value_t = EvaluateOptions::default().seed, conflicts_with = "folder")]
    seed: u64,
    #[arg(long, conflicts_with = "folder")]
    images: Option<usize>,
    /// Pixel spacing; with --rows and --columns. Without the three: mixed, as in training.
    #[arg(long, requires_all = ["rows", "columns"], conflicts_with = "folder")]
    spacing_mm: Option<f32>,
    #[arg(long, requires = "spacing_mm")]
    rows: Option<usize>,
    #[arg(long, requires = "spacing_mm")]
    columns: Option<usize>,
}

fn combine(name: &str) -> Result<Combine, String> {
    Combine::from_name(name).ok_or_else(|| format!("found \"{name}\", expected mean or max"))
}

pub fn run(args: &EvaluateArgs) -> Result<(), Box<dyn Error>> {
    match &args.folder {
        Some(folder) => cases(args, folder),
        None => phantoms(args),
    }
}

/// The model's folder: as it is given, or by its name below the models directory.
fn model_folder(args: &EvaluateArgs) -> PathBuf {
    if args.model.join("manifest.json").is_file() {
        args.model.clone()
    } else {
        args.models.models_directory.join(&args.model)
    }
}

fn phantoms(args: &EvaluateArgs) -> Result<(), Box<dyn Error>> {
    let PhantomsArgs { seed, images, spacing_mm, rows, columns } = args.phantoms;
    let detector = match (spacing_mm, rows, columns) {
        (Some(spacing_mm), Some(rows), Some(columns)) => Some(Detector { spacing_mm, size: (rows, columns) }),
        _ => None,
    };
    let threads = args.models.threads.unwrap_or(EvaluateOptions::default().threads);
    print!("{}", evaluate(&model_folder(args), &EvaluateOptions { seed, images, detector, threads })?);
    Ok(())
}

fn cases(args: &EvaluateArgs, folder: &Path) -> Result<(), Box<dyn Error>> {
    let model_folder = model_folder(args);
    let name = model_folder.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
    let models = ModelsArgs {
        models_directory: folder_of(&model_folder),
        device: args.models.device.clone(),
        threads: args.models.threads,
    };
    let (registry, device) = (models.registry()?, models.device()?);
    let mut model = load(&registry, &name, device)?;
    let mut first = match &model.manifest.input.region_of_interest {
        Some(spec) => Some(load(&registry, &spec.model, device)?),
        None => None,
    };
    let source = super::studies::open(folder)?;
    let mut evaluator = Evaluator::new(model.manifest.clone(), model.weights_sha256.clone(), settings(&args.cases)?)?;
    let headers = source.headers(&Resource::new(Level::Study, "folder"))?;
    evaluator.leave_out(headers.iter().filter(|h| h.unreadable_reason().is_some()).count());
    let names = FolderNames { source: &source, folder };
    let mut units = Vec::new();
    for study in studies(&headers) {
        units.extend(evaluator.plan(&study, &names)?);
    }
    let missing = evaluator.missing();
    if !missing.is_empty() && !args.cases.allow_missing {
        return Err(missing_lines(&missing).into());
    }
    for (done, unit) in units.iter().enumerate() {
        eprintln!("input {} of {}", done + 1, units.len());
        evaluator.run(unit, &source, (&mut model, first.as_mut()), Limits::default(), &Quiet)?;
    }
    let report = evaluator.report()?;
    print!("{}", report.summary());
    write(args, &report, &model.manifest, &model_folder)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => ".".into(),
        Some(parent) => parent.to_path_buf(),
        None => path.to_path_buf(),
    }
}

fn missing_lines(missing: &[usize]) -> String {
    let lines: Vec<String> = missing.iter().take(10).map(ToString::to_string).collect();
    let more = if missing.len() > 10 { format!(" and {} more", missing.len() - 10) } else { String::new() };
    format!(
        "labels: no file in the folder belongs to the case of line {}{more}; --allow-missing goes on without",
        lines.join(", ")
    )
}

fn settings(args: &CasesArgs) -> Result<EvaluationSettings, Box<dyn Error>> {
    let labels = if let Some(file) = &args.labels {
        let size = std::fs::metadata(file).map_err(|e| format!("--labels: {e}"))?.len();
        if size > orthanc_ai::evaluate::labels::MAX_BYTES as u64 {
            return Err(format!("--labels: found {size} bytes, too many for a table of labels").into());
        }
        LabelSource::Table(Labels::from_csv(&std::fs::read(file).map_err(|e| format!("--labels: {e}"))?)?)
    } else if let Some(pattern) = &args.label_from_name {
        LabelSource::Name(pattern.clone())
    } else if let Some(keyword) = &args.label_tag {
        LabelSource::Tag(keyword.clone())
    } else {
        LabelSource::References
    };
    let rules = [
        args.sensitivity.map(ThresholdRule::Sensitivity),
        args.specificity.map(ThresholdRule::Specificity),
        args.youden.then_some(ThresholdRule::Youden),
    ];
    let rules = rules.into_iter().flatten().collect();
    Ok(EvaluationSettings { labels, positive: args.positive.clone(), rules, combine: args.combine })
}

fn write(
    args: &EvaluateArgs,
    report: &EvaluationReport,
    manifest: &Manifest,
    model_folder: &Path,
) -> Result<(), Box<dyn Error>> {
    let asked = args.cases.sensitivity.is_some() || args.cases.specificity.is_some() || args.cases.youden;
    if args.cases.write_thresholds && !asked {
        return Err("--write-thresholds: expected --sensitivity, --specificity or --youden".into());
    }
    let thresholds = if asked { Some(report.thresholds(manifest)) } else { None };
    let json = match &thresholds {
        Some(Ok(found)) => Some(serde_json::to_string_pretty(found)? + "\n"),
        Some(Err(reason)) => {
            eprintln!("no {OVERRIDE_FILE}: {reason}");
            None
        }
        None => None,
    };
    if let Some(out) = &args.cases.out {
        std::fs::create_dir_all(out)?;
        std::fs::write(out.join("evaluation.json"), serde_json::to_string_pretty(report)? + "\n")?;
        std::fs::write(out.join("evaluation.html"), html(report))?;
        std::fs::write(out.join("cases.csv"), cases_csv(report))?;
        if let Some(json) = &json {
            std::fs::write(out.join(OVERRIDE_FILE), json)?;
        }
    }
    if args.cases.write_thresholds {
        let json = json.ok_or("no thresholds were written")?;
        let file = model_folder.join(OVERRIDE_FILE);
        std::fs::write(&file, json).map_err(|e| format!("{}: {e}", file.display()))?;
        println!("{} holds from the next start on", file.display());
    }
    Ok(())
}

struct FolderNames<'a> {
    source: &'a DirectorySource,
    folder: &'a Path,
}

impl Names for FolderNames<'_> {
    fn file(&self, id: &InstanceId) -> Option<String> {
        let relative = self.source.path(id)?.strip_prefix(self.folder).ok()?;
        let parts: Option<Vec<&str>> = relative.iter().map(|part| part.to_str()).collect();
        Some(parts?.join("/"))
    }

    /// By its name below the folder, or by its bare name where it is the only one of it.
    fn find(&self, file: &str) -> Option<InstanceId> {
        let wanted = file.replace('\\', "/");
        let wanted = wanted.trim_start_matches("./");
        let ids = || (0..self.source.len()).map(|i| InstanceId(i.to_string()));
        let exact = ids().find(|id| self.file(id).as_deref() == Some(wanted));
        exact.or_else(|| {
            let mut bare = ids().filter(|id| self.file(id).is_some_and(|f| f.rsplit('/').next() == Some(wanted)));
            bare.next().filter(|_| bare.next().is_none())
        })
    }
}
