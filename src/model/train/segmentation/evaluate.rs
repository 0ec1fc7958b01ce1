//! How well a model finds tumours in phantoms that it has never seen.

use std::ops::ControlFlow;
use std::time::Instant;

use super::samples::{Preparation, phantom};
use crate::model::ModelError;
use crate::model::inferer::{InferError, infer};
use crate::model::train::{EvaluateOptions, Folder, PhantomSet, TrainError};
use crate::predict::activate::sigmoid;
use crate::transform::postprocess;

/// From this overlap on a tumour counts as found.
const FOUND: f64 = 0.1;

/// One phantom with what the model said of it, on the phantom's own grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    /// None: there is no tumour.
    pub diameter_mm: Option<f64>,
    /// 2 · both / (answer + truth); without a tumour 1 for an empty mask, else 0.
    pub dice: f64,
    /// Voxels of the mask.
    pub voxels: usize,
}

impl Case {
    /// Of a mask and the truth on one grid, both 0 or 1.
    pub fn compare<'a>(
        diameter_mm: Option<f64>,
        mask: impl IntoIterator<Item = &'a u8>,
        truth: impl IntoIterator<Item = &'a u8>,
    ) -> Self {
        let (mut both, mut voxels, mut tumour) = (0usize, 0usize, 0usize);
        for (answer, truth) in mask.into_iter().zip(truth) {
            both += usize::from(answer & truth);
            voxels += usize::from(*answer);
            tumour += usize::from(*truth);
        }
        let dice = if voxels + tumour == 0 { 1.0 } else { 2.0 * both as f64 / (voxels + tumour) as f64 };
        Self { diameter_mm, dice, voxels }
    }
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    pub cases: Vec<Case>,
    pub seconds: f64,
}

impl Evaluation {
    /// Dice coefficients of the phantoms with a tumour whose diameter lies in the range.
    fn dice(&self, diameters_mm: std::ops::Range<f64>) -> Vec<f64> {
        let with = self.cases.iter().filter(|c| c.diameter_mm.is_some_and(|d| diameters_mm.contains(&d)));
        with.map(|c| c.dice).collect()
    }

    /// Of the phantoms with a tumour.
    pub fn mean_dice(&self) -> f64 {
        mean(&self.dice(0.0..f64::MAX))
    }

    /// The worst of the phantoms with a tumour.
    pub fn min_dice(&self) -> f64 {
        self.dice(0.0..f64::MAX).into_iter().fold(1.0, f64::min)
    }

    /// Share of the tumours that the mask meets: a Dice coefficient of 0.1 at least.
    pub fn sensitivity(&self) -> f64 {
        let dice = self.dice(0.0..f64::MAX);
        dice.iter().filter(|d| **d >= FOUND).count() as f64 / dice.len().max(1) as f64
    }

    /// (phantoms without a tumour whose mask is not empty, phantoms without a tumour)
    pub fn false_positives(&self) -> (usize, usize) {
        let without = || self.cases.iter().filter(|c| c.diameter_mm.is_none());
        (without().filter(|c| c.voxels > 0).count(), without().count())
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

impl std::fmt::Display for Evaluation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| tumour | phantoms | Dice, mean | median | worst | found |\n|---|---|---|---|---|---|")?;
        for (name, range) in [
            ("all", 0.0..f64::MAX),
            ("below 15 mm", 0.0..15.0),
            ("15 to 25 mm", 15.0..25.0),
            ("25 mm and more", 25.0..f64::MAX),
        ] {
            let mut dice = self.dice(range);
            dice.sort_by(f64::total_cmp);
            let found = dice.iter().filter(|d| **d >= FOUND).count();
            let (median, worst) = (dice.get(dice.len() / 2).copied(), dice.first().copied());
            let [median, worst] = [median, worst].map(|v| v.map_or_else(String::new, |v| format!("{v:.3}")));
            writeln!(f, "| {name} | {} | {:.3} | {median} | {worst} | {found} |", dice.len(), mean(&dice))?;
        }
        let (wrong, without) = self.false_positives();
        writeln!(f, "\nfalse positives: {wrong} of {without} phantoms without a tumour; {:.0} s", self.seconds)
    }
}

/// Runs the model on phantoms at full resolution; Dice is taken on their own grid.
pub fn evaluate(folder: &Folder, options: &EvaluateOptions) -> Result<Evaluation, TrainError> {
    let started = Instant::now();
    let manifest = &folder.manifest;
    let mut network = folder.network(options.threads)?;
    let preparation = Preparation::new(manifest)?;
    let set = PhantomSet::evaluation(options);
    let mut cases = Vec::new();
    for index in 0..options.images.unwrap_or(40) {
        let exam = phantom(&set, index).render()?;
        let prepared = preparation.input(&exam)?;
        let logits =
            infer(&mut *network, prepared.array.view(), &manifest.inferer, &mut |_, _| ControlFlow::Continue(()));
        let mut probabilities = logits.map_err(|error| match error {
            InferError::Model(error) => error,
            // Nobody cancels.
            InferError::Cancelled => ModelError::Output { found: "nothing".into(), expected: "logits".into() },
        })?;
        sigmoid(&mut probabilities);
        let masks = postprocess(&probabilities, folder.postprocessing(), &prepared.applied)?;
        cases.push(Case::compare(exam.lesion.map(|l| l.diameter_mm), &masks[0], &exam.truth));
    }
    Ok(Evaluation { cases, seconds: started.elapsed().as_secs_f64() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_phantoms_do_not_count_as_tumours() {
        let case = |diameter_mm, dice, voxels| Case { diameter_mm, dice, voxels };
        let cases = vec![
            case(Some(10.0), 0.8, 90),
            case(Some(20.0), 0.0, 5),
            case(Some(30.0), 1.0, 80),
            case(None, 1.0, 0),
            case(None, 0.0, 7),
        ];
        let evaluation = Evaluation { cases, seconds: 1.0 };
        assert!((evaluation.mean_dice() - 0.6).abs() < 1e-9);
        assert!((evaluation.sensitivity() - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!((evaluation.min_dice(), evaluation.false_positives()), (0.0, (1, 2)));
        let text = evaluation.to_string();
        assert!(text.contains("| all | 3 | 0.600 | 0.800 | 0.000 | 2 |"), "{text}");
        assert!(text.contains("false positives: 1 of 2"), "{text}");
    }
}
