//! Keras's ResNet50 (`keras.applications.ResNet50`, v1) with dense layers on its pooled features, under torchvision's names.

mod config;
mod dense;

use std::collections::BTreeMap;

use ndarray::ArrayD;
use tch::Tensor;

use self::config::Architecture;
use super::{Imported, check};
use crate::manifest::NetworkSpec;
use crate::manifest::network::ResNet50Spec;
use crate::model::WeightsError;
use crate::model::weights::keras::{KerasFile, Variable, split_number};
use crate::model::weights::{StateDict, first};

/// Blocks of Keras's stages 2 … 5.
const BLOCKS: [usize; 4] = [3, 4, 6, 3];

/// A convolution and its batch norm: Keras's name without `_conv` and `_bn`, and the two modules of ours.
struct Unit {
    keras: String,
    conv: String,
    norm: String,
}

/// In the order of Keras's layers: in a block with a shortcut that (number 0) comes before the last convolution.
fn units() -> Vec<Unit> {
    let mut units = vec![Unit { keras: "conv1".into(), conv: "conv1".into(), norm: "bn1".into() }];
    for (stage, blocks) in BLOCKS.into_iter().enumerate() {
        for block in 0..blocks {
            let numbers: &[usize] = if block == 0 { &[1, 2, 0, 3] } else { &[1, 2, 3] };
            let ours = format!("layer{}.{block}", stage + 1);
            units.extend(numbers.iter().map(|number| {
                let (conv, norm) = match number {
                    0 => (format!("{ours}.downsample.0"), format!("{ours}.downsample.1")),
                    n => (format!("{ours}.conv{n}"), format!("{ours}.bn{n}")),
                };
                Unit { keras: format!("conv{}_block{}_{number}", stage + 2, block + 1), conv, norm }
            }));
        }
    }
    units
}

pub(super) fn import(mut file: KerasFile) -> Result<Imported, WeightsError> {
    name_by_order(&mut file.variables)?;
    let architecture = file.config.as_ref().map(Architecture::read);
    // Our module of each layer's name.
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    for Unit { keras, conv, norm } in units() {
        modules.insert(format!("{keras}_conv"), conv);
        modules.insert(format!("{keras}_bn"), norm);
    }
    let shape = |path: &str| file.variables.iter().find(|v| v.path() == path).map(|v| v.values.shape());
    let stem = shape("conv1_conv/kernel").filter(|shape| shape.len() == 4).ok_or_else(|| {
        let found: Vec<String> =
            file.variables.iter().map(|v| format!("{} {:?}", v.path(), v.values.shape())).collect();
        let found = first(&found, 20);
        WeightsError::Format(format!("found no layer conv1_conv of four axes, expected Keras's ResNet50: {found}"))
    })?;
    let mut spec = ResNet50Spec::keras(stem[2], 0, stem[3], Vec::new());
    spec.conv_bias = shape("conv1_conv/bias").is_some();

    let present = |layer: &String| file.variables.iter().any(|v| v.layer == *layer);
    let absent: Vec<String> = modules.keys().filter(|layer| !present(layer)).cloned().collect();
    if !absent.is_empty() {
        let (count, absent) = (absent.len(), first(&absent, 20));
        return Err(WeightsError::Format(format!("found no {count} layers of Keras's ResNet50: {absent}")));
    }
    let known = |layer: &str| modules.contains_key(layer);
    let head = dense::order(&file.variables, known, architecture.as_ref(), spec.width.saturating_mul(32))?;
    let mut notes = head.notes;
    spec.num_classes = head.layers.last().map_or(0, |layer| layer.out_features);
    spec.hidden_features = head.layers.iter().rev().skip(1).rev().map(|layer| layer.out_features).collect();
    for (i, layer) in head.layers.iter().enumerate() {
        let module = if i + 1 == head.layers.len() { "fc".into() } else { format!("hidden.{i}") };
        modules.insert(layer.name.clone(), module);
    }
    match &architecture {
        Some(architecture) => {
            architecture.check(&head.layers)?;
            spec.batch_norm_epsilon = architecture.epsilon("conv1_bn").unwrap_or(spec.batch_norm_epsilon);
            notes.extend(architecture.notes(&head.layers));
        }
        None => notes.push(
            "the file has weights alone: global average pooling, ReLU in the hidden dense layers and a batch-norm epsilon of 1.001e-5 are assumed"
                .into(),
        ),
    }
    state_dict(file.variables, &modules, NetworkSpec::ResNet50(spec), notes)
}

/// Keras 2 numbers the layers of `.weights.h5` by kind and names none: the n-th convolution is the n-th of the network.
fn name_by_order(variables: &mut [Variable]) -> Result<(), WeightsError> {
    let units = units();
    let backbone = |v: &Variable| !v.is_named && ["conv2d", "batch_normalization"].contains(&split_number(&v.layer).0);
    for kind in ["conv2d", "batch_normalization"] {
        let mut numbers: Vec<usize> = variables
            .iter()
            .filter(|v| backbone(v) && split_number(&v.layer).0 == kind)
            .map(|v| split_number(&v.layer).1)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        if !numbers.is_empty() && numbers.len() != units.len() {
            return Err(WeightsError::Format(format!(
                "found {} layers {kind} without names, expected the {} of Keras's ResNet50",
                numbers.len(),
                units.len()
            )));
        }
        let suffix = if kind == "conv2d" { "conv" } else { "bn" };
        let names: BTreeMap<usize, String> =
            numbers.into_iter().zip(units.iter().map(|unit| format!("{}_{suffix}", unit.keras))).collect();
        for variable in variables.iter_mut().filter(|v| backbone(v)) {
            let (found, number) = split_number(&variable.layer);
            if let Some(name) = names.get(&number).filter(|_| found == kind) {
                variable.layer.clone_from(name);
            }
        }
    }
    Ok(())
}

/// Every variable under our name, in torch's order; one that belongs to no module of ours keeps its path and is named as too many.
fn state_dict(
    variables: Vec<Variable>,
    modules: &BTreeMap<String, String>,
    network: NetworkSpec,
    notes: Vec<String>,
) -> Result<Imported, WeightsError> {
    let mut tensors = BTreeMap::new();
    // Keras's path by our key, for messages.
    let mut paths = BTreeMap::new();
    for variable in variables {
        let path = variable.path();
        let key = modules.get(&variable.layer).and_then(|module| Some(format!("{module}.{}", ours(&variable.weight)?)));
        let key = key.unwrap_or_else(|| path.clone());
        paths.insert(key.clone(), path);
        tensors.insert(key, tensor(&variable.values)?);
    }
    let state_dict = StateDict::from_tensors(tensors);
    let origin = |key: &str| match paths.get(key) {
        Some(path) if path != key => format!("{path} as {key}"),
        Some(path) => path.clone(),
        None => missing(key, modules),
    };
    check(&state_dict, &network, origin)?;
    Ok(Imported { network, state_dict, notes })
}

/// Keras's path of a key of ours that is not in the file.
fn missing(key: &str, modules: &BTreeMap<String, String>) -> String {
    let Some((module, weight)) = key.rsplit_once('.') else { return key.to_owned() };
    let Some((layer, _)) = modules.iter().find(|(_, ours)| *ours == module) else { return key.to_owned() };
    let theirs = |weight: &str| match (weight, layer.ends_with("_bn")) {
        ("weight", true) => "gamma",
        ("bias", true) => "beta",
        ("running_mean", _) => "moving_mean",
        ("running_var", _) => "moving_variance",
        ("weight", false) => "kernel",
        _ => "bias",
    };
    format!("{layer}/{}", theirs(weight))
}

/// torch's name of a weight.
fn ours(weight: &str) -> Option<&'static str> {
    Some(match weight {
        "kernel" | "gamma" => "weight",
        "bias" | "beta" => "bias",
        "moving_mean" => "running_mean",
        "moving_variance" => "running_var",
        _ => return None,
    })
}

/// Rows × columns × in × out becomes out × in × rows × columns, in × out becomes out × in.
fn tensor(values: &ArrayD<f32>) -> Result<Tensor, WeightsError> {
    let standard = values.as_standard_layout();
    let slice = standard.as_slice().ok_or_else(|| WeightsError::Format("a tensor is not contiguous".into()))?;
    let shape: Vec<i64> = values.shape().iter().map(|&d| d as i64).collect();
    let tensor = Tensor::f_from_slice(slice)?.f_view(shape.as_slice())?;
    Ok(match shape.len() {
        4 => tensor.f_permute([3, 2, 0, 1])?.f_contiguous()?,
        2 => tensor.f_transpose(0, 1)?.f_contiguous()?,
        _ => tensor,
    })
}
