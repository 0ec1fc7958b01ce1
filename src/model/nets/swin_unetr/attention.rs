//! Attention within windows, with a learned bias for each relative position.

use tch::{Kind, TchError, Tensor};

use super::Form;
use super::parameters::{Fill, Linear, Make};
use super::windows::{WINDOW, Windows, relative_position_index};
use crate::model::WeightsError;
use crate::model::pace::stand_aside;

/// Multi-head attention of the tokens of one window among themselves.
pub struct WindowAttention {
    heads: i64,
    /// (2·7 - 1)³ × heads
    table: Tensor,
    qkv: Linear,
    proj: Linear,
}

impl WindowAttention {
    pub fn new(make: Make<'_>, name: &str, channels: i64, heads: i64) -> Result<Self, WeightsError> {
        let rows = (2 * WINDOW - 1).pow(3);
        Ok(Self {
            heads,
            table: make(&format!("{name}.relative_position_bias_table"), &[rows, heads], Fill::LINEAR)?,
            qkv: Linear::new(make, &format!("{name}.qkv"), channels, 3 * channels, true)?,
            proj: Linear::new(make, &format!("{name}.proj"), channels, channels, true)?,
        })
    }

    /// What is added to the attention, by the windows' kind: position bias and shift mask, 1 × heads × tokens × tokens.
    pub fn masks(&self, windows: &Windows) -> Result<Vec<Tensor>, TchError> {
        let tokens = windows.tokens;
        let index = Tensor::f_from_slice(&relative_position_index(tokens))?.f_to_device(self.table.device())?;
        let bias = self.table.f_index_select(0, &index)?.f_view([1, tokens, tokens, self.heads])?;
        let bias = bias.f_permute([0, 3, 1, 2])?.f_contiguous()?;
        let kind = |mask: &Option<Tensor>| match mask {
            Some(mask) => bias.f_add(mask),
            None => Ok(bias.shallow_clone()),
        };
        windows.masks.iter().map(kind).collect()
    }

    /// N × volume × C → the same. `masks` are those of these windows.
    pub fn forward(&self, x: &Tensor, windows: &Windows, masks: &[Tensor], form: Form<'_>) -> Result<Tensor, TchError> {
        let (n, channels) = (x.size()[0], x.size()[2]);
        let rows: Vec<i64> = windows.groups.iter().map(|(count, _)| count * windows.tokens).collect();
        let tokens = windows.partition(x)?.f_split_with_sizes(rows, 1)?;
        let mut attended = Vec::with_capacity(tokens.len());
        for (tokens, (count, kind)) in tokens.iter().zip(&windows.groups) {
            stand_aside();
            let shape = [n * count, windows.tokens, 3, self.heads, channels / self.heads];
            // 3 × windows × heads × tokens × channels of a head
            let qkv = self.qkv.forward(tokens)?.f_view(shape)?.f_permute([2, 0, 3, 1, 4])?;
            let y = attend(&qkv, &masks[*kind], form)?;
            attended.push(y.f_transpose(1, 2)?.f_reshape([n, count * windows.tokens, channels])?);
        }
        self.proj.forward(&windows.merge(&Tensor::f_cat(&attended, 1)?)?)
    }
}

/// softmax(q · kᵀ / √channels + mask) · v
fn attend(qkv: &Tensor, mask: &Tensor, form: Form<'_>) -> Result<Tensor, TchError> {
    let (q, k, v) = (qkv.f_select(0, 0)?, qkv.f_select(0, 1)?, qkv.f_select(0, 2)?);
    match form {
        // The fused operator never writes the tokens × tokens products to memory, but gives the mask no gradient.
        Form::Inference(_) => Tensor::f_scaled_dot_product_attention(&q, &k, &v, Some(mask), 0.0, false, None, false),
        Form::Trainable => {
            let head = q.size()[3] as f64;
            let mut scores = q.f_mul_scalar(head.powf(-0.5))?.f_matmul(&k.f_transpose(-2, -1)?)?;
            scores.f_add_(mask)?.f_softmax(-1, None::<Kind>)?.f_matmul(&v)
        }
    }
}
