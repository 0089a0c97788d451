//! Tensors of a checkpoint that a model of its configuration has no place for.

use std::collections::HashSet;

use bestof_checkpoints::{OTHER_HALF, Weights};

use super::names::TensorNames;
use super::trained_whole::HEAD;
use crate::config::DecoderConfig;
use crate::error::ModelError;

/// Whether a tensor is one of the half of a multimodal model that is not read.
pub(super) fn is_of_other_half(name: &str, names: TensorNames) -> bool {
    names.is_multimodal() && OTHER_HALF.iter().any(|start| name.starts_with(start))
}

/// Whether a tensor of a checkpoint of this configuration becomes one of the model.
pub(super) fn is_read(name: &str, names: TensorNames, config: &DecoderConfig) -> bool {
    let copy = config.tied_embeddings && name == names.in_checkpoint(HEAD);
    !copy && !is_of_other_half(name, names)
}

/// Whether all tensors were read, but for those that follow from the configuration, a stored copy of tied
/// embeddings, and the other half of a multimodal model, which the log names.
///
/// # Errors
/// [`ModelError::UnusedTensor`].
pub(super) fn check(
    weights: &Weights,
    read: &HashSet<String>,
    names: TensorNames,
    config: &DecoderConfig,
) -> Result<(), ModelError> {
    let head = names.in_checkpoint(HEAD);
    let follows = |name: &str| {
        // Transformers 4.31 and before stored these with the model.
        name.ends_with(".rotary_emb.inv_freq") || (config.tied_embeddings && name == head)
    };
    let all = weights.infos().iter().map(|info| info.name.as_str());
    let left = all.filter(|name| !read.contains(*name) && !follows(name));
    let (other_half, unused): (Vec<&str>, Vec<&str>) =
        left.partition(|name| is_of_other_half(name, names));
    if let Some(first) = other_half.first() {
        tracing::warn!(
            "of this multimodal model the text half is read; left out are {} tensors of the other, such as {first}",
            other_half.len()
        );
    }
    match unused.split_first() {
        None => Ok(()),
        Some((name, others)) => {
            Err(ModelError::UnusedTensor { name: (*name).to_owned(), others: others.len() })
        }
    }
}
