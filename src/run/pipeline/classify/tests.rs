//! Series of synthetic slices through networks whose answers are known.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ndarray::{Array2, ArrayViewD, Axis};
use serde_json::{Value, json};

use super::*;
use crate::ct_series::{self, CtSeries};
use crate::manifest::Manifest;
use crate::model::{Logits, Network};
use crate::run::select::select;
use crate::run::{Origin, RunRequest};
use crate::source::{InstanceBytes, InstanceHeader, InstanceId, InstanceSource, Level, Resource, SourceError};

/// The bytes of a file, or why they cannot be had.
type File = Result<Vec<u8>, fn() -> SourceError>;

/// Files by number.
struct Files {
    files: Vec<File>,
    fetched: AtomicUsize,
    /// How long the first file takes.
    delay: Duration,
}

impl Files {
    fn new(files: Vec<Vec<u8>>) -> Self {
        Self { files: files.into_iter().map(Ok).collect(), fetched: AtomicUsize::new(0), delay: Duration::ZERO }
    }
}

impl InstanceSource for Files {
    fn headers(&self, _: &Resource) -> Result<Vec<InstanceHeader>, SourceError> {
        let header = |(i, file): (usize, &File)| {
            let id = InstanceId(i.to_string());
            let dataset = file.as_ref().ok().map(|bytes| crate::imaging::read_header(bytes));
            match dataset {
                Some(Ok(dataset)) => InstanceHeader::from_dataset(id, &dataset),
                _ => InstanceHeader::unreadable(id, "test"),
            }
        };
        Ok(self.files.iter().enumerate().map(header).collect())
    }

    fn fetch(&self, id: &InstanceId) -> Result<InstanceBytes, SourceError> {
        if self.fetched.fetch_add(1, Ordering::SeqCst) == 0 {
            std::thread::sleep(self.delay);
        }
        match &self.files[id.0.parse::<usize>().unwrap()] {
            Ok(bytes) => Ok(Box::new(bytes.clone())),
            Err(error) => Err(error()),
        }
    }
}

/// Says the mean of each image as its logit, and notes the batches that it saw.
struct Mean {
    batches: Arc<Mutex<Vec<usize>>>,
    /// A batch of more images than this is refused.
    most: usize,
}

impl Network for Mean {
    fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
        let n = input.shape()[0];
        self.batches.lock().unwrap().push(n);
        if n > self.most {
            return Err(ModelError::Output { found: format!("a batch of {n}"), expected: "a smaller one".into() });
        }
        let means = input.axis_iter(Axis(0)).map(|image| image.mean().unwrap()).collect();
        Ok(Logits::Global(Array2::from_shape_vec((n, 1), means).unwrap()))
    }
}

struct Observer {
    told: Mutex<Vec<(Stage, usize, usize)>>,
    /// The run is cancelled as soon as so many images were inferred.
    cancel_at: usize,
}

impl Observer {
    fn new() -> Self {
        Self { told: Mutex::default(), cancel_at: usize::MAX }
    }
}

impl Monitor for Observer {
    fn progress(&self, stage: Stage, done: usize, total: usize) {
        self.told.lock().unwrap().push((stage, done, total));
    }
    fn is_cancelled(&self) -> bool {
        self.told.lock().unwrap().iter().any(|(stage, done, _)| *stage == Stage::Infer && *done >= self.cancel_at)
    }
}

fn manifest(change: impl FnOnce(&mut Value)) -> Manifest {
    let mut json = ct_series::manifest("slices");
    change(&mut json);
    Manifest::from_json(&json.to_string()).unwrap()
}

struct Bench {
    model: LoadedModel,
    batches: Arc<Mutex<Vec<usize>>>,
}

impl Bench {
    fn new(manifest: Manifest, most: usize) -> Self {
        let batches = Arc::<Mutex<Vec<usize>>>::default();
        let network = Box::new(Mean { batches: batches.clone(), most });
        Self { model: LoadedModel { manifest: Arc::new(manifest), weights_sha256: "0".repeat(64), network }, batches }
    }

    fn run(&mut self, files: &Files, monitor: &Observer) -> Result<Outcome, RunError> {
        let headers = files.headers(&Resource::new(Level::Study, "study")).unwrap();
        let inputs = select(&self.model.manifest.input, &headers, &[]).unwrap().inputs;
        self.run_on(inputs, files, monitor)
    }

    fn run_on(&mut self, inputs: Vec<Input>, files: &Files, monitor: &Observer) -> Result<Outcome, RunError> {
        let request = RunRequest {
            model: "slices".into(),
            resource: Resource::new(Level::Study, "study"),
            study: "study".into(),
            inputs,
            warnings: Vec::new(),
            origin: Origin::Tool,
            priority: 0,
            force: false,
            not_before: None,
        };
        let known = (&Regions::default(), &[][..]);
        outcome(files, &mut self.model, &request, known, Limits::default(), monitor, &Clock::start())
    }
}

fn probabilities(outcome: &Outcome) -> Vec<f64> {
    let images = outcome.results.report.images.iter();
    images.map(|i| i.result.as_ref().map_or(-1.0, |r| r.all_probabilities["Haemorrhage"].as_f64().unwrap())).collect()
}

fn uid(outcome: &Outcome) -> &str {
    &outcome.results.objects[0].sop_instance_uid
}

#[test]
fn a_series_goes_through_in_batches_and_gets_one_answer() {
    let mut shuffled = CtSeries::new(3, 19).files();
    shuffled.rotate_left(7);
    let files = Files::new(shuffled);
    let mut bench = Bench::new(manifest(|_| ()), usize::MAX);
    let watch = Observer::new();
    let outcome = bench.run(&files, &watch).unwrap();
    assert_eq!(*bench.batches.lock().unwrap(), [8, 8, 3]);
    let each = probabilities(&outcome);
    // The phantom's brain is brighter from slice to slice.
    assert!(each.windows(2).all(|pair| pair[0] < pair[1]), "{each:?}");
    let report = &outcome.results.report;
    let overall = report.overall.as_ref().unwrap();
    assert_eq!((overall.total, overall.analysed, overall.carrying.as_slice()), (19, 19, &[18, 17, 16][..]));
    let expected = (each[18] + each[17] + each[16]) / 3.0;
    assert!((overall.result.all_probabilities["Haemorrhage"].as_f64().unwrap() - expected).abs() < 1e-12);
    assert_eq!(report.images[18].instance_uid, CtSeries::new(3, 19).instance_uid(18));
    assert_eq!((report.images[18].view.as_str(), overall.series_uid.as_deref()), ("Slice 19", Some("2.25.61003")));
    let told = watch.told.lock().unwrap();
    let of = |stage: Stage| told.iter().filter(|(s, ..)| *s == stage).map(|(_, done, _)| *done).collect::<Vec<_>>();
    assert_eq!(of(Stage::Infer), [0, 8, 16]);
    let mut prepared = of(Stage::Prepare);
    prepared.sort_unstable();
    assert_eq!(prepared, (1..=19).collect::<Vec<_>>());
}

#[test]
fn batches_change_no_answer() {
    let run = |batch: usize| {
        let mut bench =
            Bench::new(manifest(|m| m["inferer"]["SimpleInferer"]["batch_size"] = json!(batch)), usize::MAX);
        let outcome = bench.run(&Files::new(CtSeries::new(3, 9).files()), &Observer::new()).unwrap();
        (probabilities(&outcome), uid(&outcome).to_owned(), outcome.results.report.overall)
    };
    assert_eq!(run(1), run(4));
    assert_eq!(run(4), run(64));
}

#[test]
fn frames_are_images_of_their_own_and_say_the_same_as_files() {
    let series = CtSeries::new(3, 9);
    let mut bench = Bench::new(manifest(|_| ()), usize::MAX);
    let one_by_one = bench.run(&Files::new(series.files()), &Observer::new()).unwrap();
    let files = Files::new(vec![series.multi_frame_file()]);
    let outcome = bench.run(&files, &Observer::new()).unwrap();
    assert_eq!(probabilities(&outcome), probabilities(&one_by_one));
    assert_eq!(files.fetched.load(Ordering::SeqCst), 1, "the file is fetched once");
    let images = &outcome.results.report.images;
    assert_eq!(images.iter().map(|i| i.frame_number).collect::<Vec<_>>(), (1..=9).map(Some).collect::<Vec<_>>());
    assert_ne!(uid(&outcome), uid(&one_by_one));

    // A frame that is not there fails alone.
    let headers = files.headers(&Resource::new(Level::Study, "study")).unwrap();
    let mut inputs = select(&bench.model.manifest.input, &headers, &[]).unwrap().inputs;
    inputs[4].frame = Some(77);
    let outcome = bench.run_on(inputs, &files, &Observer::new()).unwrap();
    let failed = &outcome.results.report.images[4];
    assert!(failed.error.as_ref().unwrap().contains("expected a frame 77"), "{failed:?}");
    assert_eq!(outcome.results.report.images.iter().filter(|i| i.success).count(), 8);
}

#[test]
fn a_slice_that_fails_keeps_its_error_and_nothing_is_called_absent() {
    let series = CtSeries::new(3, 9);
    let mut files = series.files();
    files[2] = series.file(2, |o| ct_series::put_us(o, dicom_dictionary_std::tags::ROWS, 65));
    let low = |m: &mut Value| m["preprocessing"][2]["ScaleIntensityRange"]["b_max"] = json!(-0.9);
    let mut bench = Bench::new(manifest(low), usize::MAX);
    // The preprocessing darkens everything: each slice is negative.
    let complete = bench.run(&Files::new(series.files()), &Observer::new()).unwrap().results.report.overall.unwrap();
    assert_eq!((complete.result.class.as_str(), complete.analysed), ("No haemorrhage", 9));
    assert!(complete.result.finding.ends_with(" %, present"), "{}", complete.result.finding);
    let headers = Files::new(series.files()).headers(&Resource::new(Level::Study, "study")).unwrap();
    let inputs = select(&bench.model.manifest.input, &headers, &[]).unwrap().inputs;
    bench.batches.lock().unwrap().clear();
    let outcome = bench.run_on(inputs, &Files::new(files), &Observer::new()).unwrap();
    assert_eq!(*bench.batches.lock().unwrap(), [8], "the batch is filled up with what can be analysed");
    let report = outcome.results.report;
    assert_eq!(report.images.iter().map(|i| i.success).filter(|s| !s).count(), 1);
    assert!(report.images[2].error.as_ref().unwrap().contains("PixelData"), "{:?}", report.images[2]);
    let overall = report.overall.unwrap();
    assert_eq!((overall.analysed, overall.total), (8, 9));
    assert!(overall.result.finding.ends_with("undetermined"), "{}", overall.result.finding);
}

#[test]
fn a_batch_that_is_refused_is_tried_image_by_image() {
    let mut bench = Bench::new(manifest(|_| ()), 1);
    let outcome = bench.run(&Files::new(CtSeries::new(3, 9).files()), &Observer::new()).unwrap();
    assert!(outcome.results.report.images.iter().all(|i| i.success));
    assert_eq!(*bench.batches.lock().unwrap(), [8, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    let mut bench = Bench::new(manifest(|_| ()), 0);
    let error = bench.run(&Files::new(CtSeries::new(3, 12).files()), &Observer::new()).err().unwrap();
    let text = error.to_string();
    assert!(
        matches!(error, RunError::NoImage(_)) && text.contains("Slice 8") && text.ends_with("and 4 more"),
        "{text}"
    );
}

#[test]
fn what_is_prepared_ahead_is_bounded_and_cancelling_ends_all_threads() {
    let series = CtSeries::new(3, 60);
    let cancelled = Observer { cancel_at: 8, ..Observer::new() };
    let mut bench = Bench::new(manifest(|_| ()), usize::MAX);
    let files = Files::new(series.files());
    assert!(matches!(bench.run(&files, &cancelled), Err(RunError::Cancelled)));
    assert_eq!(*bench.batches.lock().unwrap(), [8, 8], "cancelled as the second batch began");
    // 16 were handed over, 8 wait, and each thread holds one and may have begun with the next.
    let fetched = files.fetched.load(Ordering::SeqCst);
    assert!(fetched <= 16 + 8 + 4, "{fetched} files were fetched");

    // A first image that takes its time lets the others wait.
    let slow = Files { delay: Duration::from_millis(300), ..Files::new(series.files()) };
    let ahead = std::thread::scope(|scope| {
        let run = scope.spawn(|| bench.run(&slow, &Observer::new()).map(|o| probabilities(&o)));
        std::thread::sleep(Duration::from_millis(150));
        let ahead = slow.fetched.load(Ordering::SeqCst);
        assert_eq!(run.join().unwrap().unwrap().len(), 60);
        ahead
    });
    assert!(ahead <= 7, "{ahead} files were fetched while the first was waited for");
}

#[test]
fn an_image_that_the_server_cannot_give_now_is_waited_for() {
    let series = CtSeries::new(3, 9);
    let headers = Files::new(series.files()).headers(&Resource::new(Level::Study, "study")).unwrap();
    let mut bench = Bench::new(manifest(|_| ()), usize::MAX);
    let inputs = select(&bench.model.manifest.input, &headers, &[]).unwrap().inputs;
    let mut with = |error: fn() -> SourceError| {
        let mut files = Files::new(series.files());
        files.files[5] = Err(error);
        bench.run_on(inputs.clone(), &files, &Observer::new()).err().unwrap()
    };
    let busy = with(|| SourceError::Host("the disk is full".into()));
    assert!(busy.is_transient() && busy.to_string() == "the disk is full");
    // One that is gone stays gone: a report cannot name it.
    let gone = with(|| SourceError::UnknownResource("/instances/5".into()));
    assert!(!gone.is_transient() && gone.to_string().starts_with("Slice 6: "), "{gone}");
}

#[test]
fn one_instance_has_its_own_answer() {
    let mut bench = Bench::new(manifest(|_| ()), usize::MAX);
    let outcome = bench.run(&Files::new(CtSeries::new(3, 1).files()), &Observer::new()).unwrap();
    assert!(outcome.results.report.overall.is_none() && outcome.results.report.images.len() == 1);
}

/// Two answers an image: [`Mean`]'s logit, and a spread.
struct Two {
    mean: Mean,
    spread: f32,
    /// The spread has as many columns.
    columns: usize,
}

impl Network for Two {
    fn forward(&mut self, input: ArrayViewD<'_, f32>) -> Result<Logits, ModelError> {
        self.mean.forward(input)
    }

    fn forward_with_spread(
        &mut self,
        input: ArrayViewD<'_, f32>,
    ) -> Result<(Logits, Option<ndarray::ArrayD<f32>>), ModelError> {
        let n = input.shape()[0];
        Ok((self.forward(input)?, Some(Array2::from_elem((n, self.columns), self.spread).into_dyn())))
    }
}

#[test]
fn the_spread_is_each_images_and_that_of_all() {
    let run = |spread, columns| {
        let mut bench = Bench::new(manifest(|_| ()), usize::MAX);
        let mean = Mean { batches: bench.batches.clone(), most: usize::MAX };
        bench.model.network = Box::new(Two { mean, spread, columns });
        bench.run(&Files::new(CtSeries::new(3, 5).files()), &Observer::new())
    };
    let report = run(0.125, 1).unwrap().results.report;
    let all = report.images.iter().map(|image| image.result.as_ref().unwrap());
    for result in all.chain([&report.overall.as_ref().unwrap().result]) {
        assert_eq!(result.spread, Some(0.125));
        // Two classes share the one output.
        let spreads = result.all_spreads.as_ref().unwrap();
        assert_eq!((&spreads["Haemorrhage"], &spreads["No haemorrhage"]), (&0.125.into(), &0.125.into()));
    }
    // What is no number, and what fits no logit, is no answer.
    let error = run(f32::NAN, 1).err().unwrap().to_string();
    assert!(error.contains("found NaN, expected a finite spread"), "{error}");
    let error = run(0.1, 2).err().unwrap().to_string();
    assert!(error.contains("found a spread of shape [1, 2], expected that of the logits, [1, 1]"), "{error}");

    let plain = Bench::new(manifest(|_| ()), usize::MAX)
        .run(&Files::new(CtSeries::new(3, 5).files()), &Observer::new())
        .unwrap();
    let json = serde_json::to_string(&plain.results.report).unwrap();
    assert!(!json.contains("Spread") && !json.contains("Answers"), "{json}");
}
