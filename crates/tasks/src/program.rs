//! Programs of the user's that are asked in JSON lines: started for each request, or kept.

mod command;
mod complaint;
mod error;
mod group;
mod lines;
mod pipe;
mod pool;
mod process;

pub use command::{BadProgram, ProgramLimits};
pub(crate) use command::{Program, request_line};
pub use error::ProgramError;
pub(crate) use lines::{LineProcess, Unanswered};
pub use pool::ProgramPool;
pub(crate) use process::run_once;
