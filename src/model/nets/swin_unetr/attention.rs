//! Attention within windows, with a learned bias for each relative position.

use tch::{Kind, TchError, Tensor};

use super::parameters::{Fill, Linear, Make};
use super::windows::{WINDOW, Windows, relative_position_index};
use crate::model::WeightsError;

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

    /// N × volume × C → the same.
    pub fn forward(&self, x: &Tensor, windows: &Windows) -> Result<Tensor, TchError> {
        let qkv = self.qkv.forward(&windows.partition(x)?)?;
        let (n, channels) = (qkv.size()[0], qkv.size()[2] / 3);
        let head = channels / self.heads;
        // 3 × N × windows × heads × tokens × channels of a head
        let qkv = qkv.f_view([n, windows.count, windows.tokens, 3, self.heads, head])?.f_permute([3, 0, 1, 4, 2, 5])?;
        let (q, k, v) = (qkv.f_select(0, 0)?, qkv.f_select(0, 1)?, qkv.f_select(0, 2)?);
        let scale = (head as f64).powf(-0.5);
        let scores = q.f_mul_scalar(scale)?.f_matmul(&k.f_transpose(-2, -1)?)?.f_add(&self.bias(windows.tokens)?)?;
        let mut first = 0;
        for (count, mask) in &windows.groups {
            if let Some(mask) = mask {
                let _ = scores.f_narrow(1, first, *count)?.f_add_(mask)?;
            }
            first += count;
        }
        let y = scores.f_softmax(-1, None::<Kind>)?.f_matmul(&v)?;
        let y = y.f_transpose(2, 3)?.f_reshape([n, windows.count * windows.tokens, channels])?;
        self.proj.forward(&windows.merge(&y)?)
    }

    /// heads × tokens × tokens
    fn bias(&self, tokens: i64) -> Result<Tensor, TchError> {
        let index = Tensor::f_from_slice(&relative_position_index(tokens))?.f_to_device(self.table.device())?;
        self.table.f_index_select(0, &index)?.f_view([tokens, tokens, self.heads])?.f_permute([2, 0, 1])
    }
}
