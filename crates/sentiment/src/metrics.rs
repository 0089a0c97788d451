//! Metrics of predictions, the same for every kind of model.
//!
//! An accuracy comes with the majority baseline and a 95 % interval: if 66 % of the rows are positive, an
//! accuracy of 66 % is what a constant prediction reaches.

mod calibration;
mod confusion;
mod interval;
mod scores;

pub use calibration::{Calibration, CalibrationBin};
pub use confusion::ConfusionMatrix;
pub use interval::{Interval, wilson};
pub use scores::{ClassScores, Scores, SentimentScores};

pub(crate) use interval::RESAMPLES;
