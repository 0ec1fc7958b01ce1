//! `orthanc-ai check [MODEL]`: manifest, weights, and a dry run.

use std::error::Error;

use super::{ModelsArgs, load};

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The model's name; every model where it is left out
    model: Option<String>,
    #[command(flatten)]
    models: ModelsArgs,
}

pub fn run(args: &CheckArgs) -> Result<(), Box<dyn Error>> {
    let (registry, device) = (args.models.registry()?, args.models.device()?);
    let names: Vec<String> = match &args.model {
        Some(name) => vec![name.clone()],
        None => registry.list().into_iter().map(|m| m.name).collect(),
    };
    if names.is_empty() {
        return Err("no model in the models directory".into());
    }
    let mut failed = 0usize;
    for name in &names {
        match load(&registry, name, device) {
            Ok(model) => println!(
                "{name}: ready; version {}, weights SHA-256 {}, dry run done on {}",
                model.manifest.version,
                model.weights_sha256,
                device.describe()
            ),
            Err(reason) => {
                failed += 1;
                println!("{name}: {reason}");
            }
        }
    }
    // A model that was asked for by name has to be ready; in the list, one without weights is what was shipped.
    if args.model.is_some() && failed > 0 { Err("not ready".into()) } else { Ok(()) }
}
