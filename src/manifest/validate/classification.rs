//! What the outputs of a classification mean: what `task.Classification` may not say.

use super::{Checked, code, name_and_colour, refuse, require};
use crate::manifest::{Activation, AggregateSpec, ClassSpec, ClassificationSpec, Manifest, SelectSpec, Thresholds};

const CLASSES: &str = "task.Classification.classes";
const AGGREGATE: &str = "task.Classification.aggregate";

pub(super) fn classification(m: &Manifest, task: &ClassificationSpec) -> Checked {
    let outputs = m.network.num_classes();
    let found = task.classes.len();
    match task.activation {
        Activation::SigmoidBinary => {
            require(outputs == 1, "task.Classification.activation", || {
                format!("sigmoid_binary takes one logit, the network has {outputs} outputs")
            })?;
            require(found == 2, CLASSES, || {
                format!("found {found} classes, expected 2 for sigmoid_binary: negative, positive")
            })?;
        }
        Activation::Softmax | Activation::Sigmoid => {
            require(found == outputs, CLASSES, || format!("found {found} classes, the network has {outputs} outputs"))?;
            require(task.activation == Activation::Sigmoid || outputs > 1, "task.Classification.activation", || {
                "softmax of one output is always 1, expected sigmoid (one class) or sigmoid_binary (two)".into()
            })?;
        }
    }
    for (i, c) in task.classes.iter().enumerate() {
        let path = |key: &str| format!("{CLASSES}[{i}].{key}");
        name_and_colour(&c.name, task.classes[..i].iter().any(|o| o.name == c.name), &c.color, &path)?;
        let t = c.thresholds;
        require(0.0 <= t.absent && t.absent <= t.present && t.present <= 1.0, path("thresholds"), || {
            format!("found absent {} and present {}, expected 0 <= absent <= present <= 1", t.absent, t.present)
        })?;
        code(&c.concept, &path("concept"))?;
    }
    if task.activation == Activation::SigmoidBinary {
        mirrored(&task.classes)?;
    }
    task.aggregate.as_ref().map_or(Ok(()), |aggregate| self::aggregate(m, task, aggregate))
}

/// Two classes of one number must not both be present.
fn mirrored(classes: &[ClassSpec]) -> Checked {
    let [negative, positive] = classes else { return Ok(()) };
    let Thresholds { present, absent } = positive.thresholds;
    let (found, expected) = (negative.thresholds, Thresholds { present: 1.0 - absent, absent: 1.0 - present });
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    let ok = near(found.present, expected.present) && near(found.absent, expected.absent);
    require(ok, format!("{CLASSES}[0].thresholds"), || {
        format!(
            "found absent {} and present {}, expected {} and {}: the other side of the positive class's",
            found.absent, found.present, expected.absent, expected.present
        )
    })
}

fn aggregate(m: &Manifest, task: &ClassificationSpec, aggregate: &AggregateSpec) -> Checked {
    if let AggregateSpec::TopKMean(s) = aggregate {
        // Each of them has a place of its own in the report.
        require((1..=100).contains(&s.k), format!("{AGGREGATE}.TopKMean.k"), || {
            format!("found {}, expected 1 to 100", s.k)
        })?;
    }
    if let SelectSpec::Images(s) = &m.input.select {
        require(s.count.max() > 1, AGGREGATE, || "a run has one image: there is nothing to aggregate".into())?;
    }
    let path = match aggregate {
        AggregateSpec::TopKMean(_) => format!("{AGGREGATE}.TopKMean.negative"),
        AggregateSpec::Max(_) => format!("{AGGREGATE}.Max.negative"),
        AggregateSpec::Mean(_) => return Ok(()),
    };
    match (task.activation, aggregate.negative()) {
        (Activation::Softmax, None) => {
            refuse(path, "nothing, expected with softmax: the class that says that nothing was found")
        }
        (Activation::Softmax, Some(name)) => require(task.classes.iter().any(|c| c.name == name), path, || {
            let names: Vec<&str> = task.classes.iter().map(|c| c.name.as_str()).collect();
            format!("found \"{name}\", expected one of the classes ({})", names.join(", "))
        }),
        (Activation::Sigmoid | Activation::SigmoidBinary, None) => Ok(()),
        (Activation::Sigmoid | Activation::SigmoidBinary, Some(_)) => refuse(
            path,
            "is for softmax: with sigmoid each class is aggregated on its own, sigmoid_binary has it in front",
        ),
    }
}
