//! What a classifier says beside its logits when it is asked where they come from: Grad-CAM (Selvaraju et al. 2017).

use ndarray::{Array2, Array3};

use crate::predict::HeatMap;

/// Which of the network's outputs is explained, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CamTarget {
    /// The output; None: of each image the one with the largest logit.
    pub output: Option<usize>,
    pub score: CamScore,
}

/// The number whose gradient weighs the channels. Among outputs that go through softmax it is the logit, as Grad-CAM's authors have it.
/// Through sigmoid the maps are the logit's, times a factor that is the same everywhere: heat maps of `Logit` and `Sigmoid` are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CamScore {
    Logit,
    /// The output's probability.
    Sigmoid,
    /// 1 - the output's probability: what speaks for the class that a single output does not name.
    SigmoidComplement,
}

impl CamScore {
    /// d score / d logit. Exact where the probability itself rounds to 0 or 1: there the map would vanish.
    pub(super) fn slope(self, logit: f32) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let logit = f64::from(logit);
        let slope = sigmoid(logit) * sigmoid(-logit);
        match self {
            Self::Logit => 1.0,
            Self::Sigmoid => slope,
            Self::SigmoidComplement => -slope,
        }
    }
}

/// The logits of N images, and a class activation map for each.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// N × classes, the very numbers of `Network::forward`.
    pub logits: Array2<f32>,
    /// The output that was explained, one an image.
    pub outputs: Vec<usize>,
    /// N × channels: the mean over rows and columns of d score / d activation (Selvaraju et al., equation 1).
    pub channel_weights: Array2<f32>,
    /// N × rows × columns of the last block's grid: the sum of the channels times their weights, before any ReLU.
    pub activation_maps: Array3<f32>,
}

impl Explanation {
    /// One an image, on the last block's grid.
    pub fn heat_maps(&self) -> Vec<HeatMap> {
        self.activation_maps.outer_iter().map(HeatMap::from_activation_map).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::CamScore;

    #[test]
    fn slopes_are_the_derivatives_and_do_not_vanish() {
        for logit in [-40.0f32, -3.0, 0.0, 0.5, 20.0, 60.0] {
            assert_eq!(CamScore::Logit.slope(logit), 1.0);
            let p = 1.0 / (1.0 + (-f64::from(logit).abs()).exp());
            let expected = (-f64::from(logit).abs()).exp() * p * p;
            let found = CamScore::Sigmoid.slope(logit);
            assert!(found > 0.0 && (found / expected - 1.0).abs() < 1e-12, "{logit}: {found}, expected {expected}");
            assert_eq!(CamScore::SigmoidComplement.slope(logit), -found);
        }
    }
}
