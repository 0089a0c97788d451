//! GGUF files, converted to folders in the Hugging Face layout and written from them, or copied with
//! another rotary basis.

mod architecture;
mod config;
mod convert;
mod dequantize;
#[cfg(test)]
mod dequantize_tests;
mod entries;
mod error;
mod export;
mod file;
mod ggml_type;
mod join;
mod merges;
mod metadata;
mod pre_tokenizer;
mod quantize;
#[cfg(test)]
mod quantize_tests;
mod reader;
mod rope;
mod rope_freqs;
mod shards;
mod tokenizer;
mod vocabulary;

pub use convert::convert;
pub use dequantize::dequantize_blocks;
pub use error::GgufError;
pub use export::{ExportOptions, Exported, export};
pub use ggml_type::GgmlType;
pub use quantize::quantize_blocks;
pub use rope_freqs::{RopeFreqs, RopeFreqsWritten, with_rope_freqs};

pub use crate::conversion::{ConvertOptions, Converted, Progress};
