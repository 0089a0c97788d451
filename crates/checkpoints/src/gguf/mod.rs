//! GGUF files: what they hold, and their conversion to a Hugging Face folder.

mod error;

pub use error::GgufError;
