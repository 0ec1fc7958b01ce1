//! What the administrator lets one run take of the machine.

use serde::Deserialize;

use crate::imaging::VoxelBudget;

/// Bytes that a pixel of the input takes at a run's widest point: its value (f32), the network's input made of it, and the output that
/// windows are summed up in with their weights. The network's own layers come on top: they depend on the model, not on the input.
const BYTES_PER_VOXEL: usize = 16;

/// `Ai.Limits`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct Limits {
    /// MB (2^20 bytes) for the pixels of one run, judged by what the headers claim, before anything is decoded. A breast exam of four phases with
    /// 110 slices of 256 × 256 takes 440.
    pub memory_megabytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_megabytes: 8192 }
    }
}

impl Limits {
    /// Pixels, all files of a run together.
    fn voxels(self) -> usize {
        self.memory_megabytes.saturating_mul(1 << 20) / BYTES_PER_VOXEL
    }

    /// For the files of one input.
    pub fn budget(self) -> VoxelBudget {
        VoxelBudget::new(self.voxels())
    }

    /// For each of the files that `parts` threads hold at a time.
    pub fn budget_of_part(self, parts: usize) -> VoxelBudget {
        VoxelBudget::new(self.voxels() / parts.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn megabytes_are_pixels_at_a_runs_widest_point() {
        let limits = Limits { memory_megabytes: 64 };
        let budget = limits.budget();
        assert!(budget.take(4 << 20).is_ok() && budget.take(1).is_err());
        assert!(limits.budget_of_part(2).take((2 << 20) + 1).is_err());
        assert!(Limits { memory_megabytes: usize::MAX }.budget().take(1 << 40).is_ok());
    }
}
