//! `orthanc-ai phantom breast-slices`.

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use orthanc_ai::phantom::{BreastSlicePhantom, TumourKind};

use super::labels::{Case, write};

#[derive(Debug, Args)]
pub struct BreastSlicesArgs {
    /// Folder for the slices, masks and labels.csv; made if it does not exist.
    #[arg(short, long)]
    out: PathBuf,
    /// Equal seeds give equal files; the n-th slice has the seed plus n.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Slices.
    #[arg(long, default_value_t = 4)]
    count: usize,
    /// One after the other, and again from the first.
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1, default_value = "benign,malignant")]
    tumours: Vec<Shown>,
    #[arg(long, default_value_t = 256)]
    rows: usize,
    #[arg(long, default_value_t = 256)]
    columns: usize,
    #[arg(long, default_value_t = 1.3)]
    spacing_mm: f32,
    #[arg(long, value_enum, default_value = "dicom")]
    format: Format,
    /// Write each tumour's mask (PNG) too.
    #[arg(long)]
    masks: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shown {
    Benign,
    Malignant,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// MR Image.
    Dicom,
    Png,
}

pub fn run(args: BreastSlicesArgs) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&args.out)?;
    let mut cases = Vec::new();
    for (index, shown) in args.tumours.iter().copied().cycle().take(args.count).enumerate() {
        let (tumour, label) = match shown {
            Shown::Benign => (Some(TumourKind::Benign), "Benign"),
            Shown::Malignant => (Some(TumourKind::Malignant), "Malignant"),
            Shown::None => (None, "No tumour"),
        };
        let phantom = BreastSlicePhantom {
            seed: args.seed.wrapping_add(index as u64),
            size: (args.rows, args.columns),
            spacing_mm: args.spacing_mm,
            tumour,
        };
        let instance = phantom.to_dicom()?;
        let name = format!("{:04}_{}", index + 1, label.to_lowercase().replace(' ', "_"));
        let file = match args.format {
            Format::Dicom => {
                instance.write_to(&args.out, &name)?;
                format!("{name}.dcm")
            }
            Format::Png => {
                let file = format!("{name}.png");
                instance.slice.picture().save(args.out.join(&file))?;
                file
            }
        };
        if args.masks {
            instance.slice.mask().save(args.out.join(format!("{name}_mask.png")))?;
        }
        let detail = instance.slice.tumour.map_or_else(String::new, |t| format!("{:.0} mm", t.diameter_mm));
        println!("{}  {label} {detail}", args.out.join(&file).display());
        let dicom = args.format == Format::Dicom;
        let own = |uid: String| if dicom { uid } else { String::new() };
        cases.push(Case {
            folder: String::new(),
            file,
            study_instance_uid: own(instance.study_instance_uid),
            series_instance_uid: own(instance.series_instance_uid),
            sop_instance_uid: own(instance.sop_instance_uid),
            label: label.into(),
            detail,
        });
    }
    write(&args.out, &cases)?;
    Ok(())
}
