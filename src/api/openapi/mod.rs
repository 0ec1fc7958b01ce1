//! The REST interface as OpenAPI 3.1: GET `/ai/openapi.json`, and `docs/openapi.json` (`orthanc-ai openapi`).
//!
//! Paths are those of [`super::ROUTES`], what a method is for is told by [`PERMISSIONS`], parameters and bodies by [`OPERATIONS`], and the shapes
//! of answers by the types that are serialized. A route or method that one of them lacks fails a test.

mod compat;
mod operations;
mod paths;
mod schemas;
#[cfg(test)]
mod tests;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use self::operations::{Answer, OPERATIONS, Operation, Query};
use super::permissions::{PERMISSIONS, Permission};
use super::{ROUTES, allow};
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};

pub use paths::{example, paths};

const DESCRIPTION: &str = "Runs AI models inside Orthanc and stores the results as DICOM: for research use only. The routes lie beside Orthanc's \
    own, with its authentication. What is required of a body may be more than its schema says; the error names it. Keys may be added to answers. \
    The routes below /ai/compat are there where Ai.CompatibilityRoutes is set; their errors are {\"success\": false, \"error\": text}.";

pub fn get(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    Response::json(&document())
}

/// The whole document; the same for every server of this version.
pub fn document() -> Value {
    // What is sent and what is answered differ in what is required.
    let mut answers = generator(SchemaSettings::for_serialize);
    let mut bodies = generator(SchemaSettings::for_deserialize);
    let mut items = Map::new();
    for path in ROUTES.iter().flat_map(|route| paths(route.pattern)) {
        let mut item = Map::new();
        let parameters = path_parameters(&path);
        if !parameters.is_empty() {
            item.insert("parameters".into(), parameters.into());
        }
        for operation in OPERATIONS.iter().filter(|operation| operation.paths.contains(&path.as_str())) {
            let method = operation.method.as_str().to_ascii_lowercase();
            item.insert(method, describe(&path, operation, &mut bodies, &mut answers));
        }
        items.insert(path, item.into());
    }
    let mut schemas = answers.take_definitions(true);
    schemas.extend(bodies.take_definitions(true));
    schemas.insert("Error".into(), schemas::error());
    schemas.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "orthanc-ai",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        // Relative to this document's own address, so that it holds behind a prefix.
        "servers": [{"url": ".."}],
        "security": [{"basic": []}, {}],
        "paths": items,
        "components": {
            "schemas": schemas,
            "responses": {"Error": {"description": "An error as Orthanc has them.", "content": error_content()}},
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic", "description": "Where the server asks for it."}},
        },
    })
}

fn generator(contract: fn(SchemaSettings) -> SchemaSettings) -> SchemaGenerator {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
    contract(settings).into_generator()
}

/// Orthanc calls errors `text/plain` from 1.12.2 on; what it refuses itself has no body or a page.
fn error_content() -> Value {
    json!({"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}, "text/plain": {"schema": {"type": "string"}}})
}

fn describe(path: &str, operation: &Operation, bodies: &mut SchemaGenerator, answers: &mut SchemaGenerator) -> Value {
    let permission = permission(path, operation.method);
    let (what, needs) = permission.map_or(("", ""), |permission| (permission.what, permission.needs));
    let mut described = json!({
        "operationId": operation_id(path, operation.method),
        "tags": [operation.tag],
        "summary": capitalised(what),
        "description": format!("Needs one of the permissions {}.", needs.replace('|', ", ")),
    });
    if !operation.query.is_empty() {
        described["parameters"] = operation.query.iter().map(query_parameter).collect();
    }
    if let Some(body) = operation.body {
        let schema = body(bodies);
        described["requestBody"] = json!({"content": {"application/json": {"schema": schema}}});
    }
    let mut responses = Map::new();
    let (media, schema, also) = match operation.answer {
        Answer::Json(schema) => ("application/json", schema(answers), None),
        Answer::JsonAlso(schema, status) => ("application/json", schema(answers), Some(status)),
        Answer::Media(media) => (media, schemas::any(), None),
    };
    for (status, what) in [(Some(200), "Done."), (also, "The same, of a server that is not well.")] {
        let Some(status) = status else { continue };
        let mut content = json!({media: {"schema": schema}});
        if status != 200 {
            // As errors are, and before the server has started it is one.
            content["text/plain"] = json!({"schema": {"type": "string"}});
            content[media] = json!({"schema": {"anyOf": [schema, {"$ref": "#/components/schemas/Error"}]}});
        }
        responses.insert(status.to_string(), json!({"description": what, "content": content}));
    }
    for status in operation.refusals {
        responses.insert(status.to_string(), json!({"$ref": "#/components/responses/Error"}));
    }
    responses.insert("default".into(), json!({"$ref": "#/components/responses/Error"}));
    described["responses"] = responses.into();
    described
}

/// What administrators read of it.
fn permission(path: &str, method: Method) -> Option<&'static Permission> {
    let path = paths::example(path);
    let fits = |p: &&Permission| p.method == method && regex::Regex::new(p.path).is_ok_and(|r| r.is_match(&path));
    PERMISSIONS.iter().find(fits)
}

fn path_parameters(path: &str) -> Vec<Value> {
    let parameter = |name: &str| {
        let (what, pattern) = match (name, path) {
            ("name", _) => ("The model's name.", "^[a-z0-9][a-z0-9-]*$"),
            ("file", _) => ("A file of the page.", "^[a-z.]+$"),
            (_, path) if path.starts_with("/ai/") && !path.starts_with("/ai/compat/") => {
                ("The identifier that an answer gave.", "^[0-9a-f-]{36}$")
            }
            _ => ("Orthanc's identifier of the resource.", "^[0-9a-f]{8}(-[0-9a-f]{8}){4}$"),
        };
        json!({"name": name, "in": "path", "required": true, "description": what, "schema": {"type": "string", "pattern": pattern}})
    };
    paths::parameters(path).map(parameter).collect()
}

fn query_parameter(query: &Query) -> Value {
    json!({"name": query.name, "in": "query", "description": query.what, "schema": (query.schema)()})
}

/// `getAiRunsById`
fn operation_id(path: &str, method: Method) -> String {
    let mut id = method.as_str().to_ascii_lowercase();
    for word in path.split(['/', '.', '_', '-']).filter(|word| !word.is_empty()) {
        match word.strip_prefix('{') {
            Some(parameter) => id.push_str(&format!("By{}", capitalised(parameter.trim_end_matches('}')))),
            None => id.push_str(&capitalised(word)),
        }
    }
    id
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
