//! Coarse pictures throughout: a phantom is drawn in millimetres, so what holds for them holds at full size.

use ndarray::Array2;

use super::*;
use crate::imaging::{Photometric, Pixels, read_instance};

fn view(class: Class, seed: u64) -> PhantomView {
    PhantomView::new(Laterality::Left, View::Cc, class, seed).coarser(6)
}

/// Mean of the columns `from..to`, given as fractions of the width.
fn mean(pixels: &Array2<u16>, from: f32, to: f32) -> f32 {
    let columns = pixels.ncols() as f32;
    let part = pixels.slice(ndarray::s![.., (from * columns) as usize..(to * columns) as usize]);
    part.iter().map(|v| f32::from(*v)).sum::<f32>() / part.len() as f32
}

#[test]
fn equal_seeds_give_equal_pictures() {
    let drawn = view(Class::Mass, 5).render().pixels;
    assert_eq!(drawn, view(Class::Mass, 5).render().pixels);
    assert_ne!(drawn, view(Class::Mass, 6).render().pixels);
}

#[test]
fn a_left_breast_lies_on_the_left_and_a_right_one_on_the_right() {
    for v in [View::Cc, View::Mlo] {
        let draw = |laterality| PhantomView { laterality, view: v, ..view(Class::Normal, 3) }.render().pixels;
        let (left, right) = (draw(Laterality::Left), draw(Laterality::Right));
        assert!(mean(&left, 0.0, 0.2) > 5.0 * mean(&left, 0.8, 1.0));
        assert!(mean(&right, 0.8, 1.0) > 5.0 * mean(&right, 0.0, 0.2));
    }
}

#[test]
fn a_lesion_changes_the_picture_where_it_is_said_to_be_and_nowhere_else() {
    for class in [Class::Mass, Class::Calcification, Class::ArchitecturalAsymmetry] {
        for seed in 0..6 {
            let normal = view(Class::Normal, seed).render();
            let with = view(class, seed).render();
            let place = with.lesion.expect("an abnormal phantom says where");
            assert!(normal.lesion.is_none());
            let mut strongest = 0i32;
            for ((row, column), value) in with.pixels.indexed_iter() {
                let change = (i32::from(*value) - i32::from(normal.pixels[[row, column]])).abs();
                let (dy, dx) = (row as f32 + 0.5 - place.row, column as f32 + 0.5 - place.column);
                if (dy * dy + dx * dx).sqrt() > place.radius + 4.0 {
                    assert_eq!(change, 0, "{class:?} seed {seed}: ({row}, {column}) is outside");
                }
                strongest = strongest.max(change);
            }
            // A fiftieth of the 12-bit range is a visible step.
            assert!(strongest > 80, "{class:?} seed {seed}: the strongest change is {strongest}");
        }
    }
}

#[test]
fn the_same_breast_at_every_spacing() {
    let coarse = view(Class::Mass, 9).render().pixels;
    let fine = PhantomView::new(Laterality::Left, View::Cc, Class::Mass, 9).coarser(2).render().pixels;
    let (mut difference, mut worst) = (0.0, 0.0f32);
    for ((row, column), value) in coarse.indexed_iter() {
        let block = fine.slice(ndarray::s![3 * row..3 * row + 3, 3 * column..3 * column + 3]);
        let mean = block.iter().map(|v| f32::from(*v)).sum::<f32>() / 9.0;
        difference += (mean - f32::from(*value)).abs() / coarse.len() as f32;
        worst = worst.max((mean - f32::from(*value)).abs());
    }
    // 12 bits: mean within half a percent of the range; edges of the skin and the letters differ more.
    assert!(difference < 20.0, "mean difference {difference}, worst {worst}");
}

#[test]
fn monochrome1_is_the_same_picture_upside_down() {
    let plain = view(Class::Calcification, 2).render().pixels;
    let inverted = PhantomView { inverted: true, ..view(Class::Calcification, 2) }.render().pixels;
    assert!(plain.iter().zip(&inverted).all(|(a, b)| (i32::from(*a) + i32::from(*b) - 4095).abs() <= 1));
}

/// Brightness alone must not tell the classes apart: the nearest neighbour by mean, spread, maximum and brightest thousandth
/// guesses little better than chance, which is 25 %.
#[test]
fn global_statistics_do_not_give_the_class_away() {
    let features: Vec<(Class, [f32; 4])> = (0..96)
        .map(|i| {
            let class = Class::ALL[i % 4];
            let mut values: Vec<u16> = view(class, 100 + i as u64).coarser(2).render().pixels.into_iter().collect();
            values.sort_unstable();
            let n = values.len() as f32;
            let mean = values.iter().map(|v| f32::from(*v)).sum::<f32>() / n;
            let spread = (values.iter().map(|v| (f32::from(*v) - mean).powi(2)).sum::<f32>() / n).sqrt();
            let at = |q: f32| f32::from(values[((n - 1.0) * q) as usize]);
            (class, [mean, spread, at(1.0), at(0.999)])
        })
        .collect();
    let distance = |a: &[f32; 4], b: &[f32; 4]| a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f32>();
    let right = features.iter().enumerate().filter(|(i, (class, own))| {
        let others = features.iter().enumerate().filter(|(j, _)| j != i).map(|(_, f)| f);
        let nearest = others.min_by(|a, b| distance(&a.1, own).total_cmp(&distance(&b.1, own)));
        nearest.is_some_and(|f| f.0 == *class)
    });
    let share = right.count() as f32 / features.len() as f32;
    assert!(share < 0.5, "global statistics are right in {:.0} %", 100.0 * share);
}

#[test]
fn an_exam_is_four_readable_files_of_one_study() {
    let options =
        ExamOptions { size: (400, 300), spacing_mm: 0.6, bits_stored: 14, inverted: true, ..Default::default() };
    let instances = exam(&options).unwrap();
    let names: Vec<String> = instances.iter().map(PhantomInstance::view_name).collect();
    assert_eq!(names, ["L-CC", "R-CC", "L-MLO", "R-MLO"]);
    let images: Vec<_> = instances.iter().map(|i| read_instance(&i.to_bytes().unwrap(), None).unwrap()).collect();
    for (image, instance) in images.iter().zip(&instances) {
        let a = &image.attributes;
        assert_eq!((a.modality.as_str(), a.photometric), ("MG", Photometric::Monochrome1));
        assert_eq!((a.bits_stored, a.rows, a.columns), (14, 400, 300));
        assert_eq!(a.study_instance_uid, images[0].attributes.study_instance_uid);
        assert_eq!(a.series_instance_uid, images[0].attributes.series_instance_uid);
        assert_eq!(a.laterality.as_deref(), Some(instance.phantom.laterality.code()));
        assert_eq!(a.view_position.as_deref(), Some(instance.phantom.view.code()));
        let Pixels::U16(pixels) = &image.pixels else { panic!("expected 16-bit pixels") };
        assert_eq!(pixels, &instance.phantom.render().pixels);
    }
    let mut uids: Vec<_> = images.iter().map(|i| i.attributes.sop_instance_uid.clone()).collect();
    uids.dedup();
    assert_eq!(uids.len(), 4);
    assert_eq!(instances[0].to_bytes().unwrap(), exam(&options).unwrap()[0].to_bytes().unwrap());
}

#[test]
fn impossible_pictures_are_refused_in_words() {
    let base = ExamOptions { size: (400, 300), spacing_mm: 0.6, ..Default::default() };
    for (options, expected) in [
        (ExamOptions { size: (10, 300), ..base.clone() }, "phantom size: found 10x300"),
        (ExamOptions { spacing_mm: 0.0, ..base.clone() }, "phantom spacing: found 0 mm"),
        (ExamOptions { spacing_mm: f32::NAN, ..base.clone() }, "phantom spacing: found NaN mm"),
        (ExamOptions { spacing_mm: 0.1, ..base.clone() }, "phantom field of view: found 30 mm wide, 40 mm high"),
        (ExamOptions { bits_stored: 17, ..base }, "phantom bits stored: found 17"),
    ] {
        let error = exam(&options).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
