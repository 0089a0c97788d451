//! One process of a program: its start with limits, its end with everything it started.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::command::Program;
use super::complaint::Complaint;
use super::error::ProgramError;
use super::group::Group;
use super::pipe::{Cutter, Pipe};

/// A process with all its pipes. It is killed with its whole group when dropped, and then no thread is left that
/// serves its pipes, whatever else may hold them open.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Group,
    errors: Complaint,
    /// `None` once it has ended.
    cutter: Option<Cutter>,
}

/// Input and output of a process.
pub(super) type Ends = (Pipe<ChildStdin>, Pipe<ChildStdout>);

impl Process {
    /// Starts it in a group of its own.
    pub(super) fn start(program: &Program) -> Result<(Self, Ends), ProgramError> {
        Self::spawn(program).map_err(|error| ProgramError::CannotStart {
            program: program.name().to_owned(),
            reason: error.to_string(),
        })
    }

    fn spawn(program: &Program) -> io::Result<(Self, Ends)> {
        let (cutter, group) = (Cutter::new()?, Group::start()?);
        let mut command = program.command();
        group.join(&mut command);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let missing = || io::Error::other("it has no pipes");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let errors = child.stderr.take().ok_or_else(missing)?;
        let ends = (cutter.cuts(input), cutter.cuts(output));
        let errors = Complaint::of(cutter.cuts(errors));
        Ok((Self { child, group, errors, cutter: Some(cutter) }, ends))
    }

    /// Whether it ends before `deadline`.
    pub(super) fn ends_before(&mut self, deadline: Instant) -> bool {
        let mut pauses = Pauses::until(deadline);
        while !self.has_ended() {
            let Some(pause) = pauses.next() else { return false };
            thread::sleep(pause);
        }
        true
    }

    /// What comes first before `deadline` of a value, the end of whoever sends them, and the end of the process. In
    /// the last case its group is killed, so that the sender has nothing to wait for, and is heard to its end.
    pub(super) fn receive<T>(
        &mut self,
        from: &Receiver<T>,
        deadline: Instant,
    ) -> Result<T, RecvTimeoutError> {
        let mut pauses = Pauses::until(deadline);
        loop {
            let pause = pauses.next();
            match from.recv_timeout(pause.unwrap_or_default()) {
                Err(RecvTimeoutError::Timeout) if self.has_ended() => {
                    let _ = self.end();
                    return from.recv().map_err(|_| RecvTimeoutError::Disconnected);
                }
                Err(RecvTimeoutError::Timeout) if pause.is_some() => {}
                received => return received,
            }
        }
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Kills it with everything in its group, and takes its status.
    pub(super) fn end(&mut self) -> io::Result<ExitStatus> {
        self.group.kill();
        // It may have left its group.
        let _ = self.child.kill();
        let status = self.child.wait();
        self.cutter = None;
        status
    }

    /// What it wrote to its error output, shortened; to be asked for after its end.
    pub(super) fn errors(&self) -> String {
        self.errors.text()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Times to wait between looking whether something has happened, up to a deadline.
struct Pauses {
    deadline: Instant,
    next: Duration,
}

impl Pauses {
    fn until(deadline: Instant) -> Self {
        Self { deadline, next: Duration::from_millis(1) }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let pause = self.next.min(left);
        self.next = (self.next * 2).min(Duration::from_millis(20));
        (!left.is_zero()).then_some(pause)
    }
}

/// Starts the program for one request, and gives all it writes until its successful end.
pub(crate) fn run_once(program: &Program, request: String) -> Result<Vec<u8>, ProgramError> {
    let limits = &program.limits;
    let deadline = program.deadline();
    let (mut process, (input, output)) = Process::start(program)?;
    send(input, request);
    let output = collect(output, limits.output_bytes);
    let Ok(output) = process.receive(&output, deadline) else {
        return Err(ProgramError::TimedOut { limit: limits.time });
    };
    if output.len() > limits.output_bytes {
        return Err(ProgramError::TooMuch { limit: limits.output_bytes });
    }
    if !process.ends_before(deadline) {
        return Err(ProgramError::TimedOut { limit: limits.time });
    }
    match process.end() {
        Ok(status) if status.success() => Ok(output),
        Ok(status) => {
            Err(ProgramError::Failed { status: status.to_string(), errors: process.errors() })
        }
        Err(error) => Err(ProgramError::Unknown { reason: error.to_string() }),
    }
}

/// Writes the request from a thread of its own, since a program need not read it.
fn send(mut input: impl Write + Send + 'static, request: String) {
    thread::spawn(move || {
        // A program may close its input before reading all of it.
        let _ = input.write_all(request.as_bytes());
    });
}

/// Reads a pipe to its end from a thread of its own, at most one byte beyond `limit`.
fn collect(pipe: impl Read + Send + 'static, limit: usize) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A broken pipe ends the output like a closed one.
        let _ = pipe.take(limit as u64 + 1).read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}
