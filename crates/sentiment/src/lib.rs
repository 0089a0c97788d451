#![doc = include_str!("../README.md")]

pub mod attribution;
pub mod classical;
pub mod dataset;
mod error;
pub mod evaluation;
pub mod features;
pub mod generate;
mod json_file;
mod lexicon;
pub mod metrics;
pub mod model;
pub mod neural;
pub mod predict;
mod predictions;
pub mod prepare;
mod review;
pub mod source;

pub use dataset::{Dataset, Example, Part};
pub use error::SentimentError;
pub use features::FeatureSpec;
pub use model::{ModelCard, ModelKind, Predictor};
pub use predictions::Predictions;
