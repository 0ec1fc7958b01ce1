//! The network's parameters by MONAI's key names, and what a new network is filled with.

use tch::Tensor;

use crate::model::WeightsError;

/// What a parameter is before training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fill {
    Zeros,
    Ones,
    /// Normal of mean 0 with this standard deviation.
    Normal(f64),
}

impl Fill {
    /// Linear layers and position tables, as MONAI: its truncation at ±2 is a hundred standard deviations away.
    pub const LINEAR: Self = Self::Normal(0.02);

    /// He et al. 2015, for convolutions before a ReLU.
    pub fn kaiming(fan_in: i64) -> Self {
        Self::Normal((2.0 / fan_in as f64).sqrt())
    }
}

/// Gives the parameter of a key and shape: out of a state dict, or a new variable.
pub type Make<'a> = &'a mut dyn FnMut(&str, &[i64], Fill) -> Result<Tensor, WeightsError>;

/// `y = x · weightᵀ + bias` over the last axis.
pub struct Linear {
    pub weight: Tensor,
    pub bias: Option<Tensor>,
}

impl Linear {
    pub fn new(make: Make<'_>, name: &str, inputs: i64, outputs: i64, bias: bool) -> Result<Self, WeightsError> {
        let weight = make(&format!("{name}.weight"), &[outputs, inputs], Fill::LINEAR)?;
        let bias = bias.then(|| make(&format!("{name}.bias"), &[outputs], Fill::Zeros)).transpose()?;
        Ok(Self { weight, bias })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor, tch::TchError> {
        x.f_linear(&self.weight, self.bias.as_ref())
    }
}

/// Normalises the last axis.
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    channels: i64,
}

/// torch.nn.LayerNorm's default.
const EPSILON: f64 = 1e-5;

impl LayerNorm {
    pub fn new(make: Make<'_>, name: &str, channels: i64) -> Result<Self, WeightsError> {
        let weight = make(&format!("{name}.weight"), &[channels], Fill::Ones)?;
        let bias = make(&format!("{name}.bias"), &[channels], Fill::Zeros)?;
        Ok(Self { weight, bias, channels })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor, tch::TchError> {
        x.f_layer_norm([self.channels], Some(&self.weight), Some(&self.bias), EPSILON, false)
    }
}

/// Layer norm over the last axis without parameters.
pub fn normalize(x: &Tensor) -> Result<Tensor, tch::TchError> {
    let channels = x.size().last().copied().unwrap_or_default();
    x.f_layer_norm([channels], None::<&Tensor>, None::<&Tensor>, EPSILON, false)
}
