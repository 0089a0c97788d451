#![doc = include_str!("../README.md")]

mod causal_lm;
mod config;
mod device;
mod error;
mod family;
mod forest;
mod gradients;
mod sampling;

pub use causal_lm::{BackwardFn, CausalLm, ForwardOptions, ForwardPass, ParameterInfo, Trainable};
pub use config::{Activation, DecoderConfig, LayerConfig};
/// The device that a model lies on, as `burn` has it.
pub use burn::tensor::Device;
pub use device::{DeviceError, open_device};
pub use error::ModelError;
pub use forest::{ForestBuilder, Sequence, SequenceSpan, TokenForest, TokenTree, Wanted};
pub use gradients::Gradients;
pub use sampling::{FinishReason, Generation, NewToken, Request, SamplingConfig};
