//! The shapes of the originals' answers.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::schemas::{count, flag, keys, list, text, text_or_null, value};

fn number() -> Value {
    json!({"type": "number"})
}

/// Class to probability.
fn probabilities() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "number"}})
}

fn picture() -> Value {
    json!({"type": ["string", "null"], "description": "A data URL of a PNG."})
}

pub fn mammography(_: &mut SchemaGenerator) -> Schema {
    let answered = keys([
        ("view", text()),
        ("predicted_class", text()),
        ("probability", number()),
        ("all_probabilities", probabilities()),
        ("instance_id", text()),
    ]);
    let failed =
        keys([("success", json!({"const": false})), ("view", text()), ("instance_id", text()), ("error", text())]);
    keys([
        ("success", flag()),
        ("results", list(json!({"anyOf": [answered, failed]}))),
        ("demo", flag()),
        ("disclaimer", text()),
        ("model", text()),
    ])
}

pub fn series(_: &mut SchemaGenerator) -> Schema {
    keys([
        ("success", flag()),
        ("series_id", text()),
        ("total_slices", count()),
        ("start_slice_index", count()),
        ("end_slice_index", count()),
        ("seg_instance_id", text_or_null()),
        ("tumor_ratio_percent", number()),
        ("saved_to_orthanc", flag()),
        ("demo", flag()),
        ("disclaimer", text()),
        ("model", text()),
    ])
}

pub fn image(_: &mut SchemaGenerator) -> Schema {
    let segmented = keys([
        ("tumor_detected", flag()),
        ("tumor_pixel_count", count()),
        ("tumor_ratio_percent", number()),
        ("mask_url", picture()),
        ("overlay_url", picture()),
        ("seg_instance_id", text_or_null()),
    ]);
    let judged = keys([("predicted_class", text()), ("probabilities", probabilities())]);
    let result = keys([
        ("id", text()),
        ("analysis_type", json!({"enum": ["BREAST_MRI_SEGMENTATION", "BREAST_MRI_CLASSIFICATION"]})),
        ("results", json!({"anyOf": [segmented, judged]})),
        ("confidence", json!({"type": ["number", "null"]})),
        ("findings", text()),
        ("recommendations", text()),
        ("model_version", text()),
        ("analysis_date", text_or_null()),
        ("demo", flag()),
        ("disclaimer", text()),
        ("model", text()),
    ]);
    keys([("id", text()), ("analysis_results", list(value(result)))])
}

pub fn health(_: &mut SchemaGenerator) -> Schema {
    keys([("success", flag()), ("status", json!({"enum": ["healthy", "unavailable"]})), ("model_loaded", flag())])
}
