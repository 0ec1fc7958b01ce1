//! TorchScript modules of the site's own: any network `[N, in_channels, H, W] -> [N, num_classes]`.

use std::path::Path;

use ndarray::ArrayView4;
use tch::CModule;

use super::tensor::{array, input_tensor};
use crate::manifest::network::TorchScriptSpec;
use crate::model::{Device, Logits, ModelError, Network, WeightsError, torch_reason};

/// A module saved by `torch.jit.save`, in eval mode. TorchScript is a program, but a closed one: its operators compute on
/// tensors; it calls no Python.
pub struct TorchScript {
    module: CModule,
    spec: TorchScriptSpec,
    device: Device,
}

impl TorchScript {
    /// # Errors
    /// [`WeightsError::Format`] when the file is not a TorchScript archive.
    pub fn load(spec: &TorchScriptSpec, file: &Path, device: Device) -> Result<Self, ModelError> {
        let mut reader = std::fs::File::open(file).map_err(WeightsError::from)?;
        let not_script =
            |e: tch::TchError| WeightsError::Format(format!("not a TorchScript module: {}", torch_reason(&e)));
        let mut module = CModule::load_data_on_device(&mut reader, device.torch()).map_err(not_script)?;
        module.f_set_eval()?;
        Ok(Self { module, spec: spec.clone(), device })
    }
}

impl Network for TorchScript {
    fn forward(&mut self, input: ArrayView4<'_, f32>) -> Result<Logits, ModelError> {
        let _no_grad = tch::no_grad_guard();
        let x = input_tensor(input, self.spec.in_channels, self.device)?;
        let logits: ndarray::Array2<f32> = array(&self.module.forward_ts(&[x])?)?;
        let expected = (input.dim().0, self.spec.num_classes);
        if logits.dim() != expected {
            return Err(ModelError::Output {
                found: format!("shape {:?}", logits.shape()),
                expected: format!("shape [{}, {}]", expected.0, expected.1),
            });
        }
        Ok(Logits::Global(logits))
    }
}

#[cfg(test)]
mod tests;
