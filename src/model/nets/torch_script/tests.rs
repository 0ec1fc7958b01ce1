use ndarray::Array4;
use tch::{Kind, Tensor};

use super::*;

const SPEC: TorchScriptSpec = TorchScriptSpec { in_channels: 3, num_classes: 2, spatial_dims: 2 };

/// Traces `f` of a 1 × 3 × 4 × 4 tensor and saves it as `torch.jit.save` does.
fn save(file: &Path, mut f: impl FnMut(&Tensor) -> Tensor) {
    let example = Tensor::zeros([1, 3, 4, 4], (Kind::Float, tch::Device::Cpu));
    let mut closure = |inputs: &[Tensor]| vec![f(&inputs[0])];
    let module = CModule::create_by_tracing("Network", "forward", &[example], &mut closure).unwrap();
    module.save(file).unwrap();
}

#[test]
fn a_module_of_the_sites_own_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("network.pt");
    let weight = Tensor::from_slice(&[1f32, 2., 3., -1., 0., 1.]).view([2, 3]);
    let mean = |x: &Tensor| x.mean_dim([2i64, 3].as_slice(), false, Kind::Float);
    save(&file, |x| mean(x).linear(&weight, None::<&Tensor>));
    let mut network = TorchScript::load(&SPEC, &file, Device::cpu()).unwrap();
    let input = Array4::from_shape_fn((2, 3, 5, 6), |(n, c, ..)| (n + c) as f32);
    // Means of the channels are (0, 1, 2) and (1, 2, 3).
    assert_eq!(network.forward(input.view().into_dyn()).unwrap(), Logits::Global(ndarray::array![[8., 2.], [14., 2.]]));
    let error = network.forward(Array4::zeros((1, 1, 5, 6)).view().into_dyn()).unwrap_err().to_string();
    assert!(error.contains("found shape [1, 1, 5, 6], expected [N, 3, H, W]"), "{error}");

    save(&file, mean);
    let mut network = TorchScript::load(&SPEC, &file, Device::cpu()).unwrap();
    let error = network.forward(input.view().into_dyn()).unwrap_err().to_string();
    assert_eq!(error, "network output: found shape [2, 3], expected shape [2, 2] or [2, 2, 5, 6]");

    save(&file, |x| x.relu());
    let mut network = TorchScript::load(&SPEC, &file, Device::cpu()).unwrap();
    let error = network.forward(input.view().into_dyn()).unwrap_err().to_string();
    assert!(error.contains("found shape [2, 3, 5, 6], expected shape [2, 2] or [2, 2, 5, 6]"), "{error}");

    save(&file, |x| x.narrow(1, 1, 2));
    let mut network = TorchScript::load(&SPEC, &file, Device::cpu()).unwrap();
    let dense = network.forward(input.view().into_dyn()).unwrap().dense().unwrap();
    assert_eq!(dense, input.slice(ndarray::s![.., 1.., .., ..]).into_dyn());
}

#[test]
fn a_file_that_is_no_module_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("network.pt");
    std::fs::write(&file, b"PK\x03\x04 and then nothing").unwrap();
    let error = TorchScript::load(&SPEC, &file, Device::cpu()).err().unwrap().to_string();
    assert!(error.starts_with("not a TorchScript module: "), "{error}");
    assert!(error.contains("expected a file of torch.jit.save, not of torch.save or torch.export"), "{error}");
    assert!(!error.contains(folder.path().to_str().unwrap()) && !error.contains('\n'), "{error}");
}
