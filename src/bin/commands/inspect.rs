//! `orthanc-ai inspect DIR`: what would run on a folder and why not.

use std::error::Error;
use std::path::PathBuf;

use orthanc_ai::config::{Config, stable_age};
use orthanc_ai::model::ModelRegistry;
use orthanc_ai::run::automatic;
use orthanc_ai::run::select;
use orthanc_ai::source::InstanceHeader;

use super::{ModelsArgs, configuration, studies};

#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// Folder with DICOM files of one or more studies
    folder: PathBuf,
    /// Orthanc's configuration (a file, or a folder of them), whose Ai.Rules are explained, too
    #[arg(long)]
    config: Option<PathBuf>,
    /// AE title that the files would come from, for rules with RemoteAet
    #[arg(long)]
    remote_aet: Option<String>,
    #[command(flatten)]
    models: ModelsArgs,
}

pub fn run(args: &InspectArgs) -> Result<(), Box<dyn Error>> {
    let registry = args.models.registry()?;
    let rules = args.config.as_deref().map(rules).transpose()?;
    let source = studies::open(&args.folder)?;
    let studies = studies::of(&source)?;
    println!("{} files, {} studies", source.len(), studies.len());
    for study in &studies {
        println!("study {}: {} instances", study.number, study.headers.len());
        print_models(&registry, &study.headers);
        if let Some(rules) = &rules {
            print_rules(&registry, rules, &study.headers, args.remote_aet.as_deref());
        }
    }
    Ok(())
}

fn print_models(registry: &ModelRegistry, headers: &[InstanceHeader]) {
    for info in registry.list() {
        let reason = info.reason.clone().unwrap_or_default();
        let verdict = match registry.manifest(&info.name) {
            None => format!("cannot run: {reason}"),
            Some(manifest) => match select::select(&manifest.input, headers, &[]) {
                Ok(selection) => {
                    // Of a channel once, not of each slice.
                    let mut views: Vec<&str> = selection.inputs.iter().map(|i| i.view.as_str()).collect();
                    views.dedup();
                    format!("would run on {}{}", named(&views), note(&reason))
                }
                Err(reason) => format!("would not run: {reason}"),
            },
        };
        println!("  {:<26} {verdict}", info.name);
    }
}

/// As GET `/studies/{id}/ai` explains them.
fn print_rules(
    registry: &ModelRegistry,
    rules: &automatic::Settings,
    headers: &[InstanceHeader],
    remote_aet: Option<&str>,
) {
    let verdicts = automatic::explain(registry, rules, headers, remote_aet);
    if verdicts.is_empty() {
        println!("  no rules: nothing is analysed by itself");
    }
    for verdict in verdicts {
        let (rule, model, trigger) = (verdict.rule, verdict.model, verdict.trigger);
        let outcome = match verdict.outcome {
            Ok(images) => format!("applies: {images} images fit"),
            Err(reason) => format!("does not apply: {reason}"),
        };
        println!("  rule \"{rule}\" ({model}, {trigger:?}) {outcome}");
    }
}

fn rules(path: &std::path::Path) -> Result<automatic::Settings, Box<dyn Error>> {
    let orthanc = configuration::read(path)?;
    let config = Config::from_orthanc(&orthanc)?;
    let stable_age = stable_age(&orthanc);
    Ok(automatic::Settings { rules: config.rules, automatic: config.automatic, stable_age })
}

/// Of hundreds of slices the first and the last.
fn named(views: &[&str]) -> String {
    match views {
        [first, .., last] if views.len() > 8 => format!("{first} to {last} ({} images)", views.len()),
        views => views.join(", "),
    }
}

fn note(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!("; but {reason}") }
}
