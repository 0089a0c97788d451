#![doc = include_str!("../README.md")]

mod chat_template;
mod conversion;
mod derive;
mod error;
mod folder;
mod generation_config;
pub mod gguf;
mod json;
mod rewrite;
mod stored;
mod template_functions;
mod tokenizer;
mod weights;
mod writer;
#[cfg(test)]
mod writer_faults;

pub use chat_template::{ChatTemplate, Message};
pub use error::CheckpointError;
pub use folder::ModelFolder;
pub use generation_config::GenerationConfig;
pub use stored::StoredType;
pub use tokenizer::{SpecialTokens, Tokenizer};
pub use weights::{TensorInfo, Weights};
pub use writer::WeightsWriter;
