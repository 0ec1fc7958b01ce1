//! `orthanc-ai phantom dermoscopy`.

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use orthanc_ai::phantom::{DermoscopyPhantom, DermoscopySopClass, SkinLesion};

use super::labels::{Case, write};

#[derive(Debug, Args)]
pub struct DermoscopyArgs {
    /// Folder for the pictures and labels.csv; made if it does not exist.
    #[arg(short, long)]
    out: PathBuf,
    /// Equal seeds give equal files; the n-th picture has the seed plus n.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Pictures.
    #[arg(long, default_value_t = 7)]
    count: usize,
    /// One after the other, and again from the first.
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "nv,mel,bkl,bcc,df,akiec,vasc", value_parser = lesion)]
    lesions: Vec<SkinLesion>,
    #[arg(long, default_value_t = 450)]
    rows: usize,
    #[arg(long, default_value_t = 600)]
    columns: usize,
    #[arg(long, value_enum, default_value = "dicom")]
    format: Format,
    /// What labels.csv calls a case.
    #[arg(long, value_enum, default_value = "malignancy")]
    label: Label,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// VL Photographic Image.
    Dicom,
    /// Dermoscopic Photography Image.
    DicomDms,
    Png,
    Jpeg,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Label {
    /// Benign or Malignant.
    Malignancy,
    /// nv, bkl, df, vasc, mel, bcc, akiec.
    Kind,
}

fn lesion(name: &str) -> Result<SkinLesion, String> {
    SkinLesion::from_abbreviation(name).ok_or_else(|| {
        let known = SkinLesion::ALL.map(SkinLesion::abbreviation).join(", ");
        format!("found \"{name}\", expected one of {known}")
    })
}

pub fn run(args: DermoscopyArgs) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&args.out)?;
    let mut cases = Vec::new();
    for (index, lesion) in args.lesions.iter().copied().cycle().take(args.count).enumerate() {
        let phantom =
            DermoscopyPhantom { seed: args.seed.wrapping_add(index as u64), lesion, size: (args.rows, args.columns) };
        let malignancy = if lesion.is_malignant() { "Malignant" } else { "Benign" };
        // The truth is in the name too, for those who take it from there.
        let name = format!("{:04}_{}_{}", index + 1, lesion.abbreviation(), malignancy.to_lowercase());
        let mut case = Case {
            label: match args.label {
                Label::Malignancy => malignancy.into(),
                Label::Kind => lesion.abbreviation().into(),
            },
            detail: lesion.abbreviation().into(),
            ..Default::default()
        };
        case.file = match args.format {
            Format::Dicom | Format::DicomDms => {
                let sop_class = if args.format == Format::Dicom {
                    DermoscopySopClass::VlPhotographic
                } else {
                    DermoscopySopClass::DermoscopicPhotography
                };
                let instance = phantom.to_dicom(sop_class)?;
                instance.write_to(&args.out, &name)?;
                case.study_instance_uid = instance.study_instance_uid;
                case.series_instance_uid = instance.series_instance_uid;
                case.sop_instance_uid = instance.sop_instance_uid;
                format!("{name}.dcm")
            }
            Format::Png | Format::Jpeg => {
                let file = format!("{name}.{}", if args.format == Format::Png { "png" } else { "jpg" });
                phantom.render()?.pixels.save(args.out.join(&file))?;
                file
            }
        };
        println!("{}  {malignancy}", args.out.join(&case.file).display());
        cases.push(case);
    }
    write(&args.out, &cases)?;
    Ok(())
}
