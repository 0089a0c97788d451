//! One process of a program: its start with limits, its end with everything it started.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::command::Program;
use super::error::{ProgramError, QUOTED, quoted};

impl Program {
    /// Starts a process in a group of its own, with all its pipes open.
    pub(super) fn start(&self) -> Result<Child, ProgramError> {
        let mut command = match self.limits.memory_bytes {
            None => {
                let mut command = Command::new(self.name());
                command.args(&self.command[1..]);
                command
            }
            // The shell lowers its own limit, which the program then inherits in its place.
            Some(bytes) => {
                let mut command = Command::new("sh");
                let script = format!("ulimit -v {} && exec \"$@\"", (bytes / 1024).max(1));
                command.args(["-c", &script, "sh"]).args(&self.command);
                command
            }
        };
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(
            |error| ProgramError::CannotStart {
                program: self.name().to_owned(),
                reason: error.to_string(),
            },
        )
    }
}

/// Starts the program for one request, and gives all it writes until its successful end.
pub(crate) fn run_once(program: &Program, request: String) -> Result<Vec<u8>, ProgramError> {
    let limits = &program.limits;
    let deadline = program.deadline();
    let mut child = program.start()?;
    send(&mut child, request);
    let output = collect(child.stdout.take(), limits.output_bytes);
    let errors = collect(child.stderr.take(), QUOTED * 4);
    let output = output.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    let ended = output.is_ok() && ends_before(&mut child, deadline);
    let status = stop(&mut child);
    let errors = errors.recv_timeout(Duration::from_millis(100)).unwrap_or_default();
    match (output, status) {
        (Ok(output), _) if output.len() > limits.output_bytes => {
            Err(ProgramError::TooMuch { limit: limits.output_bytes })
        }
        (Ok(output), Ok(status)) if ended && status.success() => Ok(output),
        (Ok(_), Ok(status)) if ended => {
            Err(ProgramError::Failed { status: status.to_string(), errors: quoted(&errors, false) })
        }
        (_, Err(error)) => Err(ProgramError::Unknown { reason: error.to_string() }),
        _ => Err(ProgramError::TimedOut { limit: limits.time }),
    }
}

/// Writes the request from a thread of its own, since a program need not read it.
fn send(child: &mut Child, request: String) {
    if let Some(mut input) = child.stdin.take() {
        thread::spawn(move || {
            // A program may close its input before reading all of it.
            let _ = input.write_all(request.as_bytes());
        });
    }
}

/// Reads a pipe to its end from a thread of its own, at most one byte beyond `limit`.
fn collect(pipe: Option<impl Read + Send + 'static>, limit: usize) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // A broken pipe ends the output like a closed one.
            let _ = pipe.take(limit as u64 + 1).read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

/// Whether the process ends before `deadline`. It is left unreaped, so that its number, which is
/// its group's as well, cannot pass to another process before the group is killed.
pub(super) fn ends_before(child: &mut Child, deadline: Instant) -> bool {
    let mut pause = Duration::from_millis(1);
    while !has_ended(child) {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    true
}

#[cfg(unix)]
fn has_ended(child: &mut Child) -> bool {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(Pid::from_child(child)), options), Ok(Some(_)))
}

#[cfg(not(unix))]
fn has_ended(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(Some(_)))
}

/// Kills the process with everything it started in its group, and takes its status.
pub(super) fn stop(child: &mut Child) -> std::io::Result<ExitStatus> {
    // The group was made for this child, and is usually empty by now.
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(
        rustix::process::Pid::from_child(child),
        rustix::process::Signal::KILL,
    );
    let _ = child.kill();
    child.wait()
}
