//! SwinUNETR in 3D as MONAI has it (Hatamizadeh et al. 2022, "Swin UNETR: Swin Transformers for Semantic Segmentation of Brain
//! Tumors in MRI Images"): a Swin transformer as encoder, residual convolutions as decoder.
//!
//! One description makes both forms, the one for inference and the trainable one. A checkpoint fits any input whose sides
//! are divisible by 32: only the windows' number depends on the size.
//!
//! # Which `patch_merging`
//!
//! Checkpoints of all MONAI versions have the same keys and shapes, but MONAI 1.5.0 changed which neighbours a patch merging layer
//! reads. The wrong choice gives plausible, wrong maps (logits off by half their spread), and nothing in the file tells.
//! Weights trained with MONAI 0.9 to 1.4 need `"legacy"`, with 1.5.0 or later `"current"`; it is the version at training that
//! counts, not the one that saved or converted the file. Where that is not known, run both on a case with known result: the right one is
//! clearly better.

mod attention;
mod conv;
mod parameters;
mod transformer;
mod windows;

use ndarray::ArrayViewD;
use tch::nn::{Init, Path};
use tch::{TchError, Tensor};

use self::conv::{ResBlock, UpBlock};
use self::parameters::{Fill, Make};
use self::transformer::SwinTransformer;
use super::conv_bn::sub_path;
use super::one_dnn::OneDnn;
use super::tensor::{array, channels_last, input_tensor};
use crate::manifest::network::SwinUnetrSpec;
use crate::model::{Device, Logits, ModelError, Network, WeightsError, weights::StateDict};

/// How the one description is carried out.
#[derive(Clone, Copy)]
enum Form<'a> {
    /// Every step as an operator that autograd follows.
    Trainable,
    /// One volume at a time, on top of each other's memory, with oneDNN's fused operators where they are there.
    Inference(Option<&'a OneDnn>),
}

/// The architecture, filled with tensors.
struct Graph {
    transformer: SwinTransformer,
    /// encoder1 (full size), encoder2, encoder3, encoder4, encoder10 (a 32th)
    encoders: Vec<ResBlock>,
    /// decoder5 (a 16th) to decoder1 (full size)
    decoders: Vec<UpBlock>,
    out_weight: Tensor,
    out_bias: Tensor,
}

impl Graph {
    fn new(make: Make<'_>, spec: &SwinUnetrSpec) -> Result<Self, WeightsError> {
        let (inputs, outputs, width) = (spec.in_channels as i64, spec.out_channels as i64, spec.feature_size as i64);
        let transformer = SwinTransformer::new(make, spec)?;
        let encoder = |(name, inputs, outputs): (&str, i64, i64)| {
            ResBlock::new(make, name, &format!("{name}.layer"), inputs, outputs)
        };
        let encoders = [
            ("encoder1", inputs, width),
            ("encoder2", width, width),
            ("encoder3", 2 * width, 2 * width),
            ("encoder4", 4 * width, 4 * width),
            ("encoder10", 16 * width, 16 * width),
        ];
        let encoders = encoders.into_iter().map(encoder).collect::<Result<_, _>>()?;
        let decoder = |(name, inputs, outputs): (&str, i64, i64)| UpBlock::new(make, name, inputs, outputs);
        let decoders = [
            ("decoder5", 16 * width, 8 * width),
            ("decoder4", 8 * width, 4 * width),
            ("decoder3", 4 * width, 2 * width),
            ("decoder2", 2 * width, width),
            ("decoder1", width, width),
        ];
        let decoders = decoders.into_iter().map(decoder).collect::<Result<_, _>>()?;
        let out_weight = make("out.conv.conv.weight", &[outputs, width, 1, 1, 1], Fill::kaiming(width))?;
        let out_bias = make("out.conv.conv.bias", &[outputs], Fill::Zeros)?;
        Ok(Self { transformer, encoders, decoders, out_weight, out_bias })
    }

    /// N × C × D × H × W → N × out_channels × D × H × W. `tap` sees the activations under their modules' names.
    fn forward(&self, x: &Tensor, form: Form<'_>, tap: &mut dyn FnMut(&str, &Tensor)) -> Result<Tensor, TchError> {
        let mut states = self.transformer.forward(x, form, tap)?;
        // decoder5 takes the last state but one as it is, without an encoder.
        let deepest = states.pop();
        let direct = states.pop();
        let inputs = [x.shallow_clone()].into_iter().chain(states).chain(deepest);
        let mut skips = Vec::with_capacity(self.encoders.len() + 1);
        for (encoder, input) in self.encoders.iter().zip(inputs) {
            skips.push(encoder.forward(vec![input], form, tap)?);
        }
        let mut y = skips.pop();
        skips.extend(direct);
        for decoder in &self.decoders {
            if let (Some(x), Some(skip)) = (y.take(), skips.pop()) {
                y = Some(decoder.forward(&x, skip, form, tap)?);
            }
        }
        let y = y.ok_or_else(|| TchError::Torch("a network without decoders".into()))?;
        // A convolution of 1³ over channels that lie next to each other is a linear layer.
        let weight = self.out_weight.f_flatten(1, -1)?;
        y.f_permute([0, 2, 3, 4, 1])?.f_linear(&weight, Some(&self.out_bias))?.f_permute([0, 4, 1, 2, 3])
    }
}

/// The keys of the state dict with their shapes, without `relative_position_index`, which follows from the window's size.
pub fn keys(spec: &SwinUnetrSpec) -> Vec<(String, Vec<i64>)> {
    let mut keys = Vec::new();
    let mut list = |key: &str, shape: &[i64], _: Fill| {
        keys.push((key.to_owned(), shape.to_vec()));
        Ok(Tensor::new())
    };
    // Listing makes no tensor, so there is nothing to fail.
    let _ = Graph::new(&mut list, spec);
    keys
}

/// Multiply-adds of one volume of `size` voxels (slice, row, column): 84.5e9 at 96³ of the published network (feature_size 24).
/// Convolutions, linear layers and attention, whose windows count whole where they overlap the volume's edge.
pub fn multiply_adds(spec: &SwinUnetrSpec, size: [usize; 3]) -> usize {
    let voxels = |level: usize| size.iter().map(|side| side >> level).product::<usize>();
    let width = |level: usize| spec.feature_size << level;
    let res_block = |inputs: usize, outputs: usize, level: usize| {
        let shortcut = if inputs == outputs { 0 } else { inputs };
        voxels(level) * outputs * (27 * (inputs + outputs) + shortcut)
    };
    let mut total = voxels(1) * 8 * spec.in_channels * width(0) + res_block(spec.in_channels, width(0), 0);
    for stage in 0..4 {
        let channels = width(stage);
        let sides = size.map(|side| (side >> (stage + 1)) as i64);
        let (tokens, padded, window) = windows::token_counts(sides);
        // qkv over whole windows, proj and the two linear layers over the volume; q · k and their product with v.
        let block = 3 * padded * channels.pow(2) + 9 * tokens * channels.pow(2) + 2 * padded * window * channels;
        total += 2 * block + tokens / 8 * 16 * channels.pow(2);
    }
    for (width_level, level) in [(0, 1), (1, 2), (2, 3), (4, 5)] {
        total += res_block(width(width_level), width(width_level), level);
    }
    for (inputs, outputs, level) in [(4, 3, 4), (3, 2, 3), (2, 1, 2), (1, 0, 1), (0, 0, 0)] {
        let outputs = width(outputs);
        total += voxels(level) * width(inputs) * outputs + res_block(2 * outputs, outputs, level);
    }
    total + voxels(0) * width(0) * spec.out_channels
}

/// The inference form.
pub struct SwinUnetr {
    graph: Graph,
    one_dnn: Option<OneDnn>,
    in_channels: usize,
    device: Device,
}

impl SwinUnetr {
    /// Fills the network from a state dict with MONAI's key names.
    ///
    /// # Errors
    /// [`WeightsError::Keys`] with all keys that are missing, too many or of another shape.
    pub fn from_state_dict(
        spec: &SwinUnetrSpec,
        mut state_dict: StateDict,
        device: Device,
    ) -> Result<Self, ModelError> {
        state_dict.discard(|key| key.ends_with(".relative_position_index"));
        state_dict.check(&keys(spec))?;
        let _no_grad = tch::no_grad_guard();
        let mut take = |key: &str, shape: &[i64], _: Fill| {
            let tensor = state_dict.take(key)?.f_to_device(device.torch())?;
            Ok(if shape.len() == 5 { channels_last(&tensor)? } else { tensor.f_contiguous()? })
        };
        let graph = Graph::new(&mut take, spec)?;
        Ok(Self { graph, one_dnn: OneDnn::new(device.torch()), in_channels: spec.in_channels, device })
    }

    fn run(&self, input: ArrayViewD<'_, f32>, tap: &mut dyn FnMut(&str, &Tensor)) -> Result<Tensor, ModelError> {
        let _no_grad = tch::no_grad_guard();
        let shape = input.shape().to_vec();
        let x = input_tensor(input, self.in_channels, 3, self.device)?;
        if shape[2..].iter().any(|side| side % SwinUnetrSpec::SIZE_DIVISOR != 0) {
            let expected = format!("sides divisible by {}", SwinUnetrSpec::SIZE_DIVISOR);
            return Err(ModelError::Input { found: shape, expected });
        }
        // A volume fills the processor; a second one beside it would only need memory.
        let form = Form::Inference(self.one_dnn.as_ref());
        let logits =
            x.f_split(1, 0)?.iter().map(|x| self.graph.forward(x, form, tap)).collect::<Result<Vec<_>, _>>()?;
        match &logits[..] {
            [one] => Ok(one.shallow_clone()),
            several => Ok(Tensor::f_cat(several, 0)?),
        }
    }

    /// As [`Network::forward`], and `tap` is shown what the layers say on the way: MONAI's module name and the activation,
    /// N × C × D × H × W, or N × D × H × W × C for the transformer's blocks ("layers1.blocks.0", "layers1.downsample").
    ///
    /// # Errors
    /// As [`Network::forward`].
    pub fn activations(
        &self,
        input: ArrayViewD<'_, f32>,
        tap: &mut dyn FnMut(&str, ndarray::ArrayD<f32>),
    ) -> Result<ndarray::ArrayD<f32>, ModelError> {
        let mut failed = None;
        let logits = self.run(input, &mut |name, x| match array(x) {
            Ok(x) => tap(name, x),
            Err(error) => failed = Some(error),
        })?;
        failed.map_or_else(|| array(&logits), Err)
    }
}

impl Network for SwinUnetr {
    fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
        Ok(Logits::Dense(array(&self.run(input, &mut |_, _| {})?)?))
    }
}

/// The trainable form: autograd variables in a `VarStore` under MONAI's key names. What the store saves, the inference form
/// reads.
pub struct TrainableSwinUnetr {
    graph: Graph,
}

impl TrainableSwinUnetr {
    /// New variables, filled at random.
    ///
    /// # Errors
    /// What libtorch refuses (memory).
    pub fn new(vs: &Path<'_>, spec: &SwinUnetrSpec) -> Result<Self, WeightsError> {
        let mut variable = |key: &str, shape: &[i64], fill: Fill| {
            let (path, name) = key.rsplit_once('.').unwrap_or(("", key));
            let init = match fill {
                Fill::Zeros => Init::Const(0.0),
                Fill::Ones => Init::Const(1.0),
                Fill::Normal(stdev) => Init::Randn { mean: 0.0, stdev },
            };
            Ok(sub_path(vs, path).f_var(name, shape, init)?)
        };
        Ok(Self { graph: Graph::new(&mut variable, spec)? })
    }

    /// Logits, N × out_channels × D × H × W, of volumes N × in_channels × D × H × W whose sides are divisible by 32. The network does the
    /// same in training and after it: its norms have no running statistics, and it drops nothing out.
    ///
    /// # Errors
    /// What libtorch refuses.
    pub fn forward_t(&self, xs: &Tensor) -> Result<Tensor, TchError> {
        self.graph.forward(xs, Form::Trainable, &mut |_, _| {})
    }
}

#[cfg(test)]
mod tests;
