//! Files made here in the layouts of Keras and PyTorch; the values are a function of our key, so that a mix-up of two tensors shows.

mod keras_files;

use std::collections::BTreeMap;
use std::path::PathBuf;

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

use self::keras_files::{KerasLayout, Layout};
use super::*;
use crate::manifest::network::{PatchMerging, ResNet50Spec, SwinUnetrSpec, UnetSpec};
use crate::model::weights::tests::{Pickler, floats, pickle, zip_bytes};

/// Shape and values in C order, by our key.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn tensors(network: &NetworkSpec) -> Tensors {
    let values = |key: &str, count: usize| {
        let seed = key.bytes().fold(7u64, |h, b| (h * 31 + u64::from(b)) % 65_521);
        (0..count as u64).map(|i| ((seed + 977 * i) % 1009) as f32 / 1009.0 + 0.1).collect()
    };
    keys(network)
        .into_iter()
        .map(|(key, shape)| {
            let shape: Vec<usize> = shape.into_iter().map(|d| d as usize).collect();
            let values = values(&key, shape.iter().product());
            (key, (shape, values))
        })
        .collect()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn safetensors(&self, tensors: &Tensors) -> PathBuf {
        let bytes: Vec<_> = tensors.iter().map(|(key, (shape, values))| (key, shape, floats(values))).collect();
        let views = bytes.iter().map(|(k, s, b)| (k.as_str(), TensorView::new(Dtype::F32, (*s).clone(), b).unwrap()));
        serialize_to_file(views, None, &self.path("in.safetensors")).unwrap();
        self.path("in.safetensors")
    }

    /// As `torch.save` writes it.
    fn pth(&self, tensors: &Tensors) -> PathBuf {
        let object = pickle(|p| {
            let add = |p: Pickler, (i, (key, (shape, _))): (usize, (&String, &(Vec<usize>, Vec<f32>)))| {
                let size: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
                p.text(key).float(&i.to_string(), &size)
            };
            tensors.iter().enumerate().fold(p.raw(b"}("), add).raw(b"u")
        });
        let storages: Vec<(String, Vec<u8>)> =
            tensors.values().enumerate().map(|(i, (_, values))| (i.to_string(), floats(values))).collect();
        let storages: Vec<(&str, &[u8])> = storages.iter().map(|(k, b)| (k.as_str(), b.as_slice())).collect();
        self.write("in.pth", &zip_bytes(&object, &storages))
    }
}

#[track_caller]
fn holds(imported: &Imported, expected: &Tensors, what: &str) {
    let shapes: Vec<(String, Vec<i64>)> = imported.state_dict.shapes().map(|(k, s)| (k.to_owned(), s)).collect();
    let signed = |shape: &[usize]| shape.iter().map(|&d| d as i64).collect::<Vec<i64>>();
    let wanted: Vec<(String, Vec<i64>)> = expected.iter().map(|(k, (s, _))| (k.clone(), signed(s))).collect();
    assert_eq!(shapes, wanted, "{what}");
    for (key, (_, values)) in expected {
        let values: Vec<f64> = values.iter().map(|&v| f64::from(v)).collect();
        assert_eq!(imported.state_dict.values(key).unwrap(), values, "{what}: {key}");
    }
}

fn resnet50(hidden: &[usize]) -> NetworkSpec {
    NetworkSpec::ResNet50(ResNet50Spec { hidden_features: hidden.into(), ..ResNet50Spec::torchvision(3, 2, 2) })
}

fn unet(conv_bias: bool) -> NetworkSpec {
    NetworkSpec::UNet(UnetSpec { in_channels: 1, out_channels: 2, width: 2, conv_bias })
}

fn swin_unetr() -> NetworkSpec {
    let patch_merging = PatchMerging::Current;
    NetworkSpec::SwinUNETR(SwinUnetrSpec { in_channels: 4, out_channels: 3, feature_size: 12, patch_merging })
}

#[test]
fn networks_are_recognised_by_their_tensors_whatever_the_file() {
    for network in [resnet50(&[]), unet(false), unet(true), swin_unetr()] {
        let tensors = tensors(&network);
        let folder = Folder::new();
        for file in [folder.safetensors(&tensors), folder.pth(&tensors)] {
            let imported = import(&file).unwrap();
            assert_eq!(imported.network, network);
            holds(&imported, &tensors, network.name());
            let asks = imported.notes.iter().any(|note| note.contains("patch_merging cannot be told"));
            assert_eq!(asks, network.name() == "SwinUNETR", "{:?}", imported.notes);
        }
    }
}

#[test]
fn wrappers_counters_and_sequential_heads_are_seen_through() {
    let network = resnet50(&[5, 4]);
    let tensors = tensors(&network);
    let renamed = |rename: &dyn Fn(&str) -> String| -> Tensors {
        tensors.iter().map(|(key, tensor)| (rename(key), tensor.clone())).collect()
    };
    let sequential = |key: &str| {
        key.replace("hidden.0.", "fc.0.")
            .replace("hidden.1.", "fc.3.")
            .replace("fc.weight", "fc.10.weight")
            .replace("fc.bias", "fc.10.bias")
    };
    let folder = Folder::new();
    let mut wrapped = renamed(&|key| format!("model.{}", sequential(key)));
    wrapped.insert("model.bn1.num_batches_tracked".into(), (vec![1], vec![9.0]));
    let imported = import(&folder.safetensors(&wrapped)).unwrap();
    assert_eq!(imported.network, network);
    holds(&imported, &tensors, "wrapped");
    assert!(imported.notes.iter().any(|n| n.contains("\"model.\"")), "{:?}", imported.notes);
    assert!(imported.notes.iter().any(|n| n.contains("ReLU between its layers is assumed")), "{:?}", imported.notes);
}

#[test]
fn what_does_not_fit_is_named() {
    let folder = Folder::new();
    let mut changed = tensors(&resnet50(&[]));
    changed.remove("layer3.5.bn2.running_var");
    changed.insert("layer3.6.conv1.weight".into(), (vec![1], vec![0.0]));
    changed.insert("layer1.0.conv1.weight".into(), (vec![3, 2, 1, 1], vec![0.0; 6]));
    let error = import(&folder.safetensors(&changed)).unwrap_err().to_string();
    for part in [
        "1 missing: layer3.5.bn2.running_var",
        "1 extra: layer3.6.conv1.weight",
        "1 mis-shaped: layer1.0.conv1.weight (found [3, 2, 1, 1], expected [2, 2, 1, 1])",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let stranger: Tensors = [("encoder.weight".to_owned(), (vec![2], vec![0.0; 2]))].into();
    let error = import(&folder.safetensors(&stranger)).unwrap_err().to_string();
    assert!(error.contains("no known network") && error.contains("encoder.weight [2]"), "{error}");
    // A tensor without elements may claim any size; nothing is made of it.
    let mut boundless = tensors(&unet(false));
    boundless.insert("inc.double_conv.0.weight".into(), (vec![1 << 60, 0, 3, 3], vec![]));
    let error = import(&folder.safetensors(&boundless)).unwrap_err().to_string();
    assert!(error.contains("found a UNet of 1152921504606846976 channels"), "{error}");
    for bytes in [&b""[..], b"<html>", b"PK\x03\x04", HDF5_MAGIC] {
        assert!(import(&folder.write("bad", bytes)).is_err());
    }
    assert!(import(&folder.path("absent")).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn what_is_written_is_read_by_the_manifests_own_way() {
    let network = unet(true);
    let tensors = tensors(&network);
    let folder = Folder::new();
    let imported = import(&folder.pth(&tensors)).unwrap();
    let out = folder.path("model.safetensors");
    let weights = imported.save(&out).unwrap();
    assert_eq!((weights.file.as_str(), weights.format), ("model.safetensors", WeightsFormat::Safetensors));
    assert_eq!(weights.sha256.clone().unwrap(), weights::sha256(&out).unwrap());
    assert!(!folder.path("model.safetensors.part").exists());
    let loaded = crate::model::network::load(&network, &out, weights.format, crate::model::Device::cpu());
    assert!(loaded.is_ok());
    let part = Imported::manifest_part(&network, &weights).unwrap();
    assert_eq!(serde_json::from_value::<NetworkSpec>(part["network"].clone()).unwrap(), network);
    assert_eq!(serde_json::from_value::<WeightsSpec>(part["weights"].clone()).unwrap(), weights);
    // A choice that only people can make is no value yet.
    let part = Imported::manifest_part(&swin_unetr(), &weights).unwrap();
    let refused = serde_json::from_value::<NetworkSpec>(part["network"].clone()).unwrap_err().to_string();
    assert!(refused.contains("legacy") && refused.contains("current"), "{refused}");
    assert!(weights.file.contains("model") && import(&folder.path("nowhere")).is_err());
    let nowhere = import(&folder.safetensors(&tensors)).unwrap().save(&folder.path("no/such/folder/x.safetensors"));
    assert!(nowhere.is_err());
}

fn keras(hidden: &[usize]) -> NetworkSpec {
    NetworkSpec::ResNet50(ResNet50Spec::keras(3, 1, 2, hidden.into()))
}

#[test]
fn every_keras_layout_gives_the_same_weights() {
    for hidden in [&[][..], &[6], &[6, 5], &[64, 64]] {
        let network = keras(hidden);
        let tensors = tensors(&network);
        let folder = Folder::new();
        for layout in Layout::ALL {
            for nested in [false, true] {
                let keras = KerasLayout { layout, nested, hidden };
                let file = folder.write("model", &keras.bytes(&tensors));
                let imported = import(&file).unwrap_or_else(|e| panic!("{keras:?}: {e}"));
                assert_eq!(imported.network, network, "{keras:?}");
                holds(&imported, &tensors, &format!("{keras:?}"));
                let assumed = imported.notes.iter().any(|note| note.contains("are assumed"));
                assert_eq!(assumed, !keras.has_config(), "{keras:?}: {:?}", imported.notes);
            }
        }
    }
}

#[test]
fn keras_names_are_used_for_what_does_not_fit() {
    let network = keras(&[6]);
    let mut changed = tensors(&network);
    changed.remove("layer1.0.downsample.1.running_var");
    changed.insert("layer2.0.conv1.weight".into(), (vec![4, 8, 1, 3], vec![0.0; 96]));
    let layout = KerasLayout { layout: Layout::Keras3Legacy, nested: false, hidden: &[6] };
    let folder = Folder::new();
    let error = import(&folder.write("model.h5", &layout.bytes(&changed))).unwrap_err().to_string();
    for part in [
        "1 missing: conv2_block1_0_bn/moving_variance",
        "conv3_block1_1_conv/kernel as layer2.0.conv1.weight (found [4, 8, 1, 3], expected [4, 8, 1, 1])",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let mut broken_chain = tensors(&network);
    broken_chain.insert("fc.weight".into(), (vec![1, 7], vec![0.0; 7]));
    let error = import(&folder.write("model.h5", &layout.bytes(&broken_chain))).unwrap_err().to_string();
    assert!(error.contains("no chain from the 64 pooled features: dense (64 to 6), dense_1 (7 to 1)"), "{error}");
    let headless: Tensors =
        tensors(&network).into_iter().filter(|(k, _)| !k.starts_with("fc") && !k.starts_with("hidden")).collect();
    let error = import(&folder.write("model.h5", &layout.bytes(&headless))).unwrap_err().to_string();
    assert!(error.contains("found no dense layer"), "{error}");
}

/// What the architecture says is believed, and refused where our network would compute something else.
#[test]
fn keras_architecture_is_compared() {
    let layout = KerasLayout { layout: Layout::Keras3Zip, nested: false, hidden: &[6] };
    let tensors = tensors(&keras(&[6]));
    let folder = Folder::new();
    let with = |change: &dyn Fn(&str) -> String| {
        let bytes = layout.zip(&tensors, &change(&layout.config().to_string()));
        import(&folder.write("model.keras", &bytes))
    };
    let good = with(&str::to_owned).unwrap();
    assert!(good.notes.iter().any(|n| n.contains("dense_1 has the activation sigmoid")), "{:?}", good.notes);
    let epsilon = with(&|config| config.replace("1.001e-5", "0.001").replace("0.00001001", "0.001")).unwrap();
    let NetworkSpec::ResNet50(spec) = epsilon.network else { panic!("a ResNet50") };
    assert_eq!(spec.batch_norm_epsilon, 0.001);
    let error = with(&|config| config.replace("\"relu\"", "\"tanh\"")).unwrap_err().to_string();
    assert!(error.contains("dense with activation tanh, expected relu"), "{error}");
    let error = with(&|config| config.replace("GlobalAveragePooling2D", "GlobalMaxPooling2D")).unwrap_err().to_string();
    assert!(error.contains("GlobalMaxPooling2D"), "{error}");
    let lambda = with(&|config| config.replace("\"Dropout\"", "\"Lambda\"")).unwrap();
    assert!(lambda.notes.iter().any(|n| n.contains("dropout (Lambda)")), "{:?}", lambda.notes);
}

/// No panic, no endless loop, no memory beyond the file's measure: an error, or the very same weights where nobody reads the byte.
#[test]
fn malformed_keras_files_are_errors() {
    let folder = Folder::new();
    for layout in [Layout::Keras3Legacy, Layout::Keras3Zip, Layout::Keras2Weights] {
        let keras = KerasLayout { layout, nested: false, hidden: &[6] };
        let good = keras.bytes(&tensors(&super::tests::keras(&[6])));
        let step = good.len() / 97;
        for end in (0..good.len()).step_by(step) {
            let error = import(&folder.write("cut", &good[..end])).unwrap_err();
            assert!(matches!(error, ModelError::Weights(_)), "{layout:?} cut at {end}: {error}");
        }
        // The first two kilobytes hold the superblock and headers.
        let places = (0..2048.min(good.len())).step_by(7).chain((0..good.len()).step_by(step));
        for at in places {
            for bits in [0xff, 0x01, 0x80] {
                let mut bad = good.clone();
                bad[at] ^= bits;
                let _ = import(&folder.write("flipped", &bad));
            }
        }
    }
}
