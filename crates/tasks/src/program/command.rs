//! A program, its limits, and what it is sent.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::setters::setters;

/// Resource limits of a program.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProgramLimits {
    /// Time until it must have answered a request; the first one of a process includes its start.
    pub time: Duration,
    /// Bytes of a reply.
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

/// A program with its arguments, no shell in between, and its limits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Program {
    command: Vec<String>,
    pub(super) limits: ProgramLimits,
}

impl Program {
    pub(crate) fn new(command: &[String], limits: ProgramLimits) -> Result<Self, BadProgram> {
        let refused = |what| Err(BadProgram { what });
        if command.first().is_none_or(String::is_empty) {
            return refused("no program is named; give a program and its arguments");
        }
        if limits.memory_bytes.is_some() && !cfg!(unix) {
            return refused("a memory limit needs a Unix system; leave it out here");
        }
        Ok(Self { command: command.to_vec(), limits })
    }

    /// When a request that is made now has to be answered.
    pub(crate) fn deadline(&self) -> Instant {
        let (now, year) = (Instant::now(), Duration::from_hours(365 * 24));
        now.checked_add(self.limits.time).unwrap_or(now + year)
    }

    /// What starts it within its limits.
    pub(super) fn command(&self) -> Command {
        match self.limits.memory_bytes {
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
        }
    }

    pub(super) fn name(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }
}

/// Settings with which a program cannot be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct BadProgram {
    /// What is wrong and how to fix it.
    pub what: &'static str,
}

/// A request as a line: an object of `fields` with `more` beside them.
pub(crate) fn request_line<const N: usize>(
    fields: &Map<String, Value>,
    more: [(&str, Value); N],
) -> String {
    let mut request = fields.clone();
    request.extend(more.map(|(name, value)| (name.to_owned(), value)));
    format!("{}\n", Value::Object(request))
}
