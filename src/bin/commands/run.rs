//! `orthanc-ai run MODEL DIR -o OUT`: the plugin's pipeline on a folder, without a server.

use std::error::Error;
use std::path::PathBuf;

use orthanc_ai::result::report::{Classification, ImageReport};
use orthanc_ai::run::pipeline::{self, FirstModel};
use orthanc_ai::run::select;
use orthanc_ai::run::{Limits, Origin, RunRequest};
use orthanc_ai::source::directory::DirectoryStore;
use orthanc_ai::source::{InstanceSource, Level, Resource, ResultStore, StoreStatus};

use super::studies::{self, Study};
use super::{ModelsArgs, Quiet, load};

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The model's name, as `orthanc-ai check` lists it
    model: String,
    /// Folder with DICOM files of one or more studies
    folder: PathBuf,
    /// Folder that receives the result objects
    #[arg(short, long)]
    out: PathBuf,
    /// New result UIDs even if the same input was analysed before
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    models: ModelsArgs,
}

pub fn run(args: &RunArgs) -> Result<(), Box<dyn Error>> {
    let (registry, device) = (args.models.registry()?, args.models.device()?);
    let mut model = load(&registry, &args.model, device)?;
    // A folder has no runs that are remembered: the first of two stages is always run.
    let mut first = match &model.manifest.input.region_of_interest {
        Some(spec) => Some(load(&registry, &spec.model, device)?),
        None => None,
    };
    let source = studies::open(&args.folder)?;
    let store = DirectoryStore::create(&args.out)?;
    let (mut refused, mut failed) = (Vec::new(), Vec::new());
    let mut done = 0usize;
    for Study { number, headers } in studies::of(&source)? {
        let selection = match select::select(&model.manifest.input, &headers, &[]) {
            Ok(selection) => selection,
            Err(reason) => {
                refused.push(format!("study {number}: {reason}"));
                continue;
            }
        };
        let request = RunRequest {
            model: args.model.clone(),
            resource: Resource::new(Level::Study, number.to_string()),
            study: number.to_string(),
            inputs: selection.inputs,
            warnings: selection.warnings,
            origin: Origin::Tool,
            priority: 0,
            force: args.force,
            not_before: None,
        };
        let stage = FirstModel { model: first.as_mut(), regions: None };
        let ports: (&dyn InstanceSource, &dyn ResultStore) = (&source, &store);
        let outcome = match pipeline::run_staged(ports, &mut model, stage, &request, Limits::default(), &Quiet) {
            Ok(outcome) => outcome,
            Err(e) => {
                failed.push(format!("study {number}: {e}"));
                continue;
            }
        };
        done += 1;
        println!("study {number}: {} {}", outcome.report.model, outcome.report.version);
        let overall = outcome.report.overall.as_ref();
        if let Some(o) = overall {
            println!("  {:<8} {}", "all", in_words(&o.result));
            println!("  {}; {} of {} analysed; carried by:", o.method, o.analysed, o.total);
        }
        for segment in outcome.report.segmentation.iter().flat_map(|s| &s.segments) {
            println!("  {:<8} {}", "volume", segment.finding);
        }
        let images = outcome.report.images.iter().enumerate();
        let told = |i: usize, image: &ImageReport| overall.is_none_or(|o| o.carrying.contains(&i) || !image.success);
        for image in images.filter(|(i, image)| told(*i, image)).map(|(_, image)| image) {
            match (&image.result, &image.segmentation) {
                (Some(r), _) => println!("  {:<8} {}", image.view, in_words(r)),
                (None, Some(s)) => {
                    let findings: Vec<&str> = s.segments.iter().map(|s| s.finding.as_str()).collect();
                    println!("  {:<8} {}", image.view, findings.join("; "));
                }
                (None, None) => println!("  {:<8} failed: {}", image.view, image.error.as_deref().unwrap_or_default()),
            }
        }
        for warning in request.warnings.iter().chain(&outcome.warnings) {
            println!("  warning: {warning}");
        }
        for stored in &outcome.stored {
            let note = if stored.status == StoreStatus::AlreadyStored { " (was there already)" } else { "" };
            println!("  {} {}{note}", stored.kind, args.out.join(&stored.path).display());
        }
        println!("  {}", outcome.report.disclaimer);
        println!("  {:.2} s in all", outcome.stage_seconds.get("total").copied().unwrap_or_default());
    }
    for reason in &refused {
        eprintln!("not run: {reason}");
    }
    if !failed.is_empty() {
        return Err(failed.join("; ").into());
    }
    if done == 0 {
        return Err(format!("{} applies to nothing in this folder", args.model).into());
    }
    Ok(())
}

/// The winning class, its probability, and how far the answers spread that the model combines.
fn in_words(result: &Classification) -> String {
    let spread = result.spread.map(|s| format!(" ± {:.1} %", s * 100.0)).unwrap_or_default();
    format!("{:<26} {:5.1} %{spread}", result.class, result.probability * 100.0)
}
