//! `orthanc-ai phantom`: writes synthetic mammograms.

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use orthanc_ai::phantom::{Class, ExamOptions, exam};

/// Writes a four-view exam of synthetic mammograms as DICOM files.
#[derive(Debug, Args)]
pub struct PhantomArgs {
    /// What to make.
    kind: Kind,
    /// Folder for the files; made if it does not exist.
    #[arg(short, long)]
    out: PathBuf,
    /// Equal seeds give equal files.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What L-CC, R-CC, L-MLO and R-MLO show.
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "mass,calcification,architectural/asymmetry,normal", value_parser = class)]
    classes: Vec<Class>,
    #[arg(long, default_value_t = 3328)]
    rows: usize,
    #[arg(long, default_value_t = 2560)]
    columns: usize,
    #[arg(long, default_value_t = 0.07)]
    spacing_mm: f32,
    #[arg(long, default_value_t = 12)]
    bits_stored: u16,
    /// MONOCHROME1.
    #[arg(long)]
    inverted: bool,
    /// Write pictures (PNG, an eighth of the size) beside the files.
    #[arg(long)]
    png: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Four views, one file each.
    Mammography,
}

fn class(name: &str) -> Result<Class, String> {
    Class::from_name(name).ok_or_else(|| {
        let known = Class::ALL.map(|c| c.name().to_lowercase());
        format!("found \"{name}\", expected one of {}", known.join(", "))
    })
}

pub fn run(args: PhantomArgs) -> Result<(), Box<dyn Error>> {
    let Kind::Mammography = args.kind;
    let classes: [Class; 4] =
        args.classes.try_into().map_err(|c: Vec<Class>| format!("--classes: found {}, expected 4", c.len()))?;
    let options = ExamOptions {
        seed: args.seed,
        classes,
        size: (args.rows, args.columns),
        spacing_mm: args.spacing_mm,
        bits_stored: args.bits_stored,
        inverted: args.inverted,
    };
    std::fs::create_dir_all(&args.out)?;
    for instance in exam(&options)? {
        let path = instance.write_to(&args.out)?;
        println!("{}  {}", path.display(), instance.phantom.class.name());
        if args.png {
            instance.thumbnail(700)?.save(path.with_extension("png"))?;
        }
    }
    Ok(())
}
