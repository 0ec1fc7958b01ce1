//! Whether images can be what a model was made for: the manifest's limits on the figures of `imaging::plausibility`.

use ndarray::{ArrayView2, ArrayView3};

use crate::imaging::geometry::decimal;
use crate::imaging::plausibility::{ColourFigures, SAMPLED_SIDE, colour_figures, shares_between};
use crate::imaging::skull::skull_ring;
use crate::manifest::plausibility::{
    GreyLevelsSpec, HounsfieldRangeSpec, PlausibilityCheck, PlausibilityPolicy, PlausibilitySpec, SkinColourSpec,
    SkullRingSpec,
};

/// Slices in which a skull is looked for, at most.
const SAMPLED_SLICES: usize = 12;
/// Of a ring, the least share that is bone and no bridged gap: other bones enclose little, and with gaps.
const MIN_WALL_SHARE: f64 = 0.7;

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub enum Decoded<'a> {
    /// Slices of one series in HU (rows, columns).
    Slices(&'a [HounsfieldSlice<'a>]),
    /// A picture: (row, column, channel), RGB.
    Picture(ArrayView3<'a, u8>),
}

/// A CT slice: values after the modality LUT, and the distance between rows and between columns.
#[derive(Debug, Clone, Copy)]
pub struct HounsfieldSlice<'a> {
    pub hu: ArrayView2<'a, f32>,
    pub spacing_mm: Option<[f64; 2]>,
}

/// What a check found against the images: found and expected, in words. No patient's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Implausible {
    pub policy: PlausibilityPolicy,
    pub reason: String,
}

/// Carries out the manifest's checks, in order, and gives what speaks against the images: nothing where they are plausible. After the first that
/// refuses no other is carried out.
pub fn implausible(specs: &[PlausibilitySpec], images: Decoded<'_>) -> Vec<Implausible> {
    let mut found = Vec::new();
    for spec in specs {
        if let Err(reason) = judge(&spec.check, images) {
            found.push(Implausible {
                policy: spec.policy,
                reason: format!("this does not look like {}: {reason}", spec.expected),
            });
            if spec.policy == PlausibilityPolicy::Refuse {
                break;
            }
        }
    }
    found
}

/// # Errors
/// What was found, and what is expected.
fn judge(check: &PlausibilityCheck, images: Decoded<'_>) -> Result<(), String> {
    match (check, images) {
        (PlausibilityCheck::HounsfieldRange(spec), Decoded::Slices(slices)) => hounsfield_range(spec, slices),
        (PlausibilityCheck::SkullRing(spec), Decoded::Slices(slices)) => skull(spec, slices),
        (PlausibilityCheck::GreyLevels(spec), Decoded::Picture(rgb)) => grey_levels(spec, &figures(rgb)?),
        (PlausibilityCheck::SkinColour(spec), Decoded::Picture(rgb)) => skin_colour(spec, &figures(rgb)?),
        (PlausibilityCheck::HounsfieldRange(_) | PlausibilityCheck::SkullRing(_), Decoded::Picture(_))
        | (PlausibilityCheck::GreyLevels(_) | PlausibilityCheck::SkinColour(_), Decoded::Slices(_)) => Ok(()),
    }
}

fn figures(rgb: ArrayView3<u8>) -> Result<ColourFigures, String> {
    colour_figures(rgb)
        .ok_or_else(|| format!("found {:?} (rows, columns, channels), expected an RGB picture", rgb.shape()))
}

fn hounsfield_range(spec: &HounsfieldRangeSpec, slices: &[HounsfieldSlice<'_>]) -> Result<(), String> {
    let views: Vec<ArrayView2<f32>> = slices.iter().map(|slice| slice.hu).collect();
    let ranges: Vec<[f32; 2]> = spec.ranges.iter().map(|range| [range.from_hu, range.to_hu]).collect();
    for (range, share) in spec.ranges.iter().zip(shares_between(&views, &ranges)) {
        if share < range.min_share || share > range.max_share {
            return Err(format!(
                "found {} of the pixels with the HU of {} ({} to {}), expected {} to {}",
                percent(share),
                range.name,
                range.from_hu,
                range.to_hu,
                percent(range.min_share),
                percent(range.max_share)
            ));
        }
    }
    Ok(())
}

fn skull(spec: &SkullRingSpec, slices: &[HounsfieldSlice<'_>]) -> Result<(), String> {
    // Evenly over the series, the middle of each part.
    let count = slices.len().min(SAMPLED_SLICES);
    let sampled = (0..count).filter_map(|n| slices.get((2 * n + 1) * slices.len() / (2 * count)));
    let (mut rings, mut looked_at) = (0usize, 0usize);
    let mut best = 0.0f64;
    for slice in sampled {
        looked_at += 1;
        // Where the file does not say how large its pixels are, 0.5 mm: heads fill the field of view of their scans.
        let spacing = slice.spacing_mm.unwrap_or([0.5, 0.5]);
        let Some(ring) = skull_ring(slice.hu, spacing, spec.bone_hu, SAMPLED_SIDE) else { continue };
        let area = ring.area_mm2 / 100.0;
        let soft = ring.soft_tissue_share >= spec.min_soft_tissue_share && ring.wall_share >= MIN_WALL_SHARE;
        best = best.max(if soft { area } else { 0.0 });
        rings += usize::from(soft && (spec.min_area_cm2..=spec.max_area_cm2).contains(&area));
    }
    let share = rings as f64 / looked_at.max(1) as f64;
    if rings > 0 && share >= spec.min_slices_share {
        return Ok(());
    }
    let largest =
        if best > 0.0 { format!(", the largest ring around {} cm²", decimal(best, 1)) } else { String::new() };
    Err(format!(
        "found a closed skull in {rings} of {looked_at} slices looked at{largest}; expected a ring of bone ({} HU and more) around {} to {} cm² of \
         soft tissue in {} of them or more",
        spec.bone_hu,
        spec.min_area_cm2,
        spec.max_area_cm2,
        percent(spec.min_slices_share)
    ))
}

fn grey_levels(spec: &GreyLevelsSpec, found: &ColourFigures) -> Result<(), String> {
    if found.grey < spec.min_grey_share {
        return Err(format!(
            "found {} of the pixels grey, expected {} or more",
            percent(found.grey),
            percent(spec.min_grey_share)
        ));
    }
    if found.corner_level > spec.max_corner_level {
        return Err(format!(
            "found corners of mean level {}, expected dark ones: at most {} of 255",
            decimal(found.corner_level, 0),
            spec.max_corner_level
        ));
    }
    let expected = format!(
        "expected a bright ring (the skull) around {} to {} of the picture",
        percent(spec.min_ring_share),
        percent(spec.max_ring_share)
    );
    let Some(ring) = found.ring else { return Err(format!("found no closed bright ring, {expected}")) };
    if !(spec.min_ring_share..=spec.max_ring_share).contains(&ring.area_share) {
        return Err(format!("found a bright ring around {} of the picture, {expected}", percent(ring.area_share)));
    }
    if ring.mid_grey_share < spec.min_mid_grey_share {
        return Err(format!(
            "found {} of what the bright ring encloses of medium grey, expected {} or more",
            percent(ring.mid_grey_share),
            percent(spec.min_mid_grey_share)
        ));
    }
    Ok(())
}

fn skin_colour(spec: &SkinColourSpec, found: &ColourFigures) -> Result<(), String> {
    let [rows, columns] = found.size;
    if rows.min(columns) < spec.min_side {
        return Err(format!("found {rows} × {columns} pixels, expected {} rows and columns or more", spec.min_side));
    }
    if found.flat > spec.max_flat_share {
        return Err(format!(
            "found {} of the pixels equal to their neighbour, as in text and drawings; expected {} or less, as in a photograph",
            percent(found.flat),
            percent(spec.max_flat_share)
        ));
    }
    if found.grey > spec.max_grey_share {
        return Err(format!(
            "found {} of the pixels without colour, expected {} or less",
            percent(found.grey),
            percent(spec.max_grey_share)
        ));
    }
    if found.skin_like < spec.min_skin_share {
        return Err(format!(
            "found {} of the pixels with colours of skin, expected {} or more",
            percent(found.skin_like),
            percent(spec.min_skin_share)
        ));
    }
    Ok(())
}

fn percent(share: f64) -> String {
    format!("{} %", decimal(share * 100.0, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3};

    fn specs(json: serde_json::Value) -> Vec<PlausibilitySpec> {
        serde_json::from_value(json).unwrap()
    }

    fn head_ct() -> Vec<PlausibilitySpec> {
        specs(serde_json::json!([
            {"check": {"HounsfieldRange": {"ranges": [
                {"name": "air", "from_hu": -5000, "to_hu": -300, "min_share": 0.05, "max_share": 0.97},
                {"name": "bone", "from_hu": 300, "to_hu": 5000, "min_share": 0.01, "max_share": 0.3}]}},
             "expected": "a head CT"},
            {"check": {"SkullRing": {"min_area_cm2": 30, "max_area_cm2": 300, "min_soft_tissue_share": 0.6, "min_slices_share": 0.25}},
             "expected": "a head CT"},
            {"check": {"GreyLevels": {"min_grey_share": 0.95, "max_corner_level": 60, "min_ring_share": 0.06, "max_ring_share": 0.75,
                "min_mid_grey_share": 0.6}}, "expected": "a picture of a head CT"}
        ]))
    }

    fn disc(radius_mm: f64, wall_mm: f64, inside: f32) -> Array2<f32> {
        Array2::from_shape_fn((256, 256), |(r, c)| {
            let d = (r as f64 - 127.0).hypot(c as f64 - 127.0);
            if d < radius_mm {
                inside
            } else if d < radius_mm + wall_mm {
                900.0
            } else {
                -1000.0
            }
        })
    }

    fn judged(slices: &[Array2<f32>]) -> Vec<Implausible> {
        let slices: Vec<HounsfieldSlice> =
            slices.iter().map(|s| HounsfieldSlice { hu: s.view(), spacing_mm: Some([1.0, 1.0]) }).collect();
        implausible(&head_ct(), Decoded::Slices(&slices))
    }

    #[test]
    fn a_head_is_plausible_and_reasons_name_found_and_expected() {
        assert_eq!(judged(&[disc(70.0, 7.0, 35.0)]), []);
        // Base and vertex have no closed ring: a quarter of the slices is enough.
        let mut series = vec![disc(0.0, 30.0, 0.0); 12];
        series.extend(vec![disc(70.0, 7.0, 35.0); 8]);
        assert_eq!(judged(&series), []);
        for (slices, expected) in [
            (vec![disc(70.0, 7.0, -800.0)], "found a closed skull in 0 of 1 slices looked at; expected a ring of bone"),
            (vec![disc(15.0, 18.0, 35.0)], "the largest ring around 6.9 cm²"),
            (
                vec![disc(70.0, 0.0, 35.0)],
                "found 0 % of the pixels with the HU of bone (300 to 5000), expected 1 % to 30 %",
            ),
            (vec![Array2::from_elem((64, 64), 40.0)], "found 0 % of the pixels with the HU of air"),
            (vec![], "found 0 % of the pixels with the HU of air"),
        ] {
            let found = judged(&slices);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                found[0].reason.starts_with("this does not look like a head CT: ")
                    && found[0].reason.contains(expected),
                "{found:?}"
            );
        }
    }

    #[test]
    fn pictures_are_judged_by_their_own_checks() {
        let grey = |ring: u8| {
            Array3::from_shape_fn((200, 180, 3), |(r, c, _)| {
                let d = ((r as f64 - 100.0) / 80.0).hypot((c as f64 - 90.0) / 65.0);
                if d > 1.0 {
                    0
                } else if d > 0.88 {
                    ring
                } else {
                    100 + ((r * c) % 7) as u8
                }
            })
        };
        assert_eq!(implausible(&head_ct(), Decoded::Picture(grey(255).view())), []);
        let flat = implausible(&head_ct(), Decoded::Picture(grey(110).view()));
        assert!(flat[0].reason.contains("found no closed bright ring, expected a bright ring"), "{flat:?}");
        let orange = Array3::from_shape_fn((64, 64, 3), |(_, _, channel)| [200, 120, 40][channel]);
        assert!(
            implausible(&head_ct(), Decoded::Picture(orange.view()))[0].reason.contains("found 0 % of the pixels grey")
        );
    }

    #[test]
    fn a_flag_goes_on_and_a_refusal_ends() {
        let skin = |policy: &str| {
            serde_json::json!({"check": {"SkinColour": {"min_skin_share": 0.6, "max_flat_share": 0.6, "max_grey_share": 0.7, "min_side": 32}},
                "policy": policy, "expected": "a photograph of skin"})
        };
        let text = Array3::from_elem((100, 100, 3), 255u8);
        let judged = |policies: [&str; 2]| {
            let specs = specs(serde_json::Value::from(policies.map(skin).to_vec()));
            let found = implausible(&specs, Decoded::Picture(text.view()));
            found.into_iter().map(|f| f.policy).collect::<Vec<_>>()
        };
        assert_eq!(judged(["flag", "refuse"]), [PlausibilityPolicy::Flag, PlausibilityPolicy::Refuse]);
        assert_eq!(judged(["refuse", "flag"]), [PlausibilityPolicy::Refuse]);
        let small = implausible(
            &specs(serde_json::json!([skin("refuse")])),
            Decoded::Picture(Array3::zeros((10, 10, 3)).view()),
        );
        assert!(small[0].reason.ends_with("found 10 × 10 pixels, expected 32 rows and columns or more"), "{small:?}");
    }
}
