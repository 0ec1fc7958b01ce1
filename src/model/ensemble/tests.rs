use ndarray::{Array4, array};
use serde_json::json;

use super::*;
use crate::predict::activate;

/// Answers to each pixel with its value plus what its place adds: not the same when turned.
struct Ramp(f32);

impl Network for Ramp {
    fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
        let mut logits = input.to_owned();
        logits.indexed_iter_mut().for_each(|(at, v)| *v += self.0 * (at[2] as f32 - 0.5 * at[3] as f32));
        Ok(Logits::Dense(logits))
    }
}

/// One logit for the first pixel, one for the last; the activation map is the image with a ramp over its columns.
struct Corners(f32);

impl Network for Corners {
    fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
        let corner = |image: ArrayViewD<'_, f32>| [image.first().copied(), image.iter().last().copied()];
        let logits: Vec<f32> = input
            .outer_iter()
            .flat_map(|image| corner(image).map(Option::unwrap_or_default))
            .map(|v| v * self.0)
            .collect();
        Ok(Logits::Global(Array2::from_shape_vec((input.shape()[0], 2), logits).unwrap()))
    }

    fn explain(&mut self, input: ArrayViewD<'_, f32>, target: CamTarget) -> Result<Explanation, ModelError> {
        let logits = self.forward(input.view())?.global()?;
        let output = target.output.expect("an output");
        let mut maps = three_axes(input.index_axis(Axis(1), 0).to_owned())?;
        maps.indexed_iter_mut().for_each(|((_, _, column), v)| *v = (*v + column as f32 * output as f32) * self.0);
        let channel_weights = Array2::from_elem((logits.nrows(), 3), self.0);
        Ok(Explanation { outputs: vec![output; logits.nrows()], logits, channel_weights, activation_maps: maps })
    }
}

fn image(n: usize) -> Array4<f32> {
    Array4::from_shape_fn((n, 1, 3, 5), |(n, _, y, x)| ((7 * n + 5 * y + 3 * x) % 11) as f32 / 4.0 - 1.0)
}

fn spec(transforms: serde_json::Value) -> TestTimeAugmentationSpec {
    serde_json::from_value(json!({ "transforms": transforms })).unwrap()
}

fn sigmoid(x: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(x)).exp())
}

#[test]
fn dense_answers_are_turned_back_before_they_are_combined() {
    let input = image(2);
    let spec = spec(json!([{ "Flip": { "spatial_axis": [0] } }, { "Rotate90": { "k": 1, "spatial_axes": [0, 1] } }]));
    let mut turned = Turned::new(Box::new(Ramp(0.7)), &spec, Activation::Sigmoid);
    let (logits, spread) = turned.forward_with_spread(input.view().into_dyn()).unwrap();
    let logits = logits.dense().unwrap();
    assert_eq!(logits.shape(), [2, 1, 3, 5]);
    for ((n, c, y, x), v) in input.indexed_iter() {
        // Where the pixel lies in each turned image: as it is; rows upside down; the last column as the first row.
        let places = [(y, x), (2 - y, x), (4 - x, y)];
        let p = places.map(|(y, x)| sigmoid(v + 0.7 * (y as f32 - 0.5 * x as f32)));
        let mean = p.iter().sum::<f64>() / 3.0;
        let found = sigmoid(logits[[n, c, y, x]]);
        assert!((found - mean).abs() < 1e-6, "({y}, {x}): found {found}, expected {mean}");
        let deviation = (p.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / 3.0).sqrt();
        let found = f64::from(spread.as_ref().unwrap()[[n, c, y, x]]);
        assert!((found - deviation).abs() < 1e-6, "({y}, {x}): spread {found}, expected {deviation}");
    }
    assert_eq!(turned.forward(input.view().into_dyn()).unwrap().dense().unwrap(), logits);
}

#[test]
fn volumes_turn_about_each_axis_and_what_turns_with_them_has_no_spread() {
    let volume = ArrayD::from_shape_fn(vec![1, 2, 2, 3, 4], |i| (i[1] + 2 * i[2] + 3 * i[3] + 5 * i[4]) as f32 - 4.0);
    let all = json!([
        { "Flip": { "spatial_axis": [0, 2] } },
        { "Rotate90": { "k": 1, "spatial_axes": [1, 2] } },
        { "Rotate90": { "k": 3, "spatial_axes": [0, 2] } },
    ]);
    let mut turned = Turned::new(Box::new(Ramp(0.0)), &spec(all), Activation::Sigmoid);
    let (logits, spread) = turned.forward_with_spread(volume.view()).unwrap();
    let off = logits.dense().unwrap() - &volume;
    assert!(off.iter().all(|d| d.abs() < 1e-5), "{off}");
    assert!(spread.unwrap().iter().all(|s| *s < 1e-6));
}

#[test]
fn one_answer_an_image_is_the_mean_of_probabilities() {
    let input = image(3);
    let spec = spec(json!([{ "Flip": { "spatial_axis": [0, 1] } }]));
    let mut turned = Turned::new(Box::new(Corners(1.0)), &spec, Activation::Softmax);
    let logits = turned.forward(input.view().into_dyn()).unwrap().global().unwrap();
    // Turned by half, first and last are exchanged: the mean is one half each.
    for row in logits.outer_iter() {
        let p = activate::softmax(row.as_slice().unwrap());
        assert!((p[0] - 0.5).abs() < 1e-6, "{p:?}");
    }
}

#[test]
fn members_count_by_their_weights() {
    let input = image(2);
    let members: Vec<(Box<dyn Network>, f64)> = vec![(Box::new(Corners(1.0)), 1.0), (Box::new(Corners(-2.0)), 3.0)];
    let mut ensemble = Ensemble { members, combine: CombineMode::Mean, activation: Activation::Sigmoid };
    let (logits, spread) = ensemble.forward_with_spread(input.view().into_dyn()).unwrap();
    let (logits, spread) = (logits.global().unwrap(), spread.unwrap());
    for (n, image) in input.outer_iter().enumerate() {
        let v = image[[0, 0, 0]];
        let (a, b) = (sigmoid(v), sigmoid(-2.0 * v));
        let mean = (a + 3.0 * b) / 4.0;
        assert!((sigmoid(logits[[n, 0]]) - mean).abs() < 1e-6);
        let deviation = (((a - mean).powi(2) + 3.0 * (b - mean).powi(2)) / 4.0).sqrt();
        assert!((f64::from(spread[[n, 0]]) - deviation).abs() < 1e-6);
    }
}

#[test]
fn explanations_are_turned_back_and_averaged() {
    let input = image(2);
    let score = CamScore::Logit;
    let flip = spec(json!([{ "Flip": { "spatial_axis": [1] } }]));
    let mut turned = Turned::new(Box::new(Corners(2.0)), &flip, Activation::Softmax);
    let explained = turned.explain(input.view().into_dyn(), CamTarget { output: Some(1), score }).unwrap();
    // The image turns with the input; the ramps 0, 1, 2, 3, 4 and its mirror have the mean 2 everywhere.
    for ((n, y, x), v) in explained.activation_maps.indexed_iter() {
        assert!((v - 2.0 * (input[[n, 0, y, x]] + 2.0)).abs() < 1e-5, "({y}, {x}): {v}");
    }
    assert_eq!(explained.channel_weights, Array2::from_elem((2, 3), 2.0));
    assert_eq!(explained.logits, turned.forward(input.view().into_dyn()).unwrap().global().unwrap());
    // Without a wish each image is asked about its own largest output.
    let largest = turned.explain(input.view().into_dyn(), CamTarget { output: None, score }).unwrap();
    for (n, &output) in largest.outputs.iter().enumerate() {
        assert!(largest.logits[[n, output]] >= largest.logits[[n, 1 - output]]);
        let own = turned.explain(input.view().into_dyn(), CamTarget { output: Some(output), score }).unwrap();
        assert_eq!(largest.activation_maps.index_axis(Axis(0), n), own.activation_maps.index_axis(Axis(0), n));
    }
    let members: Vec<(Box<dyn Network>, f64)> = vec![(Box::new(Corners(1.0)), 1.0), (Box::new(Corners(50.0)), 1.0)];
    let mut ensemble = Ensemble { members, combine: CombineMode::Mean, activation: Activation::Softmax };
    let explained = ensemble.explain(input.view().into_dyn(), CamTarget { output: Some(0), score }).unwrap();
    // Both see the same, in units of their own.
    for (map, image) in explained.activation_maps.outer_iter().zip(input.outer_iter()) {
        let max = image.iter().fold(0f32, |max, v| max.max(v.abs()));
        let worst = map.iter().zip(image).fold(0f32, |m, (a, b)| m.max((a - b / max).abs()));
        assert!(worst < 1e-6, "{worst}");
    }
    assert_eq!(explained.channel_weights.dim(), (2, 0));
}

#[test]
fn members_that_answer_otherwise_are_refused() {
    struct Odd;
    impl Network for Odd {
        fn forward(&mut self, _: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
            Ok(Logits::Global(array![[0.0f32, 1.0, 2.0]]))
        }
    }
    let members: Vec<(Box<dyn Network>, f64)> = vec![(Box::new(Corners(1.0)), 1.0), (Box::new(Odd), 1.0)];
    let mut ensemble = Ensemble { members, combine: CombineMode::Mean, activation: Activation::Softmax };
    let error = ensemble.forward(image(1).view().into_dyn()).unwrap_err().to_string();
    assert!(error.contains("shape [1, 3]") && error.contains("[1, 2]"), "{error}");
    // A network that explains nothing says so through the others.
    let target = CamTarget { output: Some(0), score: CamScore::Logit };
    let error = ensemble.explain(image(1).view().into_dyn(), target).unwrap_err().to_string();
    assert!(error.contains("without a class activation map"), "{error}");
}
