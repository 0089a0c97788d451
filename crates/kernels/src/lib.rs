#![doc = include_str!("../README.md")]

mod block_weight;
mod cached;
#[cfg(feature = "cpu")]
mod cpu;
mod custom;
mod decode_cache;
mod decoder;
mod dropout;
mod encoder;
mod encoder_shape;
mod host;
mod listen;
mod logps;
mod low_rank;
mod mask;
mod plain;
mod plain_attention;
mod plain_decoding;
mod plain_encoder;
mod random;
mod shape;
mod square_sums;
mod token_weights;
mod weight;

#[cfg(all(test, feature = "cpu"))]
mod decode_tests;
#[cfg(all(test, feature = "cpu"))]
mod encoder_tests;
#[cfg(all(test, feature = "cpu"))]
mod tests;

pub use block_weight::BlockWeight;
pub use cached::PromptKeys;
pub use custom::{AnyTensor, Inputs};
pub use decode_cache::DecodeCache;
pub use decoder::{apply_rotary, attention, gated_activation, linear, rms_norm, softmax_rows};
pub use dropout::{Dropout, KeyedRow};
pub use encoder::{
    add_layer_norm, affine, affine_add_norm, affine_gelu, gelu_gate, layer_norm, self_attention,
};
pub use encoder_shape::{AddNormLayer, Projections, RowAttention, Run};
pub use host::{constant, each_on_pool, host_tensor, host_values, indices, is_host, on_pool};
pub use listen::{GradientListener, heard, listener, listening};
pub use logps::{Target, TokenScores, Vocabulary};
pub use mask::{BLOCK, CausalMasks, first_key, tree_blocks};
pub use plain::{soft_cap, softmax, widened};
pub use random::{Random, dropout_mask};
pub use shape::{Activation, AttentionBlock, AttentionShape, SoftmaxRows};
pub use square_sums::square_sums;
pub use token_weights::{CHUNK, likeliest, weight_sums, weights};
pub use weight::Weight;
