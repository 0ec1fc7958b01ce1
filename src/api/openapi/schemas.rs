//! The shapes of answers that are put together by their handlers.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::model::ModelInfo;
use crate::run::evaluation::queue::EvaluationView;
use crate::run::feedback::{Feedback, JudgedFinding};
use crate::run::view::RunView;

/// An object with all of these keys.
pub fn keys<const N: usize>(properties: [(&str, Value); N]) -> Schema {
    let required: Vec<&str> = properties.iter().map(|(key, _)| *key).collect();
    let required = json!(required);
    let properties: Map<String, Value> = properties.into_iter().map(|(key, schema)| (key.to_owned(), schema)).collect();
    json_schema!({"type": "object", "required": required, "properties": properties})
}

pub fn text() -> Value {
    json!({"type": "string"})
}

pub fn text_or_null() -> Value {
    json!({"type": ["string", "null"]})
}

pub fn flag() -> Value {
    json!({"type": "boolean"})
}

pub fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn count_or_null() -> Value {
    json!({"type": ["integer", "null"], "minimum": 0})
}

pub fn list(items: impl Into<Value>) -> Value {
    let items: Value = items.into();
    json!({"type": "array", "items": items})
}

pub fn value(schema: Schema) -> Value {
    schema.into()
}

pub fn any() -> Schema {
    json_schema!({})
}

pub fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object"})
}

/// Details are in all of ours, and not in those of the core: it refuses a path with a backslash, say, before we are asked.
pub fn error() -> Value {
    let number = || json!({"type": "integer"});
    let mut schema = value(keys([
        ("HttpError", text()),
        ("HttpStatus", number()),
        ("Message", json!({"type": "string", "description": "The kind of error, in Orthanc's words."})),
        ("Method", text()),
        ("OrthancError", text()),
        ("OrthancStatus", number()),
        ("Uri", text()),
        ("Details", json!({"type": "string", "description": "What was found, and what was expected."})),
    ]));
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|key| key != "Details");
    }
    schema
}

fn store() -> Value {
    value(keys([("Ok", flag()), ("Kind", text()), ("Error", text_or_null())]))
}

pub fn overview(generator: &mut SchemaGenerator) -> Schema {
    keys([
        ("Version", text()),
        ("ApiVersion", count()),
        ("OrthancVersion", text_or_null()),
        ("Device", text()),
        ("Threads", count()),
        ("Node", text()),
        ("Worker", flag()),
        ("QueueLength", count_or_null()),
        ("QueueLimit", count()),
        ("Suspended", json!({"type": ["boolean", "null"]})),
        ("Store", store()),
        ("Models", list(generator.subschema_for::<ModelInfo>())),
    ])
}

pub fn health(_: &mut SchemaGenerator) -> Schema {
    let checks = keys([
        ("Models", value(keys([("Ok", flag()), ("Failed", list(text())), ("Loading", flag())]))),
        ("Worker", value(keys([("Ok", flag()), ("Enabled", flag()), ("Node", text())]))),
        ("Store", store()),
        (
            "Queue",
            value(keys([
                ("Ok", flag()),
                ("Length", count_or_null()),
                ("Limit", count()),
                ("Suspended", json!({"type": ["boolean", "null"]})),
            ])),
        ),
    ]);
    keys([("Status", json!({"enum": ["Healthy", "Unhealthy"]})), ("Checks", value(checks))])
}

pub fn suspended(_: &mut SchemaGenerator) -> Schema {
    keys([("Suspended", flag())])
}

pub fn resource(generator: &mut SchemaGenerator) -> Schema {
    let model = keys([
        ("Model", text()),
        ("Title", text()),
        ("Demo", flag()),
        ("State", value(generator.subschema_for::<crate::model::ModelState>())),
        ("Applies", flag()),
        ("Reason", text()),
        ("Images", count()),
    ]);
    let rule =
        keys([("Rule", text()), ("Model", text()), ("Trigger", text()), ("Applies", flag()), ("Reason", text())]);
    keys([
        ("Resource", text()),
        ("Parent", text_or_null()),
        ("Models", list(model)),
        ("Automatic", list(rule)),
        ("Runs", list(generator.subschema_for::<RunView>())),
    ])
}

pub fn reference(_: &mut SchemaGenerator) -> Schema {
    keys([("ID", text()), ("Path", text()), ("Model", text())])
}

/// A reference to the run, or the finished run where it is waited for; a list without `Model`.
pub fn submitted(generator: &mut SchemaGenerator) -> Schema {
    let one = [value(reference(generator)), value(generator.subschema_for::<RunView>())];
    let many = list(json!({"anyOf": one.clone()}));
    json_schema!({"anyOf": [one[0], one[1], many]})
}

pub fn pictures(generator: &mut SchemaGenerator) -> Schema {
    let instance = keys([
        ("ID", text()),
        ("Path", text()),
        ("ParentSeries", text()),
        ("SOPInstanceUID", text()),
        ("Status", json!({"enum": ["Success", "AlreadyStored"]})),
    ]);
    let run = json!({"anyOf": [value(reference(generator)), value(generator.subschema_for::<RunView>())]});
    keys([("ParentStudy", text_or_null()), ("Instances", list(instance)), ("Runs", list(run))])
}

pub fn demo_studies(_: &mut SchemaGenerator) -> Schema {
    let study = keys([("Name", text()), ("ID", text()), ("Path", text()), ("Instances", count())]);
    keys([("Studies", list(study))])
}

pub fn mask(_: &mut SchemaGenerator) -> Schema {
    let picture = json!({"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"});
    keys([("success", flag()), ("frame_data", picture), ("frame_index", count())])
}

pub fn feedback_of_run(generator: &mut SchemaGenerator) -> Schema {
    keys([
        ("Run", text()),
        ("Model", text()),
        ("Version", text()),
        ("User", text_or_null()),
        ("Findings", list(generator.subschema_for::<JudgedFinding>())),
        ("Feedback", list(generator.subschema_for::<Feedback>())),
    ])
}

pub fn evaluation_reference(_: &mut SchemaGenerator) -> Schema {
    keys([("ID", text()), ("Path", text())])
}

/// Where it stands, with its report and thresholds once it has ended.
pub fn evaluation(generator: &mut SchemaGenerator) -> Schema {
    let thresholds = generator.subschema_for::<crate::manifest::Override>();
    let ended = keys([
        ("Report", json!({"type": ["object", "null"]})),
        ("Thresholds", json!({"anyOf": [value(thresholds), {"type": "null"}]})),
    ]);
    json_schema!({"allOf": [value(generator.subschema_for::<EvaluationView>()), value(ended)]})
}
