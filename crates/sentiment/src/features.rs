//! Meta features: the columns of a review's numbers and their scalers, fitted on training rows only.

mod refused;
mod spec;

pub use spec::{Column, Feature, FeatureSpec, Scaler, SplitRule};

pub(crate) use spec::FEATURES_FILE;
