//! How the network goes over its input: at once, or window by window.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The inferer, named as MONAI names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum InfererSpec {
    /// The whole input at once; of several images, each is an input.
    SimpleInferer(SimpleInfererSpec),
    /// Window by window over a volume, overlaps averaged.
    SlidingWindowInferer(SlidingWindowInfererSpec),
}

impl Default for InfererSpec {
    fn default() -> Self {
        Self::SimpleInferer(SimpleInfererSpec::default())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimpleInfererSpec {
    /// Images that go through the network together: their own answers, in less time. Results differ from those of 1 by rounding
    /// only.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub batch_size: usize,
}

impl Default for SimpleInfererSpec {
    fn default() -> Self {
        Self { batch_size: one() }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_one(n: &usize) -> bool {
    *n == one()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlidingWindowInfererSpec {
    /// (slices, rows, columns) of a window. A smaller volume is padded with zeros.
    pub roi_size: [usize; 3],
    /// Share of a window that the next one covers again, 0 to below 1.
    pub overlap: f64,
    pub mode: BlendMode,
    /// Windows that go through the network together.
    #[serde(default = "one")]
    pub sw_batch_size: usize,
    /// Standard deviation of the gaussian, as a share of the window.
    #[serde(default = "eighth")]
    pub sigma_scale: f64,
}

fn one() -> usize {
    1
}

fn eighth() -> f64 {
    0.125
}

/// The weight of a window's voxels where windows overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlendMode {
    /// All equal.
    Constant,
    /// Less towards the window's edge.
    Gaussian,
}
