//! GET `/studies/{id}/ai/report.csv`, `.html`, `.pdf`, and the same of `/ai/runs/{id}`: reports as files for people.
//!
//! They hold what the archive says of the patient, as the archive's own routes do; their names hold nothing of it.

use std::sync::Arc;

use super::analyse::source_error;
use super::overlay::invalid;
use super::{allow, orthanc_id, service, store_error};
use crate::document::csv::{Opinion, Told, csv};
use crate::document::html::{POLICY, html};
use crate::document::pdf::pdf;
use crate::document::{Answered, Document, File, Language, PROGRAM, Pictures, Subject, describe};
use crate::manifest::Manifest;
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};
use crate::run::feedback::{Feedback, Verdict};
use crate::run::{Run, RunFilter, RunId, RunService, RunState};
use crate::source::orthanc::{OrthancSource, instance_with_uid, study_of, subject_of};
use crate::source::{InstanceSource, Level, Resource, SourceError};

/// Of all runs of a study that have succeeded, the newest first: of runs that asked the same the newest, and none that a later one supersedes.
pub fn of_study(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let language = language(request)?;
    let study = orthanc_id(request.groups.first().copied().unwrap_or_default())?;
    let resource = Resource::new(Level::Study, study);
    study_of(&resource).map_err(source_error)?;
    let service = service()?;
    let filter = RunFilter { study: Some(study.to_owned()), state: Some(RunState::Succeeded), ..RunFilter::default() };
    let runs = current(service.store.list(&filter).map_err(store_error)?);
    if runs.is_empty() {
        return Err(RestError::not_found(format!("no analysis of {resource} has succeeded yet")));
    }
    answer(request, &service, &runs, language, study)
}

pub fn of_run(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let language = language(request)?;
    let id = RunId(request.groups.first().copied().unwrap_or_default().to_owned());
    let service = service()?;
    let run = service.store.get(&id).map_err(store_error)?;
    let run = run.ok_or_else(|| RestError::not_found(format!("unknown run {id}")))?;
    if run.state != RunState::Succeeded || run.report.is_none() {
        return Err(RestError::new(409, format!("the run is {:?}, expected Succeeded", run.state)));
    }
    answer(request, &service, &[run], language, &id.0)
}

/// `runs`: the newest first.
fn current(runs: Vec<Run>) -> Vec<Run> {
    let mut kept: Vec<Run> = Vec::new();
    for run in runs.into_iter().filter(|run| run.report.is_some() && run.superseded_by.is_none()) {
        if kept.iter().all(|newer| newer.key != run.key) {
            kept.push(run);
        }
    }
    kept
}

/// As the query wants it, else as the browser does.
fn language(request: &Request<'_>) -> Result<Language, RestError> {
    let mut wanted = None;
    for (key, value) in &request.query {
        match key.as_ref() {
            "language" => {
                wanted = Some(Language::from_code(value).ok_or_else(|| invalid(key, value, "en or ko"))?);
            }
            // jQuery's cache buster.
            "_" => {}
            other => return Err(invalid("query", other, "language")),
        }
    }
    Ok(wanted.unwrap_or_else(|| Language::accepted(request.header("accept-language"))))
}

/// `id`: of study or run, by Orthanc or by us, which tells nobody's name.
fn answer(
    request: &Request<'_>,
    service: &RunService,
    runs: &[Run],
    language: Language,
    id: &str,
) -> Result<Response, RestError> {
    let kind = request.groups.get(1).copied().and_then(|file| file.strip_prefix("report.")).unwrap_or_default();
    let (response, shown) = match kind {
        "csv" => (Response::ok("text/csv; charset=utf-8", table(service, runs)?), "attachment"),
        "html" => {
            let page = html(&document(service, runs, language)?);
            let policy = format!("{POLICY}; frame-ancestors 'self'");
            let response = Response::ok("text/html; charset=utf-8", page.into_bytes());
            (response.with_header("Content-Security-Policy", policy), "inline")
        }
        "pdf" => {
            let file = pdf(&document(service, runs, language)?).map_err(|e| RestError::internal(e.to_string()))?;
            (Response::ok("application/pdf", file), "inline")
        }
        _ => return Err(RestError::not_found("unknown file: expected report.csv, report.html or report.pdf")),
    };
    Ok(response
        .with_header("Content-Disposition", format!("{shown}; filename=\"ai-report-{id}.{kind}\""))
        .with_header("Cache-Control", "private, no-cache")
        .with_header("X-Content-Type-Options", "nosniff"))
}

fn document(service: &RunService, runs: &[Run], language: Language) -> Result<Document, RestError> {
    let subject = match runs.first().map(|run| subject_of(&run.request.study)) {
        Some(Ok(subject)) => subject,
        // The run is remembered longer than its study.
        None | Some(Err(SourceError::UnknownResource(_))) => Subject::default(),
        Some(Err(error)) => return Err(source_error(error)),
    };
    let manifests: Vec<Option<Arc<Manifest>>> = runs.iter().map(|run| manifest(service, run)).collect();
    let warnings: Vec<Vec<String>> = runs.iter().map(|run| run.all_warnings().cloned().collect()).collect();
    let answered = runs.iter().zip(&manifests).zip(&warnings).filter_map(|((run, manifest), warnings)| {
        Some(Answered { report: run.report.as_ref()?, manifest: manifest.as_deref(), warnings })
    });
    let answered: Vec<Answered<'_>> = answered.collect();
    let mut pictures = Pictures::new(&fetch, OrthancSource.frame_decoder());
    Ok(describe(&subject, &answered, language, PROGRAM, &mut |wanted| pictures.draw(wanted)))
}

/// Of the run's model, as long as it is the one that has run: another version's names may mean something else.
fn manifest(service: &RunService, run: &Run) -> Option<Arc<Manifest>> {
    let manifest = service.models.manifest(&run.request.model)?;
    Some(manifest).filter(|manifest| manifest.version == run.card.version)
}

fn fetch(uid: &str) -> Option<File> {
    OrthancSource.fetch(&instance_with_uid(uid).ok()??).ok()
}

fn table(service: &RunService, runs: &[Run]) -> Result<Vec<u8>, RestError> {
    let mut told = Vec::with_capacity(runs.len());
    for run in runs {
        let Some(report) = &run.report else { continue };
        let feedback = service.store.feedback_of(&run.id).map_err(store_error)?;
        let opinions = feedback.into_iter().filter(|given| given.current).map(opinion).collect();
        told.push(Told { run: &run.id.0, report, opinions });
    }
    Ok(csv(&told))
}

fn opinion(given: Feedback) -> Opinion {
    let accepted = given.verdict.map(|verdict| verdict == Verdict::Accept);
    Opinion { finding: given.finding, accepted, comment: given.comment }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &[(&'static str, &'static str)], header: Option<&'static str>) -> Result<Language, u16> {
        let mut request = Request::new(Method::Get, "/ai/runs/x/report.pdf");
        request.query = query.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        request.headers = header.map(|value| ("accept-language".into(), value.into())).into_iter().collect();
        language(&request).map_err(|e| e.status)
    }

    #[test]
    fn the_query_decides_and_then_the_browser() {
        assert_eq!(asked(&[], None), Ok(Language::English));
        assert_eq!(asked(&[], Some("ko-KR,ko;q=0.9,en;q=0.8")), Ok(Language::Korean));
        assert_eq!(asked(&[("language", "en")], Some("ko")), Ok(Language::English));
        assert_eq!(asked(&[("language", "ko"), ("_", "17")], None), Ok(Language::Korean));
        assert_eq!(asked(&[("language", "de")], None), Err(400));
        assert_eq!(asked(&[("lang", "ko")], None), Err(400));
    }
}
