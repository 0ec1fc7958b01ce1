//! TorchScript modules of the site's own: any network `[N, in_channels, spatial…] -> [N, num_classes]` or, for a segmentation,
//! `-> [N, num_classes, spatial…]` of the input's size. Which of the two, its output's rank says.

use std::path::Path;

use ndarray::{ArrayD, ArrayViewD, Ix2};
use tch::CModule;

use super::tensor::{array, input_tensor};
use crate::manifest::network::TorchScriptSpec;
use crate::model::{Device, Logits, ModelError, Network, WeightsError, torch_reason};

/// A module saved by `torch.jit.save`, in eval mode. TorchScript is a program: it calls no Python and starts nothing, but its
/// operators include ones that open files, so a site loads only modules that it trusts (state dicts carry no such risk).
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
        let not_script = |e: tch::TchError| {
            // What follows libtorch's first sentence guesses at a corrupt file, also where it is a good one of another kind.
            let reason = torch_reason(&e);
            let reason = reason.split(". ").next().unwrap_or_default();
            let expected = "expected a file of torch.jit.save, not of torch.save or torch.export";
            WeightsError::Format(format!("not a TorchScript module: {expected} ({reason})"))
        };
        let mut module = CModule::load_data_on_device(&mut reader, device.torch()).map_err(not_script)?;
        module.f_set_eval()?;
        Ok(Self { module, spec: spec.clone(), device })
    }
}

impl Network for TorchScript {
    fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
        let _no_grad = tch::no_grad_guard();
        let mut dense = input.shape().to_vec();
        let x = input_tensor(input, self.spec.in_channels, self.spec.spatial_dims, self.device)?;
        let logits: ArrayD<f32> = array(&self.module.forward_ts(&[x])?)?;
        dense[1] = self.spec.num_classes;
        let global = &dense[..2];
        let output = |logits: &ArrayD<f32>| ModelError::Output {
            found: format!("shape {:?}", logits.shape()),
            expected: format!("shape {global:?} or {dense:?}"),
        };
        if logits.shape() == dense {
            return Ok(Logits::Dense(logits));
        }
        if logits.shape() != global {
            return Err(output(&logits));
        }
        let error = output(&logits);
        logits.into_dimensionality::<Ix2>().map(Logits::Global).map_err(|_| error)
    }
}

#[cfg(test)]
mod tests;
