//! The decoder's blocks: residual convolutions with instance norm, and upsampling beside the encoder's features.

use std::cell::RefCell;

use tch::{Kind, TchError, Tensor};

use super::Form;
use super::parameters::{Fill, Make};
use crate::model::WeightsError;
use crate::model::nets::conv_bn::Tail;
use crate::model::nets::one_dnn::pack;
use crate::model::pace::stand_aside;

/// torch.nn.InstanceNorm3d's default.
const EPSILON: f64 = 1e-5;

/// conv 3³, norm, LeakyReLU, conv 3³, norm; plus the input (through a 1³ convolution and norm where its channels differ);
/// LeakyReLU.
pub struct ResBlock {
    name: String,
    conv1: Conv,
    conv2: Conv,
    conv3: Option<Conv>,
}

impl ResBlock {
    /// `name` is the tap's, `key` where the convolutions' keys begin.
    pub fn new(make: Make<'_>, name: &str, key: &str, inputs: i64, outputs: i64) -> Result<Self, WeightsError> {
        let mut conv = |i: usize, inputs: i64, kernel: i64| {
            let fill = Fill::kaiming(inputs * kernel.pow(3));
            let weight = make(&format!("{key}.conv{i}.conv.weight"), &[outputs, inputs, kernel, kernel, kernel], fill)?;
            Ok::<_, WeightsError>(Conv { weight, packed: RefCell::new(None) })
        };
        Ok(Self {
            name: name.into(),
            conv1: conv(1, inputs, 3)?,
            conv2: conv(2, outputs, 3)?,
            conv3: if inputs == outputs { None } else { Some(conv(3, inputs, 1)?) },
        })
    }

    /// `inputs` side by side are the input.
    pub fn forward(
        &self,
        inputs: Vec<Tensor>,
        form: Form<'_>,
        tap: &mut dyn FnMut(&str, &Tensor),
    ) -> Result<Tensor, TchError> {
        let y = norm(self.conv1.forward(&inputs, form)?, form)?.f_leaky_relu_()?;
        stand_aside();
        let mut z = norm(self.conv2.forward(std::slice::from_ref(&y), form)?, form)?;
        let shortcut = match &self.conv3 {
            Some(conv) => norm(conv.pointwise(&inputs, y, form)?, form)?,
            None => inputs[0].shallow_clone(),
        };
        let z = z.f_add_(&shortcut)?.f_leaky_relu_()?;
        tap(&self.name, &z);
        Ok(z)
    }
}

/// Twice the size by a transposed convolution, the encoder's features behind it, and a [`ResBlock`].
pub struct UpBlock {
    upsample: Tensor,
    block: ResBlock,
}

impl UpBlock {
    pub fn new(make: Make<'_>, name: &str, inputs: i64, outputs: i64) -> Result<Self, WeightsError> {
        // Stride is the kernel's size: every output is a sum over the inputs of one place.
        let fill = Fill::Normal((inputs as f64).powf(-0.5));
        let upsample = make(&format!("{name}.transp_conv.conv.weight"), &[inputs, outputs, 2, 2, 2], fill)?;
        Ok(Self { upsample, block: ResBlock::new(make, name, &format!("{name}.conv_block"), 2 * outputs, outputs)? })
    }

    pub fn forward(
        &self,
        x: &Tensor,
        skip: Tensor,
        form: Form<'_>,
        tap: &mut dyn FnMut(&str, &Tensor),
    ) -> Result<Tensor, TchError> {
        stand_aside();
        let x = x.f_conv_transpose3d(&self.upsample, None::<&Tensor>, 2, 0, 0, 1, 1)?;
        self.block.forward(vec![x, skip], form, tap)
    }
}

/// A convolution without bias that keeps the size.
struct Conv {
    weight: Tensor,
    packed: RefCell<Option<Packed>>,
}

/// The weight in oneDNN's order, cut into one part an input.
struct Packed {
    inputs: Vec<Vec<i64>>,
    parts: Vec<Tensor>,
}

impl Conv {
    /// Over `inputs` side by side. For inference they are not put side by side: the results of the parts are added up.
    fn forward(&self, inputs: &[Tensor], form: Form<'_>) -> Result<Tensor, TchError> {
        stand_aside();
        let padding = self.weight.size()[2] / 2;
        let Form::Inference(Some(one_dnn)) = form else {
            return side_by_side(inputs)?.f_conv3d(&self.weight, None::<&Tensor>, 1, padding, 1, 1);
        };
        let sizes: Vec<Vec<i64>> = inputs.iter().map(Tensor::size).collect();
        let mut kept = self.packed.borrow_mut();
        let packed = match kept.take().filter(|packed| packed.inputs == sizes) {
            Some(packed) => packed,
            None => {
                let parts = self.parts(inputs)?;
                let parts = parts.iter().zip(&sizes).map(|(part, size)| pack(part, [1, padding], size));
                Packed { parts: parts.collect::<Result<_, _>>()?, inputs: sizes }
            }
        };
        let packed = kept.insert(packed);
        let mut y = None;
        for (x, part) in inputs.iter().zip(&packed.parts) {
            let tail = y.take().map_or(Tail::Linear, Tail::Add);
            y = Some(one_dnn.convolve(x, part, None, [1, padding], tail)?);
        }
        y.ok_or_else(|| TchError::Torch("a convolution without input".into()))
    }

    /// A kernel of 1³ is a matrix product. `spare` is a tensor of the output's shape that nobody needs any more: for inference
    /// the result takes its memory, since large new memory costs more time than the product itself.
    fn pointwise(&self, inputs: &[Tensor], spare: Tensor, form: Form<'_>) -> Result<Tensor, TchError> {
        if matches!(form, Form::Trainable) {
            return self.forward(inputs, form);
        }
        let mut y = rows(&spare)?;
        for (i, (x, part)) in inputs.iter().zip(self.parts(inputs)?).enumerate() {
            let part = part.f_flatten(1, -1)?.f_t_copy()?;
            y = if i == 0 { rows(x)?.f_mm_out(&y, &part)? } else { y.f_addmm_(&rows(x)?, &part)? };
        }
        Ok(spare)
    }

    /// The weight cut into one part an input.
    fn parts(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, TchError> {
        let channels: Vec<i64> = inputs.iter().map(|x| x.size()[1]).collect();
        self.weight.f_split_with_sizes(channels, 1)
    }
}

fn side_by_side(inputs: &[Tensor]) -> Result<Tensor, TchError> {
    match inputs {
        [x] => Ok(x.shallow_clone()),
        _ => Tensor::f_cat(inputs, 1),
    }
}

/// N × C × D × H × W in channels_last order as one row a voxel, the same memory.
fn rows(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_permute([0, 2, 3, 4, 1])?.f_view([-1, x.size()[1]])
}

/// Mean and variance of each channel of one volume. Slice by slice: batch norm's operator is quick and makes no copy, but adds up a whole
/// volume in one f32 a channel, which costs a hundred times the accuracy.
fn statistics(x: &Tensor) -> Result<(Tensor, Tensor), TchError> {
    let none = None::<&Tensor>;
    let (mut means, mut variances) = (Vec::new(), Vec::new());
    for slice in x.f_unbind(2)? {
        let (mean, variance) = slice.f_batch_norm_update_stats(none, none, 0.0)?;
        means.push(mean);
        variances.push(variance);
    }
    let means = Tensor::f_stack(&means, 0)?;
    let mean = means.f_mean_dim([0i64].as_slice(), false, None::<Kind>)?;
    let within = Tensor::f_stack(&variances, 0)?;
    let variance =
        within.f_add(&means.f_sub(&mean)?.f_square()?)?.f_mean_dim([0i64].as_slice(), false, None::<Kind>)?;
    Ok((mean, variance))
}

/// Instance norm by the input's own statistics, without parameters.
fn norm(mut x: Tensor, form: Form<'_>) -> Result<Tensor, TchError> {
    let none = None::<&Tensor>;
    match form {
        // One group a channel is the same thing, and works in channels_last order.
        Form::Trainable => x.f_group_norm(x.size()[1], none, none, EPSILON, true),
        // On top of itself: large new memory costs more time than the arithmetic.
        Form::Inference(_) => {
            let channels = [1, -1, 1, 1, 1];
            let (mean, variance) = statistics(&x)?;
            let scale = variance.f_add_scalar(EPSILON)?.f_rsqrt()?;
            let shift = mean.f_mul(&scale)?.f_neg()?;
            x.f_mul_(&scale.f_view(channels)?)?.f_add_(&shift.f_view(channels)?)
        }
    }
}
