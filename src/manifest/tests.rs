//! Every refusal names the place and says what was found and expected.

use serde_json::{Value, json};

use super::{Answers, Manifest};

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
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let folders = std::fs::read_dir(models).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut names = std::collections::BTreeSet::new();
    for folder in folders {
        let text = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
        let manifest = Manifest::from_json(&text).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        assert!(folder.ends_with(&manifest.name), "{} holds {}", folder.display(), manifest.name);
        assert!(folder.join("README.md").exists(), "{} has no card", folder.display());
        assert_eq!(manifest.demo, manifest.name.ends_with("-demo"));
        names.insert(manifest.name);
    }
    // The five systems, each as it was and as a demo that runs at once.
    for system in [
        "breast-dce-swinunetr",
        "mammography-4view",
        "breast-mri-unet",
        "breast-mri-tumour",
        "head-ct-haemorrhage",
        "skin-lesion",
    ] {
        assert!(names.contains(system) && names.contains(&format!("{system}-demo")), "{system}: {names:?}");
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

#[test]
fn chains_for_images_fit_or_are_refused_with_their_place() {
    let area = || json!({"Resize": {"spatial_size": [224, 224], "mode": "area"}});
    let normal =
        || json!({"NormalizeIntensity": {"subtrahend": [123.675, 116.28, 103.53], "divisor": [58.395, 57.12, 57.375]}});
    let clahe = || json!({"Clahe": {"clip_limit": 2.0, "tile_grid_size": [8, 8]}});
    let bgr = || json!({"ConvertChannelOrder": {"order": "bgr"}});
    let rgb = || json!({"ToRgb": {"grey": "as_shown"}});
    let windows = |count: usize, output: &str| json!({"Windowing": {"windows": vec![json!({"level": 40, "width": 80}); count], "output": output}});
    let eight = || json!({"ConvertToUint8": {"mode": "as_shown"}});
    let scale = || json!({"ScaleIntensityRange": {"a_min": 0, "a_max": 255, "b_min": 0, "b_max": 1}});
    let repeat = || json!({"RepeatChannel": {"repeats": 3}});
    for sound in [
        json!([rgb(), clahe(), area(), normal()]),
        json!([rgb(), area(), bgr(), normal()]),
        json!([windows(3, "uint8_truncate"), area(), normal()]),
        json!([windows(1, "float"), area(), repeat()]),
        json!([{"ToGrey": {}}, eight(), clahe(), area(), scale(), repeat()]),
    ] {
        Manifest::from_json(&with("/preprocessing", sound.clone())).unwrap_or_else(|e| panic!("{sound}: {e}"));
    }
    for (chain, expected) in [
        (json!([area(), rgb(), normal()]), "at preprocessing[0]: Resize pil_bilinear takes bytes"),
        (json!([eight(), rgb(), area()]), "at preprocessing[1]: ToRgb takes the image as it is read"),
        (json!([rgb(), {"ToGrey": {}}, area()]), "at preprocessing[1]: ToGrey takes the image as it is read"),
        (json!([rgb(), area(), normal(), clahe()]), "at preprocessing[3]: Clahe takes bytes of one channel, or of RGB"),
        (json!([rgb(), bgr(), clahe(), area()]), "at preprocessing[2]: Clahe takes"),
        (json!([eight(), bgr(), area()]), "at preprocessing[1]: ConvertChannelOrder takes three channels"),
        (json!([windows(0, "float"), area()]), "at preprocessing[0].Windowing.windows: found 0, expected 1 to 64"),
        (json!([windows(2, "float"), area()]), "at preprocessing: gives 2 channels, the network takes 3"),
        (
            json!([{"Windowing": {"windows": [{"level": 40, "width": 0}], "output": "float"}}, area(), repeat()]),
            "at preprocessing[0].Windowing.windows",
        ),
        (json!([rgb(), normal()]), "no Resize"),
        (json!([rgb(), {"Clahe": {"clip_limit": 2, "tile_grid_size": [0, 8]}}, area()]), "at preprocessing[1]: Clahe"),
    ] {
        let error = Manifest::from_json(&with("/preprocessing", chain.clone())).expect_err(expected).to_string();
        assert!(error.contains(expected), "{chain}: {error}");
    }
}

/// The shipped manifest, made one of volumes of two channels.
fn of_volumes(display_channel: Value) -> String {
    let mut json = shipped();
    let code = json["report"]["finding_site"].clone();
    json["input"]["select"] = json!({"Volumes": {"channels": ["pre", "post"], "time_points": ["TriggerTime"]}});
    json["preprocessing"] = json!([]);
    json["network"] = json!({"TorchScript": {"in_channels": 2, "num_classes": 1, "spatial_dims": 3}});
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

fn refusal(json: &Value) -> String {
    Manifest::from_json(&json.to_string()).expect_err("refused").to_string()
}

fn breast() -> Value {
    serde_json::from_str(include_str!("../../models/breast-dce-swinunetr/manifest.json")).unwrap()
}

#[test]
fn channels_are_phases_or_contrasts_or_named_by_the_caller() {
    let volumes = |channels: Value, time_points: Value| {
        let mut json: Value = serde_json::from_str(&of_volumes(json!(null))).unwrap();
        json["input"]["select"]["Volumes"] = json!({"channels": channels, "time_points": time_points});
        json
    };
    let found = |name: &str| json!({"name": name, "where": [{"keyword": "SeriesNumber", "equals": "3"}]});
    for (channels, time_points, dynamic) in [
        (json!(["pre", "post"]), json!(["TriggerTime"]), true),
        (json!(["T1", "T2"]), json!([]), false),
        (json!([found("T1"), found("T2")]), json!([]), false),
    ] {
        let manifest = Manifest::from_json(&volumes(channels, time_points).to_string()).unwrap();
        let super::SelectSpec::Volumes(spec) = &manifest.input.select else { panic!() };
        assert_eq!((spec.is_dynamic(), spec.names().len()), (dynamic, 2));
    }
    let mut absent = volumes(json!([found("T1"), found("T2")]), json!([]));
    absent["input"]["select"]["Volumes"].as_object_mut().unwrap().remove("time_points");
    Manifest::from_json(&absent.to_string()).unwrap();
    let bare = json!({"name": "T2", "where": []});
    let wrong = json!({"name": "T2", "where": [{"keyword": "EchoTme", "equals": "3"}]});
    for (channels, time_points, expected) in [
        (json!(["T1", found("T2")]), json!([]), "channels: found \"where\" in 1 of 2 channels"),
        (
            json!([found("T1"), found("T2")]),
            json!(["TriggerTime"]),
            "time_points: given beside channels with \"where\"",
        ),
        (json!(["pre", ""]), json!(["TriggerTime"]), "channels[1]: found the name \"\""),
        (json!(["pre", "pre"]), json!(["TriggerTime"]), "channels[1]: \"pre\" is given twice"),
        (json!([found("T1"), bare]), json!([]), "channels[1].where: no condition"),
        (json!([found("T1"), wrong]), json!([]), "channels[1].where[0].keyword: \"EchoTme\" is not a DICOM keyword"),
        (json!([found("T1"), {"name": "T2", "when": []}]), json!([]), "channels[1].when: unknown field `when`"),
        (json!([found("T1"), 2]), json!([]), "expected a channel's name, or an object"),
    ] {
        let error = refusal(&volumes(channels, time_points));
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_cannot_run_together_is_refused() {
    let mut classified_volumes = breast();
    classified_volumes["task"] = shipped()["task"].clone();
    assert!(refusal(&classified_volumes).contains("at task: found Classification of Volumes"));
    let mut flat = breast();
    flat["network"] = json!({"UNet": {"in_channels": 4, "out_channels": 1, "width": 16}});
    assert!(refusal(&flat).contains("at network: found UNet, which takes 2D input, expected 3D"));
}

#[test]
fn images_can_be_segmented() {
    let unet: Value = serde_json::from_str(include_str!("../../models/breast-mri-unet/manifest.json")).unwrap();
    // At their own sizes, too.
    let mut native = unet.clone();
    native["preprocessing"].as_array_mut().unwrap().remove(1);
    native["preprocessing"]
        .as_array_mut()
        .unwrap()
        .push(json!({"ScaleIntensity": {"minv": 0.0, "maxv": 1.0, "per": "slice"}}));
    Manifest::from_json(&native.to_string()).unwrap();
    let mut eroded = unet.clone();
    let steps = |size: [usize; 3]| json!([{"AsDiscrete": {"threshold": 0.5}}, {"BinaryErosion": {"size": size}}, {"Invert": {"mode": "nearest"}}]);
    eroded["task"]["Segmentation"]["postprocessing"] = steps([1, 3, 3]);
    Manifest::from_json(&eroded.to_string()).unwrap();
    eroded["task"]["Segmentation"]["postprocessing"] = steps([3, 3, 3]);
    assert!(refusal(&eroded).contains("BinaryErosion.size: found [3, 3, 3], expected 1 slice"));
}

#[test]
fn regions_of_interest_are_of_images() {
    let tumour: Value = serde_json::from_str(include_str!("../../models/breast-mri-tumour/manifest.json")).unwrap();
    for (pointer, value, expected) in [
        ("/input/region_of_interest/margin_mm", json!(-1.0), "region_of_interest.margin_mm: found -1, expected 0"),
        ("/input/region_of_interest/segment", json!(""), "region_of_interest.segment: empty"),
        ("/input/region_of_interest/when_missing", json!("wait"), "at input.region_of_interest.when_missing"),
        (
            "/preprocessing/0",
            shipped()["preprocessing"][0].clone(),
            "preprocessing[0].CropForeground: the image is cropped",
        ),
    ] {
        let mut json = tumour.clone();
        *json.pointer_mut(pointer).unwrap() = value;
        if pointer == "/preprocessing/0" {
            json["preprocessing"].as_array_mut().unwrap().insert(1, tumour["preprocessing"][0].clone());
        }
        let error = refusal(&json);
        assert!(error.contains(expected), "{pointer}: {error}");
    }
    let mut volumes = breast();
    volumes["input"]["region_of_interest"] = tumour["input"]["region_of_interest"].clone();
    assert!(refusal(&volumes).contains("at input.region_of_interest: is for models that take images"));
    let mut twice = tumour.clone();
    twice["then"] = json!(["a", "a"]);
    assert!(refusal(&twice).contains("at then[1]: found \"a\""));
}

#[test]
fn the_network_gets_sides_that_it_can_halve() {
    let with_size = |size: Value| {
        let mut json = breast();
        json["preprocessing"][2]["Resize"]["spatial_size"] = size;
        json
    };
    Manifest::from_json(&with_size(json!([64, 96, 128])).to_string()).unwrap();
    let error = refusal(&with_size(json!([100, 100, 100])));
    assert!(error.contains("at preprocessing[2].Resize.spatial_size: the network gets 100 × 100 × 100"), "{error}");
    assert!(error.contains("multiples of 32, as SwinUNETR takes them"), "{error}");
    // Cut after it was resized, or cut alone.
    let mut cut = with_size(json!([96, 96, 96]));
    cut["preprocessing"].as_array_mut().unwrap().push(json!({"CenterSpatialCrop": {"roi_size": [-1, 90, -1]}}));
    assert!(refusal(&cut).contains("96 × 90 × 96"));
    let mut whole = breast();
    whole["preprocessing"].as_array_mut().unwrap().remove(2);
    Manifest::from_json(&whole.to_string()).unwrap();
    whole["preprocessing"][0]["CenterSpatialCrop"]["roi_size"] = json!([95, -1, -1]);
    assert!(refusal(&whole).contains("at preprocessing: the network gets 95 × ? × ?"));
    // Windows are of their own size.
    whole["inferer"] = json!({"SlidingWindowInferer": {"roi_size": [96, 96, 96], "overlap": 0.5, "mode": "constant"}});
    Manifest::from_json(&whole.to_string()).unwrap();
    whole["inferer"]["SlidingWindowInferer"]["roi_size"] = json!([96, 96, 90]);
    assert!(refusal(&whole).contains("roi_size: found [96, 96, 90], expected multiples of 32"));
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
    validator.validate(&breast()).unwrap();
    let mut contrasts = breast();
    contrasts["input"]["select"]["Volumes"]["channels"][0] = json!({"name": "T1", "where": []});
    validator.validate(&contrasts).unwrap();
    let mut broken = shipped();
    broken["surprise"] = json!(1);
    assert!(validator.validate(&broken).is_err());
}

/// The shipped manifest, made one of a series' slices with one logit for two classes.
fn of_series(aggregate: Value) -> Value {
    let mut json = shipped();
    let code = json["report"]["finding_site"].clone();
    let class = |name: &str, present: f64, absent: f64| json!({"name": name, "color": "#000000", "concept": code, "thresholds": {"present": present, "absent": absent}});
    json["input"]["select"] = json!({"Series": {"prefer": [{"keyword": "ConvolutionKernel", "regex": "soft"}]}});
    json["network"]["ResNet50"]["num_classes"] = json!(1);
    json["inferer"] = json!({"SimpleInferer": {"batch_size": 16}});
    json["task"]["Classification"]["activation"] = json!("sigmoid_binary");
    json["task"]["Classification"]["classes"] = json!([class("no", 0.75, 0.5), class("yes", 0.5, 0.25)]);
    json["task"]["Classification"]["aggregate"] = aggregate;
    json
}

fn changed(mut json: Value, pointer: &str, value: Value) -> Value {
    *json.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    json
}

#[test]
fn activation_classes_and_outputs_go_together() {
    for aggregate in [json!(null), json!({"TopKMean": {"k": 3}}), json!({"Max": {}}), json!({"Mean": {}})] {
        let read = Manifest::from_json(&of_series(aggregate.clone()).to_string()).unwrap();
        let again = serde_json::to_string(&read).unwrap();
        assert!(Manifest::from_json(&again).is_ok(), "{again}");
    }
    let at = "/task/Classification";
    let series = || of_series(json!({"TopKMean": {"k": 3}}));
    for (json, expected) in [
        (
            changed(series(), "/network/ResNet50/num_classes", json!(2)),
            "task.Classification.activation: sigmoid_binary takes one logit, the network has 2 outputs",
        ),
        (
            changed(series(), &format!("{at}/classes"), json!([series()["task"]["Classification"]["classes"][1]])),
            "task.Classification.classes: found 1 classes, expected 2 for sigmoid_binary",
        ),
        (
            changed(series(), &format!("{at}/classes/0/thresholds/present"), json!(0.5)),
            "classes[0].thresholds: found absent 0.5 and present 0.5, expected 0.5 and 0.75",
        ),
        (
            changed(series(), &format!("{at}/activation"), json!("sigmoid")),
            "task.Classification.classes: found 2 classes, the network has 1 outputs",
        ),
        (changed(series(), &format!("{at}/aggregate/TopKMean/k"), json!(0)), "aggregate.TopKMean.k: found 0"),
        (changed(series(), &format!("{at}/aggregate"), json!({"Median": {}})), "unknown variant `Median`"),
        (
            changed(series(), &format!("{at}/aggregate/TopKMean"), json!({"k": 1, "negative": "no"})),
            "aggregate.TopKMean.negative: is for softmax",
        ),
        (changed(series(), "/inferer/SimpleInferer/batch_size", json!(0)), "inferer.SimpleInferer.batch_size: found 0"),
        (
            changed(series(), "/input/select/Series", json!({"min_slices": 0})),
            "input.select.Series.min_slices: found 0, expected 1 to 10000",
        ),
        (
            changed(series(), "/input/select/Series/prefer/0", json!({"keyword": "Kernel", "equals": "x"})),
            "input.select.Series.prefer[0].keyword: \"Kernel\" is not a DICOM keyword",
        ),
    ] {
        let error = refusal(&json);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_softmax_says_which_class_is_the_negative_one() {
    let softmax = |aggregate: Value| {
        let mut json = shipped();
        json["task"]["Classification"]["aggregate"] = aggregate;
        json
    };
    let valid = Manifest::from_json(&softmax(json!({"TopKMean": {"k": 2, "negative": "Normal"}})).to_string()).unwrap();
    let super::TaskSpec::Classification(task) = &valid.task else { panic!() };
    assert_eq!(task.negative(), Some(3));
    assert!(refusal(&softmax(json!({"Max": {}}))).contains("aggregate.Max.negative: nothing, expected with softmax"));
    let other = refusal(&softmax(json!({"Max": {"negative": "Healthy"}})));
    assert!(other.contains("found \"Healthy\", expected one of the classes (Mass, "), "{other}");
    let mut one = softmax(json!({"Mean": {}}));
    one["input"]["select"]["Images"] = json!({"count": 1});
    assert!(refusal(&one).contains("task.Classification.aggregate: a run has one image"));
    let mut single = shipped();
    single["network"]["ResNet50"]["num_classes"] = json!(1);
    single["task"]["Classification"]["classes"].as_array_mut().unwrap().truncate(1);
    assert!(refusal(&single).contains("softmax of one output is always 1"));
}

#[test]
fn a_count_is_a_number_or_a_range() {
    let images = |count: Value, views: Value| {
        let mut json = shipped();
        json["input"]["select"]["Images"] = json!({"count": count, "views": views});
        json
    };
    Manifest::from_json(&images(json!({"min": 1, "max": 4}), json!([])).to_string()).unwrap();
    for (count, expected) in [
        (json!({"min": 3, "max": 2}), "input.select.Images.count: found 3 to 2, expected 1 to 10000"),
        (json!({"min": 0, "max": 2}), "found 0 to 2"),
        (json!(0), "found 0, expected"),
        (json!(20_000), "found 20000"),
        (json!("four"), "expected a number, or an object with \"min\" and \"max\""),
        (json!({"min": 1, "most": 2}), "unknown field `most`"),
    ] {
        let error = refusal(&images(count, json!([])));
        assert!(error.contains(expected), "{error}");
    }
    assert!(
        refusal(&images(json!({"min": 1, "max": 2}), json!(["L-CC", "R-CC", "L-MLO"])))
            .contains("found 3 views for count 1 to 2")
    );
}

/// The shipped manifest with a value of an optional key.
fn with_key(key: &str, value: Value) -> Result<Manifest, String> {
    let mut json = shipped();
    json[key] = value;
    Manifest::from_json(&json.to_string()).map_err(|e| e.to_string())
}

#[test]
fn ensembles_and_augmentations_that_cannot_be_are_refused() {
    let flip = json!({ "Flip": { "spatial_axis": [1] } });
    let weights = json!({ "file": "b.safetensors", "format": "safetensors" });
    let good = with_key("test_time_augmentation", json!({ "transforms": [flip], "combine": "vote" })).unwrap();
    assert_eq!(good.answers(), Some(Answers { views: 2, models: 1 }));
    assert_eq!(good.test_time_augmentation.unwrap().transforms.len(), 1);
    let good = with_key("ensemble", json!({ "members": [{ "weights": weights }] })).unwrap();
    assert_eq!(good.answers(), Some(Answers { views: 1, models: 2 }));
    assert_eq!(good.ensemble.unwrap().weight, 1.0);
    for (key, value, expected) in [
        ("test_time_augmentation", json!({ "transforms": [] }), "transforms: found 0, expected 1 to 15"),
        (
            "test_time_augmentation",
            json!({ "transforms": [{ "Flip": { "spatial_axis": [2] } }] }),
            "transforms[0].Flip.spatial_axis: found [2], expected different axes from 0 to 1",
        ),
        ("test_time_augmentation", json!({ "transforms": [{ "Flip": { "spatial_axis": [] } }] }), "found []"),
        (
            "test_time_augmentation",
            json!({ "transforms": [{ "Rotate90": { "k": 1, "spatial_axes": [1, 1] } }] }),
            "found [1, 1]",
        ),
        (
            "test_time_augmentation",
            json!({ "transforms": [{ "Rotate90": { "k": 4, "spatial_axes": [0, 1] } }] }),
            "Rotate90.k: found 4, expected 1 to 3",
        ),
        ("test_time_augmentation", json!({ "transforms": [flip, flip] }), "transforms[1]: is given twice"),
        ("ensemble", json!({ "members": [] }), "ensemble.members: found 0 members"),
        (
            "ensemble",
            json!({ "members": [{ "weights": weights, "weight": 0 }] }),
            "ensemble.members[0].weight: found 0",
        ),
        ("ensemble", json!({ "members": [{ "weights": weights }], "weight": -1 }), "ensemble.weight: found -1"),
        (
            "ensemble",
            json!({ "members": [{ "weights": { "file": "../b", "format": "safetensors" } }] }),
            "ensemble.members[0].weights.file: found \"../b\"",
        ),
        (
            "ensemble",
            json!({ "members": [{ "weights": weights, "network": { "ResNet50": { "in_channels": 3, "num_classes": 2, "width": 8 } } }] }),
            "ensemble.members[0].network: found 3 channels, 2 dimensions, 2 outputs",
        ),
        (
            "ensemble",
            json!({ "members": [{ "weights": weights, "network": { "ResNet50": { "in_channels": 3, "num_classes": 4, "width": 0 } } }] }),
            "ensemble.members[0].network.ResNet50.width: found 0",
        ),
    ] {
        let error = with_key(key, value).unwrap_err();
        assert!(error.contains(expected), "{error}, expected {expected}");
    }
}

#[test]
fn keras_keys_of_the_resnet50_have_their_limits() {
    let with = |key: &str, value: Value| {
        let mut json = shipped();
        json["network"]["ResNet50"][key] = value;
        Manifest::from_json(&json.to_string()).map_err(|e| e.to_string())
    };
    for (key, value) in [
        ("hidden_features", json!([256, 128])),
        ("stride_in_1x1", json!(true)),
        ("conv_bias", json!(true)),
        ("batch_norm_epsilon", json!(1.001e-5)),
    ] {
        let manifest = with(key, value.clone()).unwrap();
        assert_eq!(serde_json::to_value(&manifest.network).unwrap()["ResNet50"][key], value);
    }
    for (key, value, expected) in [
        ("hidden_features", json!([0]), "network.ResNet50.hidden_features: found 0"),
        ("hidden_features", json!([1, 1, 1, 1, 1, 1, 1, 1, 1]), "found 9 layers, expected at most 8"),
        ("batch_norm_epsilon", json!(0.0), "network.ResNet50.batch_norm_epsilon: found 0"),
        ("stride", json!(2), "unknown field `stride`"),
    ] {
        let error = with(key, value).unwrap_err();
        assert!(error.contains(expected), "{error}, expected {expected}");
    }
}
