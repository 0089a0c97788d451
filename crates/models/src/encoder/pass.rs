//! What every part of a forward pass needs.

use bestof_kernels::Dropout;
use burn::tensor::Tensor;

use super::batch::Packed;
use super::config::EncoderConfig;
use super::parts::dropout;

/// The context of a forward pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) config: &'a EncoderConfig,
    pub(super) packed: &'a Packed,
    /// Of dropout; `None` outside training.
    pub(super) seed: Option<u64>,
    /// 0 for the embeddings; layers count from 1.
    pub(super) layer: u64,
}

impl Pass<'_> {
    /// Dropout, in training; `slot` distinguishes the dropouts of one layer.
    pub(super) fn drop(self, x: Tensor<2>, probability: f64, slot: u64) -> Tensor<2> {
        match self.dropout(probability, slot) {
            Some(which) => dropout(x, &which),
            None => x,
        }
    }

    /// What is dropped; `None` where nothing is.
    pub(super) fn dropout(self, probability: f64, slot: u64) -> Option<Dropout> {
        let seed = self.seed.filter(|_| probability > 0.0)?;
        let rows = self.packed.rows.clone();
        Some(Dropout { probability, keys: [seed, self.layer, slot], rows })
    }
}
