//! Decoders: their parameters, forward pass, adapters and files.

mod adapter_file;
mod adapter_tensors;
mod at_rest;
mod build;
mod decode;
mod footprint;
mod forward;
mod lora;
mod lora_checks;
mod lora_config;
mod lora_modules;
mod model;
mod names;
mod peft_config;
mod peft_keys;
mod recompute;
mod save;
mod trained_whole;
mod unused;

pub use adapter_file::{ADAPTER_CONFIG, ADAPTER_WEIGHTS};
pub use footprint::{Footprint, StepShape};
pub use lora_config::{LoraConfig, ModuleNames};
pub use model::Decoder;
