#![doc = include_str!("../README.md")]

mod catalog;
mod claim;
mod design;
pub mod dpop;
mod error;
mod experiment;
mod finished;
pub mod giraffe;
mod jobs;
mod judge;
mod kept;
mod measured;
mod noise;
mod options;
mod pace;
mod paired;
pub mod pkpo;
pub mod pkpo_toy;
mod reproduction;
mod small_bert;
mod small_llama;
pub mod yelp;

pub use bestof_report::Verdict;
pub use bestof_trainer::progress::{Progress, Silent};
pub use catalog::{EXPERIMENTS, experiment};
pub use claim::{Claim, word};
pub use design::Design;
pub use error::ReproduceError;
pub use experiment::Experiment;
pub use finished::finished;
pub use measured::{Measured, all_hold};
pub use options::Options;
pub use pace::Pace;
pub use reproduction::{CLAIMS_FILE, REPORT_FILE, Reproduction, Written};
pub use small_bert::SmallBert;
pub use small_llama::SmallLlama;
