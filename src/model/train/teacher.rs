//! Who teaches what: for each kind of phantom the classes that it shows.

use ndarray::Array2;

use super::classification::teachers::{BreastTumours, HeadCts, Mammograms, SkinLesions};
use super::{PhantomSet, Stage, TrainError};
use crate::imaging::Image;
use crate::manifest::{Manifest, TaskSpec};

/// A phantom's image, as it is read back from its file, with the truth about it.
pub(super) struct Lesson {
    pub image: Image,
    /// Of [`Teacher::classes`].
    pub class: usize,
    /// The (row, column) of the lesion's centre, where squares about it are to be cut out.
    pub lesion: Option<[f32; 2]>,
    /// 1 in what a model of an earlier stage would have segmented, (row, column); None: nothing, or no such stage.
    pub mask: Option<Array2<u8>>,
    /// Of rows and columns; None: pixels have no size.
    pub spacing_mm: Option<[f64; 2]>,
}

/// How weights are made where the options say nothing else.
pub(super) struct Course {
    /// Phantoms drawn.
    pub images: usize,
    pub stages: &'static [Stage],
    /// Whether the weights are stored in half precision.
    pub half: bool,
}

/// Phantoms of one kind that teach classes of images.
pub(super) trait Teacher: Sync {
    /// Names of the classes, as manifests have them; the `index`-th phantom of a set shows class `index % classes`.
    fn classes(&self) -> &'static [&'static str];
    /// How the demo weights were made.
    fn course(&self) -> Course;
    /// Draws the `index`-th phantom of a set.
    fn draw(&self, set: &PhantomSet, index: usize) -> Result<Lesson, TrainError>;
}

const TEACHERS: &[(&str, &dyn Teacher)] = &[
    ("MG", &Mammograms),
    ("CT", &HeadCts),
    ("MR", &BreastTumours),
    ("XC", &SkinLesions::Malignancy),
    ("XC", &SkinLesions::Kinds),
];

/// The teacher of the images that the manifest takes, by their modality, and of its classes, where one modality has several.
pub(super) fn teacher(manifest: &Manifest) -> Result<&'static dyn Teacher, TrainError> {
    let of_modality: Vec<&'static dyn Teacher> =
        TEACHERS.iter().filter(|(modality, _)| takes(manifest, modality)).map(|(_, teacher)| *teacher).collect();
    let of_classes = of_modality.iter().find(|teacher| teacher.classes().len() == manifest.classes().len());
    of_classes.or(of_modality.first()).copied().ok_or(TrainError::Untrainable {
        network: manifest.network.name(),
        task: match manifest.task {
            TaskSpec::Classification(_) => "classification of images of these modalities",
            TaskSpec::Segmentation(_) => "segmentation of images of these modalities",
        },
    })
}

/// Whether the manifest's conditions ask for the modality.
fn takes(manifest: &Manifest, modality: &str) -> bool {
    let value = |keyword: &str| (keyword == "Modality").then_some(modality);
    let mut about = manifest.input.conditions.iter().filter(|c| c.keyword == "Modality").peekable();
    about.peek().is_some() && about.all(|c| c.holds(&value))
}
