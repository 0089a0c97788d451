//! How a review becomes numbers: columns, scalers and vocabularies, fitted on training rows only.

mod refused;
mod spec;

pub use refused::{REFUSED, refusal};
pub use spec::{Column, FEATURES_FILE, Feature, FeatureSpec, Scaler, SplitRule};
