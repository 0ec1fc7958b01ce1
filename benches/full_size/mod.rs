//! Full-size models whose weights are pseudo-random: time and memory are indifferent to them. Shared by the benches.

use std::path::{Path, PathBuf};

use orthanc_ai::manifest::network::{PatchMerging, SwinUnetrSpec};
use orthanc_ai::model::nets::swin_unetr::keys;
use serde_json::{Value, json};

use crate::{ratio, server};

pub const BREAST_MRI: &str = "breast-dce-swinunetr";

/// Makes the folder of a shipped model in `models`, with its manifest; the weights' file is still to be written, to the path that comes back.
pub fn write_manifest(models: &Path, name: &str) -> PathBuf {
    let folder = models.join(name);
    std::fs::create_dir(&folder).unwrap();
    let shipped = server::root().join("models").join(name).join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(shipped).unwrap()).unwrap();
    manifest["weights"] = json!({"file": "weights.safetensors", "format": "safetensors"});
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    folder.join("weights.safetensors")
}

/// Writes [`BREAST_MRI`] into the folder: the shipped manifest, SwinUNETR at its published width (24).
#[allow(dead_code)]
pub fn write_breast_mri(models: &Path) {
    let spec = SwinUnetrSpec { in_channels: 4, out_channels: 1, feature_size: 24, patch_merging: PatchMerging::Legacy };
    std::fs::copy(ratio::weights(keys(&spec)).path(), write_manifest(models, BREAST_MRI)).unwrap();
}
