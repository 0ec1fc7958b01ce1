//! The trainable form: autograd variables in a `VarStore` under the reference's key names.

use tch::nn::{Init, Path};
use tch::{TchError, Tensor};

use super::{DoubleConv, convolutions, pad_to};
use crate::manifest::network::UnetSpec;
use crate::model::nets::conv_bn::{ConvBnSpec, Tail, TrainableConvBn, sub_path};

pub struct TrainableUNet {
    downs: Vec<DoubleConv<TrainableConvBn>>,
    ups: Vec<([Tensor; 2], DoubleConv<TrainableConvBn>)>,
    out: [Tensor; 2],
}

impl TrainableUNet {
    /// # Errors
    /// What libtorch refuses (memory).
    pub fn new(vs: &Path<'_>, spec: &UnetSpec) -> Result<Self, TchError> {
        let (downs, ups) = convolutions(spec);
        let double = |[first, second]: &DoubleConv<ConvBnSpec>| -> Result<DoubleConv<TrainableConvBn>, TchError> {
            Ok([TrainableConvBn::new(vs, first)?, TrainableConvBn::new(vs, second)?])
        };
        let up = |(i, conv): (usize, &DoubleConv<ConvBnSpec>)| -> Result<_, TchError> {
            let (inputs, outputs) = (conv[0].in_channels, conv[0].out_channels);
            let upsample = pair(vs, &format!("up{}.up", i + 1), &[inputs, outputs, 2, 2], outputs, 4 * outputs)?;
            Ok((upsample, double(conv)?))
        };
        let (inputs, outputs) = (spec.width as i64, spec.out_channels as i64);
        Ok(Self {
            downs: downs.iter().map(double).collect::<Result<_, _>>()?,
            ups: ups.iter().enumerate().map(up).collect::<Result<_, TchError>>()?,
            out: pair(vs, "outc.conv", &[outputs, inputs, 1, 1], outputs, inputs)?,
        })
    }

    /// Logits, N × outputs × H × W, of a batch N × C × H × W. `train`: batch norm uses the batch's statistics and moves the running ones.
    ///
    /// # Errors
    /// What libtorch refuses.
    pub fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor, TchError> {
        let double = |[first, second]: &DoubleConv<TrainableConvBn>, x: &Tensor| {
            second.forward_t(&first.forward_t(x, train, Tail::Relu)?, train, Tail::Relu)
        };
        let mut x = xs.shallow_clone();
        let mut skips = Vec::with_capacity(self.ups.len());
        for (i, conv) in self.downs.iter().enumerate() {
            if i > 0 {
                skips.push(x.shallow_clone());
                x = x.f_max_pool2d(2, 2, 0, 1, false)?;
            }
            x = double(conv, &x)?;
        }
        for (([weight, bias], conv), skip) in self.ups.iter().zip(skips.into_iter().rev()) {
            let y = x.f_conv_transpose2d(weight, Some(bias), 2, 0, 0, 1, 1)?;
            x = double(conv, &Tensor::f_cat(&[&skip, &pad_to(&y, &skip)?], 1)?)?;
        }
        let [weight, bias] = &self.out;
        x.f_conv2d(weight, Some(bias), 1, 0, 1, 1)
    }
}

/// Weight and bias of a convolution, initialised as torch.nn does: uniform within 1 / sqrt(fan in).
fn pair(vs: &Path<'_>, module: &str, shape: &[i64], outputs: i64, fan_in: i64) -> Result<[Tensor; 2], TchError> {
    let bound = 1.0 / (fan_in as f64).sqrt();
    let init = Init::Uniform { lo: -bound, up: bound };
    let module = sub_path(vs, module);
    Ok([module.f_var("weight", shape, init)?, module.f_var("bias", &[outputs], init)?])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tch::{Kind, nn};

    use super::super::{UNet, keys};
    use super::*;
    use crate::model::nets::tensor::array;
    use crate::model::weights::StateDict;
    use crate::model::{Device, Network};

    /// Its variables are the keys of the inference form, and both compute the same; also where sizes do not halve evenly.
    #[test]
    fn equals_the_inference_form() {
        tch::manual_seed(3);
        let spec = UnetSpec { in_channels: 1, out_channels: 2, width: 4, conv_bias: false };
        let vs = nn::VarStore::new(tch::Device::Cpu);
        let network = TrainableUNet::new(&vs.root(), &spec).unwrap();
        let x = Tensor::randn([2, 1, 40, 52], (Kind::Float, tch::Device::Cpu));
        // Moves the running statistics off their start.
        let _trained = network.forward_t(&x, true).unwrap();
        let variables: BTreeMap<String, Tensor> =
            vs.variables().into_iter().map(|(name, tensor)| (name, tensor.detach())).collect();
        let mut names: Vec<String> = keys(&spec).into_iter().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(variables.keys().cloned().collect::<Vec<_>>(), names);

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weights.safetensors");
        vs.save(&file).unwrap();
        let dict = StateDict::read(&file, crate::manifest::WeightsFormat::Safetensors).unwrap();
        let device = Device::from_choice("cpu", Some(1)).unwrap();
        let mut folded = UNet::from_state_dict(&spec, dict, device).unwrap();
        let expected: ndarray::ArrayD<f32> = array(&tch::no_grad(|| network.forward_t(&x, false)).unwrap()).unwrap();
        let input: ndarray::ArrayD<f32> = array(&x).unwrap();
        let found = folded.forward(input.view()).unwrap().dense().unwrap();
        assert_eq!(found.shape(), [2, 2, 40, 52]);
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
    }
}
