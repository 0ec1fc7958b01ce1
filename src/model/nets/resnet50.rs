//! ResNet50, He et al. 2016, as torchvision has it (v1.5: the stride is on the 3×3 convolution) or as Keras has it (v1: on the first 1×1,
//! with biases), under torchvision's key names. The zeros that Keras pads with before max pooling change nothing: it follows a ReLU.
//!
//! One [`Graph`] describes the architecture and walks it; the trainable and the folded form fill it with different units,
//! so they cannot diverge.

use ndarray::ArrayViewD;
use tch::nn::Path;
use tch::{TchError, Tensor};

use super::conv_bn::{ConvBnSpec, FoldedConvBn, Tail, TrainableConvBn};
use super::dense_head::{self, DenseHead};
use super::grad_cam::grad_cam;
use super::one_dnn::OneDnn;
use super::tensor::{array, input_tensor};
use crate::manifest::network::ResNet50Spec;
use crate::model::{CamTarget, Device, Explanation, Logits, ModelError, Network, weights::StateDict};

/// Blocks of layer1 … layer4.
const BLOCKS: [usize; 4] = [3, 4, 6, 3];
/// A block's output has so many times its inner channels.
const EXPANSION: i64 = 4;

/// One bottleneck block: 1×1, 3×3, 1×1, and a shortcut where the shape changes.
struct Bottleneck<U> {
    name: String,
    conv1: U,
    conv2: U,
    conv3: U,
    downsample: Option<U>,
}

/// The architecture, filled with a unit for each convolution and its batch norm.
struct Graph<U> {
    stem: U,
    blocks: Vec<Bottleneck<U>>,
}

impl Graph<ConvBnSpec> {
    fn describe(spec: &ResNet50Spec) -> Self {
        let width = spec.width as i64;
        let unit = |conv: String, norm: String, [in_channels, out_channels]: [i64; 2], kernel, stride| ConvBnSpec {
            conv,
            norm,
            in_channels,
            out_channels,
            kernel,
            stride,
            bias: spec.conv_bias,
            epsilon: spec.batch_norm_epsilon,
        };
        let stem = unit("conv1".into(), "bn1".into(), [spec.in_channels as i64, width], 7, 2);
        let mut blocks = Vec::new();
        let mut channels = width;
        for (layer, count) in BLOCKS.into_iter().enumerate() {
            let inner = width << layer;
            let outer = inner * EXPANSION;
            for block in 0..count {
                let name = format!("layer{}.{block}", layer + 1);
                let stride = if layer > 0 && block == 0 { 2 } else { 1 };
                let (stride1, stride2) = if spec.stride_in_1x1 { (stride, 1) } else { (1, stride) };
                let conv = |i: usize, io, kernel, stride| {
                    unit(format!("{name}.conv{i}"), format!("{name}.bn{i}"), io, kernel, stride)
                };
                blocks.push(Bottleneck {
                    conv1: conv(1, [channels, inner], 1, stride1),
                    conv2: conv(2, [inner, inner], 3, stride2),
                    conv3: conv(3, [inner, outer], 1, 1),
                    downsample: (block == 0).then(|| {
                        let name = format!("{name}.downsample");
                        unit(format!("{name}.0"), format!("{name}.1"), [channels, outer], 1, stride)
                    }),
                    name,
                });
                channels = outer;
            }
        }
        Self { stem, blocks }
    }

    /// Every convolution and its batch norm, in the state dict's order.
    fn units(&self) -> impl Iterator<Item = &ConvBnSpec> {
        let blocks = self.blocks.iter().flat_map(|b| [&b.conv1, &b.conv2, &b.conv3].into_iter().chain(&b.downsample));
        std::iter::once(&self.stem).chain(blocks)
    }
}

impl<U> Graph<U> {
    /// The same graph with other units, made in the state dict's order.
    fn fill<E>(specs: &Graph<ConvBnSpec>, mut make: impl FnMut(&ConvBnSpec) -> Result<U, E>) -> Result<Self, E> {
        let stem = make(&specs.stem)?;
        let mut blocks = Vec::with_capacity(specs.blocks.len());
        for b in &specs.blocks {
            blocks.push(Bottleneck {
                name: b.name.clone(),
                conv1: make(&b.conv1)?,
                conv2: make(&b.conv2)?,
                conv3: make(&b.conv3)?,
                downsample: b.downsample.as_ref().map(&mut make).transpose()?,
            });
        }
        Ok(Self { stem, blocks })
    }

    /// From the image (N × C × H × W) to the last block's output (N × 32·width × H/32 × W/32). `apply` runs one unit; `tap` sees the
    /// activation after "stem" (conv, max pooling) and after each block ("layer1.0", …).
    fn blocks(
        &self,
        x: &Tensor,
        apply: impl Fn(&U, &Tensor, Tail) -> Result<Tensor, TchError>,
        tap: &mut dyn FnMut(&str, &Tensor),
    ) -> Result<Tensor, TchError> {
        let mut x = apply(&self.stem, x, Tail::Relu)?.f_max_pool2d(3, 2, 1, 1, false)?;
        tap("stem", &x);
        for b in &self.blocks {
            let shortcut = match &b.downsample {
                Some(unit) => apply(unit, &x, Tail::Linear)?,
                None => x.shallow_clone(),
            };
            let y = apply(&b.conv1, &x, Tail::Relu)?;
            let y = apply(&b.conv2, &y, Tail::Relu)?;
            x = apply(&b.conv3, &y, Tail::AddRelu(shortcut))?;
            tap(&b.name, &x);
        }
        Ok(x)
    }
}

/// Global average pooling: N × channels × rows × columns to N × channels.
fn pool(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_adaptive_avg_pool2d([1, 1])?.f_flatten(1, -1)
}

/// The keys of the state dict with their shapes, without `num_batches_tracked`, which inference does not need.
pub fn keys(spec: &ResNet50Spec) -> Vec<(String, Vec<i64>)> {
    let mut keys: Vec<_> = Graph::describe(spec).units().flat_map(ConvBnSpec::keys).collect();
    keys.extend(dense_head::keys(feature_count(spec), &spec.hidden_features, spec.num_classes));
    keys
}

/// Multiply-adds of one image of `rows` × `columns` pixels: 4.09e9 at 224², width 64.
pub fn multiply_adds(spec: &ResNet50Spec, rows: usize, columns: usize) -> usize {
    let graph = Graph::describe(spec);
    let cost = |unit: &ConvBnSpec, (rows, columns): (usize, usize)| {
        let output = (rows.div_ceil(unit.stride as usize), columns.div_ceil(unit.stride as usize));
        let kernel = (unit.out_channels * unit.in_channels * unit.kernel * unit.kernel) as usize;
        (kernel * output.0 * output.1, output)
    };
    let (mut total, (rows, columns)) = cost(&graph.stem, (rows, columns));
    // Max pooling halves again.
    let mut size = (rows.div_ceil(2), columns.div_ceil(2));
    for b in &graph.blocks {
        total += b.downsample.as_ref().map_or(0, |unit| cost(unit, size).0);
        for unit in [&b.conv1, &b.conv2, &b.conv3] {
            let (unit_cost, output) = cost(unit, size);
            total += unit_cost;
            size = output;
        }
    }
    let head = dense_head::keys(feature_count(spec), &spec.hidden_features, spec.num_classes);
    let weights = head.iter().filter(|(_, shape)| shape.len() == 2);
    total + weights.map(|(_, shape)| shape.iter().product::<i64>() as usize).sum::<usize>()
}

/// Length of the pooled feature vector: 2048 at the published width of 64.
fn feature_count(spec: &ResNet50Spec) -> i64 {
    (spec.width as i64) << (BLOCKS.len() - 1) << EXPANSION.trailing_zeros()
}

/// The inference form: folded, channels_last, fused where oneDNN is there.
pub struct ResNet50 {
    graph: Graph<FoldedConvBn>,
    one_dnn: Option<OneDnn>,
    head: DenseHead,
    in_channels: usize,
    device: Device,
}

/// What the layers before the logits say, for parity tests.
pub struct Activations {
    /// N × 32·width, after global average pooling.
    pub features: ndarray::Array2<f32>,
    /// N × width of each hidden dense layer, after its ReLU.
    pub hidden: Vec<ndarray::Array2<f32>>,
    /// N × classes
    pub logits: ndarray::Array2<f32>,
    /// Name ("stem", "layer1.0", …) and activation, N × C × H × W.
    pub taps: Vec<(String, ndarray::Array4<f32>)>,
}

impl ResNet50 {
    /// Fills the network from a state dict with torchvision's key names; the dict is used up tensor by tensor, so that
    /// the weights are in memory little more than once.
    ///
    /// # Errors
    /// [`super::super::WeightsError::Keys`] with all keys that are missing, too many or of another shape.
    pub fn from_state_dict(spec: &ResNet50Spec, mut state_dict: StateDict, device: Device) -> Result<Self, ModelError> {
        state_dict.check(&keys(spec))?;
        let _no_grad = tch::no_grad_guard();
        let specs = Graph::describe(spec);
        let graph = Graph::fill(&specs, |unit| FoldedConvBn::from_state_dict(unit, &mut state_dict, device.torch()))?;
        Ok(Self {
            graph,
            one_dnn: OneDnn::new(device.torch()),
            head: DenseHead::from_state_dict(&spec.hidden_features, &mut state_dict, device.torch())?,
            in_channels: spec.in_channels,
            device,
        })
    }

    /// The last block's output, without gradients.
    fn blocks(&self, input: ArrayViewD<'_, f32>, tap: &mut dyn FnMut(&str, &Tensor)) -> Result<Tensor, ModelError> {
        let _no_grad = tch::no_grad_guard();
        let x = input_tensor(input, self.in_channels, 2, self.device)?;
        let apply = |unit: &FoldedConvBn, x: &Tensor, tail| unit.forward(x, tail, self.one_dnn.as_ref());
        Ok(self.graph.blocks(&x, apply, tap)?)
    }

    /// As [`Network::forward`], with what the layers say on the way.
    ///
    /// # Errors
    /// As [`Network::forward`].
    pub fn activations(&self, input: ArrayViewD<'_, f32>) -> Result<Activations, ModelError> {
        let _no_grad = tch::no_grad_guard();
        let mut taps = Vec::new();
        let features = pool(&self.blocks(input, &mut |name, x| taps.push((name.to_owned(), x.copy())))?)?;
        let taps = taps.into_iter().map(|(name, x)| Ok((name, array(&x)?))).collect::<Result<_, ModelError>>()?;
        let mut hidden = Vec::new();
        let logits = self.head.forward(&features, &mut |x| hidden.push(x.shallow_clone()))?;
        let hidden = hidden.iter().map(array).collect::<Result<_, ModelError>>()?;
        Ok(Activations { features: array(&features)?, hidden, logits: array(&logits)?, taps })
    }
}

impl Network for ResNet50 {
    fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
        let _no_grad = tch::no_grad_guard();
        let last = self.blocks(input, &mut |_, _| {})?;
        Ok(Logits::Global(array(&self.head.forward(&pool(&last)?, &mut |_| {})?)?))
    }

    fn explain(&mut self, input: ArrayViewD<'_, f32>, target: CamTarget) -> Result<Explanation, ModelError> {
        let last = self.blocks(input, &mut |_, _| {})?;
        grad_cam(&last, |last| self.head.forward(&pool(last)?, &mut |_| {}), target)
    }
}

/// The trainable form: autograd variables in a `VarStore` under torchvision's key names.
pub struct TrainableResNet50 {
    graph: Graph<TrainableConvBn>,
    head: DenseHead,
}

impl TrainableResNet50 {
    /// # Errors
    /// What libtorch refuses (memory).
    pub fn new(vs: &Path<'_>, spec: &ResNet50Spec) -> Result<Self, TchError> {
        let graph = Graph::fill(&Graph::describe(spec), |unit| TrainableConvBn::new(vs, unit))?;
        let head = DenseHead::trainable(vs, feature_count(spec), &spec.hidden_features, spec.num_classes)?;
        Ok(Self { graph, head })
    }

    /// Pooled features, N × 32·width, of a batch N × C × H × W.
    ///
    /// # Errors
    /// What libtorch refuses.
    pub fn features(&self, xs: &Tensor, train: bool) -> Result<Tensor, TchError> {
        pool(&self.graph.blocks(xs, |unit, x, tail| unit.forward_t(x, train, tail), &mut |_, _| {})?)
    }

    /// Logits, N × classes, of a batch N × C × H × W. `train`: batch norm uses the batch's statistics and moves the running ones.
    ///
    /// # Errors
    /// What libtorch refuses.
    pub fn forward_t(&self, xs: &Tensor, train: bool) -> Result<Tensor, TchError> {
        self.head.forward(&self.features(xs, train)?, &mut |_| {})
    }
}

#[cfg(test)]
mod tests;
