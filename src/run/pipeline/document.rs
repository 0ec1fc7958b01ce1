//! The report as Encapsulated PDF, where the archive's administrator wants it beside the run's other objects.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Limits, RunError};
use crate::document::{Answered, File, Language, PROGRAM, Pictures, Subject, describe, pdf};
use crate::imaging::{self, ImageAttributes};
use crate::model::LoadedModel;
use crate::result::encapsulated::{PdfReport, pdf_object};
use crate::result::reference::InstanceReference;
use crate::result::{ResultContext, ResultKind, ResultObject, ResultUids, Results, SrSopClass};
use crate::run::record::RunRequest;
use crate::source::InstanceSource;

/// What a run makes and may take.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunSettings {
    pub limits: Limits,
    /// Of the report that is stored as Encapsulated PDF; None: it is not.
    pub encapsulated_pdf: Option<Language>,
}

impl From<Limits> for RunSettings {
    fn from(limits: Limits) -> Self {
        Self { limits, encapsulated_pdf: None }
    }
}

/// The object of a run whose other results are all there; or in words why there is none: a run does not fail for it, be it that a codec panics.
pub(super) fn object(
    source: &dyn InstanceSource,
    model: &LoadedModel,
    request: &RunRequest,
    results: &Results,
    told: (Language, &[String]),
) -> Result<ResultObject, String> {
    let made = AssertUnwindSafe(|| document(source, model, request, results, told));
    catch_unwind(made).unwrap_or_else(|_| Err("a panic, see the log".into()))
}

fn document(
    source: &dyn InstanceSource,
    model: &LoadedModel,
    request: &RunRequest,
    results: &Results,
    (language, warnings): (Language, &[String]),
) -> Result<ResultObject, String> {
    let sr = results.objects.iter().rfind(|o| o.kind == ResultKind::Sr).ok_or("the run has no report object")?;
    let image = first_image(source, request).ok_or("none of the images has a header that can be read")?;
    let subject = Subject::of(&image);
    let fetch = |uid: &str| fetch(source, request, results, uid);
    let mut pictures = Pictures::new(&fetch, source.frame_decoder());
    let warnings: Vec<String> = request.warnings.iter().chain(warnings).cloned().collect();
    let answered = Answered { report: &results.report, manifest: Some(&model.manifest), warnings: &warnings };
    let described = describe(&subject, &[answered], language, PROGRAM, &mut |wanted| pictures.draw(wanted));
    let bytes = pdf::pdf(&described).map_err(|e| e.to_string())?;
    let images = [&image];
    let ctx = ResultContext {
        manifest: &model.manifest,
        weights_sha256: &model.weights_sha256,
        images: &images,
        created: time::OffsetDateTime::now_utc(),
        uids: ResultUids::new(&images, &model.manifest, &model.weights_sha256),
        software_version: env!("CARGO_PKG_VERSION"),
        sr_sop_class: SrSopClass::default(),
    };
    let shown: Vec<InstanceReference<'_>> = results.objects.iter().map(InstanceReference::from).collect();
    let report = PdfReport { bytes: &bytes, language: language.code(), names_patient: subject.names_patient() };
    pdf_object(&ctx, sr, &shown, &report).map_err(|e| RunError::from(e).to_string())
}

/// Patient and study are the same in all of them.
fn first_image(source: &dyn InstanceSource, request: &RunRequest) -> Option<ImageAttributes> {
    request.inputs.iter().find_map(|input| imaging::read_attributes(&source.fetch(&input.id).ok()?).ok())
}

/// A result that is not stored yet, or an input.
fn fetch(source: &dyn InstanceSource, request: &RunRequest, results: &Results, uid: &str) -> Option<File> {
    if let Some(result) = results.objects.iter().find(|o| o.sop_instance_uid == uid) {
        return Some(Box::new(result.bytes.clone()));
    }
    let input = request.inputs.iter().find(|input| input.sop_instance_uid == uid)?;
    source.fetch(&input.id).ok()
}
