//! Figures on plain slices, the same for every kind of model.
//!
//! The headline figures stand beside the majority baseline and 95 % intervals everywhere: with 66 %
//! of the rows positive, an accuracy of 66 % says nothing.

mod calibration;
mod confusion;
mod interval;
mod scores;

pub use calibration::{Bin, Calibration};
pub use confusion::ConfusionMatrix;
pub use interval::{Interval, RESAMPLES, bootstrap, wilson};
pub use scores::{ClassScores, Scores, SentimentScores};
