//! What every part of a forward pass needs.

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
    pub(super) fn drop<const D: usize>(
        self,
        x: Tensor<D>,
        probability: f64,
        slot: u64,
    ) -> Tensor<D> {
        match self.dropout(probability, slot) {
            Some((probability, keys)) => dropout(x, probability, &keys),
            None => x,
        }
    }

    /// Probability and keys of a dropout; `None` where nothing is dropped.
    pub(super) fn dropout(self, probability: f64, slot: u64) -> Option<(f64, [u64; 3])> {
        let seed = self.seed.filter(|_| probability > 0.0)?;
        Some((probability, [seed, self.layer, slot]))
    }
}
