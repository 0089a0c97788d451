//! GGUF files, converted to folders in the Hugging Face layout, or copied with another rotary basis.

mod architecture;
mod config;
mod convert;
mod dequantize;
#[cfg(test)]
mod dequantize_tests;
mod error;
mod file;
mod ggml_type;
mod join;
mod merges;
mod metadata;
mod pre_tokenizer;
mod reader;
mod rope;
mod rope_freqs;
mod shards;
mod tokenizer;
mod vocabulary;

pub use convert::convert;
pub use dequantize::dequantize_blocks;
pub use error::GgufError;
pub use ggml_type::GgmlType;
pub use rope_freqs::{RopeFreqs, RopeFreqsWritten, with_rope_freqs};

pub use crate::conversion::{ConvertOptions, Converted, Progress};
