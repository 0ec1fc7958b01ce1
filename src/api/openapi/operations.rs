//! What each method of each route takes and answers.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{compat, schemas};
use crate::api::body::{EmptyBody, RunBody};
use crate::api::compat::AnyBody;
use crate::api::compat::mammography::MammographyBody;
use crate::api::compat::series::SegmentBody;
use crate::api::demo::DemoBody;
use crate::api::evaluate::EvaluateBody;
use crate::api::feedback::FeedbackBody;
use crate::api::images::ImagesBody;
use crate::manifest::Override;
use crate::model::ModelInfo;
use crate::orthanc::rest_server::Method;
use crate::orthanc::rest_server::Method::{Delete, Get, Post};
use crate::result::Report;
use crate::run::evaluation::queue::EvaluationView;
use crate::run::feedback::Feedback;
use crate::run::feedback::agreement::ModelAgreement;
use crate::run::view::RunView;

pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

pub struct Operation {
    pub method: Method,
    /// Those of [`crate::api::ROUTES`] for which all of this holds.
    pub paths: &'static [&'static str],
    pub tag: &'static str,
    pub query: &'static [Query],
    pub body: Option<SchemaOf>,
    pub answer: Answer,
    /// Statuses of errors that are to be expected, beside those that any request may get.
    pub refusals: &'static [u16],
}

#[derive(Clone, Copy)]
pub enum Answer {
    Json(SchemaOf),
    /// The same, also with this status.
    JsonAlso(SchemaOf, u16),
    /// Of this media type, which is not described further.
    Media(&'static str),
}

pub struct Query {
    pub name: &'static str,
    pub what: &'static str,
    pub schema: fn() -> Schema,
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const fn get(tag: &'static str, paths: &'static [&'static str], answer: Answer) -> Operation {
    Operation { method: Get, paths, tag, query: &[], body: None, answer, refusals: &[503] }
}

const fn post(tag: &'static str, paths: &'static [&'static str], body: SchemaOf, answer: Answer) -> Operation {
    Operation { method: Post, body: Some(body), refusals: &[400, 404, 415, 503], ..get(tag, paths, answer) }
}

const fn delete(tag: &'static str, paths: &'static [&'static str], answer: Answer) -> Operation {
    Operation { method: Delete, refusals: &[404, 409, 503], ..get(tag, paths, answer) }
}

/// Of something that may not be there.
const fn found(operation: Operation) -> Operation {
    Operation { refusals: &[404, 503], ..operation }
}

/// For people.
const fn report(media: &'static str, paths: &'static [&'static str]) -> Operation {
    Operation {
        query: &[Query { name: "language", what: "Unless given, as Accept-Language has it.", schema: language }],
        refusals: &[400, 404, 409, 503],
        ..get(ANALYSIS, paths, Answer::Media(media))
    }
}

const SERVER: &str = "Server";
const ANALYSIS: &str = "Analysis";
const RUNS: &str = "Runs";
const FEEDBACK: &str = "Feedback";
const EVALUATION: &str = "Evaluation";
const PAGE: &str = "Page";
const COMPAT: &str = "Compatibility";
/// Of a request that waits for a run.
const ANALYSED: &[u16] = &[400, 404, 409, 415, 422, 503, 504];
const RESOURCES: &[&str] = &["/studies/{id}/ai", "/series/{id}/ai", "/instances/{id}/ai"];

pub static OPERATIONS: &[Operation] = &[
    get(SERVER, &["/ai"], Answer::Json(schemas::overview)),
    Operation { refusals: &[], ..get(SERVER, &["/ai/health"], Answer::JsonAlso(schemas::health, 503)) },
    get(SERVER, &["/ai/models"], Answer::Json(of::<Vec<ModelInfo>>)),
    found(get(SERVER, &["/ai/models/{name}"], Answer::Json(of::<ModelInfo>))),
    found(get(SERVER, &["/ai/models/{name}/card"], Answer::Media("text/markdown"))),
    get(SERVER, &["/ai/openapi.json", "/ai/explorer2.json"], Answer::Json(schemas::object)),
    post(SERVER, &["/ai/queue/suspend", "/ai/queue/resume"], of::<EmptyBody>, Answer::Json(schemas::suspended)),
    found(get(ANALYSIS, RESOURCES, Answer::Json(schemas::resource))),
    Operation { refusals: ANALYSED, ..post(ANALYSIS, RESOURCES, of::<RunBody>, Answer::Json(schemas::submitted)) },
    found(get(ANALYSIS, &["/studies/{id}/ai/report"], Answer::Json(of::<Vec<Report>>))),
    report("text/csv", &["/studies/{id}/ai/report.csv"]),
    report("text/html", &["/studies/{id}/ai/report.html"]),
    report("application/pdf", &["/studies/{id}/ai/report.pdf"]),
    Operation {
        query: &[
            Query { name: "frame", what: "Of the segmentation, from 0.", schema: from_zero },
            Query { name: "opacity", what: "Of the mask; 0.5 unless given.", schema: share },
            Query { name: "source", what: "false: the mask alone, transparent around it.", schema: yes_or_no },
        ],
        refusals: &[400, 404, 422, 503],
        ..get(ANALYSIS, &["/instances/{id}/ai/overlay.png"], Answer::Media("image/png"))
    },
    Operation {
        query: &[Query { name: "frame_index", what: "Of the analysed slices, from 0.", schema: from_zero }],
        refusals: &[400, 404, 422, 503],
        ..get(ANALYSIS, &["/instances/{id}/ai/frames"], Answer::Json(schemas::mask))
    },
    Operation {
        query: &[
            Query { name: "opacity", what: "Of masks; 0.5 unless given.", schema: share },
            Query { name: "source", what: "false: masks alone, transparent around them.", schema: yes_or_no },
        ],
        refusals: &[400, 404, 422, 503],
        ..get(
            ANALYSIS,
            &["/series/{id}/ai/overlays.zip", "/instances/{id}/ai/overlays.zip"],
            Answer::Media("application/zip"),
        )
    },
    Operation {
        query: &[Query { name: "segment", what: "Number of the segment, from 1.", schema: from_one }],
        refusals: &[400, 404, 422, 503],
        ..get(ANALYSIS, &["/series/{id}/ai/surface.stl"], Answer::Media("model/stl"))
    },
    Operation {
        refusals: &[400, 404, 422, 503],
        ..get(ANALYSIS, &["/series/{id}/ai/surface.html"], Answer::Media("text/html"))
    },
    Operation {
        refusals: &[400, 404, 409, 413, 415, 422, 503, 504],
        ..post(ANALYSIS, &["/ai/images"], of::<ImagesBody>, Answer::Json(schemas::pictures))
    },
    Operation {
        refusals: &[400, 415, 503],
        ..post(ANALYSIS, &["/ai/demo"], of::<DemoBody>, Answer::Json(schemas::demo_studies))
    },
    Operation {
        query: &[
            Query { name: "state", what: "Of the run.", schema: run_state },
            Query { name: "model", what: "The model's name.", schema: text },
            Query { name: "resource", what: "What was analysed: /studies/{id} or the like.", schema: text },
            Query { name: "since", what: "Created then or later.", schema: time },
            Query { name: "limit", what: "At most so many, the newest; 100 unless given.", schema: from_zero },
        ],
        refusals: &[400, 503],
        ..get(RUNS, &["/ai/runs"], Answer::Json(of::<Vec<RunView>>))
    },
    found(get(RUNS, &["/ai/runs/{id}"], Answer::Json(of::<RunView>))),
    delete(RUNS, &["/ai/runs/{id}"], Answer::Json(schemas::object)),
    Operation {
        refusals: &[400, 404, 409, 415, 503],
        ..post(RUNS, &["/ai/runs/{id}/cancel"], of::<EmptyBody>, Answer::Json(of::<RunView>))
    },
    Operation {
        refusals: &[400, 404, 409, 415, 503],
        ..post(RUNS, &["/ai/runs/{id}/retry"], of::<EmptyBody>, Answer::Json(schemas::reference))
    },
    report("text/csv", &["/ai/runs/{id}/report.csv"]),
    report("text/html", &["/ai/runs/{id}/report.html"]),
    report("application/pdf", &["/ai/runs/{id}/report.pdf"]),
    found(get(FEEDBACK, &["/ai/runs/{id}/feedback"], Answer::Json(schemas::feedback_of_run))),
    Operation {
        refusals: &[400, 404, 409, 415, 503],
        ..post(FEEDBACK, &["/ai/runs/{id}/feedback"], of::<FeedbackBody>, Answer::Json(of::<Feedback>))
    },
    found(get(FEEDBACK, &["/ai/models/{name}/feedback"], Answer::Json(of::<ModelAgreement>))),
    Operation {
        query: &[Query { name: "model", what: "The model's name; all models unless given.", schema: text }],
        refusals: &[400, 503],
        ..get(FEEDBACK, &["/ai/feedback.csv"], Answer::Media("text/csv"))
    },
    post(EVALUATION, &["/ai/models/{name}/evaluate"], of::<EvaluateBody>, Answer::Json(schemas::evaluation_reference)),
    get(EVALUATION, &["/ai/evaluations"], Answer::Json(of::<Vec<EvaluationView>>)),
    found(get(EVALUATION, &["/ai/evaluations/{id}"], Answer::Json(schemas::evaluation))),
    delete(EVALUATION, &["/ai/evaluations/{id}"], Answer::Json(of::<EvaluationView>)),
    found(get(EVALUATION, &["/ai/evaluations/{id}/report.html"], Answer::Media("text/html"))),
    found(get(EVALUATION, &["/ai/evaluations/{id}/cases.csv"], Answer::Media("text/csv"))),
    found(get(EVALUATION, &["/ai/evaluations/{id}/override.json"], Answer::Json(of::<Override>))),
    Operation {
        refusals: ANALYSED,
        ..post(
            COMPAT,
            &["/ai/compat/api/mri/mammography/analyze"],
            of::<MammographyBody>,
            Answer::Json(compat::mammography),
        )
    },
    found(get(
        COMPAT,
        &["/ai/compat/api/mri/mammography/health", "/ai/compat/api/mri/segmentation/health"],
        Answer::Json(compat::health),
    )),
    Operation {
        refusals: ANALYSED,
        ..post(
            COMPAT,
            &["/ai/compat/api/mri/segmentation/series/{id}/segment"],
            of::<SegmentBody>,
            Answer::Json(compat::series),
        )
    },
    Operation {
        query: &[
            Query { name: "frame_index", what: "Of the analysed slices, from 0.", schema: from_zero },
            Query { name: "mirrored", what: "false: as it lies on the source, not left to right.", schema: yes_or_no },
        ],
        refusals: &[400, 404, 422, 503],
        ..get(COMPAT, &["/ai/compat/api/mri/segmentation/instances/{id}/frames"], Answer::Json(schemas::mask))
    },
    Operation {
        refusals: ANALYSED,
        ..post(
            COMPAT,
            &["/ai/compat/api/medical-images/{id}/analyze", "/ai/compat/api/medical-images/{id}/tumor_analysis"],
            of::<AnyBody>,
            Answer::Json(compat::image),
        )
    },
    Operation {
        query: &[
            Query { name: "patient_id", what: "PatientID, or Orthanc's identifier of the patient.", schema: text },
            Query { name: "visualization_type", what: "Changes nothing.", schema: text },
        ],
        refusals: &[400, 404, 422, 503],
        ..get(COMPAT, &["/ai/compat/api/medical-images/generate_3d_visualization"], Answer::Media("text/html"))
    },
    get(PAGE, &["/ai/app"], Answer::Media("text/html")),
    found(get(PAGE, &["/ai/app/{file}"], Answer::Media("*/*"))),
];

fn text() -> Schema {
    json_schema!({"type": "string"})
}

fn language() -> Schema {
    json_schema!({"type": "string", "enum": crate::document::Language::ALL.map(crate::document::Language::code)})
}

fn from_zero() -> Schema {
    json_schema!({"type": "integer", "minimum": 0})
}

fn from_one() -> Schema {
    json_schema!({"type": "integer", "minimum": 1})
}

fn share() -> Schema {
    json_schema!({"type": "number", "minimum": 0, "maximum": 1})
}

fn yes_or_no() -> Schema {
    json_schema!({"type": "boolean"})
}

fn time() -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

fn run_state() -> Schema {
    json_schema!({"type": "string", "enum": crate::run::RunState::ALL.map(crate::run::RunState::name)})
}
