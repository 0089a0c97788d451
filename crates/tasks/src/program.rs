//! Programs of the user's that are asked in JSON lines: started for each request, or kept.

mod child;
mod command;
mod error;
mod lines;
mod pool;

pub(crate) use child::run_once;
pub use command::{BadProgram, ProgramLimits};
pub(crate) use command::{Program, request_line};
pub use error::ProgramError;
pub(crate) use lines::{LineProcess, Unanswered};
pub use pool::ProgramPool;
