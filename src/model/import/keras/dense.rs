//! The order of a head's dense layers: each takes what the one before gives.

use super::config::Architecture;
use crate::model::WeightsError;
use crate::model::weights::keras::{Variable, split_number};

/// A dense layer by its kernel, in × out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DenseLayer {
    pub name: String,
    pub in_features: usize,
    pub out_features: usize,
}

pub(super) struct Head {
    /// From the pooled features to the output.
    pub layers: Vec<DenseLayer>,
    pub notes: Vec<String>,
}

/// Finds the layers that are not the backbone's (`known`) and have a kernel of two axes, and puts them in order: as the architecture
/// names them where it is there, else by their numbers ("dense", "dense_1"), where the widths leave a choice.
///
/// # Errors
/// There is none, or they make no chain from `features` on; all are named.
pub(super) fn order(
    variables: &[Variable],
    known: impl Fn(&str) -> bool,
    architecture: Option<&Architecture>,
    features: usize,
) -> Result<Head, WeightsError> {
    let dense = |v: &&Variable| v.weight == "kernel" && v.values.ndim() == 2 && !known(&v.layer);
    let mut layers: Vec<DenseLayer> = variables
        .iter()
        .filter(dense)
        .map(|v| DenseLayer {
            name: v.layer.clone(),
            in_features: v.values.shape()[0],
            out_features: v.values.shape()[1],
        })
        .collect();
    let place = |layer: &DenseLayer| architecture.and_then(|a| a.place(&layer.name)).unwrap_or(usize::MAX);
    layers.sort_by_key(|layer| {
        let (kind, number) = split_number(&layer.name);
        (place(layer), kind.to_owned(), number)
    });
    let found: Vec<String> =
        layers.iter().map(|l| format!("{} ({} to {})", l.name, l.in_features, l.out_features)).collect();
    if layers.is_empty() {
        return Err(WeightsError::Format(
            "found no dense layer, expected those of a classifier: this is the backbone alone".into(),
        ));
    }
    // One more than the most that a manifest takes, the output layer; it also bounds the search.
    if layers.len() > 9 {
        return Err(WeightsError::Format(format!("found {} dense layers, expected at most 9", layers.len())));
    }
    let mut chains = Chains { layers: &layers, found: 0, first: None };
    chains.extend(&mut Vec::new(), features);
    let Some(order) = chains.first else {
        let found = found.join(", ");
        return Err(WeightsError::Format(format!(
            "found dense layers that make no chain from the {features} pooled features: {found}"
        )));
    };
    let mut notes = Vec::new();
    if chains.found > 1 && layers.iter().any(|layer| place(layer) == usize::MAX) {
        notes.push(format!(
            "the order of the dense layers follows from their names, not from the file: {}",
            found.join(", ")
        ));
    }
    Ok(Head { layers: order.into_iter().map(|i| layers[i].clone()).collect(), notes })
}

/// All orders in which every layer takes what the one before gives; the first of them is the one nearest to the layers' own order.
struct Chains<'a> {
    layers: &'a [DenseLayer],
    found: usize,
    first: Option<Vec<usize>>,
}

impl Chains<'_> {
    fn extend(&mut self, chain: &mut Vec<usize>, features: usize) {
        if chain.len() == self.layers.len() {
            self.found += 1;
            self.first.get_or_insert_with(|| chain.clone());
            return;
        }
        // Two are enough to know that the widths leave a choice.
        for i in 0..self.layers.len() {
            if self.found < 2 && !chain.contains(&i) && self.layers[i].in_features == features {
                chain.push(i);
                self.extend(chain, self.layers[i].out_features);
                chain.pop();
            }
        }
    }
}
