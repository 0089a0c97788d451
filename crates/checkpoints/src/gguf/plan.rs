//! Which tensor of a file is which of a folder, and how its values are stored.

use std::collections::HashMap;

use super::architecture::{Change, Family, Sizes, TensorRule};
use super::error::GgufError;
use super::file::{GgufFile, TensorEntry};

/// A tensor of the file, its new name, and the change to its values.
#[derive(Debug)]
pub(super) struct PlannedTensor {
    pub(super) entry: TensorEntry,
    pub(super) name: String,
    pub(super) change: Change,
}

impl PlannedTensor {
    /// Turns whole rows of values as the file has them into those of the folder; of a tensor that is
    /// unpaired they are the rows of whole heads. `scratch` is overwritten.
    pub(super) fn apply(&self, head_dim: usize, values: &mut Vec<f32>, scratch: &mut Vec<f32>) {
        match self.change {
            Change::Nothing => {}
            Change::MinusOne => values.iter_mut().for_each(|value| *value -= 1.0),
            Change::Unpair => {
                unpair(values, self.head_row(self.entry.row_values()), head_dim, scratch);
                std::mem::swap(values, scratch);
            }
        }
    }

    /// The size of a row of a head, where that of the tensor is `width`: the entries of a vector, which
    /// is one row, are the rows of the heads.
    pub(super) fn head_row(&self, width: usize) -> usize {
        if self.entry.shape.len() == 1 { 1 } else { width }
    }
}

/// Every tensor of the file with its new name, in the order of the file; checks that none is missing,
/// unknown or of the wrong shape.
pub(super) fn plan(
    file: &GgufFile,
    family: Family,
    architecture: &str,
    sizes: Sizes,
) -> Result<Vec<PlannedTensor>, GgufError> {
    if file.tensors.len() / family.layer_rules(&|name| file.has(name)).len() < sizes.layers {
        let missing = first_missing(file, family, sizes);
        return Err(GgufError::MissingTensor { tensor: missing });
    }
    let mut expected: HashMap<String, (String, TensorRule)> = HashMap::new();
    for rule in family.outer_rules(&|name| file.has(name)) {
        expected.insert(rule.gguf.to_owned(), (rule.hf.to_owned(), rule));
    }
    for rule in family.layer_rules(&|name| file.has(name)) {
        for layer in 0..sizes.layers {
            let name = format!("model.layers.{layer}.{}", rule.hf);
            expected.insert(format!("blk.{layer}.{}", rule.gguf), (name, rule));
        }
    }
    let mut planned = Vec::with_capacity(expected.len());
    for entry in &file.tensors {
        let Some((name, rule)) = expected.remove(&entry.name) else {
            if is_rope_factors(&entry.name) {
                continue;
            }
            let architecture = architecture.to_owned();
            return Err(GgufError::ExtraTensor { tensor: entry.name.clone(), architecture });
        };
        let shape: Vec<usize> = rule.shape.iter().map(|size| sizes.of(*size)).collect();
        if entry.shape != shape {
            let (tensor, found) = (entry.name.clone(), entry.shape.clone());
            return Err(GgufError::WrongShape { tensor, found, expected: shape });
        }
        planned.push(PlannedTensor { entry: entry.clone(), name, change: rule.change });
    }
    match expected.into_keys().min() {
        Some(tensor) => Err(GgufError::MissingTensor { tensor }),
        None => Ok(planned),
    }
}

/// A missing tensor, found without building names for more layers than the file can hold.
fn first_missing(file: &GgufFile, family: Family, sizes: Sizes) -> String {
    (0..sizes.layers)
        .flat_map(|layer| {
            family
                .layer_rules(&|name| file.has(name))
                .into_iter()
                .map(move |rule| format!("blk.{layer}.{}", rule.gguf))
        })
        .find(|name| file.tensor(name).is_none())
        .unwrap_or_default()
}

fn is_rope_factors(name: &str) -> bool {
    matches!(name, "rope_freqs.weight" | "rope_factors_short.weight" | "rope_factors_long.weight")
}

/// Reorders rows of heads: rotated pairs are neighbours in GGUF and half a head apart in the Hugging
/// Face layout.
///
/// ```text
/// new row h·D + p·D/2 + j  =  old row h·D + 2j + p      p in {0, 1}, j < D/2
/// ```
pub(super) fn unpair<T: Copy>(rows: &[T], width: usize, head_dim: usize, out: &mut Vec<T>) {
    out.clear();
    for head in rows.chunks_exact(width * head_dim) {
        for member in 0..2 {
            for pair in 0..head_dim / 2 {
                let row = 2 * pair + member;
                out.extend_from_slice(&head[row * width..(row + 1) * width]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_become_halves() {
        // Two heads of dimension 4, rows of width 2; the old order of a head is 0 2 1 3.
        let old: Vec<f32> =
            [0, 2, 1, 3, 4, 6, 5, 7].iter().flat_map(|&r| [r as f32, r as f32 + 0.5]).collect();
        let new: Vec<f32> = (0..8).flat_map(|r| [r as f32, r as f32 + 0.5]).collect();
        let mut out = vec![9.0];
        unpair(&old, 2, 4, &mut out);
        assert_eq!(out, new);
    }
}
