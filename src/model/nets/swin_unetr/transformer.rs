//! The encoder: a 3D Swin transformer (Liu et al. 2021) whose tokens lie N × D × H × W × C.

use std::cell::RefCell;

use tch::{TchError, Tensor};

use super::Form;
use super::attention::WindowAttention;
use super::parameters::{Fill, LayerNorm, Linear, Make, normalize};
use super::windows::{WINDOW, Windows};
use crate::manifest::network::{PatchMerging, SwinUnetrSpec};
use crate::model::WeightsError;
use crate::model::pace::stand_aside;

/// Attention heads of each stage; each doubles the channels of the one before.
const HEADS: [i64; 4] = [3, 6, 12, 24];
/// Blocks of each stage: the second one shifted.
const DEPTH: usize = 2;
/// The hidden layer of a block is so many times wider.
const MLP_RATIO: i64 = 4;

/// Numbers in an intermediate result that stays in the processor's cache: 2 MiB.
const CACHE: i64 = 1 << 19;

/// (slice, row, column) of the eight neighbours that are merged into one token, in the order of their channels.
const LEGACY: [[i64; 3]; 8] = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 0], [0, 0, 1], [1, 1, 1]];
const CURRENT: [[i64; 3]; 8] = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]];

/// Patch embedding and four stages.
pub struct SwinTransformer {
    embed_weight: Tensor,
    embed_bias: Tensor,
    stages: Vec<Stage>,
}

struct Stage {
    blocks: Vec<Block>,
    norm: LayerNorm,
    reduction: Linear,
    neighbours: [[i64; 3]; 8],
}

struct Block {
    name: String,
    shifted: bool,
    norm1: LayerNorm,
    attention: WindowAttention,
    norm2: LayerNorm,
    linear1: Linear,
    linear2: Linear,
    geometry: RefCell<Option<Geometry>>,
}

/// What follows from the feature size, kept for that of the last call: a model's windows all have one size.
struct Geometry {
    size: [i64; 3],
    windows: Windows,
    /// Inference alone: training changes the position bias.
    masks: Vec<Tensor>,
}

impl SwinTransformer {
    pub fn new(make: Make<'_>, spec: &SwinUnetrSpec) -> Result<Self, WeightsError> {
        let (inputs, width) = (spec.in_channels as i64, spec.feature_size as i64);
        let fill = Fill::kaiming(8 * inputs);
        let embed_weight = make("swinViT.patch_embed.proj.weight", &[width, inputs, 2, 2, 2], fill)?;
        let embed_bias = make("swinViT.patch_embed.proj.bias", &[width], Fill::Zeros)?;
        let neighbours = match spec.patch_merging {
            PatchMerging::Legacy => LEGACY,
            PatchMerging::Current => CURRENT,
        };
        let mut stages = Vec::new();
        for (stage, heads) in HEADS.into_iter().enumerate() {
            let name = format!("layers{}", stage + 1);
            let channels = width << stage;
            let blocks = (0..DEPTH).map(|i| Block::new(make, &name, i, channels, heads)).collect::<Result<_, _>>()?;
            let downsample = format!("swinViT.{name}.0.downsample");
            stages.push(Stage {
                blocks,
                reduction: Linear::new(make, &format!("{downsample}.reduction"), 8 * channels, 2 * channels, false)?,
                norm: LayerNorm::new(make, &format!("{downsample}.norm"), 8 * channels)?,
                neighbours,
            });
        }
        Ok(Self { embed_weight, embed_bias, stages })
    }

    /// N × C × D × H × W → the five hidden states, normalised, from half the size to a 32th of it.
    pub fn forward(
        &self,
        x: &Tensor,
        form: Form<'_>,
        tap: &mut dyn FnMut(&str, &Tensor),
    ) -> Result<Vec<Tensor>, TchError> {
        let x = x.f_conv3d(&self.embed_weight, Some(&self.embed_bias), 2, 0, 1, 1)?;
        tap("patch_embed", &x);
        let mut x = x.f_permute([0, 2, 3, 4, 1])?.f_contiguous()?;
        let mut hidden = vec![hidden_state(&x)?];
        tap("swinViT.0", &hidden[0]);
        for (i, stage) in self.stages.iter().enumerate() {
            for block in &stage.blocks {
                x = block.forward(x, form)?;
                tap(&block.name, &x);
            }
            x = stage.merge(&x)?;
            tap(&format!("layers{}.downsample", i + 1), &x);
            let state = hidden_state(&x)?;
            tap(&format!("swinViT.{}", i + 1), &state);
            hidden.push(state);
        }
        Ok(hidden)
    }
}

/// N × D × H × W × C → N × C × D × H × W (the same memory order), layer-normed without parameters.
fn hidden_state(x: &Tensor) -> Result<Tensor, TchError> {
    normalize(x)?.f_permute([0, 4, 1, 2, 3])
}

impl Stage {
    /// Half the size, twice the channels.
    fn merge(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let half = |x: &Tensor, axis: usize, first: i64| x.f_slice(axis as i64 + 1, first, None, 2);
        let part = |at: &[i64; 3]| half(&half(&half(x, 0, at[0])?, 1, at[1])?, 2, at[2]);
        let parts = self.neighbours.iter().map(part).collect::<Result<Vec<_>, _>>()?;
        self.reduction.forward(&self.norm.forward(&Tensor::f_cat(&parts, -1)?)?)
    }
}

impl Block {
    fn new(make: Make<'_>, layer: &str, index: usize, channels: i64, heads: i64) -> Result<Self, WeightsError> {
        let name = format!("swinViT.{layer}.0.blocks.{index}");
        Ok(Self {
            name: format!("{layer}.blocks.{index}"),
            shifted: index % 2 == 1,
            norm1: LayerNorm::new(make, &format!("{name}.norm1"), channels)?,
            attention: WindowAttention::new(make, &format!("{name}.attn"), channels, heads)?,
            norm2: LayerNorm::new(make, &format!("{name}.norm2"), channels)?,
            linear1: Linear::new(make, &format!("{name}.mlp.linear1"), channels, MLP_RATIO * channels, true)?,
            linear2: Linear::new(make, &format!("{name}.mlp.linear2"), MLP_RATIO * channels, channels, true)?,
            geometry: RefCell::new(None),
        })
    }

    fn forward(&self, x: Tensor, form: Form<'_>) -> Result<Tensor, TchError> {
        let shape = x.size();
        let size = [shape[1], shape[2], shape[3]];
        let mut kept = self.geometry.borrow_mut();
        let geometry = match kept.take().filter(|geometry| geometry.size == size) {
            Some(geometry) => geometry,
            None => self.geometry(size, shape[4], form, x.device())?,
        };
        let geometry = kept.insert(geometry);
        let training;
        let masks = match form {
            Form::Inference(_) => &geometry.masks,
            Form::Trainable => {
                training = self.attention.masks(&geometry.windows)?;
                &training
            }
        };
        let x = x.f_view([shape[0], -1, shape[4]])?;
        let x = self.attention.forward(&self.norm1.forward(&x)?, &geometry.windows, masks, form)?.f_add_(&x)?;
        match form {
            Form::Trainable => self.mlp(&x)?.f_add_(&x)?,
            // In pieces whose hidden layer stays in the processor's cache, and on top of the input.
            Form::Inference(_) => {
                let rows = x.f_view([-1, shape[4]])?;
                stand_aside();
                for mut piece in rows.f_split((CACHE / (MLP_RATIO * shape[4])).max(1), 0)? {
                    let _ = piece.f_add_(&self.mlp(&piece)?)?;
                }
                x
            }
        }
        .f_view(shape.as_slice())
    }

    fn mlp(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let hidden = self.linear1.forward(&self.norm2.forward(x)?)?;
        self.linear2.forward(&hidden.f_gelu("none")?)
    }

    fn geometry(
        &self,
        size: [i64; 3],
        channels: i64,
        form: Form<'_>,
        device: tch::Device,
    ) -> Result<Geometry, TchError> {
        let window = WINDOW.pow(3) * 3 * channels;
        let windows = Windows::new(size, self.shifted, (CACHE / window).max(1) as usize, device)?;
        let masks = match form {
            Form::Inference(_) => self.attention.masks(&windows)?,
            Form::Trainable => Vec::new(),
        };
        Ok(Geometry { size, windows, masks })
    }
}
