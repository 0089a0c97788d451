#![doc = include_str!("../README.md")]

mod conversion;
mod derive;
mod error;
mod folder;
mod generation_config;
pub mod gguf;
mod json;
mod layout;
mod rewrite;
mod stored;
#[cfg(feature = "text")]
mod text;
mod weights;
mod writer;
#[cfg(test)]
mod writer_faults;

pub use error::CheckpointError;
pub use folder::ModelFolder;
pub use generation_config::GenerationConfig;
pub use layout::OTHER_HALF;
pub use stored::{StoredType, TensorInfo};
#[cfg(feature = "text")]
pub use text::{ChatTemplate, Message, SpecialTokens, TemplateOptions, TemplateValue, Tokenizer};
pub use weights::Weights;
pub use writer::WeightsWriter;
