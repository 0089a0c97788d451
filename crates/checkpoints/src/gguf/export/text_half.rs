//! The tensors of a folder's decoder under the names of a plain causal model.

use std::collections::HashMap;

use crate::layout::OTHER_HALF;
use crate::stored::TensorInfo;
use crate::weights::Weights;

/// What stands for `model.` and `lm_head.` in multimodal models, before and since transformers 4.52.
const MULTIMODAL: [[(&str, &str); 2]; 2] = [
    [("language_model.model.", "model."), ("language_model.lm_head.", "lm_head.")],
    [("model.language_model.", "model."), ("lm_head.", "lm_head.")],
];

/// The tensors of a decoder.
pub(super) struct TextHalf<'a> {
    by_name: HashMap<String, &'a TensorInfo>,
    /// Tensors of the other half of a multimodal model.
    left_out: Vec<&'a str>,
}

impl<'a> TextHalf<'a> {
    pub(super) fn of(weights: &'a Weights) -> Self {
        let spelling = MULTIMODAL
            .iter()
            .find(|spelling| weights.infos().iter().any(|i| i.name.starts_with(spelling[0].0)));
        let (mut by_name, mut left_out) = (HashMap::new(), Vec::new());
        for info in weights.infos() {
            let name = info.name.as_str();
            if spelling.is_some() && OTHER_HALF.iter().any(|start| name.starts_with(start)) {
                left_out.push(name);
                continue;
            }
            let plain = spelling.into_iter().flatten().find_map(|(prefix, plain)| {
                name.strip_prefix(prefix).map(|rest| format!("{plain}{rest}"))
            });
            by_name.insert(plain.unwrap_or_else(|| name.to_owned()), info);
        }
        Self { by_name, left_out }
    }

    /// A tensor by its name in a plain causal model.
    pub(super) fn get(&self, name: &str) -> Option<&'a TensorInfo> {
        self.by_name.get(name).copied()
    }

    /// All of them, by these names.
    pub(super) fn by_name(&self) -> &HashMap<String, &'a TensorInfo> {
        &self.by_name
    }

    /// What a user should know of tensors that are not written.
    pub(super) fn warning(&self) -> Option<String> {
        let first = self.left_out.first()?;
        let count = self.left_out.len();
        Some(format!(
            "the file holds the text half of this multimodal model; left out are {count} tensors of the other, such \
             as {first}"
        ))
    }
}
