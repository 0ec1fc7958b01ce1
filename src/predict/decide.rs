//! From probabilities to the class that is the answer.

use super::Finding;
use crate::manifest::{Activation, ClassificationSpec};

/// The finding of a task with these probabilities, one a class in the manifest's order: the class wins that [`Activation`] says.
pub fn decide(task: &ClassificationSpec, probabilities: &[f64]) -> Finding {
    let most_probable = Finding::from_probabilities(probabilities);
    let present = |class: usize| task.classes.get(class).is_some_and(|c| probabilities[class] >= c.thresholds.present);
    let winner = match task.activation {
        Activation::Softmax => most_probable.class,
        Activation::Sigmoid => {
            let among_present = (0..probabilities.len()).filter(|class| present(*class));
            let best = |best: usize, class| if probabilities[class] > probabilities[best] { class } else { best };
            among_present.reduce(best).unwrap_or(most_probable.class)
        }
        Activation::SigmoidBinary if present(1) => 1,
        Activation::SigmoidBinary => {
            let absent = task.classes.get(1).zip(probabilities.get(1)).is_some_and(|(c, p)| *p < c.thresholds.absent);
            if absent { 0 } else { most_probable.class }
        }
    };
    let probability = probabilities.get(winner).copied().unwrap_or(most_probable.probability);
    Finding { class: winner, probability, ..most_probable }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A task whose classes have these thresholds (present, absent).
    pub fn task(activation: &str, thresholds: &[(f64, f64)]) -> ClassificationSpec {
        let code = json!({"CodeValue": "1", "CodingSchemeDesignator": "99TEST", "CodeMeaning": "Test"});
        let class = |(i, (present, absent)): (usize, &(f64, f64))| {
            json!({"name": format!("class {i}"), "color": "#000000", "concept": code,
                   "thresholds": {"present": present, "absent": absent}})
        };
        let classes: Vec<_> = thresholds.iter().enumerate().map(class).collect();
        let task = json!({"activation": activation, "classes": classes, "probability_concept": code});
        serde_json::from_value(task).unwrap()
    }

    #[test]
    fn the_most_probable_class_of_a_softmax_wins() {
        let task = task("softmax", &[(0.9, 0.1), (0.1, 0.1), (0.5, 0.5)]);
        assert_eq!(decide(&task, &[0.5, 0.4, 0.1]).class, 0);
        assert_eq!(decide(&task, &[0.4, 0.4, 0.2]).class, 0, "the first of equals");
    }

    #[test]
    fn a_binary_class_is_decided_at_its_thresholds() {
        let decided = |p: f64, present: f64, absent: f64| {
            let found =
                decide(&task("sigmoid_binary", &[(1.0 - absent, 1.0 - present), (present, absent)]), &[1.0 - p, p]);
            assert_eq!(found.probability, [1.0 - p, p][found.class]);
            found.class
        };
        assert_eq!([decided(0.5, 0.5, 0.5), decided(0.49, 0.5, 0.5)], [1, 0]);
        // A threshold for sensitivity.
        assert_eq!([decided(0.3, 0.3, 0.3), decided(0.29, 0.3, 0.3)], [1, 0]);
        // One for specificity, and an interval in which nothing is decided.
        assert_eq!([decided(0.7, 0.8, 0.8), decided(0.7, 0.8, 0.2), decided(0.4, 0.8, 0.2)], [0, 1, 0]);
    }

    #[test]
    fn of_several_findings_a_present_one_wins() {
        let task = task("sigmoid", &[(0.9, 0.1), (0.3, 0.1), (0.5, 0.1)]);
        assert_eq!(decide(&task, &[0.8, 0.4, 0.2]).class, 1, "0.8 is not present at 0.9");
        assert_eq!(decide(&task, &[0.8, 0.4, 0.6]).class, 2);
        assert_eq!(decide(&task, &[0.2, 0.1, 0.1]).class, 0, "none is: the most probable");
    }
}
