//! `orthanc-ai inspect DIR`: what would run on a folder and why not.

use std::path::PathBuf;

use orthanc_ai::model::ModelRegistry;
use orthanc_ai::run::select;
use orthanc_ai::source::directory::DirectorySource;

use super::{CommandError, ModelsArgs, studies};

#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// Folder with DICOM files of one or more studies
    folder: PathBuf,
    #[command(flatten)]
    models: ModelsArgs,
}

pub fn run(args: &InspectArgs) -> Result<(), CommandError> {
    let registry = ModelRegistry::open(&args.models.models_directory);
    let source = DirectorySource::open(&args.folder)?;
    let studies = studies::of(&source)?;
    println!("{} files, {} studies", source.len(), studies.len());
    for study in &studies {
        println!("study {}: {} instances", study.number, study.headers.len());
        for info in registry.list() {
            let verdict = match &info.manifest {
                None => format!("cannot run: {}", info.state.describe()),
                Some(manifest) => match select::select(&manifest.input, &study.headers) {
                    Ok(selection) => {
                        let views: Vec<&str> = selection.inputs.iter().map(|i| i.view.as_str()).collect();
                        format!("would run on {}{}", views.join(", "), note(&info.state.describe()))
                    }
                    Err(reason) => format!("would not run: {reason}"),
                },
            };
            println!("  {:<26} {verdict}", info.name);
        }
    }
    Ok(())
}

/// States other than "found, not loaded yet" are worth a word.
fn note(state: &str) -> String {
    if state.is_empty() { String::new() } else { format!(" (weights: {state})") }
}
