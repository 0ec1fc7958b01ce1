//! How a network is run over an image larger than its window, in MONAI's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::validate::require;
use super::{ManifestError, NetworkSpec};

/// How the network is run over the prepared image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum InfererSpec {
    /// On the whole image at once.
    SimpleInferer(SimpleInfererSpec),
    /// On overlapping windows, whose results are averaged (monai.inferers.sliding_window_inference).
    SlidingWindowInferer(SlidingWindowSpec),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimpleInfererSpec {}

/// Defaults are MONAI's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlidingWindowSpec {
    /// Size of a window, slices first: [slices, rows, columns], or [rows, columns] for a network of images. An image that is smaller is
    /// padded with zeros.
    pub roi_size: Vec<usize>,
    /// Share of a window that the next one covers again, along each axis.
    #[serde(default = "quarter")]
    pub overlap: f64,
    /// Weight of a window's voxels in the average.
    #[serde(default)]
    pub mode: BlendMode,
    /// Windows in one batch.
    #[serde(default = "one")]
    pub sw_batch_size: usize,
    /// `gaussian`: standard deviation as a share of the window's size.
    #[serde(default = "eighth")]
    pub sigma_scale: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlendMode {
    /// All alike.
    #[default]
    Constant,
    /// Less towards the edge, where the network sees little context.
    Gaussian,
}

fn quarter() -> f64 {
    0.25
}

fn eighth() -> f64 {
    0.125
}

fn one() -> usize {
    1
}

/// Refuses values that cannot be, and windows that `network` does not take. `path` is the inferer's in the manifest.
#[allow(dead_code)] // the manifest has no inferer yet
pub(super) fn inferer(spec: &InfererSpec, network: &NetworkSpec, path: &str) -> Result<(), ManifestError> {
    let InfererSpec::SlidingWindowInferer(s) = spec else { return Ok(()) };
    let at = |key: &str| format!("{path}.SlidingWindowInferer.{key}");
    let dims = network.spatial_dims();
    let roi_ok = s.roi_size.len() == dims && s.roi_size.iter().all(|side| (1..=2048).contains(side));
    require(roi_ok, at("roi_size"), || format!("found {:?}, expected {dims} numbers of 1 to 2048", s.roi_size))?;
    let divisor = network.size_divisor();
    require(s.roi_size.iter().all(|side| side % divisor == 0), at("roi_size"), || {
        format!("found {:?}, expected multiples of {divisor}: {} takes no other size", s.roi_size, network.name())
    })?;
    require((0.0..1.0).contains(&s.overlap), at("overlap"), || {
        format!("found {}, expected at least 0 and less than 1", s.overlap)
    })?;
    require((1..=64).contains(&s.sw_batch_size), at("sw_batch_size"), || {
        format!("found {}, expected 1 to 64", s.sw_batch_size)
    })?;
    require(s.sigma_scale > 0.0 && s.sigma_scale <= 10.0, at("sigma_scale"), || {
        format!("found {}, expected more than 0, at most 10", s.sigma_scale)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::manifest::network::{PatchMerging, SwinUnetrSpec};

    fn check(inferer_json: Value) -> Result<InfererSpec, String> {
        let network = NetworkSpec::SwinUNETR(SwinUnetrSpec {
            in_channels: 4,
            out_channels: 1,
            feature_size: 24,
            patch_merging: PatchMerging::Current,
        });
        let spec: InfererSpec = serde_json::from_value(inferer_json).map_err(|e| e.to_string())?;
        inferer(&spec, &network, "inferer").map_err(|e| e.to_string())?;
        Ok(spec)
    }

    #[test]
    fn defaults_are_monais() {
        let spec = check(json!({"SlidingWindowInferer": {"roi_size": [96, 96, 96]}})).unwrap();
        let expected = SlidingWindowSpec {
            roi_size: vec![96; 3],
            overlap: 0.25,
            mode: BlendMode::Constant,
            sw_batch_size: 1,
            sigma_scale: 0.125,
        };
        assert_eq!(spec, InfererSpec::SlidingWindowInferer(expected));
        assert_eq!(check(json!({"SimpleInferer": {}})), Ok(InfererSpec::SimpleInferer(SimpleInfererSpec {})));
    }

    #[test]
    fn impossible_values_are_named() {
        for (key, value, expected) in [
            ("roi_size", json!([96, 96]), "found [96, 96], expected 3 numbers"),
            ("roi_size", json!([96, 0, 96]), "found [96, 0, 96], expected 3 numbers"),
            ("roi_size", json!([96, 80, 96]), "expected multiples of 32: SwinUNETR takes no other size"),
            ("overlap", json!(1.0), "found 1, expected at least 0 and less than 1"),
            ("sw_batch_size", json!(0), "found 0, expected 1 to 64"),
            ("sigma_scale", json!(0.0), "found 0, expected more than 0"),
            ("mode", json!("linear"), "unknown variant `linear`"),
            ("stride", json!(4), "unknown field `stride`"),
        ] {
            let mut spec = json!({"SlidingWindowInferer": {"roi_size": [96, 96, 96]}});
            spec["SlidingWindowInferer"][key] = value;
            let error = check(spec).unwrap_err();
            assert!(error.contains(expected), "{key}: {error}");
        }
    }
}
