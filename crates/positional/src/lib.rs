#![doc = include_str!("../README.md")]
#![cfg_attr(not(any(feature = "std", test)), no_std)]

extern crate alloc;

mod basis;
mod check;
mod config;
mod context_length;
mod decay;
mod error;
mod export;
mod frequency_hash;
mod from_params;
#[cfg(feature = "serde")]
pub mod hf;
#[cfg(feature = "serde")]
mod json;
mod method;
mod params;
mod random_positions;
mod rotation;
mod scaling;
#[cfg(feature = "serde")]
mod serde_map;
mod shape;

pub use basis::default::Unscaled;
pub use basis::drope::DroPe;
pub use basis::dynamic_ntk::DynamicNtk;
pub use basis::linear::Linear;
pub use basis::llama3::Llama3;
pub use basis::longrope::LongRope;
pub use basis::nope::NoPe;
pub use basis::ntk::Ntk;
pub use basis::power::Power;
pub use basis::power_truncated::PowerTruncated;
pub use basis::proportional::Proportional;
pub use basis::truncated::{Thresholds, Truncated};
pub use basis::yarn::Yarn;
pub use basis::{Rope, RopeBasis, RopeTable, STANDSTILL};
pub use config::{OnScaled, RopeConfig};
pub use decay::XPos;
pub use error::RopeError;
pub use export::STANDSTILL_DIVISOR;
pub use method::Method;
pub use params::RopeParams;
pub use random_positions::Randomized;
pub use rotation::{RotaryLayout, rotate, scale_pairs};
pub use scaling::{Composed, RopeScaling};
pub use shape::{MAX_HEAD_DIM, RotaryShape};
