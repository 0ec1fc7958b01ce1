//! What a model said, in the model's own words: `result` and `api` only translate it.

/// The probability of one class, in the manifest's class order. `class` indexes `Manifest::classes`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassProbability {
    pub class: usize,
    /// 0..=1
    pub probability: f64,
}

/// One clinical statement about one image: the winning class and every class's probability.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Index of the winning class (argmax; the first of equals).
    pub class: usize,
    pub probability: f64,
    /// Every class, in the manifest's order.
    pub all: Vec<ClassProbability>,
}

/// What the model said of one input image, or why it could not.
#[derive(Debug, Clone)]
pub struct ImagePrediction {
    /// Index into the run's input images.
    pub image: usize,
    /// "L-CC", or "Image 1" where laterality or view is missing.
    pub view: String,
    pub outcome: Result<Finding, String>,
}

/// All that the model said in one run.
#[derive(Debug, Clone)]
pub struct Prediction {
    pub images: Vec<ImagePrediction>,
}
