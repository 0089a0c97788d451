#![doc = include_str!("../README.md")]

#[cfg(feature = "text")]
mod chat_template;
mod conversion;
mod derive;
mod error;
mod folder;
mod generation_config;
pub mod gguf;
mod json;
mod layout;
#[cfg(feature = "text")]
mod message;
#[cfg(feature = "text")]
mod python_methods;
mod rewrite;
#[cfg(feature = "text")]
mod special_tokens;
mod stored;
#[cfg(feature = "text")]
mod template_files;
#[cfg(feature = "text")]
mod template_functions;
#[cfg(feature = "text")]
mod template_growth;
#[cfg(feature = "text")]
mod template_json;
#[cfg(feature = "text")]
mod template_source;
#[cfg(feature = "text")]
mod template_syntax;
#[cfg(feature = "text")]
mod template_text;
#[cfg(feature = "text")]
mod template_values;
#[cfg(feature = "text")]
mod tokenizer;
#[cfg(feature = "text")]
mod tokenizer_checks;
#[cfg(feature = "text")]
mod tokenizer_growth;
#[cfg(feature = "text")]
mod tokenizer_setup;
mod weights;
#[cfg(feature = "text")]
mod worker;
mod writer;
#[cfg(test)]
mod writer_faults;

#[cfg(feature = "text")]
pub use chat_template::ChatTemplate;
pub use error::CheckpointError;
pub use folder::ModelFolder;
pub use generation_config::GenerationConfig;
pub use layout::OTHER_HALF;
#[cfg(feature = "text")]
pub use message::{Message, TemplateOptions, TemplateValue};
#[cfg(feature = "text")]
pub use special_tokens::SpecialTokens;
pub use stored::{StoredType, TensorInfo};
#[cfg(feature = "text")]
pub use tokenizer::Tokenizer;
pub use weights::Weights;
pub use writer::WeightsWriter;
