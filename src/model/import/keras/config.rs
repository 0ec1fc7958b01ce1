//! What Keras's own description of a model says beside the weights: pooling, activations, epsilon.

use serde_json::Value;

use super::dense::DenseLayer;
use crate::model::WeightsError;

/// Layers that a ResNet50 with a dense head consists of, or that do nothing at inference.
const KNOWN: [&str; 23] = [
    "InputLayer",
    "ZeroPadding2D",
    "Conv2D",
    "BatchNormalization",
    "Activation",
    "ReLU",
    "MaxPooling2D",
    "Add",
    "GlobalAveragePooling2D",
    "Flatten",
    "Dropout",
    "Dense",
    "Functional",
    "Model",
    "Sequential",
    "RandomFlip",
    "RandomRotation",
    "RandomZoom",
    "RandomContrast",
    "RandomBrightness",
    "RandomTranslation",
    "GaussianNoise",
    "SpatialDropout2D",
];

/// The layers, those of nested models in their place.
pub(super) struct Architecture {
    layers: Vec<Layer>,
}

struct Layer {
    class: String,
    name: String,
    /// "linear" where there is none.
    activation: String,
    epsilon: Option<f64>,
}

impl Architecture {
    /// A description of another form gives no layers.
    pub(super) fn read(config: &Value) -> Self {
        let mut layers = Vec::new();
        collect(config, &mut layers);
        Self { layers }
    }

    /// How many layers come before this one.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.layers.iter().position(|layer| layer.name == name)
    }

    pub(super) fn epsilon(&self, name: &str) -> Option<f64> {
        self.layers.iter().find(|layer| layer.name == name)?.epsilon
    }

    /// What our network would do otherwise than this model.
    ///
    /// # Errors
    /// Another pooling, or another activation than ReLU between dense layers, by name.
    pub(super) fn check(&self, head: &[DenseLayer]) -> Result<(), WeightsError> {
        let refuse = |found: String, expected: &str| {
            Err(WeightsError::Format(format!(
                "found {found}, expected {expected}: the network would say something else"
            )))
        };
        for layer in &self.layers {
            if layer.class == "GlobalMaxPooling2D" {
                return refuse(format!("a layer {} of class {}", layer.name, layer.class), "GlobalAveragePooling2D");
            }
        }
        for dense in head.iter().rev().skip(1) {
            let Some(at) = self.place(&dense.name) else { continue };
            // The activation may be a layer of its own.
            let next = self.layers.get(at + 1).map(|next| match next.class.as_str() {
                "ReLU" => "relu",
                "Activation" => next.activation.as_str(),
                _ => "linear",
            });
            let activation = match self.layers[at].activation.as_str() {
                "linear" => next.unwrap_or("linear"),
                own => own,
            };
            if activation != "relu" {
                return refuse(format!("{} with activation {activation}", dense.name), "relu");
            }
        }
        Ok(())
    }

    /// What a manifest has to say and the weights cannot.
    pub(super) fn notes(&self, head: &[DenseLayer]) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(at) = head.last().and_then(|last| self.place(&last.name)) {
            let layer = &self.layers[at];
            notes.push(format!(
                "the last layer {} has the activation {}: the manifest's task says it",
                layer.name, layer.activation
            ));
        }
        let others: Vec<String> = self
            .layers
            .iter()
            .filter(|layer| !KNOWN.contains(&layer.class.as_str()))
            .map(|layer| format!("{} ({})", layer.name, layer.class))
            .collect();
        if !others.is_empty() {
            notes.push(format!(
                "layers outside the network, whose work the manifest's preprocessing has to do: {}",
                others.join(", ")
            ));
        }
        notes
    }
}

/// A layer is an object with `class_name` and `config`; a nested model's config has `layers`.
fn collect(value: &Value, layers: &mut Vec<Layer>) {
    let config = &value["config"];
    let name = config["name"].as_str().or(value["name"].as_str());
    if let (Some(class), Some(name)) = (value["class_name"].as_str(), name) {
        layers.push(Layer {
            class: class.to_owned(),
            name: name.to_owned(),
            activation: activation(&config["activation"]).unwrap_or("linear").to_owned(),
            epsilon: config["epsilon"].as_f64(),
        });
    }
    for layer in config["layers"].as_array().into_iter().flatten() {
        collect(layer, layers);
    }
}

/// `"relu"`, or an object that names it.
fn activation(value: &Value) -> Option<&str> {
    let named = || value["config"].as_str().or(value["config"]["name"].as_str()).or(value["class_name"].as_str());
    value.as_str().or_else(named)
}
