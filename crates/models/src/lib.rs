#![doc = include_str!("../README.md")]

mod block;
mod causal_lm;
mod config;
mod decoder;
mod device;
mod device_sampling;
pub mod encoder;
mod error;
mod family;
mod forest;
mod generate;
mod kv_cache;
pub mod parameters;
mod plan;
mod positions;
mod precision;
mod rotary;
mod sampled_token;
mod sampling;
mod tree;

pub use bestof_kernels::{Activation, Target, TokenScores, Vocabulary, Weight, indices};
/// The device that a model lies on, as `burn` has it.
pub use burn::tensor::Device;
pub use causal_lm::{CausalLm, ForwardOptions};
pub use config::{DecoderConfig, LayerConfig};
pub use decoder::{
    ADAPTER_CONFIG, ADAPTER_WEIGHTS, Decoder, Footprint, LoraConfig, ModuleNames, StepShape,
};
pub use device::{DeviceError, check_float_type, open_device, open_device_of};
pub use error::ModelError;
pub use family::known_model_types;
pub use forest::{ForestBuilder, Sequence, SequenceSpan, TargetNode, TokenForest, sequence_logps};
pub use positions::RandomPositions;
pub use precision::{Dtype, NumberFormat, Precision, Quantization, UnknownFormat};
pub use sampling::{AfterToken, FinishReason, Generation, NewToken, Request, SamplingConfig};
pub use tree::TokenTree;
