#![doc = include_str!("../README.md")]

mod chat_template;
mod conversion;
mod derive;
mod error;
mod folder;
mod generation_config;
pub mod gguf;
mod json;
mod layout;
mod message;
mod python_methods;
mod rewrite;
mod special_tokens;
mod stored;
mod template_files;
mod template_functions;
mod template_growth;
mod template_json;
mod template_source;
mod template_syntax;
mod template_text;
mod template_values;
mod tokenizer;
mod tokenizer_checks;
mod tokenizer_growth;
mod tokenizer_setup;
mod weights;
mod worker;
mod writer;
#[cfg(test)]
mod writer_faults;

pub use chat_template::ChatTemplate;
pub use error::CheckpointError;
pub use folder::ModelFolder;
pub use generation_config::GenerationConfig;
pub use layout::OTHER_HALF;
pub use message::{Message, TemplateOptions, TemplateValue};
pub use special_tokens::SpecialTokens;
pub use stored::{StoredType, TensorInfo};
pub use tokenizer::Tokenizer;
pub use weights::Weights;
pub use writer::WeightsWriter;
