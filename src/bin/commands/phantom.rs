//! `orthanc-ai phantom`: writes synthetic exams.

mod breast_slices;
mod dermoscopy;
mod head_ct;
mod labels;

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use orthanc_ai::phantom::{BreastMriPhantom, Class, ExamOptions, Orientation, SeriesLayout, exam};

#[derive(Debug, Args)]
pub struct PhantomArgs {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// A four-view exam of synthetic mammograms, one file each
    Mammography(MammographyArgs),
    /// A synthetic dynamic contrast-enhanced MRI of the breasts, four phases, one file a slice
    BreastMri(BreastMriArgs),
    /// Synthetic CTs of the head, with and without haemorrhage, one folder a study, and labels.csv
    HeadCt(head_ct::HeadCtArgs),
    /// Single slices of synthetic breast MRI, one file each, and labels.csv
    BreastSlices(breast_slices::BreastSlicesArgs),
    /// Synthetic dermoscopy, one file a picture, and labels.csv
    Dermoscopy(dermoscopy::DermoscopyArgs),
}

#[derive(Debug, Args)]
struct MammographyArgs {
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

#[derive(Debug, Args)]
struct BreastMriArgs {
    /// Folder for the files, one folder a series; made if it does not exist.
    #[arg(short, long)]
    out: PathBuf,
    /// Equal seeds give equal files.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Slices, rows, columns.
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "110,256,256")]
    size: Vec<usize>,
    /// Between slices, rows, columns.
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "1.8,1.3,1.3")]
    spacing_mm: Vec<f32>,
    #[arg(long, value_enum, default_value = "axial")]
    orientation: Slices,
    /// Without a tumour.
    #[arg(long)]
    normal: bool,
    /// All phases in one series.
    #[arg(long)]
    one_series: bool,
    /// InstanceNumber falls along the slices' normal.
    #[arg(long)]
    reversed: bool,
    /// Write a picture (PNG) of the tumour's slice in the four phases.
    #[arg(long)]
    png: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Slices {
    Axial,
    Coronal,
    Sagittal,
    Oblique,
}

fn class(name: &str) -> Result<Class, String> {
    Class::from_name(name).ok_or_else(|| {
        let known = Class::ALL.map(|c| c.name().to_lowercase());
        format!("found \"{name}\", expected one of {}", known.join(", "))
    })
}

pub fn run(args: PhantomArgs) -> Result<(), Box<dyn Error>> {
    match args.kind {
        Kind::Mammography(args) => mammography(args),
        Kind::BreastMri(args) => breast_mri(args),
        Kind::HeadCt(args) => head_ct::run(args),
        Kind::BreastSlices(args) => breast_slices::run(args),
        Kind::Dermoscopy(args) => dermoscopy::run(args),
    }
}

fn mammography(args: MammographyArgs) -> Result<(), Box<dyn Error>> {
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

fn breast_mri(args: BreastMriArgs) -> Result<(), Box<dyn Error>> {
    let phantom = BreastMriPhantom {
        seed: args.seed,
        size: args.size.try_into().map_err(|v: Vec<usize>| format!("--size: found {} numbers, expected 3", v.len()))?,
        spacing_mm: args
            .spacing_mm
            .try_into()
            .map_err(|v: Vec<f32>| format!("--spacing-mm: found {} numbers, expected 3", v.len()))?,
        orientation: match args.orientation {
            Slices::Axial => Orientation::Axial,
            Slices::Coronal => Orientation::Coronal,
            Slices::Sagittal => Orientation::Sagittal,
            Slices::Oblique => Orientation::Oblique,
        },
        lesion: !args.normal,
    };
    let study = phantom.to_dicom(SeriesLayout { one_series: args.one_series, reversed: args.reversed })?;
    for instance in &study.instances {
        instance.write_to(&args.out)?;
    }
    if args.png {
        study.exam.picture().save(args.out.with_extension("png"))?;
    }
    println!("{}: {} files", args.out.display(), study.instances.len());
    match study.exam.lesion {
        Some(tumour) => {
            let ([x, y, z], diameter) = (tumour.centre_mm, tumour.diameter_mm);
            println!("tumour of {diameter:.0} mm about ({x:.1}, {y:.1}, {z:.1}) mm (LPS)");
        }
        None => println!("no tumour"),
    }
    Ok(())
}
