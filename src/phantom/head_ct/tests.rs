//! Coarse exams throughout: what holds for them holds at full size.

use super::*;
use crate::imaging::{Pixels, read_instance, read_series};

fn coarse(seed: u64, haemorrhage: Option<Haemorrhage>) -> HeadCtPhantom {
    HeadCtPhantom { seed, size: [28, 128, 128], spacing_mm: [5.0, 1.8, 1.8], haemorrhage, ..Default::default() }
}

#[test]
fn equal_seeds_give_equal_exams() {
    let draw = |seed| coarse(seed, Some(Haemorrhage::Subdural)).render(Kernel::Soft).unwrap().values;
    assert_eq!(draw(5), draw(5));
    assert_ne!(draw(5), draw(6));
}

#[test]
fn a_slice_alone_is_the_slice_of_the_series() {
    let phantom = coarse(3, Some(Haemorrhage::Epidural));
    let exam = phantom.render(Kernel::Soft).unwrap();
    let slice = phantom.scan().unwrap().slice(16, Kernel::Soft);
    assert_eq!(slice.values, exam.values.index_axis(Axis(0), 16));
    assert_eq!(slice.truth, exam.truth.index_axis(Axis(0), 16));
    assert_eq!(slice.area_mm2, exam.areas_mm2[16]);
}

/// Air, brain and bone in the shares that a head has in its field of view, and each in its range.
#[test]
fn hounsfield_units_are_a_heads() {
    for seed in 0..6 {
        let exam = coarse(seed, None).render(Kernel::Soft).unwrap();
        assert!(exam.truth.iter().all(|v| *v == 0) && exam.haemorrhage.is_none());
        let slice = exam.values.index_axis(Axis(0), 14);
        let share = |range: std::ops::Range<i16>| {
            slice.iter().filter(|v| range.contains(v)).count() as f64 / slice.len() as f64
        };
        assert!((0.2..0.6).contains(&share(-1024..-800)), "seed {seed}: air {}", share(-1024..-800));
        assert!((0.2..0.5).contains(&share(0..60)), "seed {seed}: brain {}", share(0..60));
        assert!((0.03..0.2).contains(&share(300..3000)), "seed {seed}: bone {}", share(300..3000));
        assert!(exam.values.iter().all(|v| (-1024..=3071).contains(v)));
    }
}

/// A ring of bone lies around the brain in every direction, 3 to 14 mm thick.
#[test]
fn the_skull_is_a_closed_ring() {
    for seed in 0..6 {
        let head = Head::new(&mut Random::new(seed, 1));
        let mut thin = 0;
        for i in 0..72 {
            let angle = (5 * i) as f32 * std::f32::consts::PI / 180.0;
            let bone = (0..280).filter(|r| {
                let p = [angle.sin(), -angle.cos(), 0.15].map(|v| v * *r as f32 * 0.5);
                head.sample(p, None).is_some_and(|s| s.density > 250.0)
            });
            let bone = 0.5 * bone.count() as f32;
            assert!(bone < 16.0, "seed {seed}, {} degrees: {bone} mm", 5 * i);
            thin += usize::from(bone < 3.0);
        }
        assert!(thin <= 6, "seed {seed}: only sutures may be thin, {thin} directions are");
    }
}

#[test]
fn blood_is_denser_than_brain_and_where_it_is_said_to_be() {
    for kind in Haemorrhage::ALL {
        for seed in 10..13 {
            let exam = coarse(seed, Some(kind)).render(Kernel::Soft).unwrap();
            let place = exam.haemorrhage.unwrap_or_else(|| panic!("{} {seed}: nothing drawn", kind.name()));
            assert_eq!(place.kind, kind);
            assert!(place.volume_mm3 > 400.0, "{} {seed}: {place:?}", kind.name());
            assert!(exam.areas_mm2.iter().any(|a| *a >= LEAST_AREA_MM2), "{} {seed}", kind.name());
            let mut blood: Vec<i16> =
                exam.values.iter().zip(&exam.truth).filter(|(_, t)| **t > 0).map(|(v, _)| *v).collect();
            blood.sort_unstable();
            let median = blood[blood.len() / 2];
            assert!((50..85).contains(&median), "{} {seed}: {median} HU", kind.name());
            let head = coarse(seed, None).scan().unwrap();
            let inside = head.head.inside(head.scanner.body(place.centre_mm.map(|v| v as f32)));
            assert!(inside > -2.0, "{} {seed}: its centre lies {inside} mm inside the skull", kind.name());
        }
    }
}

/// The head without blood is the same head: only what the blood moves differs.
#[test]
fn without_blood_the_skull_is_the_same() {
    let with = coarse(21, Some(Haemorrhage::Intraparenchymal)).render(Kernel::Soft).unwrap();
    let without = coarse(21, None).render(Kernel::Soft).unwrap();
    for (a, b) in with.values.iter().zip(&without.values) {
        if *b > 400 || *b < -500 {
            assert!((a - b).abs() <= 60, "{a} for {b}");
        }
    }
}

#[test]
fn the_bone_kernel_is_noisier_and_shows_the_same() {
    let phantom = coarse(4, None);
    let (soft, bone) = (phantom.render(Kernel::Soft).unwrap(), phantom.render(Kernel::Bone).unwrap());
    let brain = soft.values.iter().zip(&bone.values).filter(|(s, _)| (20..50).contains(*s));
    let differences: Vec<f64> = brain.map(|(s, b)| f64::from(b - s)).collect();
    let spread = (differences.iter().map(|d| d * d).sum::<f64>() / differences.len() as f64).sqrt();
    assert!((10.0..40.0).contains(&spread), "{spread}");
    let means = [&soft, &bone].map(|e| e.values.iter().map(|v| f64::from(*v)).sum::<f64>() / e.values.len() as f64);
    assert!((means[0] - means[1]).abs() < 5.0, "{means:?}");
}

#[test]
fn the_files_read_back_as_they_were_drawn() {
    for tilt in [0.0, 18.0] {
        let phantom = HeadCtPhantom {
            size: [10, 128, 128],
            spacing_mm: [12.0, 1.8, 1.8],
            gantry_tilt_degrees: tilt,
            ..coarse(2, Some(Haemorrhage::Subdural))
        };
        let layout = HeadCtLayout { localizer: true, bone: true, reversed: tilt > 0.0 };
        let study = phantom.to_dicom(layout).unwrap();
        assert_eq!(study.instances.len(), 21);
        let mut numbers = std::collections::BTreeSet::new();
        let mut files = Vec::new();
        for instance in &study.instances {
            let bytes = instance.to_bytes().unwrap();
            let image = read_instance(&bytes, None).unwrap();
            assert_eq!(image.attributes.modality, "CT");
            assert!(numbers.insert((instance.series.number(), instance.instance_number)));
            if instance.series == HeadCtSeries::Slices(Kernel::Soft) {
                let Pixels::U16(pixels) = &image.pixels else { panic!("expected 16-bit pixels") };
                let drawn = study.exam.values.index_axis(Axis(0), instance.slice);
                assert!(pixels.iter().zip(&drawn).all(|(stored, hu)| i32::from(*stored) - 1024 == i32::from(*hu)));
                files.push(bytes);
            }
        }
        // As a volume it has its tilt, and Hounsfield units.
        let volumes = read_series(&files, None, &[]).unwrap();
        assert_eq!(volumes.len(), 1);
        let found = volumes[0].geometry.tilt_degrees();
        assert!((found - f64::from(tilt)).abs() < 0.01, "{found} for {tilt}");
        assert_eq!(volumes[0].voxels, study.exam.values.mapv(f32::from));
    }
}

#[test]
fn impossible_exams_are_refused_in_words() {
    let base = coarse(1, None);
    for (phantom, expected) in [
        (HeadCtPhantom { size: [28, 16, 128], ..base }, "phantom size: found [28, 16, 128]"),
        (HeadCtPhantom { spacing_mm: [5.0, f32::NAN, 1.8], ..base }, "phantom spacing: found [5.0, NaN, 1.8]"),
        (HeadCtPhantom { spacing_mm: [5.0, 1.0, 1.0], ..base }, "phantom field of view: found 128 x 128 mm"),
        (HeadCtPhantom { gantry_tilt_degrees: 45.0, ..base }, "phantom gantry tilt: found 45 degrees"),
    ] {
        let error = phantom.render(Kernel::Soft).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
