use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::api::permissions::tests::{METHODS, takes};

fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let methods = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
        methods.map(|method| (path.clone(), method.to_uppercase())).collect::<Vec<_>>()
    };
    document["paths"].as_object().unwrap().iter().flat_map(methods).collect()
}

#[test]
fn every_method_of_every_route_is_described_and_nothing_else() {
    let mut expected = BTreeSet::new();
    for route in ROUTES {
        for path in paths(route.pattern) {
            let taken = METHODS.iter().filter(|method| takes(route, **method, &paths::example(&path)));
            expected.extend(taken.map(|method| (path.clone(), method.as_str().to_owned())));
        }
    }
    assert!(expected.len() >= PERMISSIONS.len());
    assert_eq!(operations(&document()), expected);
    // Nor is anything described for a path that no route has, or twice.
    let described =
        OPERATIONS.iter().flat_map(|o| o.paths.iter().map(|p| ((*p).to_owned(), o.method.as_str().to_owned())));
    let described: Vec<(String, String)> = described.collect();
    assert_eq!(described.len(), expected.len());
    assert_eq!(described.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn each_operation_says_what_it_is_for_and_what_it_needs() {
    let document = document();
    let mut ids = BTreeMap::new();
    for (path, method) in operations(&document) {
        let operation = &document["paths"][&path][method.to_lowercase()];
        assert!(operation["summary"].as_str().unwrap().len() >= 6, "{method} {path}");
        assert!(operation["description"].as_str().unwrap().contains(" all, "), "{method} {path}");
        let id = operation["operationId"].as_str().unwrap().to_owned();
        assert_eq!(ids.insert(id, path.clone()), None, "{method} {path}");
        assert_eq!(operation.get("requestBody").is_some(), method == "POST", "{method} {path}");
    }
    assert!(ids.contains_key("postAiRunsByIdFeedback"), "{ids:?}");
}

fn references<'a>(value: &'a Value, into: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(object) => {
            into.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| references(value, into));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, into)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_to_something_and_every_schema_is_one() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/RunView") && found.contains("#/components/schemas/Error"));
    for reference in &found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(found.contains(format!("#/components/schemas/{name}").as_str()), "{name} is of no use");
        let mut schema = schema.clone();
        schema["components"] = document["components"].clone();
        jsonschema::validator_for(&schema).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

/// A run, as the store's tests make one and REST shows it, is what the document says.
#[test]
fn a_run_and_its_feedback_fit_their_schemas() {
    let document = document();
    let fits = |name: &str, value: &Value| {
        let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": document["components"]});
        let validator = jsonschema::validator_for(&schema).unwrap();
        validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect::<Vec<_>>()
    };
    let agreement = crate::run::feedback::agreement::ModelAgreement::new("m", &[]);
    assert_eq!(fits("ModelAgreement", &serde_json::to_value(&agreement).unwrap()), [""; 0]);
    assert!(!fits("ModelAgreement", &json!({"Model": "m"})).is_empty());
    let image = json!({"InstanceID": "i", "View": "v", "InstanceUid": "1.2", "Success": true, "Class": "Mass", "Color": "#ff0000",
        "Probability": 0.5, "AllProbabilities": {"Mass": 0.5}, "Finding": "Mass"});
    assert_eq!(fits("ImageResult", &image), [""; 0]);
    let segment = json!({"Name": "Tumour", "Color": "#ff0000", "Found": true, "Finding": "Tumour", "SegmentNumber": 1,
        "Pixels": 9, "SharePercent": 0.5, "LongAxisPixels": 3.0, "Mean": 7.0});
    let segmented = json!({"InstanceID": "i", "View": "v", "InstanceUid": "1.2", "FrameNumber": 3, "Success": true,
        "Segments": [segment], "MaskFrames": [0]});
    // As it is stored and answered.
    let stored: crate::run::record::ImageResult = serde_json::from_value(segmented).unwrap();
    assert_eq!(fits("ImageResult", &serde_json::to_value(&stored).unwrap()), [""; 0]);
    let error = RestError::bad_request("body: no").respond(&Request::new(Method::Post, "/ai/images"));
    assert_eq!(fits("Error", &serde_json::from_slice(&error.body).unwrap()), [""; 0]);
}

#[test]
fn the_documentation_has_this_version() {
    let stored: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    assert!(stored == document(), "docs/openapi.json is out of date: run `make openapi`");
}
