#![doc = include_str!("../README.md")]

mod checkpoint;
pub mod communicator;
pub mod config;
pub mod data;
pub mod displacement;
mod error;
pub mod evaluate;
pub mod export;
mod forward;
mod gradients;
pub mod launch;
pub mod metric;
pub mod model_files;
pub mod optimizer;
pub mod preference;
pub mod progress;
mod record;
pub mod reference;
pub mod reinforce;
pub mod retrieval;
pub mod rows;
pub mod ruler;
pub mod run;
pub mod schedule;
pub mod score;
pub mod server;
pub mod sft;
mod state;
mod tensor_file;
#[cfg(test)]
mod toy;
pub mod unpaired;

pub use error::TrainError;
