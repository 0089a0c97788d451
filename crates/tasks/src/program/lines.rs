//! A process that is kept: a line in, a line out, again and again.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use super::command::{Program, ProgramLimits};
use super::error::ProgramError;
use super::process::Process;

/// How long a process that closed its output has to end, so that its status can be told.
const LAST_MOMENTS: Duration = Duration::from_secs(1);

/// A process that answers every line of its input with one of its output. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct LineProcess {
    process: Process,
    /// Lines for the thread that writes them; without it the input is closed.
    requests: Option<Sender<String>>,
    /// Lines that were read; closed at the end of the output.
    replies: Receiver<Reply>,
    limits: ProgramLimits,
    answered: u64,
    /// Whether more than a line was written for a request.
    surplus: bool,
}

#[derive(Debug)]
enum Reply {
    /// A line, and whether more than blanks came with it.
    Line(Vec<u8>, bool),
    /// More than a line may have.
    TooMuch,
}

/// Why there is no reply of a process.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The process could not be asked: it had ended well, or had written what nobody asked for. Another one
    /// may be.
    NotAsked,
    /// The request failed.
    Failed(ProgramError),
}

impl LineProcess {
    pub(crate) fn start(program: &Program) -> Result<Self, ProgramError> {
        let (process, (input, output)) = Process::start(program)?;
        Ok(Self {
            process,
            requests: Some(writer(input)),
            replies: reader(output, program.limits.output_bytes),
            limits: program.limits.clone(),
            answered: 0,
            surplus: false,
        })
    }

    /// Sends a line and waits for the answer until `deadline`. After a failure the process is of no use.
    pub(crate) fn ask(&mut self, line: &str, deadline: Instant) -> Result<Vec<u8>, Unanswered> {
        let more = || !matches!(self.replies.try_recv(), Err(TryRecvError::Empty));
        if self.answered > 0 && (self.surplus || more()) {
            return Err(Unanswered::NotAsked);
        }
        if let Some(requests) = &self.requests {
            // The thread that writes ends when the process reads no more, which the reply will tell.
            let _ = requests.send(line.to_owned());
        }
        match self.process.receive(&self.replies, deadline) {
            Ok(Reply::Line(line, surplus)) => {
                self.answered += 1;
                self.surplus = surplus;
                Ok(line)
            }
            Ok(Reply::TooMuch) => {
                let limit = self.limits.output_bytes;
                Err(Unanswered::Failed(ProgramError::TooMuch { limit }))
            }
            Err(RecvTimeoutError::Timeout) => {
                let limit = self.limits.time;
                Err(Unanswered::Failed(ProgramError::TimedOut { limit }))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.ended(deadline)),
        }
    }

    /// What became of a process whose output has ended.
    fn ended(&mut self, deadline: Instant) -> Unanswered {
        let ended = self.process.ends_before(deadline.min(Instant::now() + LAST_MOMENTS));
        Unanswered::Failed(match self.process.end() {
            Err(error) => ProgramError::Unknown { reason: error.to_string() },
            Ok(_) if !ended => ProgramError::NoReply { how: "closed its output" },
            Ok(status) if !status.success() => {
                ProgramError::Failed { status: status.to_string(), errors: self.process.errors() }
            }
            // A program that answers so many requests and then ends is started again.
            Ok(_) if self.answered > 0 => return Unanswered::NotAsked,
            Ok(_) => ProgramError::NoReply { how: "ended without one" },
        })
    }

    /// Whether it wrote more than the last answer, so that nothing can be asked of it any more.
    pub(crate) fn has_surplus(&self) -> bool {
        self.surplus
    }

    /// Closes the input, which tells the program to end.
    pub(crate) fn close_input(&mut self) {
        self.requests = None;
    }

    /// Whether the process ends before `deadline`.
    pub(crate) fn ends_before(&mut self, deadline: Instant) -> bool {
        self.process.ends_before(deadline)
    }
}

/// A thread that writes lines, since a program need not read them at once.
fn writer(mut input: impl Write + Send + 'static) -> Sender<String> {
    let (sender, receiver) = mpsc::channel::<String>();
    thread::spawn(move || {
        for line in receiver {
            if input.write_all(line.as_bytes()).and_then(|()| input.flush()).is_err() {
                break;
            }
        }
    });
    sender
}

/// A thread that reads lines and passes blank ones over. It waits while nobody takes what it read, so that a
/// program that writes without end fills no memory.
fn reader(pipe: impl Read + Send + 'static, limit: usize) -> Receiver<Reply> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        loop {
            let mut line = Vec::new();
            match (&mut pipe).take(limit as u64 + 1).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line.len() > limit => {
                    let _ = sender.send(Reply::TooMuch);
                    return;
                }
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => {
                    // What was written in one go is here by now, and the thread that asks cannot overtake it.
                    let surplus = !pipe.buffer().trim_ascii().is_empty();
                    if sender.send(Reply::Line(line, surplus)).is_err() {
                        return;
                    }
                }
            }
        }
    });
    receiver
}
