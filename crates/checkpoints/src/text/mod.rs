//! Tokenizers and chat templates.

mod chat_template;
mod message;
mod python_methods;
mod special_tokens;
pub(crate) mod template_files;
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
mod worker;

pub use chat_template::ChatTemplate;
pub use message::{Message, TemplateOptions, TemplateValue};
pub use special_tokens::SpecialTokens;
pub use tokenizer::Tokenizer;
