//! What a cache of decoding does, wherever its tensors lie.

use std::fmt::Debug;
use std::ops::Range;

use burn::tensor::Tensor;

/// Sequences that continue the same prompt.
#[derive(Debug, Clone)]
pub struct PromptKeys<'a> {
    /// Their places in the cache.
    pub members: Range<usize>,
    /// Keys of the prompt, `[positions, kv_heads, head_dim]`.
    pub k: &'a Tensor<3>,
    /// Values of the prompt, `[positions, kv_heads, head_dim]`.
    pub v: &'a Tensor<3>,
    /// How many of the positions there are: the others are room.
    pub filled: usize,
}

/// See [`crate::DecodeCache`].
pub(crate) trait Cached: Debug + Send + Sync {
    fn add(&mut self, sequences: usize);

    fn keep(&mut self, places: &[u32]);

    fn replace(&mut self, sequence: usize, k: Tensor<3>, v: Tensor<3>);

    /// Of queries, keys and values.
    fn attend(
        &mut self,
        qkv: [Tensor<3>; 3],
        prompts: &[PromptKeys<'_>],
        window: Option<usize>,
    ) -> Tensor<2>;
}
