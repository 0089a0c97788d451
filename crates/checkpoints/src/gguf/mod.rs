//! GGUF files, converted to folders in the Hugging Face layout and written from them, or copied with
//! another rotary basis.

mod architecture;
mod companions;
mod config;
mod convert;
#[cfg_attr(not(feature = "text"), allow(dead_code, reason = "what only an export needs"))]
mod entries;
mod error;
#[cfg(feature = "text")]
mod export;
mod file;
mod join;
mod merges;
mod metadata;
mod opened;
mod plan;
#[cfg_attr(not(feature = "text"), allow(dead_code, reason = "what only an export needs"))]
pub(crate) mod pre_tokenizer;
mod reader;
mod rope;
mod rope_freqs;
mod shards;
mod tokenizer;
mod vocabulary;

pub use bestof_blocks::{BlockError, GgmlType};
pub use convert::convert;
pub use error::GgufError;
pub(crate) use opened::OpenedGguf;

#[cfg(feature = "text")]
pub use export::{ExportOptions, Exported, check, export};
pub use rope_freqs::{RopeFreqs, RopeFreqsWritten, with_rope_freqs};

pub use crate::conversion::{ConvertOptions, Converted, Progress};
