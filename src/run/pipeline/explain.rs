//! After the network: from a heat map to what the result objects say of it: picture, regions, places.

use std::sync::Arc;

use ndarray::{Array3, ArrayView3};

use super::plausible::{grey_picture, modality_values};
use super::regions::Regions;
use super::{Monitor, RunError, told};
use crate::imaging::{
    self, Geometry, Image, ImageAttributes, Projection, SliceSource, SourceFrame, calibrated_spacing,
};
use crate::manifest::{ClassificationSpec, ExplanationSpec, PlaceSpec};
use crate::predict::{
    HeadFrame, HeatMap, HeatRegion, ImageExplanation, ImagePrediction, Place, PlacedRegion, heat_regions,
};
use crate::run::limits::Limits;
use crate::run::select::Input;
use crate::source::InstanceSource;
use crate::transform::{Applied, TransformChain, displayed, heat_on_source};

/// The image that a heat map explains.
#[derive(Debug, Clone, Copy)]
pub enum Explained<'a> {
    /// A slice that says where it lies in the patient.
    Slice(&'a SourceFrame),
    /// A grey image that does not.
    Image(&'a Projection),
    /// A colour image, (row, column, channel), RGB.
    Colour(&'a ImageAttributes, &'a Array3<u8>),
}

/// Which answer is explained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Index into the run's source instances.
    pub image: usize,
    /// From 1, in a multi-frame instance.
    pub frame: Option<u32>,
    pub class: usize,
    pub probability: f64,
}

/// The network's heat map of a prepared image (channel, row, column) for a class, or why there is none.
pub type HeatMapOf<'f> = dyn FnMut(ArrayView3<'_, f32>, usize) -> Result<HeatMap, String> + 'f;

/// Explains the answers of a run that the manifest wants explained. Their images are fetched and prepared once more: they are few, and of a series nothing
/// was kept.
pub(super) struct Explainer<'a> {
    pub source: &'a dyn InstanceSource,
    pub task: &'a ClassificationSpec,
    pub chain: &'a TransformChain,
    /// Where the images were looked at.
    pub regions: &'a Regions,
    pub inputs: &'a [Input],
    pub limits: Limits,
    pub monitor: &'a dyn Monitor,
}

impl Explainer<'_> {
    /// `heat_map` gives the network's heat map; `images` are the answers, one an input.
    /// An image that cannot be explained is left out, with its reason among the warnings: the answers stand without.
    ///
    /// # Errors
    /// [`RunError::Cancelled`], and what the source cannot give now but may another time.
    pub fn explain(
        &self,
        images: &[ImagePrediction],
        heat_map: &mut HeatMapOf<'_>,
    ) -> Result<(Vec<ImageExplanation>, Vec<String>), RunError> {
        let (mut explanations, mut warnings) = (Vec::new(), Vec::new());
        let Some(spec) = &self.task.explanation else { return Ok((explanations, warnings)) };
        for (index, class) in to_explain(self.task, images) {
            if self.monitor.is_cancelled() {
                return Err(RunError::Cancelled);
            }
            let (Some(image), Some(input)) = (images.get(index), self.inputs.get(index)) else { continue };
            let bytes = match self.source.fetch(&input.id) {
                Ok(bytes) => bytes,
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => {
                    warnings.push(format!("{}: no heat map: {error}", image.view));
                    continue;
                }
            };
            match self.image(spec, &bytes, image, class, heat_map) {
                Ok(explanation) => explanations.push(explanation),
                Err(reason) => warnings.push(format!("{}: no heat map: {reason}", image.view)),
            }
        }
        Ok((explanations, warnings))
    }

    fn image(
        &self,
        spec: &ExplanationSpec,
        bytes: &[u8],
        image: &ImagePrediction,
        class: usize,
        heat_map: &mut HeatMapOf<'_>,
    ) -> Result<ImageExplanation, String> {
        let (decoder, budget) = (self.source.frame_decoder(), self.limits.budget_of_part(2));
        let decoded = match image.frame {
            None => imaging::read_image_within(bytes, decoder, &budget),
            number => imaging::read_image_frame_within(bytes, number, decoder, &budget).map(Image::Grey),
        }
        .map_err(|e| told(&e))?;
        let spacing = calibrated_spacing(decoded.attributes()).map(|(mm, _)| mm);
        let prepared = self.regions.prepare(self.chain, &decoded, image.frame, spacing)?;
        let heat = heat_map(prepared.array.view(), class)?;
        let (_, rows, columns) = prepared.array.dim();
        let finding = image.outcome.as_ref().map_err(Clone::clone)?;
        let answer = Answer { image: image.image, frame: image.frame, class, probability: finding.probability };
        let slice;
        let source = match &decoded {
            Image::Colour(colour) => Explained::Colour(&colour.attributes, &colour.rgb),
            Image::Grey(grey) => {
                // What says where it lies is more than an image.
                slice = imaging::read_frame(bytes, image.frame, decoder).ok();
                slice.as_ref().map_or(Explained::Image(grey), Explained::Slice)
            }
        };
        Ok(explanation(spec, &heat, ([rows, columns], &prepared.applied), source, answer, None))
    }
}

/// Which of the images are explained, and for which class: those whose winning class is one of the manifest's, the most probable first, at most
/// as many as the manifest says. Indices into `images`.
pub fn to_explain(task: &ClassificationSpec, images: &[ImagePrediction]) -> Vec<(usize, usize)> {
    let Some(spec) = &task.explanation else { return Vec::new() };
    let named = |class: usize| {
        spec.classes.is_empty() || task.classes.get(class).is_some_and(|c| spec.classes.contains(&c.name))
    };
    let answered = images.iter().enumerate().filter_map(|(i, image)| Some((i, image.outcome.as_ref().ok()?)));
    let mut wanted: Vec<_> = answered.filter(|(_, finding)| named(finding.class)).collect();
    wanted.sort_by(|(_, a), (_, b)| b.probability.total_cmp(&a.probability));
    wanted.truncate(spec.max_images);
    wanted.into_iter().map(|(i, finding)| (i, finding.class)).collect()
}

/// What the result objects say of a heat map, which covers the prepared image of `prepared` (rows, columns) pixels on any grid. `head` is the frame
/// of a neighbouring slice of the same head, for a slice in which no closed skull is found.
pub fn explanation(
    spec: &ExplanationSpec,
    heat: &HeatMap,
    (prepared, applied): ([usize; 2], &[Applied]),
    source: Explained<'_>,
    answer: Answer,
    head: Option<&HeadFrame>,
) -> ImageExplanation {
    let picture = match source {
        Explained::Slice(frame) => grey_picture(displayed(&frame.values, &frame.instance).view()),
        Explained::Image(image) => grey_picture(displayed(&modality_values(image), &image.attributes).view()),
        Explained::Colour(_, rgb) => rgb.clone(),
    };
    let (rows, columns, _) = picture.dim();
    let heat = heat_on_source(heat.values(), prepared, applied, [rows, columns]);
    let regions = heat_regions(heat.view(), &spec.regions, spacing_mm(source));
    let places = places(spec, source, &regions, columns, head);
    ImageExplanation {
        image: answer.image,
        frame: answer.frame,
        slice: match source {
            Explained::Slice(frame) => Some(slice_source(frame)),
            Explained::Image(_) | Explained::Colour(..) => None,
        },
        class: answer.class,
        probability: answer.probability,
        picture,
        heat,
        regions: regions.into_iter().zip(places).map(|(region, place)| PlacedRegion { region, place }).collect(),
    }
}

/// The frame of the head in a slice, where the manifest asks for places.
pub fn head_frame(spec: &ExplanationSpec, frame: &SourceFrame) -> Option<HeadFrame> {
    let Some(PlaceSpec::Skull(skull)) = &spec.place else { return None };
    let is_ct = frame.instance.modality == "CT";
    is_ct.then(|| HeadFrame::of_slice(frame.values.view(), &grid(frame), 0, skull)).flatten()
}

fn places(
    spec: &ExplanationSpec,
    source: Explained<'_>,
    regions: &[HeatRegion],
    columns: usize,
    head: Option<&HeadFrame>,
) -> Vec<Place> {
    let nowhere = || vec![Place::default(); regions.len()];
    match source {
        _ if spec.place.is_none() => nowhere(),
        Explained::Slice(frame) => {
            let own = head_frame(spec, frame);
            let Some(head) = own.as_ref().or(head) else { return nowhere() };
            let grid = grid(frame);
            let place = |region: &HeatRegion| head.place(grid.to_patient([0.0, region.center[0], region.center[1]]));
            regions.iter().map(place).collect()
        }
        Explained::Image(image) if !is_picture(&image.attributes) => nowhere(),
        Explained::Image(_) | Explained::Colour(..) => {
            regions.iter().map(|region| Place::in_picture(region.center[1], columns)).collect()
        }
    }
}

/// Modalities of pictures that come from no scanner: photographs, screen captures, and what was posted as a file. An image of a scanner that does not say
/// how it lies is left without a place.
fn is_picture(image: &ImageAttributes) -> bool {
    matches!(image.modality.as_str(), "OT" | "SC" | "XC" | "GM" | "ES" | "DMS" | "OP" | "")
}

fn spacing_mm(source: Explained<'_>) -> Option<[f64; 2]> {
    match source {
        Explained::Slice(frame) => Some(frame.plane.pixel_spacing_mm),
        Explained::Image(image) => image.attributes.pixel_spacing_mm,
        Explained::Colour(attributes, _) => attributes.pixel_spacing_mm,
    }
}

fn grid(frame: &SourceFrame) -> Geometry {
    let (rows, columns) = frame.values.dim();
    frame.plane.grid(rows, columns, frame.frame_of_reference_uid.clone())
}

fn slice_source(frame: &SourceFrame) -> SliceSource {
    SliceSource {
        instance: Arc::clone(&frame.instance),
        frame: frame.frame,
        position: frame.plane.position_text.clone(),
        orientation: frame.plane.orientation_text.clone(),
        pixel_spacing: frame.plane.pixel_spacing_text.clone(),
        thickness: frame.plane.thickness_text.clone(),
    }
}

#[cfg(test)]
mod tests;
