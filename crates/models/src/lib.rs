#![doc = include_str!("../README.md")]

pub mod bert;
mod block;
mod causal_lm;
mod config;
mod decoder;
mod device;
mod draw;
mod error;
mod family;
mod forest;
mod fused;
mod generate;
mod gradients;
mod kv_cache;
mod mask;
pub mod parity;
mod plan;
mod positions;
mod random;
mod rotary;
mod sampling;
mod vocabulary;

/// The device that a model lies on, as `burn` has it.
pub use burn::tensor::Device;
pub use causal_lm::{BackwardFn, CausalLm, ForwardOptions, ForwardPass, ParameterInfo, Trainable};
pub use config::{Activation, DecoderConfig, LayerConfig};
pub use decoder::{Decoder, LoraConfig};
pub use device::{DeviceError, open_device};
pub use error::ModelError;
pub use family::known_model_types;
pub use forest::{ForestBuilder, Sequence, SequenceSpan, TokenForest, TokenTree, Wanted};
pub use gradients::{Gradients, tensor_from};
pub use positions::RandomPositions;
pub use sampling::{FinishReason, Generation, NewToken, Request, SamplingConfig};
