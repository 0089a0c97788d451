#![doc = include_str!("../README.md")]

mod affine;
mod dequantize;
#[cfg(test)]
mod dequantize_tests;
mod error;
mod ggml_type;
mod groups;
mod quantize;
#[cfg(test)]
mod quantize_tests;

pub use affine::{Affine, affine};
pub use dequantize::{dequantize_blocks, first_not_finite};
pub use error::BlockError;
pub use ggml_type::{GgmlType, type_name};
pub use quantize::quantize_blocks;
