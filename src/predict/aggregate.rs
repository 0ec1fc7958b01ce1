//! From the probabilities of a run's images to one answer.

use super::{Finding, ImagePrediction, OverallPrediction, decide};
use crate::manifest::{Activation, AggregateSpec, ClassificationSpec};

/// Of a mean over all images, which each carry as much as any other: so many, those that the answer is most probable on, are named.
const NAMED: usize = 3;

/// The answer for all images together; None where the manifest has no `aggregate`, where there is one image, whose answer it would be, and
/// where none was analysed. Images that failed are not counted.
///
/// The classes of a softmax are aggregated together, over the images on which the negative class is least probable, so that their probabilities
/// still sum to 1; those of a sigmoid each on its own.
///
/// The spread of a class is the mean of those of the images that its probability is the mean of, of the highest (`Max`) that image's own: the
/// most that the spread of the mean can be (Minkowski's inequality), which it is where the members of an ensemble err alike on these
/// images, and less where they err each on its own. That other images might carry the answer is not in it.
pub fn aggregate(task: &ClassificationSpec, images: &[ImagePrediction]) -> Option<OverallPrediction> {
    let spec = task.aggregate.as_ref()?;
    let analysed: Vec<(usize, &Finding)> =
        images.iter().enumerate().filter_map(|(i, image)| Some((i, image.outcome.as_ref().ok()?))).collect();
    if images.len() < 2 || analysed.is_empty() {
        return None;
    }
    let classes = task.classes.len();
    let k = spec.k().unwrap_or(analysed.len()).min(analysed.len());
    let mean = |images: &[(usize, &Finding)], class: usize| {
        images.iter().map(|(_, finding)| probability(finding, class)).sum::<f64>() / images.len() as f64
    };
    // Of each class the images that its probability is the mean of.
    let parts: Vec<Vec<(usize, &Finding)>> = match task.activation {
        Activation::Sigmoid => (0..classes).map(|class| most(&analysed, k, |f| probability(f, class))).collect(),
        Activation::Softmax | Activation::SigmoidBinary => {
            let finding = |f: &Finding| task.negative().map_or(0.0, |negative| 1.0 - probability(f, negative));
            vec![most(&analysed, k, finding); classes]
        }
    };
    let probabilities: Vec<f64> = parts.iter().enumerate().map(|(class, part)| mean(part, class)).collect();
    let spread = |(class, part): (usize, &Vec<(usize, &Finding)>)| {
        let spreads = part.iter().map(|(_, finding)| finding.all.get(class)?.spread);
        Some(spreads.sum::<Option<f64>>()? / part.len() as f64)
    };
    let spreads: Option<Vec<f64>> = parts.iter().enumerate().map(spread).collect();
    let finding = decide(task, &probabilities).with_spreads(&spreads.unwrap_or_default());
    let carrying = match spec {
        AggregateSpec::Mean(_) => most(&analysed, NAMED, |f| probability(f, finding.class)),
        AggregateSpec::TopKMean(_) | AggregateSpec::Max(_) => parts.into_iter().nth(finding.class).unwrap_or_default(),
    };
    let carrying = carrying.into_iter().map(|(i, _)| i).collect();
    Some(OverallPrediction { finding, analysed: analysed.len(), carrying })
}

fn probability(finding: &Finding, class: usize) -> f64 {
    finding.all.get(class).map_or(0.0, |c| c.probability)
}

/// The `k` images of the highest score, the highest first; of equals the first.
fn most<'f>(analysed: &[(usize, &'f Finding)], k: usize, score: impl Fn(&Finding) -> f64) -> Vec<(usize, &'f Finding)> {
    let mut sorted = analysed.to_vec();
    sorted.sort_by(|(_, a), (_, b)| score(b).total_cmp(&score(a)));
    sorted.truncate(k);
    sorted
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::decide::tests::task;
    use super::*;

    fn with(mut task: ClassificationSpec, aggregate: Value) -> ClassificationSpec {
        task.aggregate = serde_json::from_value(aggregate).unwrap();
        task
    }

    /// One image a row; None failed.
    fn images(rows: &[Option<&[f64]>]) -> Vec<ImagePrediction> {
        let image = |(i, row): (usize, &Option<&[f64]>)| ImagePrediction {
            image: i,
            frame: None,
            view: format!("Slice {}", i + 1),
            outcome: row.map(Finding::from_probabilities).ok_or_else(|| "unreadable".into()),
        };
        rows.iter().enumerate().map(image).collect()
    }

    fn binary(positive: &[Option<f64>]) -> Vec<ImagePrediction> {
        let rows: Vec<Option<[f64; 2]>> = positive.iter().map(|p| p.map(|p| [1.0 - p, p])).collect();
        images(&rows.iter().map(|r| r.as_ref().map(|r| &r[..])).collect::<Vec<_>>())
    }

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-12
    }

    #[test]
    fn the_k_most_suspicious_slices_make_the_answer() {
        let half = task("sigmoid_binary", &[(0.5, 0.5), (0.5, 0.5)]);
        let slices = binary(&[Some(0.1), Some(0.9), None, Some(0.2), Some(0.8), Some(0.7), Some(0.0)]);
        let found = aggregate(&with(half.clone(), json!({"TopKMean": {"k": 3}})), &slices).unwrap();
        assert_eq!((found.carrying.as_slice(), found.analysed, found.finding.class), (&[1, 4, 5][..], 6, 1));
        assert!(near(found.finding.probability, 0.8) && near(found.finding.all[0].probability, 0.2));

        let found = aggregate(&with(half.clone(), json!({"Max": {}})), &slices).unwrap();
        assert_eq!((found.carrying.as_slice(), found.finding.probability), (&[1][..], 0.9));

        let found = aggregate(&with(half.clone(), json!({"Mean": {}})), &slices).unwrap();
        assert!(near(found.finding.all[1].probability, 2.7 / 6.0));
        assert_eq!(
            (found.finding.class, found.carrying.as_slice()),
            (0, &[6, 0, 3][..]),
            "nothing found, most on these"
        );

        let few = aggregate(&with(half, json!({"TopKMean": {"k": 9}})), &binary(&[Some(0.2), Some(0.4)])).unwrap();
        assert!(near(few.finding.all[1].probability, 0.3));
        assert_eq!(few.carrying, [1, 0]);
    }

    #[test]
    fn a_softmax_is_aggregated_against_its_negative_class() {
        let task = task("softmax", &[(0.5, 0.5), (0.5, 0.5), (0.5, 0.5)]);
        let task = with(task, json!({"TopKMean": {"k": 2, "negative": "class 1"}}));
        let slices: [&[f64]; 4] = [&[0.0, 1.0, 0.0], &[0.6, 0.1, 0.3], &[0.0, 0.99, 0.01], &[0.7, 0.2, 0.1]];
        let found = aggregate(&task, &images(&slices.map(Some))).unwrap();
        let probabilities: Vec<f64> = found.finding.all.iter().map(|c| c.probability).collect();
        assert!(near(probabilities.iter().sum(), 1.0) && near(probabilities[0], 0.65), "{probabilities:?}");
        assert_eq!((found.carrying.as_slice(), found.finding.class), (&[1, 3][..], 0));
    }

    #[test]
    fn classes_of_their_own_are_aggregated_on_their_own() {
        let task = with(task("sigmoid", &[(0.5, 0.5), (0.5, 0.5)]), json!({"Max": {}}));
        let slices: [&[f64]; 3] = [&[0.9, 0.1], &[0.2, 0.8], &[0.1, 0.1]];
        let found = aggregate(&task, &images(&slices.map(Some))).unwrap();
        assert!(near(found.finding.all[0].probability, 0.9) && near(found.finding.all[1].probability, 0.8));
        assert_eq!(found.carrying, [0]);
    }

    #[test]
    fn spreads_are_those_of_the_images_that_carry_a_class() {
        let spread = |mut images: Vec<ImagePrediction>, spreads: &[[f64; 2]]| {
            for (image, spreads) in images.iter_mut().zip(spreads) {
                image.outcome = image.outcome.clone().map(|finding| finding.with_spreads(spreads));
            }
            images
        };
        let of =
            |found: Option<OverallPrediction>| found.unwrap().finding.all.iter().map(|c| c.spread).collect::<Vec<_>>();
        let binary_task = task("sigmoid_binary", &[(0.5, 0.5), (0.5, 0.5)]);
        let slices = || binary(&[Some(0.1), Some(0.9), None, Some(0.7)]);
        let spreads = [[0.01, 0.01], [0.1, 0.1], [0.4, 0.4], [0.2, 0.2]];
        let found = |rule: Value| of(aggregate(&with(binary_task.clone(), rule), &spread(slices(), &spreads)));
        assert!(found(json!({"TopKMean": {"k": 2}})).iter().all(|s| near(s.unwrap(), 0.15)));
        assert_eq!(found(json!({"Max": {}})), [Some(0.1), Some(0.1)]);
        assert!(found(json!({"Mean": {}})).iter().all(|s| near(s.unwrap(), 0.31 / 3.0)));

        // Each class of a sigmoid has images of its own.
        let own = with(task("sigmoid", &[(0.5, 0.5), (0.5, 0.5)]), json!({"Max": {}}));
        let slices: [&[f64]; 2] = [&[0.9, 0.1], &[0.2, 0.8]];
        let found = of(aggregate(&own, &spread(images(&slices.map(Some)), &[[0.1, 0.2], [0.3, 0.4]])));
        assert_eq!(found, [Some(0.1), Some(0.4)]);
        // Without spreads there is none.
        assert_eq!(of(aggregate(&own, &images(&slices.map(Some)))), [None, None]);
    }

    #[test]
    fn there_is_no_answer_without_images_or_a_rule() {
        let half = task("sigmoid_binary", &[(0.5, 0.5), (0.5, 0.5)]);
        assert_eq!(aggregate(&half, &binary(&[Some(0.5), Some(0.5)])), None);
        let max = with(half, json!({"Max": {}}));
        assert_eq!(aggregate(&max, &binary(&[Some(0.5)])), None, "one image has its own answer");
        assert_eq!(aggregate(&max, &binary(&[None, None])), None);
        assert!(aggregate(&max, &binary(&[None, Some(0.5)])).is_some());
    }
}
