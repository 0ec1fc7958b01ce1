//! The decoder's blocks: residual convolutions with instance norm, and upsampling beside the encoder's features.

use tch::{TchError, Tensor};

use super::parameters::{Fill, Make};
use crate::model::WeightsError;

/// torch.nn.InstanceNorm3d's default.
const EPSILON: f64 = 1e-5;

/// conv 3³, norm, LeakyReLU, conv 3³, norm; plus the input (through a 1³ convolution and norm where its channels differ);
/// LeakyReLU.
pub struct ResBlock {
    name: String,
    conv1: Tensor,
    conv2: Tensor,
    conv3: Option<Tensor>,
}

impl ResBlock {
    /// `name` is the tap's, `key` where the convolutions' keys begin.
    pub fn new(make: Make<'_>, name: &str, key: &str, inputs: i64, outputs: i64) -> Result<Self, WeightsError> {
        let mut conv = |i: usize, inputs: i64, kernel: i64| {
            let fill = Fill::kaiming(inputs * kernel.pow(3));
            make(&format!("{key}.conv{i}.conv.weight"), &[outputs, inputs, kernel, kernel, kernel], fill)
        };
        Ok(Self {
            name: name.into(),
            conv1: conv(1, inputs, 3)?,
            conv2: conv(2, outputs, 3)?,
            conv3: if inputs == outputs { None } else { Some(conv(3, inputs, 1)?) },
        })
    }

    pub fn forward(&self, x: &Tensor, tap: &mut dyn FnMut(&str, &Tensor)) -> Result<Tensor, TchError> {
        let y = norm(&x.f_conv3d(&self.conv1, None::<&Tensor>, 1, 1, 1, 1)?)?.f_leaky_relu_()?;
        let y = norm(&y.f_conv3d(&self.conv2, None::<&Tensor>, 1, 1, 1, 1)?)?;
        let shortcut = match &self.conv3 {
            Some(conv) => norm(&x.f_conv3d(conv, None::<&Tensor>, 1, 0, 1, 1)?)?,
            None => x.shallow_clone(),
        };
        let y = y.f_add(&shortcut)?.f_leaky_relu_()?;
        tap(&self.name, &y);
        Ok(y)
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

    pub fn forward(&self, x: &Tensor, skip: &Tensor, tap: &mut dyn FnMut(&str, &Tensor)) -> Result<Tensor, TchError> {
        let x = x.f_conv_transpose3d(&self.upsample, None::<&Tensor>, 2, 0, 0, 1, 1)?;
        self.block.forward(&Tensor::f_cat(&[&x, skip], 1)?, tap)
    }
}

/// Instance norm by the input's own statistics, without parameters.
fn norm(x: &Tensor) -> Result<Tensor, TchError> {
    let none = None::<&Tensor>;
    x.f_instance_norm(none, none, none, none, true, 0.0, EPSILON, true)
}
