//! A segmentation model without weights: TorchScript as text, zipped as `torch.jit.save` does. Its answer is known exactly.

use std::io::{Cursor, Write};
use std::path::Path;

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Logits above 0 where the input's first channel is above `level`.
fn module(level: f32) -> Vec<u8> {
    script(&["first = torch.slice(x, 1, 0, 1)", &format!("return torch.mul(torch.sub(first, {level:?}), 1000.)")])
}

/// A module whose `forward(x)` has these lines, as TorchScript writes them.
pub fn script(lines: &[&str]) -> Vec<u8> {
    let body: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    let source = format!(
        "class Above(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n  \
         def forward(self: __torch__.Above, x: Tensor) -> Tensor:\n{body}"
    );
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let object: &[u8] = b"\x80\x02c__torch__\nAbove\n)\x81}X\x08\x00\x00\x00trainingq\x00\x89sb.";
    for (name, content) in [
        ("data.pkl", object),
        ("code/__torch__.py", source.as_bytes()),
        ("constants.pkl", b"\x80\x02)."),
        ("version", b"3\n"),
    ] {
        zip.start_file(format!("above/{name}"), stored).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Writes the model `name` into `models`: it segments what is brighter than half of the channel's range, in native
/// resolution, window by window.
pub fn write_model(models: &Path, name: &str, channels: &[&str], change: impl FnOnce(&mut Value)) {
    let code = |value: &str, meaning: &str| json!({"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning});
    let mut manifest = json!({
        "manifest_version": 1, "name": name, "version": "1.0.0", "title": "Bright voxels (test)",
        "description": "What is brighter than half of the volume's range.", "demo": true,
        "input": {
            "where": [
                {"keyword": "Modality", "in": ["MR", "CT"]},
                {"keyword": "PhotometricInterpretation", "in": ["MONOCHROME1", "MONOCHROME2"]},
                {"keyword": "ImageType", "lacks": "LOCALIZER"}
            ],
            "select": {"Volumes": {
                "channels": channels,
                "time_points": ["TemporalPositionIdentifier", "AcquisitionTime", "SeriesNumber"],
                "min_slices": 2
            }}
        },
        "preprocessing": [{"ScaleIntensity": {"minv": 0.0, "maxv": 1.0, "per": "channel"}}],
        "network": {"TorchScript": {"in_channels": channels.len(), "num_classes": 1, "spatial_dims": 3}},
        "weights": {"file": "module.pt", "format": "torchscript"},
        "inferer": {"SlidingWindowInferer": {"roi_size": [16, 32, 32], "overlap": 0.25, "mode": "gaussian", "sw_batch_size": 2}},
        "task": {"Segmentation": {
            "activation": "sigmoid",
            "postprocessing": [{"AsDiscrete": {"threshold": 0.5}}, {"Invert": {"mode": "nearest"}}],
            "segments": [{
                "name": "Bright", "color": "#d32f2f",
                "category": code("49755003", "Morphologically Abnormal Structure"),
                "concept": code("108369006", "Neoplasm")
            }]
        }},
        "report": {
            "series_description": "AI test (research only)", "series_number": 9100,
            "disclaimer": "Test. AI-generated, for research use only.", "algorithm_name": name,
            "procedure_reported": code("363679005", "Imaging procedure"), "finding_site": code("76752008", "Breast")
        }
    });
    change(&mut manifest);
    let folder = models.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    std::fs::write(folder.join("module.pt"), module(0.5)).unwrap();
}
