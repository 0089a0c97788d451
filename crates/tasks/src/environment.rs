//! Environments: who answers a policy between its turns, and says at the end what they were worth.

mod episode;
mod program;

pub use episode::{Environment, EnvironmentReply, Episode, NO_REWARD};
pub use program::ProgramEnvironment;
