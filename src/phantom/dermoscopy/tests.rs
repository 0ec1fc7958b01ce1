use super::*;

fn picture(seed: u64, lesion: SkinLesion) -> Dermoscopy {
    DermoscopyPhantom { seed, lesion, size: (150, 200) }.render().unwrap()
}

fn colours(picture: &Dermoscopy, inside: u8) -> Vec<[f64; 3]> {
    let pixels = picture.pixels.pixels().zip(&picture.truth).filter(|(_, t)| **t == inside);
    pixels.map(|(p, _)| p.0.map(f64::from)).collect()
}

fn mean(colours: &[[f64; 3]]) -> [f64; 3] {
    let sum = colours.iter().fold([0.0; 3], |s, c| std::array::from_fn(|i| s[i] + c[i]));
    sum.map(|v| v / colours.len().max(1) as f64)
}

/// Root mean square of the distance to the mean colour.
fn spread(colours: &[[f64; 3]]) -> f64 {
    let mean = mean(colours);
    let square: f64 = colours.iter().map(|c| (0..3).map(|i| (c[i] - mean[i]).powi(2)).sum::<f64>()).sum();
    (square / colours.len().max(1) as f64).sqrt()
}

/// Share of the lesion that does not fall on itself when it is turned by half a circle about its centre of mass.
fn asymmetry(truth: &Array2<u8>) -> f64 {
    let points: Vec<_> = truth.indexed_iter().filter(|(_, v)| **v > 0).map(|(p, _)| p).collect();
    let (rows, columns) = points.iter().fold((0, 0), |(r, c), p| (r + p.0, c + p.1));
    let n = points.len();
    let turned = |(r, c): (usize, usize)| ((2 * rows / n).checked_sub(r), (2 * columns / n).checked_sub(c));
    let missed = points.iter().filter(|p| match turned(**p) {
        (Some(r), Some(c)) => truth.get((r, c)).is_none_or(|v| *v == 0),
        _ => true,
    });
    missed.count() as f64 / n as f64
}

#[test]
fn equal_seeds_give_equal_pictures() {
    assert_eq!(picture(5, SkinLesion::Melanoma).pixels, picture(5, SkinLesion::Melanoma).pixels);
    assert_ne!(picture(5, SkinLesion::Melanoma).pixels, picture(6, SkinLesion::Melanoma).pixels);
}

#[test]
fn every_kind_has_a_lesion_that_stands_out_from_skin() {
    for lesion in SkinLesion::ALL {
        let mut distances = Vec::new();
        for seed in 0..12 {
            let picture = picture(seed, lesion);
            let share = picture.truth.iter().filter(|v| **v > 0).count() as f64 / picture.truth.len() as f64;
            assert!((0.01..0.75).contains(&share), "{} {seed}: {share} of the picture", lesion.abbreviation());
            let [a, b] = [0, 1].map(|inside| mean(&colours(&picture, inside)));
            distances.push((0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt());
        }
        distances.sort_by(f64::total_cmp);
        assert!(distances[6] > 15.0, "{}: {distances:.0?}", lesion.abbreviation());
    }
}

#[test]
fn melanomas_are_less_symmetric_and_have_more_colours_than_naevi() {
    let over = |lesion, figure: fn(&Dermoscopy) -> f64| {
        let mut values: Vec<f64> = (100..125).map(|seed| figure(&picture(seed, lesion))).collect();
        values.sort_by(f64::total_cmp);
        values[12]
    };
    for (figure, factor) in
        [((|p| asymmetry(&p.truth)) as fn(&Dermoscopy) -> f64, 2.0), (|p| spread(&colours(p, 1)), 1.3)]
    {
        let (naevus, melanoma) = (over(SkinLesion::Naevus, figure), over(SkinLesion::Melanoma, figure));
        assert!(melanoma > factor * naevus, "{melanoma} for melanomas, {naevus} for naevi");
    }
}

/// The same skin, whatever lies on it.
#[test]
fn the_skin_is_the_seeds() {
    let [a, b] = [SkinLesion::Naevus, SkinLesion::BasalCellCarcinoma].map(|lesion| picture(3, lesion));
    let (corner_a, corner_b) = (a.pixels.get_pixel(2, 2).0, b.pixels.get_pixel(2, 2).0);
    assert_eq!(corner_a, corner_b);
}

#[test]
fn the_files_hold_what_was_drawn() {
    for (sop_class, modality) in
        [(DermoscopySopClass::VlPhotographic, "XC"), (DermoscopySopClass::DermoscopicPhotography, "DMS")]
    {
        let phantom = DermoscopyPhantom { seed: 2, lesion: SkinLesion::Vascular, size: (61, 75) };
        let instance = phantom.to_dicom(sop_class).unwrap();
        let bytes = instance.to_bytes().unwrap();
        let object = dicom_object::from_reader(&bytes[..]).unwrap();
        let element = |tag| object.element(tag).unwrap();
        use dicom_dictionary_std::tags;
        assert_eq!(element(tags::MODALITY).to_str().unwrap(), modality);
        assert_eq!(element(tags::PHOTOMETRIC_INTERPRETATION).to_str().unwrap(), "RGB");
        assert_eq!(element(tags::ROWS).to_int::<u16>().unwrap(), 61);
        let stored = element(tags::PIXEL_DATA).to_bytes().unwrap();
        // 61 × 75 × 3 is odd: the value is padded.
        assert_eq!(stored[..61 * 75 * 3], instance.picture.pixels.as_raw()[..]);
    }
}

#[test]
fn impossible_pictures_are_refused_in_words() {
    for size in [(10, 100), (100, 4000), (100, 300)] {
        let error = DermoscopyPhantom { size, ..Default::default() }.render().unwrap_err().to_string();
        assert!(error.starts_with(&format!("phantom size: found {}x{}", size.0, size.1)), "{error}");
    }
}
