//! Decoders: their parameters, forward pass, adapters and files.

mod adapter_file;
mod build;
mod decode;
mod forward;
mod lora;
mod lora_config;
mod model;
mod names;
mod recompute;
mod save;

pub use lora_config::LoraConfig;
pub use model::Decoder;
