//! Parameters that an adapter replaces whole: PEFT's `modules_to_save`, and embeddings stored with
//! an adapter.

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::module::Param;
use burn::tensor::Tensor;

use super::model::Decoder;
use crate::block::weight::WeightParam;
use crate::causal_lm::ForwardOptions;
use crate::error::ModelError;
use crate::parameters;

/// The names of embeddings and vocabulary projection.
pub(super) const EMBEDDINGS: &str = "model.embed_tokens.weight";
pub(super) const HEAD: &str = "lm_head.weight";

impl Decoder {
    /// Whether the configuration ties the vocabulary projection to the embeddings, and an adapter
    /// that trains one of them made them two matrices. A folder that such a model is saved in needs
    /// `tie_word_embeddings = false`.
    pub fn is_untied(&self) -> bool {
        self.config().tied_embeddings && self.lm_head.is_some()
    }

    /// The model that computes under these options: without adapters it has the base's values of
    /// what was trained whole.
    pub(super) fn seen_with(&self, options: &ForwardOptions) -> Cow<'_, Self> {
        if options.adapters || self.merged || self.base.is_empty() {
            return Cow::Borrowed(self);
        }
        let model = parameters::replace(self.clone(), &mut |name, _| self.base.get(name).cloned());
        Cow::Owned(model)
    }

    /// Remembers the base's values of these parameters, which may change from now on.
    pub(super) fn keep_base(
        &mut self,
        names: impl IntoIterator<Item = String>,
    ) -> Result<(), ModelError> {
        for name in names {
            let values = parameters::values(self, &name)?;
            self.base.entry(name).or_insert(values);
        }
        Ok(())
    }

    /// Replaces parameters by what an adapter's file has for them.
    pub(super) fn replace_whole(
        &mut self,
        mut values: BTreeMap<String, Vec<f32>>,
    ) -> Result<(), ModelError> {
        self.widen(&|name| values.contains_key(name));
        self.keep_base(values.keys().cloned())?;
        let device = self.device().without_autodiff();
        *self = parameters::replace(self.clone(), &mut |name, _| {
            values.remove(name).map(|values| Tensor::from_data(values.as_slice(), &device))
        });
        Ok(())
    }

    /// Goes back to the base's values.
    pub(super) fn restore_base(&mut self) {
        let base = std::mem::take(&mut self.base);
        *self = parameters::replace(self.clone(), &mut |name, _| base.get(name).cloned());
    }

    /// Gives the vocabulary projection a matrix of its own, equal to the embeddings.
    pub(super) fn untie(&mut self) {
        if self.lm_head.is_none() {
            let device = self.device();
            let mut own = self.model.embed_tokens.clone();
            if let WeightParam::Parameter(shared) = &own.weight {
                let shared = shared.val().inner();
                let shared = if device.is_autodiff() { shared.autodiff() } else { shared };
                own.weight = WeightParam::Parameter(Param::from_tensor(shared));
            }
            self.lm_head = Some(own);
        }
    }
}
