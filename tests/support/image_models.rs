//! Models of single images whose answers are known exactly: a UNet with weights set by hand, and a classifier of the mean.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::Path;

use orthanc_ai::manifest::network::UnetSpec;
use orthanc_ai::model::nets::unet::keys;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::{Value, json};

use crate::torch_script::script;

pub const UNET: &str = "bright-unet";
pub const CLASSIFIER: &str = "mean-of-bright";
/// Name of the UNet's segment.
pub const SEGMENT: &str = "Bright";
const WIDTH: usize = 2;

/// The chain that gives each image's bytes, from 0 to 1, as they are.
pub fn native() -> Value {
    json!([{"ConvertToUint8": {"mode": "min_max"}}, {"ScaleIntensityRange": {"a_min": 0, "a_max": 255, "b_min": 0, "b_max": 1}}])
}

fn code(value: &str, meaning: &str) -> Value {
    json!({"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning})
}

fn manifest(name: &str, number: u32) -> Value {
    json!({
        "manifest_version": 1, "name": name, "version": "1.0.0", "title": format!("{name} (test)"), "description": "For tests.",
        "demo": true,
        "input": {
            "where": [{"keyword": "PhotometricInterpretation", "in": ["MONOCHROME1", "MONOCHROME2"]}],
            "select": {"Images": {"count": {"min": 1, "max": 1000}}},
        },
        "report": {
            "series_description": "AI test (research only)", "series_number": number,
            "disclaimer": "Test. AI-generated, for research use only.", "algorithm_name": name,
            "procedure_reported": code("363679005", "Imaging procedure"), "finding_site": code("76752008", "Breast"),
        },
    })
}

/// Writes the UNet: what is brighter than half of the image's range, pixel by pixel. Its first skip connection alone carries the image.
pub fn write_unet(models: &Path, change: impl FnOnce(&mut Value)) {
    let mut manifest = manifest(UNET, 9200);
    manifest["preprocessing"] = native();
    manifest["network"] = json!({"UNet": {"in_channels": 1, "out_channels": 1, "width": WIDTH}});
    manifest["weights"] = json!({"file": "weights.safetensors", "format": "safetensors"});
    manifest["task"] = json!({"Segmentation": {
        "activation": "sigmoid",
        "postprocessing": [{"AsDiscrete": {"threshold": 0.5}}, {"Invert": {"mode": "nearest"}}],
        "segments": [{
            "name": SEGMENT, "color": "#d32f2f",
            "category": code("49755003", "Morphologically Abnormal Structure"), "concept": code("108369006", "Neoplasm"),
        }],
    }});
    change(&mut manifest);
    let folder = models.join(manifest["name"].as_str().unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    let spec = UnetSpec { in_channels: 1, out_channels: 1, width: WIDTH, conv_bias: false };
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = keys(&spec)
        .into_iter()
        .map(|(key, shape)| {
            let shape: Vec<usize> = shape.into_iter().map(|n| n as usize).collect();
            let mut values = vec![0f32; shape.iter().product()];
            // Batch norms change nothing; a 3 × 3 kernel with 1 in its middle hands its first channel on.
            if key.ends_with("running_var") || (key.ends_with(".weight") && shape.len() == 1) {
                values.fill(1.0);
            } else if (key.starts_with("inc.") || key.starts_with("up4.conv.")) && shape.len() == 4 {
                values[4] = 1.0;
            } else if key == "outc.conv.weight" {
                values[0] = 1000.0;
            } else if key == "outc.conv.bias" {
                values[0] = -500.0;
            }
            (key, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(key, shape, bytes)| (key.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    serialize_to_file(views, None, &folder.join("weights.safetensors")).unwrap();
}

/// Writes a classifier whose second class has probability `1 / (1 + exp(-2 m))`, m the mean of what it is given: of the region that the UNet has
/// found, everything outside it dark.
pub fn write_classifier(models: &Path, change: impl FnOnce(&mut Value)) {
    let class = |name: &str, value: &str, color: &str| json!({"name": name, "color": color, "concept": code(value, name), "thresholds": {"present": 0.5, "absent": 0.5}});
    let mut manifest = manifest(CLASSIFIER, 9210);
    manifest["input"]["region_of_interest"] = json!({"model": UNET, "segment": SEGMENT, "mask": true});
    let mut chain = native();
    chain.as_array_mut().unwrap().insert(1, json!({"Resize": {"spatial_size": [24, 24], "mode": "pil_bilinear"}}));
    manifest["preprocessing"] = chain;
    manifest["network"] = json!({"TorchScript": {"in_channels": 1, "num_classes": 2}});
    manifest["weights"] = json!({"file": "module.pt", "format": "torchscript"});
    manifest["task"] = json!({"Classification": {
        "activation": "softmax",
        "classes": [class("Benign", "30807003", "#388e3c"), class("Malignant", "21594007", "#d32f2f")],
        "probability_concept": {"CodeValue": "122157", "CodingSchemeDesignator": "DCM", "CodeMeaning": "Probability"},
    }});
    change(&mut manifest);
    let folder = models.join(manifest["name"].as_str().unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    let forward = ["m = torch.mean(x, [1, 2, 3])", "return torch.stack([torch.neg(m), m], 1)"];
    std::fs::write(folder.join("module.pt"), script(&forward)).unwrap();
}
