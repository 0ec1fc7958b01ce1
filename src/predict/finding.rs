//! What a model said, in the model's own words: `result` and `api` only translate it.

/// The probability of one class, in the manifest's class order. `class` indexes `Manifest::classes`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassProbability {
    pub class: usize,
    /// 0..=1
    pub probability: f64,
    /// Of a model that combines several answers (test-time augmentation, an ensemble): the standard deviation of their
    /// probabilities, by the answers' weights. It says how far they agree, not how right they are.
    pub spread: Option<f64>,
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

impl Finding {
    /// The class with the highest probability wins; the first of equals.
    pub fn from_probabilities(probabilities: &[f64]) -> Self {
        let all: Vec<ClassProbability> = probabilities
            .iter()
            .enumerate()
            .map(|(class, &probability)| ClassProbability { class, probability, spread: None })
            .collect();
        let best = all.iter().copied().reduce(|best, c| if c.probability > best.probability { c } else { best });
        let (class, probability) = best.map_or((0, 0.0), |best| (best.class, best.probability));
        Self { class, probability, all }
    }

    /// With the spread of each class, in the manifest's order.
    #[must_use]
    pub fn with_spreads(mut self, spreads: &[f64]) -> Self {
        self.all.iter_mut().zip(spreads).for_each(|(class, spread)| class.spread = Some(*spread));
        self
    }

    /// Of the winning class.
    pub fn spread(&self) -> Option<f64> {
        self.all.get(self.class)?.spread
    }
}

/// What the model said of one input image, or why it could not.
#[derive(Debug, Clone)]
pub struct ImagePrediction {
    /// Index into the run's source instances.
    pub image: usize,
    /// Number of the frame, from 1, in a multi-frame instance.
    pub frame: Option<u32>,
    /// "L-CC", or "Image 1" where laterality or view is missing; of a series "Slice 1".
    pub view: String,
    pub outcome: Result<Finding, String>,
}

/// What the model said of all images of a run together.
#[derive(Debug, Clone, PartialEq)]
pub struct OverallPrediction {
    pub finding: Finding,
    /// Images that it is made of; the others failed.
    pub analysed: usize,
    /// The images that carry the answer, those that speak most for it first: indices into [`Prediction::images`].
    pub carrying: Vec<usize>,
}

/// All that the model said in one run.
#[derive(Debug, Clone)]
pub struct Prediction {
    pub images: Vec<ImagePrediction>,
    /// Where the manifest aggregates.
    pub overall: Option<OverallPrediction>,
}
