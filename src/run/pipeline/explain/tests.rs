use ndarray::Array2;

use super::super::heads;
use super::*;
use crate::imaging::{FrameTimes, Plane};
use crate::manifest::{Manifest, TaskSpec};
use crate::predict::{ImageSide, Part, Side};
use crate::run::record::Stage;
use crate::source::{InstanceBytes, InstanceHeader, InstanceId, Resource, SourceError};

fn task(manifest: &Manifest) -> &ClassificationSpec {
    match &manifest.task {
        TaskSpec::Classification(task) => task,
        TaskSpec::Segmentation(_) => panic!(),
    }
}

/// A head in the middle of a CT slice whose columns run to the patient's left (or right) and whose rows to the back.
fn slice(to_left: bool) -> SourceFrame {
    let image = heads::sources().remove(0).image;
    let spacing = image.pixel_spacing_mm.unwrap();
    let values = Array2::from_shape_fn((image.rows, image.columns), |(r, c)| {
        let (back, left) = ((r as f64 - 255.5) * spacing[0], (c as f64 - 255.5) * spacing[1]);
        let level = |grow: f64| (left / (65.0 + grow - 0.1 * back)).powi(2) + (back / (84.0 + grow)).powi(2);
        if level(0.0) <= 1.0 {
            35.0
        } else if level(8.0) <= 1.0 {
            1000.0
        } else {
            -1000.0
        }
    });
    let sign = if to_left { 1.0 } else { -1.0 };
    let plane = Plane {
        position_mm: [-sign * 255.5 * spacing[1], -255.5 * spacing[0], 40.0],
        orientation: [sign, 0.0, 0.0, 0.0, 1.0, 0.0],
        pixel_spacing_mm: spacing,
        slice_spacing_mm: Some(5.0),
        position_text: ["-125", "-125", "40"].map(String::from),
        orientation_text: ["1", "0", "0", "0", "1", "0"].map(String::from),
        pixel_spacing_text: ["0.488281", "0.488281"].map(String::from),
        thickness_text: Some("5".into()),
    };
    SourceFrame {
        instance: Arc::new(image),
        frame: None,
        plane,
        frame_of_reference_uid: None,
        times: FrameTimes::default(),
        values,
    }
}

/// Hot in the third row and the fifth column of 7 × 7: in front of the head's middle, to the right in the image.
fn heat() -> HeatMap {
    let mut map = Array2::zeros((7, 7));
    map[[2, 4]] = 3.0;
    HeatMap::from_activation_map(map.view())
}

const PREPARED: [usize; 2] = [224, 224];
const ANSWER: Answer = Answer { image: 0, frame: None, class: 0, probability: 0.9 };

fn explained(
    spec: &ExplanationSpec,
    source: Explained<'_>,
    from: [usize; 2],
    head: Option<&HeadFrame>,
) -> ImageExplanation {
    let applied = [Applied::Resize { from, to: PREPARED }];
    explanation(spec, &heat(), (PREPARED, &applied), source, ANSWER, head)
}

#[test]
fn a_slices_regions_have_their_place_in_the_patient() {
    let manifest = heads::manifest();
    let spec = task(&manifest).explanation.as_ref().unwrap();
    for to_left in [true, false] {
        let frame = slice(to_left);
        let found = explained(spec, Explained::Slice(&frame), [512, 512], None);
        assert_eq!((found.picture.dim(), found.heat.dim(), found.regions.len()), ((512, 512, 3), (512, 512), 1));
        let PlacedRegion { region, place } = &found.regions[0];
        let side = if to_left { Side::Left } else { Side::Right };
        assert_eq!(*place, Place { side: Some(side), part: Some(Part::Front), image_side: None });
        // The centre of the map's pixel, on the image: 2.5 and 4.5 sevenths.
        assert!(
            (region.center[0] - (2.5 / 7.0 * 512.0 - 0.5)).abs() < 1.0
                && (region.center[1] - (4.5 / 7.0 * 512.0 - 0.5)).abs() < 1.0
        );
        assert!((region.extent_mm.unwrap()[0] - 512.0 / 7.0 * 0.488_281).abs() < 2.0, "{region:?}");
        assert_eq!(found.slice.as_ref().unwrap().position[2], "40");
    }
}

#[test]
fn without_a_skull_the_neighbours_frame_tells_and_without_both_nothing_is_said() {
    let manifest = heads::manifest();
    let spec = task(&manifest).explanation.as_ref().unwrap();
    let whole = slice(true);
    let mut base = slice(true);
    base.values.mapv_inplace(|v| if v > 300.0 { 40.0 } else { v });
    let head = head_frame(spec, &whole).unwrap();
    let place = |head| explained(spec, Explained::Slice(&base), [512, 512], head).regions[0].place;
    assert_eq!(place(Some(&head)).side, Some(Side::Left));
    assert_eq!(place(None), Place::default());
    // No other modality has HU.
    let mut other = slice(true);
    let mut attributes = (*other.instance).clone();
    attributes.modality = "MR".into();
    other.instance = Arc::new(attributes);
    assert_eq!(head_frame(spec, &other), None);
}

#[test]
fn a_picture_has_sides_and_a_scanners_image_without_a_plane_none() {
    let manifest = heads::manifest();
    let spec = task(&manifest).explanation.as_ref().unwrap();
    let mut attributes = heads::sources().remove(3).image;
    let rgb = Array3::from_elem((225, 301, 3), 120);
    let colour = explained(spec, Explained::Colour(&attributes, &rgb), [225, 301], None);
    assert_eq!(colour.regions[0].place.image_side, Some(ImageSide::Right));
    let pixels = crate::imaging::Pixels::U16(Array2::from_elem((225, 301), 1060));
    let ct = Projection { attributes: attributes.clone(), pixels: pixels.clone() };
    assert_eq!(explained(spec, Explained::Image(&ct), [225, 301], None).regions[0].place, Place::default());
    attributes.modality = "OT".into();
    let posted = Projection { attributes, pixels };
    assert_eq!(
        explained(spec, Explained::Image(&posted), [225, 301], None).regions[0].place.image_side,
        Some(ImageSide::Right)
    );
    let without = ExplanationSpec { place: None, ..spec.clone() };
    assert_eq!(explained(&without, Explained::Image(&posted), [225, 301], None).regions[0].place, Place::default());
}

#[test]
fn the_most_probable_images_of_the_named_classes_are_explained() {
    let mut manifest = heads::manifest();
    let image = |n: usize, p: Option<f64>| {
        let mut one = heads::prediction(p.unwrap_or(0.5)).images.remove(0);
        one.image = n;
        if p.is_none() {
            one.outcome = Err("unreadable".into());
        }
        one
    };
    let images: Vec<ImagePrediction> = [Some(0.6), None, Some(0.2), Some(0.9), Some(0.7), Some(0.8)]
        .into_iter()
        .enumerate()
        .map(|(n, p)| image(n, p))
        .collect();
    assert_eq!(to_explain(task(&manifest), &images), [(3, 0), (2, 1), (5, 0)]);
    let TaskSpec::Classification(spec) = &mut manifest.task else { panic!() };
    spec.explanation.as_mut().unwrap().classes = vec!["Haemorrhage".into()];
    assert_eq!(to_explain(task(&manifest), &images), [(3, 0), (5, 0), (4, 0)]);
    let TaskSpec::Classification(spec) = &mut manifest.task else { panic!() };
    spec.explanation = None;
    assert!(to_explain(task(&manifest), &images).is_empty());
}

/// The files of a folder by their names, or an error for all.
struct Files(std::path::PathBuf, Option<fn() -> SourceError>);

impl InstanceSource for Files {
    fn headers(&self, _: &Resource) -> Result<Vec<InstanceHeader>, SourceError> {
        Ok(Vec::new())
    }

    fn fetch(&self, id: &InstanceId) -> Result<InstanceBytes, SourceError> {
        match self.1 {
            Some(error) => Err(error()),
            None => Ok(Box::new(std::fs::read(self.0.join(&id.0)).unwrap())),
        }
    }
}

struct Quiet(bool);

impl Monitor for Quiet {
    fn progress(&self, _: Stage, _: usize, _: usize) {}

    fn is_cancelled(&self) -> bool {
        self.0
    }
}

#[test]
fn answers_are_explained_from_their_files_and_what_cannot_be_is_a_warning() {
    let manifest = heads::manifest();
    let dir = tempfile::tempdir().unwrap();
    let chain = TransformChain::new(&manifest.preprocessing).unwrap();
    let input = |name: &str| Input {
        id: InstanceId(format!("{name}.dcm")),
        sop_instance_uid: String::new(),
        view: name.into(),
        group: 0,
        frame: None,
    };
    let inputs: Vec<Input> = ["ct", "broken", "small"].map(input).to_vec();
    for source in heads::sources().iter().filter(|s| matches!(s.name, "ct" | "small")) {
        heads::write_file(dir.path(), source);
    }
    std::fs::write(dir.path().join("broken.dcm"), b"DICM").unwrap();
    let images: Vec<ImagePrediction> = (0..3)
        .map(|n| {
            let mut image = heads::prediction(0.9 - 0.1 * n as f64).images.remove(0);
            (image.image, image.view) = (n, format!("Image {}", n + 1));
            image
        })
        .collect();
    let files = Files(dir.path().into(), None);
    let explain = |source: &dyn InstanceSource, cancelled: bool| {
        let monitor = Quiet(cancelled);
        let explainer = Explainer {
            source,
            task: task(&manifest),
            chain: &chain,
            regions: &Regions::default(),
            inputs: &inputs,
            limits: Limits::default(),
            monitor: &monitor,
        };
        explainer.explain(&images, &mut |array, class| {
            assert_eq!((array.dim(), class), ((3, 512, 512), 0));
            Ok(heat())
        })
    };
    let (explanations, warnings) = explain(&files, false).unwrap();
    let found: Vec<_> =
        explanations.iter().map(|e| (e.image, e.probability, e.picture.dim(), e.regions.len())).collect();
    assert_eq!(
        found,
        [(0, 0.9, (512, 512, 3), 1), (2, images[2].outcome.as_ref().unwrap().probability, (224, 224, 3), 1)]
    );
    // The files say how their slices lie, but have no skull: no place is told.
    assert!(explanations.iter().all(|e| e.slice.is_some() && e.regions[0].place == Place::default()));
    assert!(warnings.len() == 1 && warnings[0].starts_with("Image 2: no heat map: "), "{warnings:?}");

    assert!(matches!(explain(&files, true), Err(RunError::Cancelled)));
    let busy = Files(dir.path().into(), Some(|| SourceError::Host("the disk is full".into())));
    assert!(explain(&busy, false).is_err_and(|e| e.is_transient()));
    let gone = Files(dir.path().into(), Some(|| SourceError::UnknownResource("/instances/1".into())));
    let (explanations, warnings) = explain(&gone, false).unwrap();
    assert_eq!((explanations.len(), warnings.len()), (0, 3));
}
