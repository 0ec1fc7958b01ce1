//! `orthanc-ai train`: the demo weights.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use orthanc_ai::model::train::{Progress, Stage, TrainOptions, train};

/// Fits a model's network to synthetic exams and writes its weights and their SHA-256.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// The model's folder.
    model: PathBuf,
    #[arg(long, default_value_t = TrainOptions::default().seed)]
    seed: u64,
    /// Phantoms to draw; the default is what the demo weights were made with.
    #[arg(long)]
    images: Option<usize>,
    /// Stages as SIZE:EPOCHS:BATCH:RATE (volumes: SLICESxSIZE), separated by commas; the default is the one the demo weights were made with.
    #[arg(long, value_delimiter = ',', value_parser = stage)]
    stages: Option<Vec<Stage>>,
    #[arg(long, default_value_t = TrainOptions::default().threads)]
    threads: usize,
}

fn stage(text: &str) -> Result<Stage, String> {
    let parse = || -> Option<Stage> {
        let mut parts = text.split(':');
        let (slices, size) = parts.next().map(|size| size.split_once('x').unwrap_or(("1", size)))?;
        let stage = Stage {
            slices: slices.parse().ok()?,
            size: size.parse().ok()?,
            epochs: parts.next()?.parse().ok()?,
            batch: parts.next()?.parse().ok()?,
            learning_rate: parts.next()?.parse().ok().filter(|rate| (0.0..1.0).contains(rate))?,
        };
        parts.next().is_none().then_some(stage)
    };
    parse().ok_or_else(|| format!("found \"{text}\", expected SIZE:EPOCHS:BATCH:RATE, for example 160:12:16:0.002, or 32x96:2:1:0.001 for volumes"))
}

pub fn run_train(args: TrainArgs) -> Result<(), Box<dyn Error>> {
    let options = TrainOptions { seed: args.seed, images: args.images, stages: args.stages, threads: args.threads };
    let report = train(&args.model, &options, &|progress| match progress {
        Progress::Drawn { done, of } if done % 100 == 0 || done == of => eprintln!("phantoms {done}/{of}"),
        Progress::Drawn { .. } => {}
        Progress::Epoch { slices, size, epoch, of, loss, score, seconds } => {
            eprintln!("{slices}x{size}, pass {epoch}/{of}: loss {loss:.4}, score {score:.3}, {seconds:.0} s");
        }
    })?;
    let (path, bytes, parameters) = (report.weights.display(), report.bytes, report.parameters);
    println!("{path}: {bytes} bytes, {parameters} parameters, {} phantoms, {:.0} s", report.images, report.seconds);
    println!("sha256 {}", report.sha256);
    Ok(())
}
