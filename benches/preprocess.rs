//! Decoding and preprocessing of one 3328 × 2840 image of 16 bits, against a memcpy of its pixels in the same run.
//!
//! Four passes over the pixels are needed: from the file to the array; the histogram, since Otsu's threshold and the
//! 8-bit scale depend on all values; the threshold mask, since the box depends on all of its pixels; and the 8-bit table
//! with the resampling of the box. Contours add a walk along the edges of the mask.

#[path = "../tests/dicom_file/mod.rs"]
mod dicom_file;
#[path = "../tests/golden/mod.rs"]
mod golden;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use dicom_file::MadeImage;
use orthanc_ai::imaging::bit_mask::BitMask;
use orthanc_ai::imaging::contours::largest_contour;
use orthanc_ai::imaging::histogram::Histogram;
use orthanc_ai::imaging::otsu::otsu_256_bins;
use orthanc_ai::imaging::{Projection, read_instance};
use orthanc_ai::manifest::Manifest;
use orthanc_ai::transform::TransformChain;

const ROWS: usize = 3328;
const COLUMNS: usize = 2840;
const PASSES: f64 = 4.0;

struct Stage<'a> {
    name: &'a str,
    run: Box<dyn Fn() + 'a>,
}

fn stages<'a>(file: &'a [u8], image: &'a Projection, chain: &'a TransformChain) -> Vec<Stage<'a>> {
    let histogram = Histogram::of(&image.pixels);
    let threshold = otsu_256_bins(&histogram, |v| v as f32).floor() as i32;
    let mask = BitMask::above(&image.pixels, threshold);
    let stage = |name, run| Stage { name, run };
    vec![
        stage("1 decode", Box::new(move || drop(black_box(read_instance(file, None))))),
        stage("2 histogram", Box::new(|| drop(black_box(Histogram::of(&image.pixels))))),
        stage("- Otsu", Box::new(move || drop(black_box(otsu_256_bins(&histogram, |v| v as f32))))),
        stage("3 threshold", Box::new(move || drop(black_box(BitMask::above(&image.pixels, threshold))))),
        stage("- contours", Box::new(move || drop(black_box(largest_contour(&mask))))),
        stage("chain (2, 3, 4)", Box::new(|| drop(black_box(chain.apply(image))))),
        stage(
            "decode and chain",
            Box::new(|| {
                let image = read_instance(file, None).expect("a made image");
                drop(black_box(chain.apply(&image)));
            }),
        ),
    ]
}

fn preprocess(c: &mut Criterion) {
    let samples = golden::mammogram_u16("bench", ROWS, COLUMNS, "left");
    let mut target = samples.clone();
    let made = MadeImage::new(ROWS, COLUMNS, samples.clone());
    let file = made.file();
    let image = read_instance(&file, None).expect("a made image");
    let text = include_str!("../models/mammography-4view/manifest.json");
    let manifest: Manifest = serde_json::from_str(text).expect("our own manifest");
    let chain = TransformChain::new(&manifest.preprocessing).expect("our own chain");
    let stages = stages(&file, &image, &chain);

    // The ratios first, with stages and memcpy taken in turn, so that a busy machine slows both.
    let mut times = vec![Vec::new(); stages.len() + 1];
    for _ in 0..25 {
        times[0].push(timed(|| target.copy_from_slice(black_box(&samples))));
        black_box(&target);
        for (stage, times) in stages.iter().zip(&mut times[1..]) {
            times.push(timed(&stage.run));
        }
    }
    let memcpy = median(&mut times[0]);
    println!("memcpy of {ROWS} × {COLUMNS} × 2 bytes: {memcpy:?}, to memory already mapped");
    for (stage, times) in stages.iter().zip(&mut times[1..]) {
        let time = median(times);
        println!("{:18} {time:>10.2?}  {:5.2} × memcpy", stage.name, time.as_secs_f64() / memcpy.as_secs_f64());
    }
    let whole = times.last_mut().map(|times| median(times)).unwrap_or_default();
    let ratio = whole.as_secs_f64() / memcpy.as_secs_f64();
    println!(
        "decode and chain: {ratio:.1} × memcpy in {PASSES} passes = {:.2} × memcpy a pass (goal: at most 5)",
        ratio / PASSES
    );

    let mut group = c.benchmark_group("preprocess");
    group.sample_size(20);
    group.bench_function("memcpy", |b| b.iter(|| target.copy_from_slice(black_box(&samples))));
    for stage in &stages {
        group.bench_function(stage.name, |b| b.iter(&stage.run));
    }
    group.finish();
}

fn timed(run: impl FnOnce()) -> Duration {
    let started = Instant::now();
    run();
    started.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

criterion_group!(benches, preprocess);
criterion_main!(benches);
