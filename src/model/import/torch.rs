//! Which network a state dict with PyTorch's key names is of.

use std::collections::BTreeMap;

use super::{Imported, check};
use crate::manifest::NetworkSpec;
use crate::manifest::network::{PatchMerging, ResNet50Spec, SwinUnetrSpec, UnetSpec};
use crate::model::WeightsError;
use crate::model::weights::{StateDict, first, is_counter};

/// Of each network a key that no other one has.
const RESNET50: &str = "layer1.0.conv3.weight";
const UNET: &str = "inc.double_conv.0.weight";
const SWIN_UNETR: &str = "swinViT.patch_embed.proj.weight";

pub(super) fn import(state_dict: StateDict) -> Result<Imported, WeightsError> {
    let mut notes = Vec::new();
    let mut state_dict = without_wrapper(state_dict, &mut notes)?;
    // Counters, and the tables that SwinUNETR computes itself.
    state_dict.discard(|key| is_counter(key) || key.ends_with(".relative_position_index"));
    if has(&state_dict, RESNET50) {
        state_dict = sequential_head(state_dict, &mut notes)?;
    }
    let network = recognise(&state_dict, &mut notes)?;
    check(&state_dict, &network, str::to_owned)?;
    Ok(Imported { network, state_dict, notes })
}

fn has(state_dict: &StateDict, key: &str) -> bool {
    state_dict.shapes().any(|(k, _)| k == key)
}

/// Strips what a module around the network puts before every key ("model.", "backbone.").
fn without_wrapper(state_dict: StateDict, notes: &mut Vec<String>) -> Result<StateDict, WeightsError> {
    let find = |mark: &str| state_dict.shapes().find_map(|(key, _)| key.strip_suffix(mark).map(str::to_owned));
    let prefix = [RESNET50, UNET, SWIN_UNETR].into_iter().find_map(find).unwrap_or_default();
    if prefix.is_empty() || !prefix.ends_with('.') || !state_dict.shapes().all(|(key, _)| key.starts_with(&prefix)) {
        return Ok(state_dict);
    }
    notes.push(format!("every key begins with \"{prefix}\": taken away"));
    state_dict.rename(|key| key.strip_prefix(&prefix).unwrap_or(key).to_owned())
}

/// `fc.0`, `fc.3`, … of a `torch.nn.Sequential` as `hidden.0`, …, `fc`.
fn sequential_head(state_dict: StateDict, notes: &mut Vec<String>) -> Result<StateDict, WeightsError> {
    let number = |key: &str| key.strip_prefix("fc.")?.strip_suffix(".weight")?.parse::<usize>().ok();
    let mut numbers: Vec<usize> = state_dict.shapes().filter_map(|(key, _)| number(key)).collect();
    numbers.sort_unstable();
    let Some((last, hidden)) = numbers.split_last() else { return Ok(state_dict) };
    let module = |n: &usize| format!("fc.{n}");
    let mut names: BTreeMap<String, String> =
        hidden.iter().enumerate().map(|(i, n)| (module(n), format!("hidden.{i}"))).collect();
    names.insert(module(last), "fc".into());
    if !hidden.is_empty() {
        notes.push(
            "the head is a Sequential, whose activations are not in the file: ReLU between its layers is assumed"
                .into(),
        );
    }
    state_dict.rename(|key| {
        let split = key.rsplit_once('.').and_then(|(module, rest)| Some(format!("{}.{rest}", names.get(module)?)));
        split.unwrap_or_else(|| key.to_owned())
    })
}

/// The network by a key of its own, its parameters by the shapes. A shape that is missing counts as 0: the comparison names it.
fn recognise(state_dict: &StateDict, notes: &mut Vec<String>) -> Result<NetworkSpec, WeightsError> {
    let shapes: BTreeMap<&str, Vec<i64>> = state_dict.shapes().collect();
    let side = |key: &str, axis: usize| -> usize {
        shapes.get(key).and_then(|shape| usize::try_from(*shape.get(axis)?).ok()).unwrap_or_default()
    };
    if shapes.contains_key(RESNET50) {
        let hidden = (0..).map(|i| side(&format!("hidden.{i}.weight"), 0)).take_while(|&width| width > 0);
        return Ok(NetworkSpec::ResNet50(ResNet50Spec {
            hidden_features: hidden.collect(),
            ..ResNet50Spec::torchvision(side("conv1.weight", 1), side("fc.weight", 0), side("conv1.weight", 0))
        }));
    }
    if shapes.contains_key(UNET) {
        return Ok(NetworkSpec::UNet(UnetSpec {
            in_channels: side(UNET, 1),
            out_channels: side("outc.conv.weight", 0),
            width: side(UNET, 0),
            conv_bias: shapes.contains_key("inc.double_conv.0.bias"),
        }));
    }
    if shapes.contains_key(SWIN_UNETR) {
        notes.push(
            "patch_merging cannot be told from the file: \"legacy\" if it was trained with MONAI 0.9 to 1.4, \"current\" with 1.5.0 and later"
                .into(),
        );
        return Ok(NetworkSpec::SwinUNETR(SwinUnetrSpec {
            in_channels: side(SWIN_UNETR, 1),
            out_channels: side("out.conv.conv.weight", 0),
            feature_size: side(SWIN_UNETR, 0),
            patch_merging: PatchMerging::Current,
        }));
    }
    let keys: Vec<String> = shapes.iter().map(|(key, shape)| format!("{key} {shape:?}")).collect();
    Err(WeightsError::Format(format!(
        "found the tensors of no known network, expected a ResNet50 ({RESNET50}), UNet ({UNET}) or SwinUNETR ({SWIN_UNETR}); any other network is taken as TorchScript \
         (torch.jit.save). Found: {}",
        first(&keys, 20)
    )))
}
