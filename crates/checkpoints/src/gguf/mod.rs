//! GGUF files, converted to folders in the Hugging Face layout, or copied with another rotary basis.

mod architecture;
#[cfg(test)]
mod block_formulas;
mod blocks;
mod config;
mod convert;
mod error;
mod file;
mod merges;
mod metadata;
mod pre_tokenizer;
mod reader;
mod rope;
mod rope_freqs;
mod tokenizer;
mod vocabulary;

pub use convert::convert;
pub use error::GgufError;
pub use rope_freqs::{RopeFreqs, RopeFreqsWritten, with_rope_freqs};

pub use crate::conversion::{ConvertOptions, Converted, Progress};
