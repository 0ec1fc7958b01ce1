//! `orthanc-ai import FILE [--out model.safetensors]`: another program's checkpoint as ours.

use std::error::Error;
use std::path::PathBuf;

use orthanc_ai::model::import::{self, Imported};

#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// Checkpoint: .h5, .weights.h5 or .keras of Keras, .pth of PyTorch, or .safetensors
    file: PathBuf,
    /// File that receives the weights; must not exist yet
    #[arg(short, long, default_value = "model.safetensors")]
    out: PathBuf,
}

/// Prints the part of the manifest on standard output, everything else on standard error.
pub fn run(args: &ImportArgs) -> Result<(), Box<dyn Error>> {
    if args.out.exists() {
        return Err(format!("--out {}: is there already", args.out.display()).into());
    }
    let imported = import::import(&args.file).map_err(|e| format!("{}: {e}", args.file.display()))?;
    let (network, notes) = (imported.network.clone(), imported.notes.clone());
    let count = imported.state_dict.shapes().count();
    let parameters: i64 = imported.state_dict.shapes().map(|(_, shape)| shape.iter().product::<i64>()).sum();
    let weights = imported.save(&args.out).map_err(|e| format!("{}: {e}", args.out.display()))?;
    eprintln!("{}: {count} tensors, {parameters} numbers; written to {}", network.name(), args.out.display());
    for note in notes {
        eprintln!("note: {note}");
    }
    eprintln!("for the manifest (docs: models/schema.json):");
    println!("{}", serde_json::to_string_pretty(&Imported::manifest_part(&network, &weights)?)?);
    Ok(())
}
