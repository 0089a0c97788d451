#![doc = include_str!("../README.md")]

pub mod dataset;
mod error;
pub mod features;
pub mod metrics;
pub mod neural;
pub mod predictions;
pub mod review;

pub use dataset::{Dataset, Example, Part};
pub use error::SentimentError;
pub use features::FeatureSpec;
pub use predictions::Predictions;
pub use review::Review;
