//! An external program as the verifier.

use std::io::{Read, Write};
use std::ops::RangeInclusive;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::verification::{Verification, VerificationOutcome, Verifier, VerifierError};
use crate::setters::setters;

/// Longest quoted part of a program's error output, in characters.
const QUOTED: usize = 200;

/// Resource limits of a verifying program.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProgramLimits {
    /// Time until it must have answered.
    pub time: Duration,
    /// Bytes it may write to its output.
    pub output_bytes: usize,
    /// Bytes of address space for each of its processes; only where there is a POSIX shell.
    pub memory_bytes: Option<u64>,
}

setters!(ProgramLimits { time: Duration, output_bytes: usize, memory_bytes: Option<u64> });

impl Default for ProgramLimits {
    fn default() -> Self {
        Self { time: Duration::from_secs(10), output_bytes: 1 << 20, memory_bytes: None }
    }
}

/// Rewards completions as an external program says.
///
/// The program is started once for each completion. It reads one JSON object from its input,
/// `{"completion": ...}` with the fields given at construction beside it, and writes one JSON
/// object `{"reward": number, "reason": text}` to its output; `reason` may be missing. A program
/// that crashes, says too much, or something else, or rewards outside the range, gives
/// [`VerificationOutcome::Failed`] and the least reward, and one that hangs [`VerificationOutcome::TimedOut`]. On Unix it runs in a process group of its own,
/// all of which is killed at the end.
///
/// The limits keep a bad program from stopping a run. They are no sandbox: the program has the
/// rights of whoever starts it, so run untrusted code inside one of your own.
#[derive(Debug, Clone)]
pub struct ProgramVerifier {
    command: Vec<String>,
    fields: Map<String, Value>,
    range: RangeInclusive<f64>,
    limits: ProgramLimits,
}

#[derive(Deserialize)]
struct Reply {
    reward: f64,
    #[serde(default)]
    reason: String,
}

impl ProgramVerifier {
    /// Verifier that runs `command` (a program and its arguments, no shell in between) and expects
    /// rewards within `range`; `fields` (the prompt, the answer ...) are sent with each completion.
    pub fn new(
        command: &[String],
        fields: Map<String, Value>,
        range: RangeInclusive<f64>,
        limits: ProgramLimits,
    ) -> Result<Self, VerifierError> {
        let refused = |what| Err(VerifierError::Program { what });
        if command.first().is_none_or(String::is_empty) {
            return refused("no program is named; give a program and its arguments");
        }
        let finite = range.start().is_finite() && range.end().is_finite();
        if !finite || range.start() >= range.end() {
            return refused("the range of rewards has to be finite and not empty");
        }
        if limits.memory_bytes.is_some() && !cfg!(unix) {
            return refused("a memory limit needs a Unix system; leave it out here");
        }
        Ok(Self { command: command.to_vec(), fields, range, limits })
    }

    fn failed(&self, reason: String) -> Verification {
        let reward = *self.range.start();
        Verification { reward, outcome: VerificationOutcome::Failed, reason, extracted: None }
    }

    fn timed_out(&self) -> Verification {
        let reason = format!("the program took longer than {:?}", self.limits.time);
        Verification { outcome: VerificationOutcome::TimedOut, ..self.failed(reason) }
    }

    fn start(&self) -> std::io::Result<Child> {
        let mut command = match self.limits.memory_bytes {
            None => {
                let mut command = Command::new(&self.command[0]);
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
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    fn judge(&self, status: ExitStatus, output: &[u8], errors: &[u8]) -> Verification {
        if !status.success() {
            let errors = String::from_utf8_lossy(errors);
            let quoted: String = errors.trim().chars().take(QUOTED).collect();
            return self.failed(format!("the program failed ({status}): {quoted}"));
        }
        let reply: Reply = match serde_json::from_slice(output) {
            Ok(reply) => reply,
            Err(error) => return self.failed(format!("the program's output is no reply: {error}")),
        };
        if !self.range.contains(&reply.reward) {
            let (low, high) = (self.range.start(), self.range.end());
            return self.failed(format!("reward {} is outside {low}..={high}", reply.reward));
        }
        let outcome = if reply.reward == *self.range.end() {
            VerificationOutcome::Right
        } else if reply.reward == *self.range.start() {
            VerificationOutcome::Wrong
        } else {
            VerificationOutcome::Partial
        };
        Verification { reward: reply.reward, outcome, reason: reply.reason, extracted: None }
    }
}

impl Verifier for ProgramVerifier {
    fn range(&self) -> RangeInclusive<f64> {
        self.range.clone()
    }

    fn verify(&self, completion: &str) -> Verification {
        let deadline = Instant::now() + self.limits.time;
        let mut child = match self.start() {
            Ok(child) => child,
            Err(error) => return self.failed(format!("cannot start {}: {error}", self.command[0])),
        };
        let mut request = self.fields.clone();
        request.insert("completion".to_owned(), json!(completion));
        send(&mut child, Value::Object(request).to_string());
        let output = collect(child.stdout.take(), self.limits.output_bytes);
        let errors = collect(child.stderr.take(), QUOTED * 4);
        let output = output.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        let ended = output.is_ok() && ends_before(&mut child, deadline);
        let status = stop(&mut child);
        let errors = errors.recv_timeout(Duration::from_millis(100)).unwrap_or_default();
        match (output, status) {
            (Ok(output), _) if output.len() > self.limits.output_bytes => self
                .failed(format!("the program wrote more than {} bytes", self.limits.output_bytes)),
            (Ok(output), Ok(status)) if ended => self.judge(status, &output, &errors),
            (_, Err(error)) => self.failed(format!("cannot tell how the program ended: {error}")),
            _ => self.timed_out(),
        }
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

/// Whether the program ends before `deadline`. It is left unreaped, so that its number, which is
/// its group's as well, cannot pass to another process before the group is killed.
fn ends_before(child: &mut Child, deadline: Instant) -> bool {
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

/// Kills the program with everything it started in its group, and takes its status.
fn stop(child: &mut Child) -> std::io::Result<ExitStatus> {
    // The group was made for this child, and is usually empty by now.
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(
        rustix::process::Pid::from_child(child),
        rustix::process::Signal::KILL,
    );
    let _ = child.kill();
    child.wait()
}
