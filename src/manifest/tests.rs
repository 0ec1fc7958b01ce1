//! Every refusal names the place and says what was found and expected.

use serde_json::{Value, json};

use super::Manifest;

fn shipped() -> Value {
    serde_json::from_str(include_str!("../../models/mammography-4view-demo/manifest.json")).unwrap()
}

/// The shipped manifest with the value at `pointer` replaced.
fn with(pointer: &str, value: Value) -> String {
    let mut json = shipped();
    *json.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    json.to_string()
}

#[test]
fn shipped_manifests_are_valid() {
    for text in [
        include_str!("../../models/mammography-4view-demo/manifest.json"),
        include_str!("../../models/mammography-4view/manifest.json"),
    ] {
        Manifest::from_json(text).unwrap();
    }
}

#[test]
fn refusals_name_path_found_and_expected() {
    for (pointer, value, expected) in [
        ("/manifest_version", json!(2), "at manifest_version: found 2, expected 1"),
        ("/name", json!("Mammo 4"), "at name: found \"Mammo 4\""),
        ("/network/ResNet50/width", json!(0), "at network.ResNet50.width: found 0"),
        ("/network/ResNet50/width", json!("wide"), "at network.ResNet50.width: invalid type: string"),
        (
            "/network/ResNet50/num_classes",
            json!(5),
            "at task.Classification.classes: found 4 classes, the network has 5 outputs",
        ),
        ("/network", json!({"VGG": {}}), "unknown variant `VGG`"),
        ("/weights/file", json!("../../etc/passwd"), "at weights.file"),
        ("/weights/format", json!("torchscript"), "at weights.format"),
        (
            "/task/Classification/classes/1/color",
            json!("red"),
            "at task.Classification.classes[1].color: found \"red\"",
        ),
        (
            "/task/Classification/classes/1/name",
            json!("Mass"),
            "at task.Classification.classes[1].name: \"Mass\" is given twice",
        ),
        (
            "/task/Classification/classes/0/thresholds/present",
            json!(1.5),
            "at task.Classification.classes[0].thresholds",
        ),
        (
            "/task/Classification/classes/0/concept/CodeValue",
            json!("12345678901234567"),
            "at task.Classification.classes[0].concept.CodeValue",
        ),
        ("/input/where/0/keyword", json!("Modalty"), "at input.where[0].keyword: \"Modalty\" is not a DICOM keyword"),
        ("/input/where/0", json!({"keyword": "Modality"}), "found 0 of"),
        ("/input/select/Images/count", json!(3), "at input.select.Images.views: found 4 views for count 3"),
        ("/preprocessing/2/Resize/spatial_size", json!([0, 512]), "at preprocessing[2].Resize.spatial_size"),
        ("/preprocessing/2/Resize/mode", json!("cubic"), "at preprocessing[2].Resize.mode"),
        ("/preprocessing/4/RepeatChannel/repeats", json!(1), "at preprocessing[5].NormalizeIntensity.subtrahend"),
        ("/preprocessing/5/NormalizeIntensity/divisor", json!([1.0, 0.0, 1.0]), "divisor"),
        ("/preprocessing/0", json!({"CropForegrund": {}}), "at preprocessing[0]: unknown variant `CropForegrund`"),
    ] {
        let error = Manifest::from_json(&with(pointer, value)).expect_err(pointer).to_string();
        assert!(error.contains(expected), "{pointer}: {error}");
    }
}

/// The shipped manifest, made one of volumes of two channels.
fn of_volumes(display_channel: Value) -> String {
    let mut json = shipped();
    let code = json["report"]["finding_site"].clone();
    json["input"]["select"] = json!({"Volumes": {"channels": ["pre", "post"], "time_points": ["TriggerTime"]}});
    json["preprocessing"] = json!([]);
    json["network"] = json!({"TorchScript": {"in_channels": 2, "num_classes": 1}});
    json["weights"] = json!({"file": "weights.pt", "format": "torchscript"});
    json["task"] = json!({"Segmentation": {
        "activation": "sigmoid",
        "postprocessing": [{"AsDiscrete": {"threshold": 0.5}}, {"Invert": {"mode": "nearest"}}],
        "segments": [{"name": "Tumour", "color": "#ff0000", "category": code, "concept": code}],
        "display_channel": display_channel,
    }});
    json.to_string()
}

#[test]
fn the_displayed_channel_is_one_of_the_input() {
    for valid in [json!(null), json!(0), json!(1)] {
        Manifest::from_json(&of_volumes(valid)).unwrap();
    }
    let error = Manifest::from_json(&of_volumes(json!(2))).unwrap_err().to_string();
    assert!(error.contains("at task.Segmentation.display_channel: found 2, expected 0..2"), "{error}");
}

#[test]
fn unknown_keys_are_refused_everywhere() {
    for pointer in [
        "",
        "/input",
        "/input/select/Images",
        "/input/where/0",
        "/preprocessing/2/Resize",
        "/network/ResNet50",
        "/weights",
        "/task/Classification/classes/0",
        "/report",
    ] {
        let mut json = shipped();
        let at = if pointer.is_empty() { &mut json } else { json.pointer_mut(pointer).unwrap() };
        at.as_object_mut().unwrap().insert("surprise".into(), json!(1));
        let error = Manifest::from_json(&json.to_string()).expect_err(pointer).to_string();
        assert!(error.contains("surprise"), "{pointer}: {error}");
    }
}

#[test]
fn conditions_ignore_padding() {
    let json = shipped();
    let manifest = Manifest::from_json(&json.to_string()).unwrap();
    let modality = &manifest.input.conditions[0];
    assert!(modality.holds(&|_| Some("MG ")));
    assert!(!modality.holds(&|_| Some("RG")));
    assert!(!modality.holds(&|_| None));
    assert_eq!(modality.describe(), "Modality = MG");
}

/// `make schema` writes the file; here it must be up to date and accept what we ship.
#[test]
fn stored_schema_is_current_and_accepts_the_shipped_manifests() {
    let stored: Value = serde_json::from_str(include_str!("../../models/schema.json")).unwrap();
    assert!(stored == Manifest::json_schema(), "models/schema.json is out of date: run `make schema`");
    let validator = jsonschema::validator_for(&stored).unwrap();
    validator.validate(&shipped()).unwrap();
    let mut broken = shipped();
    broken["surprise"] = json!(1);
    assert!(validator.validate(&broken).is_err());
}
