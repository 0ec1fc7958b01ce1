//! How often a model is right about phantoms it has never seen: the stored weights, the inference form of the network,
//! the whole preprocessing chain.

use std::time::Instant;

use ndarray::Axis;

use super::samples::{labels, prepare};
use crate::manifest::TaskSpec;
use crate::model::ModelError;
use crate::model::train::teacher::teacher;
use crate::model::train::{EvaluateOptions, Folder, PhantomSet, TrainError};
use crate::predict::activate::probabilities;
use crate::transform::TransformChain;

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The manifest's names.
    pub classes: Vec<String>,
    /// [truth][answer]
    pub confusion: Vec<Vec<usize>>,
    /// Mean of the highest probability of each image.
    pub mean_confidence: f64,
    /// Mean negative logarithm of the right class's probability.
    pub log_loss: f64,
    pub seconds: f64,
}

impl Evaluation {
    pub fn images(&self) -> usize {
        self.confusion.iter().flatten().sum()
    }

    /// Share of right answers.
    pub fn accuracy(&self) -> f64 {
        let right: usize = self.confusion.iter().enumerate().map(|(i, row)| row[i]).sum();
        right as f64 / self.images().max(1) as f64
    }

    /// Share of a class's phantoms that were found (recall).
    pub fn sensitivity(&self, class: usize) -> f64 {
        let row = &self.confusion[class];
        row[class] as f64 / row.iter().sum::<usize>().max(1) as f64
    }

    /// Share of the answers that were right (positive predictive value).
    pub fn precision(&self, class: usize) -> f64 {
        let answers: usize = self.confusion.iter().map(|row| row[class]).sum();
        self.confusion[class][class] as f64 / answers.max(1) as f64
    }
}

impl std::fmt::Display for Evaluation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| truth \\ answer | {} | sensitivity | precision |", self.classes.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(self.classes.len() + 2))?;
        for (i, (name, row)) in self.classes.iter().zip(&self.confusion).enumerate() {
            let counts: Vec<String> = row.iter().map(usize::to_string).collect();
            let (sensitivity, precision) = (100.0 * self.sensitivity(i), 100.0 * self.precision(i));
            writeln!(f, "| {name} | {} | {sensitivity:.1} % | {precision:.1} % |", counts.join(" | "))?;
        }
        let (accuracy, images) = (100.0 * self.accuracy(), self.images());
        writeln!(
            f,
            "\naccuracy {accuracy:.2} % of {images}, mean confidence {:.3}, log loss {:.3}, {:.0} s",
            self.mean_confidence, self.log_loss, self.seconds
        )
    }
}

pub(crate) fn evaluate(folder: &Folder, options: &EvaluateOptions) -> Result<Evaluation, TrainError> {
    let started = Instant::now();
    let images = options.images.unwrap_or(400);
    let manifest = &folder.manifest;
    let teacher = teacher(manifest)?;
    let labels = labels(manifest, teacher)?;
    let TaskSpec::Classification(task) = &manifest.task else {
        return Err(TrainError::Untrainable { network: manifest.network.name(), task: "segmentation" });
    };
    let mut network = folder.network(options.threads)?;
    let set = PhantomSet::evaluation(options);
    let chain = TransformChain::new(&manifest.preprocessing)?;
    let count = manifest.classes().len();
    let mut confusion = vec![vec![0; count]; count];
    let (mut confidence, mut log_loss) = (0.0, 0.0);
    for index in 0..images {
        let lesson = teacher.draw(&set, index)?;
        let prepared = prepare(&chain, manifest.input.region_of_interest.as_ref(), &lesson)?;
        let logits = network.forward(prepared.array.view().insert_axis(Axis(0)).into_dyn())?.global()?;
        let probabilities = probabilities(task.activation, &logits.iter().copied().collect::<Vec<f32>>());
        let answer = (0..count)
            .max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]))
            .ok_or_else(|| ModelError::Output { found: "no classes".into(), expected: format!("{count} classes") })?;
        let truth = labels[lesson.class] as usize;
        confusion[truth][answer] += 1;
        confidence += probabilities[answer];
        log_loss -= probabilities[truth].max(1e-12).ln();
    }
    let images = images.max(1) as f64;
    Ok(Evaluation {
        classes: manifest.classes().iter().map(|c| c.name.clone()).collect(),
        confusion,
        mean_confidence: confidence / images,
        log_loss: log_loss / images,
        seconds: started.elapsed().as_secs_f64(),
    })
}
