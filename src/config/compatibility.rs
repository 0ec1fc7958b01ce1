//! What answers the routes of the systems that this plugin takes the place of.

use serde::Deserialize;

/// The forms of question that the originals' routes ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    /// Four views of a mammography exam, a class each.
    Mammography,
    /// Four series of a dynamic breast MRI, one mask.
    BreastSegmentation,
    /// One image, one mask.
    ImageSegmentation,
    /// One image whose mask is known, one class.
    ImageClassification,
}

impl Contract {
    pub const ALL: [Self; 4] =
        [Self::Mammography, Self::BreastSegmentation, Self::ImageSegmentation, Self::ImageClassification];
}

/// Names of the models that answer the originals' routes; absent: the first ready one that is made for the question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct CompatibilityModels {
    pub mammography: Option<String>,
    pub breast_segmentation: Option<String>,
    pub image_segmentation: Option<String>,
    pub image_classification: Option<String>,
}

impl CompatibilityModels {
    pub fn get(&self, contract: Contract) -> Option<&str> {
        let named = match contract {
            Contract::Mammography => &self.mammography,
            Contract::BreastSegmentation => &self.breast_segmentation,
            Contract::ImageSegmentation => &self.image_segmentation,
            Contract::ImageClassification => &self.image_classification,
        };
        named.as_deref()
    }
}
