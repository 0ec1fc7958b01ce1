//! A convolution followed by batch normalisation, in two forms with one description: trainable, and folded for inference.

use std::cell::RefCell;

use tch::nn::{Init, Path, init};
use tch::{TchError, Tensor};

use super::one_dnn::{OneDnn, pack};
use super::tensor::channels_last;
use crate::model::{WeightsError, pace::stand_aside, weights::StateDict};

/// torch.nn.BatchNorm2d's default: weight of the new batch in the running statistics.
const MOMENTUM: f64 = 0.1;

/// One convolution (square kernel, padding `kernel / 2`) and its batch norm, by their modules' names.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvBnSpec {
    pub conv: String,
    pub norm: String,
    pub in_channels: i64,
    pub out_channels: i64,
    pub kernel: i64,
    pub stride: i64,
    /// The convolution has a bias of its own, as some checkpoints do, though batch norm makes up for any.
    pub bias: bool,
    /// What batch norm adds to the variance.
    pub epsilon: f64,
}

impl ConvBnSpec {
    /// The state dict's keys of this pair with their shapes.
    pub fn keys(&self) -> Vec<(String, Vec<i64>)> {
        let mut keys = vec![(
            format!("{}.weight", self.conv),
            vec![self.out_channels, self.in_channels, self.kernel, self.kernel],
        )];
        if self.bias {
            keys.push((format!("{}.bias", self.conv), vec![self.out_channels]));
        }
        for key in ["weight", "bias", "running_mean", "running_var"] {
            keys.push((format!("{}.{key}", self.norm), vec![self.out_channels]));
        }
        keys
    }
}

/// What follows the pair: nothing, ReLU, the residual connection, or that and then ReLU. The residual is given away: its
/// memory may be overwritten.
pub enum Tail {
    Linear,
    Relu,
    Add(Tensor),
    AddRelu(Tensor),
}

impl Tail {
    /// In place: `x` is a convolution's fresh output that nobody else holds. Autograd allows it after batch norm too,
    /// which keeps its input and not its output.
    fn apply(self, mut x: Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Linear => Ok(x),
            Self::Relu => x.f_relu_(),
            Self::Add(residual) => x.f_add_(&residual),
            Self::AddRelu(residual) => x.f_add_(&residual)?.f_relu_(),
        }
    }
}

/// With autograd's variables: for training, and as the plain form that the folded one is tested against.
pub struct TrainableConvBn {
    weight: Tensor,
    bias: Option<Tensor>,
    norm_weight: Tensor,
    norm_bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    stride: i64,
    padding: i64,
    epsilon: f64,
}

impl TrainableConvBn {
    /// Variables under the reference's names, initialised as torchvision does (He et al. 2015, fan out).
    pub fn new(vs: &Path<'_>, spec: &ConvBnSpec) -> Result<Self, TchError> {
        let he = Init::Kaiming {
            dist: init::NormalOrUniform::Normal,
            fan: init::FanInOut::FanOut,
            non_linearity: init::NonLinearity::ReLU,
        };
        let conv = sub_path(vs, &spec.conv);
        let norm = sub_path(vs, &spec.norm);
        let channels = [spec.out_channels];
        Ok(Self {
            weight: conv.f_var("weight", &[spec.out_channels, spec.in_channels, spec.kernel, spec.kernel], he)?,
            bias: spec.bias.then(|| conv.f_zeros("bias", &channels)).transpose()?,
            norm_weight: norm.f_ones("weight", &channels)?,
            norm_bias: norm.f_zeros("bias", &channels)?,
            running_mean: norm.f_zeros_no_train("running_mean", &channels)?,
            running_var: norm.f_ones_no_train("running_var", &channels)?,
            stride: spec.stride,
            padding: spec.kernel / 2,
            epsilon: spec.epsilon,
        })
    }

    /// `train`: normalise by the batch and move the running statistics; else by the running statistics.
    pub fn forward_t(&self, x: &Tensor, train: bool, tail: Tail) -> Result<Tensor, TchError> {
        let x = x.f_conv2d(&self.weight, self.bias.as_ref(), self.stride, self.padding, 1, 1)?;
        let x = x.f_batch_norm(
            Some(&self.norm_weight),
            Some(&self.norm_bias),
            Some(&self.running_mean),
            Some(&self.running_var),
            train,
            MOMENTUM,
            self.epsilon,
            true,
        )?;
        tail.apply(x)
    }
}

/// `vs / "layer1.0.conv1"`, one step a component.
pub fn sub_path<'a>(vs: &Path<'a>, name: &str) -> Path<'a> {
    name.split('.').fold(vs.set_group(0), |path, component| path.sub(component))
}

/// For inference: batch norm folded into the convolution's weight and bias.
pub struct FoldedConvBn {
    weight: RefCell<Weight>,
    /// None: another part of the same convolution adds it.
    bias: Option<Tensor>,
    stride: i64,
    padding: i64,
}

/// Kept once: packing replaces the plain tensor.
struct Weight {
    tensor: Tensor,
    /// In oneDNN's order for inputs of these rows and columns; None: plain, channels_last.
    packed_for: Option<[i64; 2]>,
}

impl FoldedConvBn {
    /// Takes the pair's tensors out of `state_dict`: with scale = weight / sqrt(running_var + ε), the kernel is multiplied by
    /// scale and the bias is `norm_bias + (bias - running_mean) · scale`. The factors in f64, since they multiply every activation.
    pub fn from_state_dict(
        spec: &ConvBnSpec,
        state_dict: &mut StateDict,
        device: tch::Device,
    ) -> Result<Self, WeightsError> {
        let norm = |state_dict: &mut StateDict, key: &str| -> Result<Tensor, WeightsError> {
            Ok(state_dict.take(&format!("{}.{key}", spec.norm))?.f_to_kind(tch::Kind::Double)?)
        };
        let weight = state_dict.take(&format!("{}.weight", spec.conv))?;
        let norm_weight = norm(state_dict, "weight")?;
        let norm_bias = norm(state_dict, "bias")?;
        let running_mean = norm(state_dict, "running_mean")?;
        let running_var = norm(state_dict, "running_var")?;
        let scale = norm_weight.f_div(&running_var.f_add_scalar(spec.epsilon)?.f_sqrt()?)?;
        let mean = match spec.bias {
            true => running_mean.f_sub(&state_dict.take(&format!("{}.bias", spec.conv))?)?,
            false => running_mean,
        };
        let bias = norm_bias.f_sub(&mean.f_mul(&scale)?)?.f_to_kind(tch::Kind::Float)?;
        let weight = weight.f_mul(&scale.f_view([-1, 1, 1, 1])?.f_to_kind(tch::Kind::Float)?)?;
        Ok(Self {
            weight: RefCell::new(Weight { tensor: channels_last(&weight)?.f_to_device(device)?, packed_for: None }),
            bias: Some(bias.f_to_device(device)?),
            stride: spec.stride,
            padding: spec.kernel / 2,
        })
    }

    /// Cut in two, the one over the first `channels` of the input and the other over the rest: the sum of what they give is what the whole
    /// gives, and the inputs need not be put side by side.
    pub fn split(self, channels: i64) -> Result<[Self; 2], TchError> {
        let plain = self.weight.into_inner().tensor;
        let rest = plain.size()[1] - channels;
        let half = |start, count, bias| -> Result<Self, TchError> {
            let tensor = channels_last(&plain.f_narrow(1, start, count)?)?;
            let weight = RefCell::new(Weight { tensor, packed_for: None });
            Ok(Self { weight, bias, stride: self.stride, padding: self.padding })
        };
        Ok([half(0, channels, self.bias)?, half(channels, rest, None)?])
    }

    /// `x` in channels_last order. With oneDNN as one primitive, else as one operator after the other.
    pub fn forward(&self, x: &Tensor, tail: Tail, one_dnn: Option<&OneDnn>) -> Result<Tensor, TchError> {
        stand_aside();
        let weight = self.weight_for(x, one_dnn.is_some())?;
        match one_dnn {
            Some(one_dnn) => one_dnn.convolve(x, &weight, self.bias.as_ref(), [self.stride, self.padding], tail),
            None => tail.apply(x.f_conv2d(&weight, self.bias.as_ref(), self.stride, self.padding, 1, 1)?),
        }
    }

    /// The weight in the order wanted, reordered where it is not. A model's images all have one size, so this happens in
    /// the dry run at load; another size later costs time, not correctness.
    fn weight_for(&self, x: &Tensor, packed: bool) -> Result<Tensor, TchError> {
        let mut weight = self.weight.borrow_mut();
        let input = x.size();
        let size = packed.then(|| [input[2], input[3]]);
        if weight.packed_for != size {
            let plain = match weight.packed_for {
                Some(_) => weight.tensor.f_to_dense(None::<tch::Kind>, false)?,
                None => weight.tensor.shallow_clone(),
            };
            weight.tensor = match size {
                Some(_) => pack(&plain, [self.stride, self.padding], &input)?,
                None => channels_last(&plain)?,
            };
            weight.packed_for = size;
        }
        Ok(weight.tensor.shallow_clone())
    }
}
