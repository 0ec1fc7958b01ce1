//! Coarse exams throughout: what holds for them holds at full size.

use ndarray::Array3;

use super::*;
use crate::imaging::read_instance;

fn coarse(seed: u64) -> BreastMriPhantom {
    BreastMriPhantom { seed, size: [48, 64, 64], spacing_mm: [4.0, 5.0, 5.0], ..Default::default() }
}

fn centre_of(mask: &Array3<u8>, geometry: &Geometry) -> [f64; 3] {
    let mut sum = [0.0; 3];
    let mut voxels = 0.0;
    for ((s, r, c), _) in mask.indexed_iter().filter(|(_, v)| **v > 0) {
        let p = geometry.to_patient([s as f64, r as f64, c as f64]);
        (0..3).for_each(|i| sum[i] += p[i]);
        voxels += 1.0;
    }
    sum.map(|v| v / voxels)
}

#[test]
fn equal_seeds_give_equal_exams() {
    let a = coarse(5).render().unwrap();
    assert_eq!(a.phases, coarse(5).render().unwrap().phases);
    assert_ne!(a.phases[1], coarse(6).render().unwrap().phases[1]);
}

#[test]
fn the_tumour_is_where_it_is_said_to_be_in_every_orientation() {
    for seed in 0..4 {
        for orientation in [Orientation::Axial, Orientation::Coronal, Orientation::Sagittal, Orientation::Oblique] {
            let spacing_mm = [2.0, 2.6, 2.6];
            let phantom = BreastMriPhantom { seed, size: [110, 128, 128], spacing_mm, orientation, lesion: true };
            let exam = phantom.render().unwrap();
            let place = exam.lesion.unwrap();
            let found = centre_of(&exam.truth, &exam.geometry);
            // Lobes may move the centre of mass by a part of the radius.
            let off = (0..3).map(|i| (found[i] - place.centre_mm[i]).powi(2)).sum::<f64>().sqrt();
            assert!(off < 1.0 + 0.15 * place.diameter_mm, "{orientation:?} {seed}: {found:?} for {place:?}");
            let voxels = exam.truth.iter().filter(|v| **v > 0).count() as f64;
            let diameter = (6.0 / std::f64::consts::PI * voxels * exam.geometry.voxel_mm3()).cbrt();
            assert!(
                (diameter / place.diameter_mm - 1.0).abs() < 0.15,
                "{orientation:?} {seed}: {diameter} mm for {place:?}"
            );
        }
    }
}

/// The patient's coordinates do not depend on how the slices lie: seen from any side, it is the same tumour.
#[test]
fn the_body_stays_when_the_slices_turn() {
    let base = BreastMriPhantom { size: [110, 128, 128], spacing_mm: [2.6; 3], ..coarse(3) };
    let axial = base.render().unwrap();
    for orientation in [Orientation::Coronal, Orientation::Sagittal, Orientation::Oblique] {
        let turned = BreastMriPhantom { orientation, ..base }.render().unwrap();
        if turned.lesion == axial.lesion {
            let (a, b) = (centre_of(&axial.truth, &axial.geometry), centre_of(&turned.truth, &turned.geometry));
            assert!((0..3).all(|i| (a[i] - b[i]).abs() < 1.0), "{orientation:?}: {a:?}, {b:?}");
        }
    }
    let coronal = BreastMriPhantom { orientation: Orientation::Coronal, ..base }.render().unwrap();
    assert_eq!(coronal.lesion, axial.lesion, "a grid this large shows every place");
}

#[test]
fn slices_are_sorted_along_the_normal() {
    for orientation in [Orientation::Axial, Orientation::Coronal, Orientation::Sagittal, Orientation::Oblique] {
        let geometry = BreastMriPhantom { orientation, ..coarse(1) }.render().unwrap().geometry;
        let [slice, row, column] = geometry.steps_mm.map(crate::imaging::geometry::unit);
        let normal = crate::imaging::geometry::cross(column, row);
        assert!(crate::imaging::geometry::dot(normal, slice) > 0.999_999, "{orientation:?}");
    }
}

#[test]
fn without_a_tumour_the_rest_is_the_same() {
    let with = coarse(8).render().unwrap();
    let without = BreastMriPhantom { lesion: false, ..coarse(8) }.render().unwrap();
    assert!(without.lesion.is_none() && without.truth.iter().all(|v| *v == 0));
    let place = with.lesion.unwrap();
    for phase in 0..PHASES {
        for ((s, r, c), value) in with.phases[phase].indexed_iter() {
            let p = with.geometry.to_patient([s as f64, r as f64, c as f64]);
            let far = (0..3).map(|i| (p[i] - place.centre_mm[i]).powi(2)).sum::<f64>().sqrt();
            if far > 1.3 * place.diameter_mm + 2.0 {
                assert_eq!(*value, without.phases[phase][[s, r, c]]);
            }
        }
    }
}

/// The courses that tell tissues apart: the tumour rises at once and does not rise on, gland rises slowly and on.
#[test]
fn the_tumour_takes_up_contrast_medium_fast() {
    let (mut washed_out, seeds) = (0u64, 12);
    for seed in 0..seeds {
        let exam = BreastMriPhantom { seed, ..coarse(0) }.render().unwrap();
        if exam.truth.iter().all(|v| *v == 0) {
            continue;
        }
        let [pre, first, _, last] = exam.means(&exam.truth);
        assert!(first > 1.4 * pre && last < 1.15 * first, "seed {seed}: {:?}", exam.means(&exam.truth));
        washed_out += u64::from(last < 0.95 * first);
        let all = exam.means(&Array3::ones(exam.truth.raw_dim()));
        assert!(first / pre > 1.3 * all[1] / all[0], "seed {seed}: the tumour stands out");
    }
    assert!((3..seeds).contains(&washed_out), "{washed_out} of {seeds} wash out: some do, some stay level");
}

/// Brightness alone must not do: heart, vessels and nipples are as bright, and together more than the tumours.
#[test]
fn the_tumour_is_not_all_that_is_bright() {
    let (mut inside, mut outside) = (0, 0);
    for seed in 0..10 {
        let exam = BreastMriPhantom { seed, ..coarse(0) }.render().unwrap();
        let threshold = 0.8 * exam.means(&exam.truth)[1];
        let bright = exam.phases[1].iter().zip(&exam.truth).filter(|(v, t)| f64::from(**v) > threshold && **t == 0);
        let bright = bright.count();
        assert!(bright > 0, "seed {seed}");
        outside += bright;
        inside += exam.truth.iter().filter(|v| **v > 0).count();
    }
    assert!(outside > inside, "{outside} bright voxels outside, {inside} inside");
}

#[test]
fn the_files_read_back_as_they_were_drawn() {
    let phantom = BreastMriPhantom { size: [40, 48, 40], spacing_mm: [4.0, 5.0, 5.0], ..coarse(2) };
    for layout in [SeriesLayout::default(), SeriesLayout { one_series: true, reversed: true }] {
        let study = phantom.to_dicom(layout).unwrap();
        assert_eq!(study.instances.len(), PHASES * 40);
        let mut series = std::collections::BTreeSet::new();
        let mut numbers = std::collections::BTreeSet::new();
        for instance in study.instances.iter().step_by(13) {
            let image = read_instance(&instance.to_bytes().unwrap(), None).unwrap();
            assert_eq!((image.attributes.modality.as_str(), image.attributes.rows), ("MR", 48));
            let crate::imaging::Pixels::U16(pixels) = &image.pixels else { panic!("expected 16-bit pixels") };
            assert_eq!(*pixels, study.exam.phases[instance.phase].index_axis(ndarray::Axis(0), instance.slice));
            series.insert(image.attributes.series_instance_uid.clone());
            assert!(numbers.insert((instance.series_number, instance.instance_number)));
        }
        assert_eq!(series.len(), if layout.one_series { 1 } else { PHASES });
    }
}

#[test]
fn impossible_exams_are_refused_in_words() {
    for (phantom, expected) in [
        (BreastMriPhantom { size: [8, 64, 64], ..coarse(1) }, "phantom size: found [8, 64, 64]"),
        (BreastMriPhantom { spacing_mm: [4.0, f32::NAN, 5.0], ..coarse(1) }, "phantom spacing: found [4.0, NaN, 5.0]"),
        (BreastMriPhantom { spacing_mm: [1.0, 5.0, 5.0], ..coarse(1) }, "phantom field of view: found"),
    ] {
        let error = phantom.render().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

fn slice(seed: u64, tumour: Option<TumourKind>) -> BreastSlicePhantom {
    BreastSlicePhantom { seed, size: (128, 128), spacing_mm: 2.6, tumour }
}

/// Perimeter² / (4π · area) of a mask, counting pixel edges: larger for what is irregular.
fn irregularity(truth: &ndarray::Array2<u8>) -> f64 {
    let at = |r: usize, c: usize| truth.get((r, c)).copied().unwrap_or(0);
    let (mut edges, mut area) = (0.0, 0.0);
    for ((r, c), _) in truth.indexed_iter().filter(|(_, v)| **v > 0) {
        let neighbours = [at(r + 1, c), at(r, c + 1), at(r.wrapping_sub(1), c), at(r, c.wrapping_sub(1))];
        edges += neighbours.iter().filter(|v| **v == 0).count() as f64;
        area += 1.0;
    }
    edges * edges / (4.0 * std::f64::consts::PI * area)
}

#[test]
fn a_slice_shows_its_tumour_brightly_and_malignant_ones_are_irregular() {
    let mut ratios = Vec::new();
    for seed in 0..16 {
        let fine = |kind| BreastSlicePhantom { size: (512, 512), spacing_mm: 0.65, ..slice(seed, Some(kind)) };
        let [benign, malignant] = [TumourKind::Benign, TumourKind::Malignant].map(|kind| fine(kind).render().unwrap());
        for drawn in [&benign, &malignant] {
            let inside: Vec<f64> =
                drawn.values.iter().zip(&drawn.truth).filter(|(_, t)| **t > 0).map(|(v, _)| f64::from(*v)).collect();
            let all = drawn.values.iter().map(|v| f64::from(*v)).sum::<f64>() / drawn.values.len() as f64;
            assert!(inside.len() > 40, "seed {seed}: {} pixels", inside.len());
            assert!(inside.iter().sum::<f64>() / inside.len() as f64 > 1.5 * all, "seed {seed}");
        }
        ratios.push(irregularity(&malignant.truth) / irregularity(&benign.truth));
    }
    ratios.sort_by(f64::total_cmp);
    assert!(ratios[8] > 1.3, "{ratios:.2?}");
}

#[test]
fn slices_repeat_and_normal_ones_have_no_tumour() {
    assert_eq!(slice(3, None).render().unwrap().values, slice(3, None).render().unwrap().values);
    assert_ne!(slice(3, None).render().unwrap().values, slice(4, None).render().unwrap().values);
    let normal = slice(3, None).render().unwrap();
    assert!(normal.tumour.is_none() && normal.truth.iter().all(|v| *v == 0));
}

#[test]
fn a_slices_file_reads_back_as_it_was_drawn() {
    let instance = slice(5, Some(TumourKind::Malignant)).to_dicom().unwrap();
    let image = read_instance(&instance.to_bytes().unwrap(), None).unwrap();
    let crate::imaging::Pixels::U16(pixels) = &image.pixels else { panic!("expected 16-bit pixels") };
    assert_eq!(*pixels, instance.slice.values);
    assert_eq!(image.attributes.series_instance_uid, instance.series_instance_uid);
    let benign = slice(5, Some(TumourKind::Benign)).to_dicom().unwrap();
    assert_ne!(instance.sop_instance_uid, benign.sop_instance_uid);
}
