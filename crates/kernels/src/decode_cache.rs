//! Attention of one new token a sequence over its prompt, which others may share, and its own tokens
//! before.

use burn::tensor::Tensor;

use crate::cached::{Cached, PromptKeys};
#[cfg(feature = "cpu")]
use crate::cpu;
use crate::plain_decoding::TensorCache;
use crate::shape::AttentionShape;

/// Keys and values of what sequences have added to their prompts, in one layer.
///
/// Sequences come and go at any time and have as many tokens as they have: the batch is continuous. On the
/// CPU, in f32, what a sequence takes does not depend on the others, to the last bit.
///
/// ```
/// use bestof_kernels::{AttentionShape, DecodeCache, PromptKeys};
/// use burn::tensor::{Device, Distribution, Tensor};
///
/// let device = Device::flex();
/// let random = |shape| Tensor::<3>::random(shape, Distribution::Default, &device);
/// // Two heads of queries for each of three heads of keys, 8 values each; a prompt of 5 tokens.
/// let shape = AttentionShape { kv_heads: 3, group: 2, head_dim: 8, softcap: None };
/// let (k, v) = (random([5, 3, 8]), random([5, 3, 8]));
/// let prompt = [PromptKeys { members: 0..4, k: &k, v: &v, filled: 5 }];
///
/// let mut cache = DecodeCache::new(shape, &Tensor::<2>::zeros([1, 1], &device));
/// cache.add(4);
/// let new = || (random([4, 6, 8]), random([4, 3, 8]), random([4, 3, 8]));
/// for _ in 0..2 {
///     let (q, k, v) = new();
///     assert_eq!(cache.attend(q, k, v, &prompt, None).dims(), [4, 6 * 8]);
/// }
/// cache.keep(&[0, 3]); // the others are done
/// ```
#[derive(Debug)]
pub struct DecodeCache(Box<dyn Cached>);

impl DecodeCache {
    /// No sequences yet. Keys and values are to have device and type of `like`.
    pub fn new(shape: AttentionShape, like: &Tensor<2>) -> Self {
        #[cfg(feature = "cpu")]
        if let Some(cpu::Route::Plain) = cpu::Route::of(like) {
            return Self(Box::new(cpu::HostCache::new(shape)));
        }
        Self(Box::new(TensorCache::new(shape, like)))
    }

    /// Takes on sequences that have no tokens of their own yet, behind those that are there.
    pub fn add(&mut self, sequences: usize) {
        self.0.add(sequences);
    }

    /// Goes on with the sequences at these places only, which are in order.
    pub fn keep(&mut self, places: &[u32]) {
        self.0.keep(places);
    }

    /// Puts other keys and values, `[tokens, kv_heads, head_dim]`, in place of those that a sequence has,
    /// which are as many.
    pub fn replace(&mut self, sequence: usize, k: Tensor<3>, v: Tensor<3>) {
        self.0.replace(sequence, k, v);
    }

    /// Adds a token to each sequence and returns what it takes from its prompt, its own tokens before and
    /// itself, of these the last `window` if there is one; without automatic differentiation.
    ///
    /// # Shapes
    /// - `q`: `[sequences, heads, head_dim]`, scaled; `k`, `v`: `[sequences, kv_heads, head_dim]`
    /// - `prompts`: a run of sequences each, which they partition in order
    /// - returns `[sequences, heads * head_dim]`
    pub fn attend(
        &mut self,
        q: Tensor<3>,
        k: Tensor<3>,
        v: Tensor<3>,
        prompts: &[PromptKeys<'_>],
        window: Option<usize>,
    ) -> Tensor<2> {
        self.0.attend([q, k, v], prompts, window)
    }
}
