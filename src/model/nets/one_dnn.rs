//! A convolution and what follows it as one oneDNN primitive.
//!
//! libtorch has such operators (`mkldnn::_convolution_pointwise`, which its own compiler uses), but tch wraps only the ones
//! of the Python API. TorchScript reaches all of them: this module carries four functions in TorchScript, as text, and calls
//! them. Without fusion the activations pass through memory once more for ReLU and twice for a residual connection;
//! with plain weights oneDNN reorders them at every call.
//!
//! Efficiency (as `benches/resnet50.rs` defines it) of ResNet50 at 512² and 224² with one thread and AVX2: channels_last
//! alone 0.95 and 0.90, blocked tensors (`to_mkldnn`) 1.01 and 0.92, fused 1.10 and 0.97, fused and packed 1.12 and 1.07.

use std::io::{Cursor, Write};

use tch::{CModule, IValue, TchError, Tensor};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::conv_bn::Tail;

/// `conv_add` and `conv_add_relu` overwrite `residual`: the sum needs no memory of its own.
const SOURCE: &str = r#"class OneDnn(Module):
  __parameters__ = []
  __buffers__ = []
  def conv(self: __torch__.OneDnn, x: Tensor, weight: Tensor, bias: Optional[Tensor], stride: List[int], padding: List[int], dilation: List[int]) -> Tensor:
    return ops.mkldnn._convolution_pointwise(x, weight, bias, padding, stride, dilation, 1, "none", [], "")
  def conv_relu(self: __torch__.OneDnn, x: Tensor, weight: Tensor, bias: Optional[Tensor], stride: List[int], padding: List[int], dilation: List[int]) -> Tensor:
    return ops.mkldnn._convolution_pointwise(x, weight, bias, padding, stride, dilation, 1, "relu", [], "")
  def conv_add(self: __torch__.OneDnn, x: Tensor, weight: Tensor, bias: Optional[Tensor], stride: List[int], padding: List[int], dilation: List[int], residual: Tensor) -> Tensor:
    return ops.mkldnn._convolution_pointwise_(residual, x, weight, bias, padding, stride, dilation, 1, "add", 1.0, None, [], "")
  def conv_add_relu(self: __torch__.OneDnn, x: Tensor, weight: Tensor, bias: Optional[Tensor], stride: List[int], padding: List[int], dilation: List[int], residual: Tensor) -> Tensor:
    return ops.mkldnn._convolution_pointwise_(residual, x, weight, bias, padding, stride, dilation, 1, "add", 1.0, "relu", [], "")
"#;
/// `__torch__.OneDnn()`, an object without attributes.
const OBJECT: &[u8] = b"\x80\x02c__torch__\nOneDnn\n)\x81}b.";
const EMPTY_TUPLE: &[u8] = b"\x80\x02).";

/// The four functions, compiled.
pub struct OneDnn {
    module: CModule,
}

impl OneDnn {
    /// None: this libtorch has no oneDNN or not these operators; plain convolutions say the same, more slowly.
    pub fn new(device: tch::Device) -> Option<Self> {
        if device != tch::Device::Cpu || !tch::utils::has_mkldnn() {
            return None;
        }
        let archive = archive().ok()?;
        match CModule::load_data(&mut Cursor::new(archive)) {
            Ok(module) => Some(Self { module }),
            Err(error) => {
                log::warn!("no fused convolutions, inference will be slower: {}", crate::model::torch_reason(&error));
                None
            }
        }
    }

    /// `x` (2D or 3D) in channels_last order, `weight` from [`pack`]; the result is in channels_last order.
    pub fn convolve(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        [stride, padding]: [i64; 2],
        tail: Tail,
    ) -> Result<Tensor, TchError> {
        let tensor = |t: &Tensor| IValue::Tensor(t.shallow_clone());
        let each = |v| IValue::IntList(vec![v; x.dim() - 2]);
        let mut arguments = vec![tensor(x), tensor(weight), bias.map_or(IValue::None, tensor)];
        arguments.extend([each(stride), each(padding), each(1)]);
        let function = match tail {
            Tail::Linear => "conv",
            Tail::Relu => "conv_relu",
            Tail::Add(residual) => {
                arguments.push(IValue::Tensor(residual));
                "conv_add"
            }
            Tail::AddRelu(residual) => {
                arguments.push(IValue::Tensor(residual));
                "conv_add_relu"
            }
        };
        match self.module.method_is(function, &arguments)? {
            IValue::Tensor(y) => Ok(y),
            other => Err(TchError::Torch(format!("{function} gave {other:?}"))),
        }
    }
}

/// A plain weight in the order that oneDNN wants for an input of this shape (N × C × H × W or N × C × D × H × W).
pub fn pack(weight: &Tensor, [stride, padding]: [i64; 2], input: &[i64]) -> Result<Tensor, TchError> {
    let opaque = weight.f_contiguous()?.f_to_mkldnn(None::<tch::Kind>)?;
    if input.len() == 5 {
        return opaque.f_mkldnn_reorder_conv3d_weight([padding; 3], [stride; 3], [1; 3], 1, Some(input));
    }
    opaque.f_mkldnn_reorder_conv2d_weight([padding; 2], [stride; 2], [1; 2], 1, Some(input))
}

/// What `torch.jit.save` writes, version 3.
fn archive() -> Result<Vec<u8>, zip::result::ZipError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in [
        ("data.pkl", OBJECT),
        ("code/__torch__.py", SOURCE.as_bytes()),
        ("constants.pkl", EMPTY_TUPLE),
        ("version", b"3\n"),
    ] {
        zip.start_file(format!("one_dnn/{name}"), stored)?;
        zip.write_all(content)?;
    }
    Ok(zip.finish()?.into_inner())
}
