//! What the tensors of a decoder are called in different checkpoints.

use bestof_checkpoints::Weights;

/// How names in a checkpoint differ from parameter names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TensorNames {
    /// Stands for `model.`.
    body: &'static str,
    /// Stands before `lm_head.`.
    head: &'static str,
}

/// Plain causal models; multimodal models before and since transformers 4.52, for their text
/// half; bodies saved without their head.
const KNOWN: [TensorNames; 4] = [
    TensorNames { body: "model.", head: "" },
    TensorNames { body: "language_model.model.", head: "language_model." },
    TensorNames { body: "model.language_model.", head: "" },
    TensorNames { body: "", head: "" },
];

impl Default for TensorNames {
    fn default() -> Self {
        KNOWN[0]
    }
}

impl TensorNames {
    /// The names a checkpoint goes by: those under which it has embeddings.
    pub(crate) fn of(weights: &Weights) -> Self {
        Self::among(|name| weights.contains(name))
    }

    /// The names of a checkpoint, given which there are.
    pub(crate) fn among(has: impl Fn(&str) -> bool) -> Self {
        KNOWN
            .into_iter()
            .find(|names| has(&names.in_checkpoint("model.embed_tokens.weight")))
            .unwrap_or_default()
    }

    /// These names, and then the others that there are.
    pub(crate) fn and_others(self) -> impl Iterator<Item = Self> {
        std::iter::once(self).chain(KNOWN.into_iter().filter(move |names| *names != self))
    }

    /// Whether they are those of a multimodal model.
    pub(crate) fn is_multimodal(self) -> bool {
        self.body.contains("language_model.")
    }

    /// The checkpoint's name for a parameter.
    pub(crate) fn in_checkpoint(&self, parameter: &str) -> String {
        match parameter.strip_prefix("model.") {
            Some(rest) => format!("{}{rest}", self.body),
            None => format!("{}{parameter}", self.head),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multimodal_names_wrap_the_plain_ones() {
        let old = KNOWN[1];
        assert_eq!(old.in_checkpoint("model.norm.weight"), "language_model.model.norm.weight");
        assert_eq!(old.in_checkpoint("lm_head.weight"), "language_model.lm_head.weight");
        let new = KNOWN[2];
        assert_eq!(new.in_checkpoint("model.norm.weight"), "model.language_model.norm.weight");
    }
}
