//! The parts decoders are made of.

pub(crate) mod attention;
pub(crate) mod fused;
pub(crate) mod layer;
pub(crate) mod mlp;
pub(crate) mod norm;
pub(crate) mod projection;
pub(crate) mod weight;

use std::sync::Arc;

use bestof_kernels::KeyedRow;

use crate::causal_lm::ForwardOptions;
use crate::config::DecoderConfig;

/// What every part of a forward pass needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub(crate) config: &'a DecoderConfig,
    pub(crate) options: ForwardOptions,
    /// The trees of the forest, with the keys of their dropout masks; none in decoding.
    pub(crate) rows: Option<&'a Arc<[KeyedRow]>>,
    /// The layer, so that each draws dropout masks of its own.
    pub(crate) layer: usize,
    /// Whether there is one row per sequence: a step of decoding.
    pub(crate) decoding: bool,
}
