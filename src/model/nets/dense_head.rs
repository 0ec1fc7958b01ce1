//! The dense layers on a classifier's pooled features, ReLU between them: `hidden.0`, `hidden.1`, …, then `fc`, which gives the logits.

use tch::nn::{Init, Path};
use tch::{TchError, Tensor};

use super::conv_bn::sub_path;
use crate::model::{WeightsError, weights::StateDict};

/// One dense layer by its module's name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DenseSpec {
    module: String,
    in_features: i64,
    out_features: i64,
}

/// The layers with their weights, trainable or not.
pub struct DenseHead {
    layers: Vec<Dense>,
}

struct Dense {
    weight: Tensor,
    bias: Tensor,
}

/// From `in_features` over the hidden widths to `classes`.
fn layers(in_features: i64, hidden: &[usize], classes: usize) -> Vec<DenseSpec> {
    let mut in_features = in_features;
    let mut layer = |module: String, out_features: usize| {
        let out_features = out_features as i64;
        DenseSpec { module, in_features: std::mem::replace(&mut in_features, out_features), out_features }
    };
    let mut layers: Vec<_> = hidden.iter().enumerate().map(|(i, &width)| layer(format!("hidden.{i}"), width)).collect();
    layers.push(layer("fc".into(), classes));
    layers
}

/// The state dict's keys with their shapes.
pub fn keys(in_features: i64, hidden: &[usize], classes: usize) -> Vec<(String, Vec<i64>)> {
    let pair = |layer: DenseSpec| {
        let DenseSpec { module, in_features, out_features } = layer;
        [(format!("{module}.weight"), vec![out_features, in_features]), (format!("{module}.bias"), vec![out_features])]
    };
    layers(in_features, hidden, classes).into_iter().flat_map(pair).collect()
}

impl DenseHead {
    /// As many layers as [`keys`] says, out of the state dict.
    pub fn from_state_dict(
        hidden: &[usize],
        state_dict: &mut StateDict,
        device: tch::Device,
    ) -> Result<Self, WeightsError> {
        let mut take =
            |key: String| -> Result<Tensor, WeightsError> { Ok(state_dict.take(&key)?.f_to_device(device)?) };
        let mut layer = |spec: DenseSpec| -> Result<Dense, WeightsError> {
            let module = spec.module;
            Ok(Dense { weight: take(format!("{module}.weight"))?, bias: take(format!("{module}.bias"))? })
        };
        // The names alone are needed: `StateDict::check` has compared the shapes.
        let layers = layers(0, hidden, 0).into_iter().map(&mut layer).collect::<Result<_, _>>()?;
        Ok(Self { layers })
    }

    /// Variables with torch.nn.Linear's initial values: uniform within 1 / sqrt(fan in), for the bias too.
    pub fn trainable(vs: &Path<'_>, in_features: i64, hidden: &[usize], classes: usize) -> Result<Self, TchError> {
        let layer = |spec: DenseSpec| {
            let bound = 1.0 / (spec.in_features as f64).sqrt();
            let uniform = Init::Uniform { lo: -bound, up: bound };
            let module = sub_path(vs, &spec.module);
            Ok(Dense {
                weight: module.f_var("weight", &[spec.out_features, spec.in_features], uniform)?,
                bias: module.f_var("bias", &[spec.out_features], uniform)?,
            })
        };
        Ok(Self {
            layers: layers(in_features, hidden, classes).into_iter().map(layer).collect::<Result<_, TchError>>()?,
        })
    }

    /// From features, N × in, to logits, N × classes. `tap` sees what each hidden layer says after its ReLU.
    pub fn forward(&self, features: &Tensor, tap: &mut dyn FnMut(&Tensor)) -> Result<Tensor, TchError> {
        let mut x = features.shallow_clone();
        for (i, layer) in self.layers.iter().enumerate() {
            x = x.f_linear(&layer.weight, Some(&layer.bias))?;
            if i + 1 < self.layers.len() {
                x = x.f_relu()?;
                tap(&x);
            }
        }
        Ok(x)
    }
}
