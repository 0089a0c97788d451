//! The matrices of a decoder that rest in blocks.

use bestof_blocks::GgmlType;
use burn::tensor::Tensor;

use super::lora::{projections, projections_mut};
use super::model::Decoder;
use super::trained_whole::{EMBEDDINGS, HEAD};
use crate::block::weight::WeightParam;
use crate::parameters::{self, ParameterInfo};

impl Decoder {
    /// Name, shape and type of the matrices that lie in memory in blocks. They are no parameters: nothing
    /// trains them.
    pub fn blocks(&self) -> Vec<(ParameterInfo, GgmlType)> {
        let mut found = Vec::new();
        for (name, weight) in self.matrices() {
            if let Some(ggml_type) = weight.ggml_type() {
                let shape = weight.dims().to_vec();
                found.push((ParameterInfo { name, shape }, ggml_type));
            }
        }
        found
    }

    /// Everything that a checkpoint of the model holds, sorted by name: parameters, and matrices in
    /// blocks.
    pub(super) fn tensors(&self) -> Vec<ParameterInfo> {
        let mut all = parameters::all(self);
        all.extend(self.blocks().into_iter().map(|(info, _)| info));
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The values of a matrix that rests in blocks, flat.
    pub(super) fn widened(&self, name: &str) -> Option<Tensor<1>> {
        let (_, weight) = self.matrices().into_iter().find(|(found, _)| found == name)?;
        weight.ggml_type().map(|_| weight.values().reshape([-1]))
    }

    /// Makes parameters, in f32, of the matrices in blocks that are `wanted`.
    pub(super) fn widen(&mut self, wanted: &dyn Fn(&str) -> bool) {
        let device = self.device();
        for (name, weight) in self.matrices_mut() {
            if weight.ggml_type().is_some() && wanted(&name) {
                weight.set(weight.values(), &device);
            }
        }
    }

    /// Computes once what does not change while adapters stay as they are.
    pub(super) fn keep_gains(&mut self) {
        for layer in &mut self.model.layers {
            for (_, _, projection) in projections_mut(layer) {
                projection.keep_gain();
            }
        }
    }

    fn matrices(&self) -> Vec<(String, &WeightParam)> {
        let mut found = vec![(EMBEDDINGS.to_owned(), &self.model.embed_tokens.weight)];
        found.extend(self.lm_head.iter().map(|head| (HEAD.to_owned(), &head.weight)));
        for (index, layer) in self.model.layers.iter().enumerate() {
            for (path, projection) in projections(layer) {
                found.push((format!("model.layers.{index}.{path}.weight"), &projection.weight));
            }
        }
        found
    }

    fn matrices_mut(&mut self) -> Vec<(String, &mut WeightParam)> {
        let mut found = vec![(EMBEDDINGS.to_owned(), &mut self.model.embed_tokens.weight)];
        found.extend(self.lm_head.iter_mut().map(|head| (HEAD.to_owned(), &mut head.weight)));
        for (index, layer) in self.model.layers.iter_mut().enumerate() {
            for (_, path, projection) in projections_mut(layer) {
                found.push((format!("model.layers.{index}.{path}.weight"), &mut projection.weight));
            }
        }
        found
    }
}
