//! Processes that are kept between requests.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::command::{BadProgram, Program, ProgramLimits};
use super::error::ProgramError;
use super::lines::{LineProcess, Unanswered};

/// How long processes whose input is closed have to end of themselves.
const GRACE: Duration = Duration::from_millis(500);

/// Long-lived processes of one program: as many as are asked at the same time.
///
/// A process reads a request, one line of JSON, and writes one line of JSON. It has to write it out at once (in
/// Python `print(..., flush=True)`) and to read on until its input ends. One that crashes, writes too much or does not
/// answer in time costs the request it had; the next one gets a new process. One that ends with status 0
/// between two requests is started again.
#[derive(Debug)]
pub struct ProgramPool {
    program: Program,
    idle: Mutex<Vec<LineProcess>>,
}

impl ProgramPool {
    /// A pool of processes of `command`, a program and its arguments; none is started before a request comes.
    ///
    /// # Errors
    /// [`BadProgram`] where no program is named, or limits cannot be kept on this system.
    pub fn new(command: &[String], limits: ProgramLimits) -> Result<Self, BadProgram> {
        Ok(Self { program: Program::new(command, limits)?, idle: Mutex::default() })
    }

    /// The reply to a line, which has its line break.
    pub(crate) fn ask(&self, line: &str) -> Result<Vec<u8>, ProgramError> {
        let deadline = self.program.deadline();
        while let Some(mut process) = self.take() {
            match process.ask(line, deadline) {
                Ok(reply) => return Ok(self.keep(process, reply)),
                Err(Unanswered::NotAsked) => {}
                Err(Unanswered::Failed(error)) => return Err(error),
            }
        }
        let mut process = LineProcess::start(&self.program)?;
        match process.ask(line, deadline) {
            Ok(reply) => Ok(self.keep(process, reply)),
            Err(Unanswered::NotAsked) => Err(ProgramError::NoReply { how: "ended without one" }),
            Err(Unanswered::Failed(error)) => Err(error),
        }
    }

    fn take(&self) -> Option<LineProcess> {
        self.idle().pop()
    }

    fn keep(&self, process: LineProcess, reply: Vec<u8>) -> Vec<u8> {
        if !process.has_surplus() {
            self.idle().push(process);
        }
        reply
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<LineProcess>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ProgramPool {
    fn drop(&mut self) {
        let mut idle = self.idle();
        idle.iter_mut().for_each(LineProcess::close_input);
        let deadline = Instant::now() + GRACE;
        for process in idle.iter_mut() {
            process.ends_before(deadline);
        }
    }
}
