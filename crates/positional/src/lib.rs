#![doc = include_str!("../README.md")]
#![cfg_attr(not(any(feature = "std", test)), no_std)]

extern crate alloc;

mod basis;
mod config;
#[cfg(feature = "serde")]
mod document;
mod error;
mod export;
mod factor;
mod fingerprint;
#[cfg(feature = "serde")]
pub mod hf;
mod method;
mod params;
mod rotation;
mod scaling;
mod shape;

pub use basis::composed::Composed;
pub use basis::default::Unscaled;
pub use basis::dynamic_ntk::DynamicNtk;
pub use basis::linear::Linear;
pub use basis::llama3::Llama3;
pub use basis::longrope::LongRope;
pub use basis::ntk::Ntk;
pub use basis::power::Power;
pub use basis::power_truncated::PowerTruncated;
pub use basis::proportional::Proportional;
pub use basis::randomized::Randomized;
pub use basis::truncated::{Thresholds, Truncated};
pub use basis::xpos::XPos;
pub use basis::yarn::Yarn;
pub use basis::{Rope, RopeBasis, RopeTable};
pub use config::{OnScaled, RopeConfig};
pub use error::RopeError;
pub use export::STANDSTILL_DIVISOR;
pub use method::Method;
pub use params::RopeParams;
pub use rotation::{RotaryLayout, rotate, scale_pairs};
pub use scaling::RopeScaling;
pub use shape::{MAX_HEAD_DIM, RotaryShape};
