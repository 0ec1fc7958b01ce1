//! What an answer rests on: the regions of heat maps as measurement groups (TID 1410), one a region, and the sentences as comments.

use super::super::charset::{ascii_line, fold_typography};
use super::super::codes;
use super::super::common::{Algorithm, concept, demo_marked};
use super::super::content::{Code, Container, Item};
use super::super::report::overall_statement;
use super::super::uid::fingerprint;
use super::super::{Remarks, ResultContext, ResultError, secondary_capture, vr};
use super::algorithm_identification;
use crate::imaging::ImageAttributes;
use crate::manifest::ExplanationSpec;
use crate::predict::{ImageExplanation, Place, PlacedRegion, Prediction, Side, Statement, sentences};

/// Of a run with more images, sentences on each would hide those that matter.
const MAX_COMMENTED: usize = 16;

/// Tells a report with other regions from one without: devices round differently. Without an explanation it is `variant`, as ever.
pub(super) fn variant(variant: &str, explanations: &[ImageExplanation]) -> String {
    if explanations.is_empty() {
        return variant.to_owned();
    }
    let mut regions = Vec::new();
    for explanation in explanations {
        regions.extend((explanation.image as u64).to_le_bytes());
        regions.extend(
            explanation
                .regions
                .iter()
                .flat_map(|r| r.region.outline.points.iter().flatten())
                .flat_map(|v| v.to_le_bytes()),
        );
    }
    format!("{variant} regions {}", fingerprint(&regions))
}

/// Adds a group for each region.
pub(super) fn put_regions(
    mut measurements: Item<Container>,
    ctx: &ResultContext,
    algorithm: &Algorithm,
    explanations: &[ImageExplanation],
) -> Result<Item<Container>, ResultError> {
    for explanation in explanations {
        let image = image(ctx, explanation)?;
        for (number, placed) in (1..).zip(&explanation.regions) {
            measurements = measurements.contains(region_group(ctx, algorithm, explanation, image, number, placed)?);
        }
    }
    Ok(measurements)
}

/// Adds what speaks against the images, and the English sentences on the answer for all of them and on each; the disclaimer is the report's first
/// comment already. Of many images, and beside an answer for all, only explained ones have sentences here.
pub(super) fn put_comments(
    mut root: Item<Container>,
    ctx: &ResultContext,
    prediction: &Prediction,
    remarks: &Remarks<'_>,
) -> Result<Item<Container>, ResultError> {
    for reason in remarks.out_of_domain {
        root = root.contains(Item::text(codes::COMMENT, &demo_marked(ctx.manifest, &ascii_line(reason)))?);
    }
    let mut said = Vec::new();
    if let Some(answer) = overall_statement(ctx, prediction) {
        said.push(("All images", answer));
    }
    let few = prediction.images.len() <= MAX_COMMENTED && prediction.overall.is_none();
    for (p, finding) in prediction.images.iter().filter_map(|p| Some((p, p.outcome.as_ref().ok()?))) {
        let explained = remarks.explanations.iter().find(|e| e.image == p.image && e.frame == p.frame);
        let answer = Statement { class: finding.class, probability: finding.probability, regions: None };
        said.extend(explained.map(ImageExplanation::statement).or(few.then_some(answer)).map(|s| (p.view.as_str(), s)));
    }
    for (about, statement) in said {
        let mut texts = sentences(ctx.manifest, &statement).remove("en").unwrap_or_default();
        texts.pop();
        if !texts.is_empty() {
            let text = fold_typography(&format!("{about}: {}", texts.join(" ")));
            root = root.contains(Item::text(codes::COMMENT, &demo_marked(ctx.manifest, &text))?);
        }
    }
    Ok(root)
}

fn image<'a>(ctx: &ResultContext<'a>, explanation: &ImageExplanation) -> Result<&'a ImageAttributes, ResultError> {
    ctx.images.get(explanation.image).copied().ok_or_else(|| ResultError::Prediction {
        reason: format!("found an explanation of image {}, expected 0..{}", explanation.image, ctx.images.len()),
    })
}

fn region_group(
    ctx: &ResultContext,
    algorithm: &Algorithm,
    explanation: &ImageExplanation,
    image: &ImageAttributes,
    number: usize,
    placed: &PlacedRegion,
) -> Result<Item<Container>, ResultError> {
    let classes = ctx.manifest.classes();
    let class = classes.get(explanation.class).ok_or_else(|| ResultError::Prediction {
        reason: format!("found class {}, expected 0..{}", explanation.class, classes.len()),
    })?;
    let frame = explanation.frame.map_or(String::new(), |n| format!(" frame {n}"));
    let tracking = ascii_line(&format!("Image {}{frame} region {number}", explanation.image + 1));
    let tracked = format!("{}{frame} {} region {number}", image.sop_instance_uid, class.name);
    let mut group = Item::container(codes::MEASUREMENT_GROUP, Some("1410"))?
        .has_obs_context(Item::text(codes::TRACKING_IDENTIFIER, &tracking)?)
        .has_obs_context(Item::uid(codes::TRACKING_UNIQUE_IDENTIFIER, &ctx.uids.tracking(&tracked))?)
        .contains(Item::code(codes::FINDING, concept(&class.concept))?)
        .has_concept_mod(site(ctx, image, &placed.place)?);
    for text in algorithm_identification(ctx, algorithm, &parameters(secondary_capture::spec(ctx)?))? {
        group = group.has_concept_mod(text);
    }
    let source = match &explanation.slice {
        Some(slice) => Item::slice(codes::ORIGINAL_SOURCE, slice)?,
        None => Item::frame(codes::ORIGINAL_SOURCE, image, explanation.frame)?,
    };
    group = group.contains(Item::polyline(codes::IMAGE_REGION, &placed.region.outline.points, source)?);
    if let Some(area) = placed.region.area_mm2 {
        let area = vr::decimal_string("Area", area, 2)?;
        group = group.contains(Item::num(codes::AREA, &area, codes::SQUARE_MILLIMETER)?);
    }
    let peak = vr::decimal_string("Peak", f64::from(placed.region.peak), 4)?;
    Ok(group.contains(Item::num(codes::HEAT_PEAK, &peak, codes::NO_UNITS)?))
}

/// The manifest's site; on the region's side where that is known, else on the image's; and the part of it.
fn site(ctx: &ResultContext, image: &ImageAttributes, place: &Place) -> Result<Item<Code>, ResultError> {
    let mut site = Item::code(codes::FINDING_SITE, concept(&ctx.manifest.report.finding_site))?;
    let side = match place.side {
        Some(Side::Left) => Some("L"),
        Some(Side::Right) => Some("R"),
        // On neither side: no code of CID 244 says that.
        Some(Side::Midline) => None,
        None => image.laterality.as_deref(),
    };
    if let Some(side) = side.and_then(codes::laterality) {
        site = site.has_concept_mod(Item::code(codes::LATERALITY, side)?);
    }
    if let Some(part) = place.part {
        site = site.has_concept_mod(Item::code(codes::TOPOGRAPHICAL_MODIFIER, codes::part(part))?);
    }
    Ok(site)
}

/// What a reader must know of the regions.
fn parameters(spec: &ExplanationSpec) -> Vec<String> {
    vec![
        "region of a heat map (Grad-CAM): where the model saw its evidence; no segmentation, no measurement of a lesion".into(),
        format!("region: heat >= {} of the greatest on the image", spec.regions.threshold),
    ]
}
