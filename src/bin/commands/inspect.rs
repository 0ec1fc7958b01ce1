//! `orthanc-ai inspect DIR`: what would run on a folder and why not.

use std::error::Error;
use std::path::PathBuf;

use orthanc_ai::run::select;
use orthanc_ai::source::directory::DirectorySource;

use super::{ModelsArgs, studies};

#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// Folder with DICOM files of one or more studies
    folder: PathBuf,
    #[command(flatten)]
    models: ModelsArgs,
}

pub fn run(args: &InspectArgs) -> Result<(), Box<dyn Error>> {
    let registry = args.models.registry()?;
    let source = DirectorySource::open(&args.folder)?;
    let studies = studies::of(&source)?;
    println!("{} files, {} studies", source.len(), studies.len());
    for study in &studies {
        println!("study {}: {} instances", study.number, study.headers.len());
        for info in registry.list() {
            let reason = info.reason.clone().unwrap_or_default();
            let verdict = match registry.manifest(&info.name) {
                None => format!("cannot run: {reason}"),
                Some(manifest) => match select::select(&manifest.input, &study.headers, &[]) {
                    Ok(selection) => {
                        // Of a channel once, not of each slice.
                        let mut views: Vec<&str> = selection.inputs.iter().map(|i| i.view.as_str()).collect();
                        views.dedup();
                        format!("would run on {}{}", views.join(", "), note(&reason))
                    }
                    Err(reason) => format!("would not run: {reason}"),
                },
            };
            println!("  {:<26} {verdict}", info.name);
        }
    }
    Ok(())
}

fn note(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!("; but {reason}") }
}
