//! Keras's file layouts, written from tensors with our keys.

use std::collections::BTreeMap;
use std::io::Write;

use hdf5_writer::{AttributeBuilder, DatasetBuilder, Hdf5Builder, WriteOptions};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use super::Tensors;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    Keras2Legacy,
    Keras3Legacy,
    /// Legacy, weights alone.
    WeightsLegacy,
    /// `.weights.h5`; Keras 2 names no layer.
    Keras2Weights,
    Keras3Weights,
    Keras3Zip,
}

impl Layout {
    pub const ALL: [Self; 6] = [
        Self::Keras2Legacy,
        Self::Keras3Legacy,
        Self::WeightsLegacy,
        Self::Keras2Weights,
        Self::Keras3Weights,
        Self::Keras3Zip,
    ];
}

#[derive(Debug, Clone, Copy)]
pub struct KerasLayout<'a> {
    pub layout: Layout,
    /// The backbone as a model within the model.
    pub nested: bool,
    /// Widths of the hidden dense layers.
    pub hidden: &'a [usize],
}

/// Keras's layer of a module of ours, written down from Keras's own names, not by the code under test.
fn layer(module: &str, hidden: usize) -> String {
    let dense = |i: usize| if i == 0 { "dense".to_owned() } else { format!("dense_{i}") };
    if module == "fc" {
        return dense(hidden);
    }
    if let Some(i) = module.strip_prefix("hidden.") {
        return dense(i.parse().unwrap());
    }
    let Some(rest) = module.strip_prefix("layer") else {
        return if module == "conv1" { "conv1_conv".into() } else { "conv1_bn".into() };
    };
    let parts: Vec<&str> = rest.split('.').collect();
    let (stage, block): (usize, usize) = (parts[0].parse().unwrap(), parts[1].parse().unwrap());
    let (number, kind) = match parts[2..] {
        ["downsample", "0"] => ("0", "conv"),
        ["downsample", "1"] => ("0", "bn"),
        [part] if part.starts_with("conv") => (&part[4..], "conv"),
        [part] => (&part[2..], "bn"),
        _ => panic!("{module}"),
    };
    format!("conv{}_block{}_{number}_{kind}", stage + 1, block + 1)
}

/// Keras's weight of a weight of ours, and its number in the newer layout.
fn weight(name: &str, layer: &str) -> (&'static str, usize) {
    match (name, layer.ends_with("_bn")) {
        ("weight", true) => ("gamma", 0),
        ("bias", true) => ("beta", 1),
        ("running_mean", _) => ("moving_mean", 2),
        ("running_var", _) => ("moving_variance", 3),
        ("weight", false) => ("kernel", 0),
        _ => ("bias", 1),
    }
}

/// Keras's order of the axes.
fn transposed(shape: &[usize], values: &[f32]) -> (Vec<u64>, Vec<f32>) {
    let array = ndarray::ArrayViewD::from_shape(shape, values).unwrap();
    let array = match shape.len() {
        4 => array.permuted_axes(vec![2, 3, 1, 0]),
        _ => array.reversed_axes(),
    };
    (array.shape().iter().map(|&d| d as u64).collect(), array.iter().copied().collect())
}

/// The names of Keras's layers in the order in which Keras makes them: a stage's first block has the shortcut before its last convolution.
fn creation_order(kind: &str) -> Vec<String> {
    let mut names = vec![format!("conv1_{kind}")];
    for (stage, blocks) in [(2, 3), (3, 4), (4, 6), (5, 3)] {
        for block in 1..=blocks {
            let numbers = if block == 1 { "1203" } else { "123" };
            names.extend(numbers.chars().map(|n| format!("conv{stage}_block{block}_{n}_{kind}")));
        }
    }
    names
}

impl KerasLayout<'_> {
    pub fn has_config(&self) -> bool {
        matches!(self.layout, Layout::Keras3Legacy | Layout::Keras2Legacy | Layout::Keras3Zip)
    }

    pub fn bytes(&self, tensors: &Tensors) -> Vec<u8> {
        match self.layout {
            Layout::Keras3Zip => self.zip(tensors, &self.config().to_string()),
            _ => self.hdf5(tensors),
        }
    }

    pub fn zip(&self, tensors: &Tensors, config: &str) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, bytes) in [
            ("metadata.json", b"{}".to_vec()),
            ("config.json", config.into()),
            ("model.weights.h5", self.hdf5(tensors)),
        ] {
            zip.start_file(name, stored).unwrap();
            zip.write_all(&bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    /// The dense layers and what lies between them and the backbone.
    pub fn config(&self) -> Value {
        let layer = |class: &str, config: Value| json!({ "class_name": class, "config": config });
        let mut layers = vec![
            layer("BatchNormalization", json!({ "name": "conv1_bn", "epsilon": 1.001e-5 })),
            layer("GlobalAveragePooling2D", json!({ "name": "gap" })),
        ];
        for i in 0..=self.hidden.len() {
            let name = if i == 0 { "dense".to_owned() } else { format!("dense_{i}") };
            let activation = if i == self.hidden.len() { "sigmoid" } else { "relu" };
            layers.push(layer("Dense", json!({ "name": name, "activation": activation })));
            if i == 0 {
                layers.push(layer("Dropout", json!({ "name": "dropout" })));
            }
        }
        json!({ "class_name": "Functional", "config": { "name": "model", "layers": layers } })
    }

    fn hdf5(&self, tensors: &Tensors) -> Vec<u8> {
        let mut builder = Hdf5Builder::new();
        let state = DatasetBuilder::typed_data::<i64>("optimizer/vars/0", vec![1], &[3]).unwrap();
        let legacy_state =
            DatasetBuilder::typed_data::<i64>("optimizer_weights/adam/iteration", vec![1], &[3]).unwrap();
        let is_new = matches!(self.layout, Layout::Keras2Weights | Layout::Keras3Weights | Layout::Keras3Zip);
        builder = builder.dataset(if is_new { state } else { legacy_state });
        if !is_new && self.has_config() {
            builder = builder.attribute(AttributeBuilder::fixed_string("model_config", self.config().to_string()));
        }
        let mut named = BTreeMap::new();
        for (key, (shape, values)) in tensors {
            let (module, name) = key.rsplit_once('.').unwrap();
            let layer = layer(module, self.hidden.len());
            let (weight, number) = weight(name, &layer);
            let path = self.path(&layer, weight, number);
            if let Some(vars) = path.strip_suffix(&format!("/{number}")).filter(|_| is_new) {
                named.insert(vars.to_owned(), layer.clone());
            }
            let (shape, values) = transposed(shape, values);
            builder = builder.dataset(DatasetBuilder::typed_data(path, shape, &values).unwrap());
        }
        if self.layout != Layout::Keras2Weights {
            for (vars, layer) in named {
                builder = builder.group_attribute(vars, AttributeBuilder::fixed_string("name", layer));
            }
        }
        builder.into_plan().unwrap().encode(WriteOptions::default()).unwrap()
    }

    fn path(&self, layer: &str, weight: &str, number: usize) -> String {
        let is_dense = layer.starts_with("dense");
        let backbone = self.nested && !is_dense;
        match self.layout {
            Layout::Keras2Legacy if backbone => format!("model_weights/resnet50/{layer}/{weight}:0"),
            Layout::Keras2Legacy => format!("model_weights/{layer}/{layer}/{weight}:0"),
            Layout::Keras3Legacy if backbone => format!("model_weights/resnet50/{layer}/{weight}"),
            Layout::Keras3Legacy if self.nested => format!("model_weights/{layer}/sequential/{layer}/{weight}"),
            Layout::Keras3Legacy => format!("model_weights/{layer}/{layer}/{weight}"),
            Layout::WeightsLegacy if backbone => format!("resnet50/{layer}/{weight}:0"),
            Layout::WeightsLegacy => format!("{layer}/{layer}/{weight}:0"),
            Layout::Keras2Weights | Layout::Keras3Weights | Layout::Keras3Zip => {
                let counted =
                    |kind: &str, place: usize| if place == 0 { kind.to_owned() } else { format!("{kind}_{place}") };
                let place = |kind: &str| creation_order(kind).iter().position(|name| name == layer).unwrap();
                let group = match layer {
                    _ if is_dense => layer.to_owned(),
                    _ if layer.ends_with("_bn") => counted("batch_normalization", place("bn")),
                    _ => counted("conv2d", place("conv")),
                };
                let parent = if backbone { "layers/functional/layers" } else { "layers" };
                format!("{parent}/{group}/vars/{number}")
            }
        }
    }
}
