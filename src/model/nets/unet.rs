//! The classical UNet (Ronneberger et al. 2015) with same-padded convolutions, batch norm and transposed convolutions, under the key names
//! of the widely used public PyTorch version: `inc`, `down1` … `down4`, `up1` … `up4`, `outc`.

mod trainable;

use ndarray::ArrayViewD;
use tch::{TchError, Tensor};

use super::conv_bn::{ConvBnSpec, FoldedConvBn, Tail};
use super::one_dnn::OneDnn;
use super::tensor::{array, input_tensor};
use crate::manifest::network::UnetSpec;
use crate::model::{Device, Logits, ModelError, Network, pace::stand_aside, weights::StateDict};

pub use trainable::TrainableUNet;

/// Times that the size is halved.
const LEVELS: usize = 4;
/// torch.nn.BatchNorm2d's default.
const EPSILON: f64 = 1e-5;

/// 3×3 convolution, batch norm, ReLU; twice.
type DoubleConv<U> = [U; 2];

/// The inference form: batch norm folded, channels_last, fused where oneDNN is there.
pub struct UNet {
    /// `inc`, `down1` … `down4`
    downs: Vec<DoubleConv<FoldedConvBn>>,
    /// `up1` … `up4`
    ups: Vec<Up>,
    out: [Tensor; 2],
    one_dnn: Option<OneDnn>,
    in_channels: usize,
    device: Device,
}

struct Up {
    upsample: Upsample,
    /// The first convolution over the skip connection, and over what comes from below.
    first: [FoldedConvBn; 2],
    second: FoldedConvBn,
}

/// The transposed convolution of 2 × 2 with stride 2. No two of its outputs share a place, so it is a matrix product: a row of inputs by
/// inputs × (2 × 2 × outputs).
struct Upsample {
    weight: Tensor,
    /// Repeated for each of the four places.
    bias: Tensor,
}

impl Upsample {
    /// From a weight of inputs × outputs × 2 × 2.
    fn new(weight: &Tensor, bias: &Tensor) -> Result<Self, TchError> {
        let weight = weight.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_flatten(1, -1)?;
        Ok(Self { weight, bias: bias.f_repeat([4])? })
    }

    /// N × C × H × W to N × outputs × 2H × 2W, both in channels_last order.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let size = x.size();
        let (n, channels, rows, columns) = (size[0], size[1], size[2], size[3]);
        let pixels = x.f_permute([0, 2, 3, 1])?.f_reshape([-1, channels])?;
        let y = self.bias.f_addmm(&pixels, &self.weight)?;
        let y = y.f_view([n, rows, columns, 2, 2, -1])?.f_permute([0, 1, 3, 2, 4, 5])?;
        y.f_reshape([n, 2 * rows, 2 * columns, -1])?.f_permute([0, 3, 1, 2])
    }
}

/// The convolutions of `inc` and `down…`, and of `up…`.
fn convolutions(spec: &UnetSpec) -> (Vec<DoubleConv<ConvBnSpec>>, Vec<DoubleConv<ConvBnSpec>>) {
    let width = |level: usize| (spec.width as i64) << level;
    let double = |module: String, in_channels: i64, out_channels: i64| {
        [(0, in_channels), (3, out_channels)].map(|(i, in_channels)| ConvBnSpec {
            conv: format!("{module}.double_conv.{i}"),
            norm: format!("{module}.double_conv.{}", i + 1),
            in_channels,
            out_channels,
            kernel: 3,
            stride: 1,
            bias: spec.conv_bias,
            epsilon: EPSILON,
        })
    };
    let mut downs = vec![double("inc".into(), spec.in_channels as i64, width(0))];
    downs.extend((1..=LEVELS).map(|i| double(format!("down{i}.maxpool_conv.1"), width(i - 1), width(i))));
    // Half of an upward convolution's input is the skip connection.
    let ups = (1..=LEVELS).map(|i| double(format!("up{i}.conv"), width(LEVELS + 1 - i), width(LEVELS - i))).collect();
    (downs, ups)
}

/// The keys of the state dict with their shapes, without `num_batches_tracked`, which inference does not need.
pub fn keys(spec: &UnetSpec) -> Vec<(String, Vec<i64>)> {
    let (downs, ups) = convolutions(spec);
    let mut keys: Vec<_> = downs.iter().chain(&ups).flatten().flat_map(ConvBnSpec::keys).collect();
    for (i, [first, _]) in ups.iter().enumerate() {
        let (inputs, outputs) = (first.in_channels, first.out_channels);
        keys.push((format!("up{}.up.weight", i + 1), vec![inputs, outputs, 2, 2]));
        keys.push((format!("up{}.up.bias", i + 1), vec![outputs]));
    }
    keys.push(("outc.conv.weight".into(), vec![spec.out_channels as i64, spec.width as i64, 1, 1]));
    keys.push(("outc.conv.bias".into(), vec![spec.out_channels as i64]));
    keys
}

/// Multiply-adds of one image of `rows` × `columns` pixels, both multiples of 16: 2.19e11 at 512², width 64.
pub fn multiply_adds(spec: &UnetSpec, rows: usize, columns: usize) -> usize {
    let (downs, ups) = convolutions(spec);
    let pixels = |level: usize| (rows >> level) * (columns >> level);
    let weights = |unit: &ConvBnSpec| (unit.in_channels * unit.out_channels * unit.kernel * unit.kernel) as usize;
    let double = |units: &DoubleConv<ConvBnSpec>| units.iter().map(weights).sum::<usize>();
    let down: usize = downs.iter().enumerate().map(|(level, units)| double(units) * pixels(level)).sum();
    let up = |(i, units): (usize, &DoubleConv<ConvBnSpec>)| {
        // A pixel of the output has one pixel of the input before the transposed convolution.
        let upsampled = (units[0].in_channels * units[0].out_channels) as usize;
        (upsampled + double(units)) * pixels(LEVELS - 1 - i)
    };
    let up: usize = ups.iter().enumerate().map(up).sum();
    down + up + spec.out_channels * spec.width * pixels(0)
}

impl UNet {
    /// Fills the network from a state dict; the dict is used up tensor by tensor.
    ///
    /// # Errors
    /// [`super::super::WeightsError::Keys`] with all keys that are missing, too many or of another shape.
    pub fn from_state_dict(spec: &UnetSpec, mut state_dict: StateDict, device: Device) -> Result<Self, ModelError> {
        state_dict.check(&keys(spec))?;
        let _no_grad = tch::no_grad_guard();
        let (downs, ups) = convolutions(spec);
        let mut double = |[first, second]: &DoubleConv<ConvBnSpec>| -> Result<DoubleConv<FoldedConvBn>, ModelError> {
            Ok([
                FoldedConvBn::from_state_dict(first, &mut state_dict, device.torch())?,
                FoldedConvBn::from_state_dict(second, &mut state_dict, device.torch())?,
            ])
        };
        let downs = downs.iter().map(&mut double).collect::<Result<_, _>>()?;
        let convs = ups.iter().map(&mut double).collect::<Result<Vec<_>, _>>()?;
        let mut pair = |module: &str| -> Result<[Tensor; 2], ModelError> {
            let weight = state_dict.take(&format!("{module}.weight"))?;
            let bias = state_dict.take(&format!("{module}.bias"))?;
            Ok([weight.f_to_device(device.torch())?, bias.f_to_device(device.torch())?])
        };
        let mut ups = Vec::with_capacity(LEVELS);
        for (i, [first, second]) in convs.into_iter().enumerate() {
            let [weight, bias] = pair(&format!("up{}.up", i + 1))?;
            // Inputs × outputs of the transposed convolution; the skip connection has as many channels as its outputs.
            let channels = weight.size()[1];
            ups.push(Up { upsample: Upsample::new(&weight, &bias)?, first: first.split(channels)?, second });
        }
        Ok(Self {
            downs,
            ups,
            out: pair("outc.conv")?,
            one_dnn: OneDnn::new(device.torch()),
            in_channels: spec.in_channels,
            device,
        })
    }

    /// `tap` sees "x1" … "x5" (the way down), "up1.up" (upsampled) and "up1" … "up4".
    fn run(&self, input: ArrayViewD<'_, f32>, tap: &mut dyn FnMut(&str, &Tensor)) -> Result<Tensor, ModelError> {
        let _no_grad = tch::no_grad_guard();
        let least = 1 << LEVELS;
        if input.shape().iter().skip(2).any(|&side| side < least) {
            let expected = format!("rows and columns of at least {least}");
            return Err(ModelError::Input { found: input.shape().to_vec(), expected });
        }
        let mut x = input_tensor(input, self.in_channels, 2, self.device)?;
        let mut skips = Vec::with_capacity(LEVELS);
        for (i, conv) in self.downs.iter().enumerate() {
            if i > 0 {
                skips.push(x.shallow_clone());
                x = x.f_max_pool2d(2, 2, 0, 1, false)?;
            }
            x = self.double(conv, &x)?;
            tap(&format!("x{}", i + 1), &x);
        }
        for (i, (up, skip)) in self.ups.iter().zip(skips.into_iter().rev()).enumerate() {
            stand_aside();
            let y = up.upsample.forward(&x)?;
            tap(&format!("up{}.up", i + 1), &y);
            let [from_skip, from_below] = &up.first;
            let one_dnn = self.one_dnn.as_ref();
            let sum = from_skip.forward(&skip, Tail::Linear, one_dnn)?;
            drop(skip);
            x = from_below.forward(&pad_to(&y, &sum)?, Tail::AddRelu(sum), one_dnn)?;
            drop(y);
            x = up.second.forward(&x, Tail::Relu, one_dnn)?;
            tap(&format!("up{}", i + 1), &x);
        }
        let [weight, bias] = &self.out;
        Ok(x.f_conv2d(weight, Some(bias), 1, 0, 1, 1)?)
    }

    fn double(&self, [first, second]: &DoubleConv<FoldedConvBn>, x: &Tensor) -> Result<Tensor, TchError> {
        let one_dnn = self.one_dnn.as_ref();
        second.forward(&first.forward(x, Tail::Relu, one_dnn)?, Tail::Relu, one_dnn)
    }

    /// As [`Network::forward`], and `tap` is shown what the layers say on the way: "x1" … "x5" (the way down), "up1.up" (upsampled) and
    /// "up1" … "up4", N × C × H × W.
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

/// Zeros around `x` where the skip connection is larger: sizes that are not divisible by 16 lose a row on the way down. The
/// odd one goes to the end.
fn pad_to(x: &Tensor, skip: &Tensor) -> Result<Tensor, TchError> {
    let (from, to) = (x.size(), skip.size());
    let (rows, columns) = (to[2] - from[2], to[3] - from[3]);
    if rows == 0 && columns == 0 {
        return Ok(x.shallow_clone());
    }
    x.f_constant_pad_nd([columns / 2, columns - columns / 2, rows / 2, rows - rows / 2])
}

impl Network for UNet {
    fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
        Ok(Logits::Dense(array(&self.run(input, &mut |_, _| {})?)?))
    }
}
