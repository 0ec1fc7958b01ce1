//! What test-time augmentation and ensembles may not be.

use super::{Checked, Manifest, NetworkSpec, network, require, weights_file};
use crate::manifest::AugmentationSpec;

/// Passes of one network over one input, and networks of one model.
const MAX: usize = 16;

pub(super) fn ensemble(m: &Manifest) -> Checked {
    test_time_augmentation(m)?;
    let Some(ensemble) = &m.ensemble else { return Ok(()) };
    require((1..MAX).contains(&ensemble.members.len()), "ensemble.members", || {
        format!("found {} members, expected 1 to {}", ensemble.members.len(), MAX - 1)
    })?;
    let positive = |weight: f64, path: String| {
        require(weight.is_finite() && weight > 0.0, path, || format!("found {weight}, expected a number above 0"))
    };
    positive(ensemble.weight, "ensemble.weight".into())?;
    for (i, member) in ensemble.members.iter().enumerate() {
        let path = format!("ensemble.members[{i}]");
        positive(member.weight, format!("{path}.weight"))?;
        let own = member.network.as_ref().unwrap_or(&m.network);
        network(own, &format!("{path}."))?;
        weights_file(own, &member.weights, &format!("{path}.weights"))?;
        let takes = |n: &NetworkSpec| (n.in_channels(), n.spatial_dims(), n.num_classes());
        let (found, expected) = (takes(own), takes(&m.network));
        require(found == expected, format!("{path}.network"), || {
            let words =
                |(channels, dims, outputs)| format!("{channels} channels, {dims} dimensions, {outputs} outputs");
            format!("found {}, expected those of the manifest's network: {}", words(found), words(expected))
        })?;
    }
    Ok(())
}

fn test_time_augmentation(m: &Manifest) -> Checked {
    let Some(spec) = &m.test_time_augmentation else { return Ok(()) };
    let at = "test_time_augmentation.transforms";
    require((1..MAX).contains(&spec.transforms.len()), at, || {
        format!("found {}, expected 1 to {}", spec.transforms.len(), MAX - 1)
    })?;
    let dims = m.network.spatial_dims();
    for (i, transform) in spec.transforms.iter().enumerate() {
        let (name, axes) = match transform {
            AugmentationSpec::Flip(flip) => ("Flip.spatial_axis", flip.spatial_axis.as_slice()),
            AugmentationSpec::Rotate90(rotate) => {
                require((1..=3).contains(&rotate.k), format!("{at}[{i}].Rotate90.k"), || {
                    format!("found {}, expected 1 to 3", rotate.k)
                })?;
                ("Rotate90.spatial_axes", rotate.spatial_axes.as_slice())
            }
        };
        let distinct = axes.iter().enumerate().all(|(j, axis)| *axis < dims && !axes[..j].contains(axis));
        require(distinct && !axes.is_empty(), format!("{at}[{i}].{name}"), || {
            format!("found {axes:?}, expected different axes from 0 to {}", dims - 1)
        })?;
        require(!spec.transforms[..i].contains(transform), format!("{at}[{i}]"), || "is given twice".into())?;
    }
    Ok(())
}
