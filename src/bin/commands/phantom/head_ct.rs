//! `orthanc-ai phantom head-ct`.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use orthanc_ai::phantom::{Haemorrhage, HeadCtLayout, HeadCtPhantom, HeadCtSeries, Kernel};

use super::labels::{Case, write};

#[derive(Debug, Args)]
pub struct HeadCtArgs {
    /// Folder for the studies, one folder each, and labels.csv; made if it does not exist.
    #[arg(short, long)]
    out: PathBuf,
    /// Equal seeds give equal files; the n-th study has the seed plus n.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Studies.
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// "none", or one of the kinds; without it every second study has none and the others one kind after the other.
    #[arg(long, value_parser = haemorrhage)]
    haemorrhage: Option<Shown>,
    /// Slices, rows, columns.
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "28,512,512")]
    size: Vec<usize>,
    /// Between slices, rows, columns.
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "5,0.45,0.45")]
    spacing_mm: Vec<f32>,
    /// Of the gantry.
    #[arg(long, default_value_t = 0.0, allow_hyphen_values = true)]
    tilt_degrees: f32,
    /// A localizer series too.
    #[arg(long)]
    localizer: bool,
    /// The series of the bone kernel too.
    #[arg(long)]
    bone: bool,
    /// InstanceNumber falls along the slices' normal.
    #[arg(long)]
    reversed: bool,
    /// Write a picture (PNG) of all slices in the brain window beside each study.
    #[arg(long)]
    png: bool,
}

#[derive(Debug, Clone, Copy)]
struct Shown(Option<Haemorrhage>);

fn haemorrhage(name: &str) -> Result<Shown, String> {
    if name == "none" {
        return Ok(Shown(None));
    }
    Haemorrhage::from_name(name).map(|kind| Shown(Some(kind))).ok_or_else(|| {
        let known = Haemorrhage::ALL.map(Haemorrhage::name).join(", ");
        format!("found \"{name}\", expected none, {known}")
    })
}

pub fn run(args: HeadCtArgs) -> Result<(), Box<dyn Error>> {
    let size =
        args.size.try_into().map_err(|v: Vec<usize>| format!("--size: found {} numbers, expected 3", v.len()))?;
    let spacing_mm = args
        .spacing_mm
        .try_into()
        .map_err(|v: Vec<f32>| format!("--spacing-mm: found {} numbers, expected 3", v.len()))?;
    let layout = HeadCtLayout { localizer: args.localizer, bone: args.bone, reversed: args.reversed };
    let mut cases = Vec::new();
    for index in 0..args.count {
        let Shown(haemorrhage) = args
            .haemorrhage
            .unwrap_or_else(|| Shown((index % 2 == 0).then(|| Haemorrhage::ALL[index / 2 % Haemorrhage::ALL.len()])));
        let phantom = HeadCtPhantom {
            seed: args.seed.wrapping_add(index as u64),
            size,
            spacing_mm,
            haemorrhage,
            gantry_tilt_degrees: args.tilt_degrees,
        };
        let study = phantom.to_dicom(layout)?;
        let name = format!("head-{:04}", index + 1);
        let folder = args.out.join(&name);
        for instance in &study.instances {
            instance.write_to(&folder)?;
        }
        if args.png {
            study.exam.picture(7).save(args.out.join(format!("{name}.png")))?;
        }
        let brain = study.instances.iter().find(|i| i.series == HeadCtSeries::Slices(Kernel::Soft));
        let detail = haemorrhage.map_or("none", Haemorrhage::name);
        println!("{}: {} files, haemorrhage: {detail}", folder.display(), study.instances.len());
        if let Some(place) = study.exam.haemorrhage {
            let [x, y, z] = place.centre_mm;
            println!("  {:.1} cm3 about ({x:.1}, {y:.1}, {z:.1}) mm (LPS)", place.volume_mm3 / 1000.0);
        }
        cases.push(Case {
            folder: name,
            study_instance_uid: study.study_instance_uid,
            series_instance_uid: brain.map(|i| i.series_instance_uid.clone()).unwrap_or_default(),
            label: if haemorrhage.is_some() { "Haemorrhage" } else { "No haemorrhage" }.into(),
            detail: detail.into(),
            ..Default::default()
        });
    }
    write(&args.out, &cases)?;
    Ok(())
}
