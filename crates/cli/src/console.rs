//! The only place that prints: results to stdout, everything else to stderr, and nothing that would
//! steer the terminal. That holds in pipes and files too, since most of them end at a terminal; JSON has every
//! text as it is.

use std::io::Write;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use bestof_report::{shown, shown_in_colour, shown_json};
use bestof_trainer::data::DataReport;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

static QUIET: AtomicBool = AtomicBool::new(false);
/// Set where another rank prints.
static SILENT: AtomicBool = AtomicBool::new(false);

/// A command line that cannot be meant: ends with exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Refuses the first of these flags that was given, because `reader` has no use for it.
///
/// # Errors
/// [`Usage`] with both names.
pub(crate) fn unread(reader: &str, flags: &[(&str, bool)]) -> Result<()> {
    match flags.iter().find(|(_, given)| *given) {
        Some((flag, _)) => {
            Err(Usage(format!("{reader} does not read {flag}; leave it out")).into())
        }
        None => Ok(()),
    }
}

/// Sets up logging to stderr. Of several ranks only the first says anything but its error.
pub(crate) fn init(verbose: u8, quiet: bool, is_first: bool) {
    QUIET.store(quiet || !is_first, Ordering::Relaxed);
    SILENT.store(!is_first, Ordering::Relaxed);
    let default = match verbose {
        _ if !is_first => "off",
        0 => "warn",
        1 => "bestof=info,warn",
        _ => "bestof=debug,info",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Log)
        // What cannot be written to stderr is not said there either.
        .log_internal_errors(false)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .init();
}

/// Where log lines go.
struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        std::io::stderr().write_all(shown(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Writes one JSON document as a line to stdout.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    write(&format!("{}\n", shown_json(&serde_json::to_string(value)?)))
}

/// Writes a line with colours of the program's own to stdout.
pub(crate) fn coloured(text: &str) -> Result<()> {
    write(&format!("{}\n", shown_in_colour(text)))
}

/// Writes a line to stdout.
pub(crate) fn line(text: &str) -> Result<()> {
    part(&format!("{text}\n"))
}

/// How the program ends when nobody reads what it says; by default quietly.
static UNREAD: OnceLock<fn() -> !> = OnceLock::new();

/// Ends the program by `leave`, once nobody reads what it says. The first call counts.
#[cfg(feature = "mpi")]
pub(crate) fn when_unread(leave: fn() -> !) {
    let _ = UNREAD.set(leave);
}

/// Writes a piece of a line to stdout at once.
pub(crate) fn part(text: &str) -> Result<()> {
    write(&shown(text))
}

/// Writes to stdout at once. A reader that has gone away ends the program.
fn write(text: &str) -> Result<()> {
    if SILENT.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints help or a version, which clap takes for errors, or what is wrong with the command line.
pub(crate) fn parse_outcome(found: &clap::Error) -> ExitCode {
    if found.use_stderr() {
        let text = found.to_string();
        if text == shown(&text) {
            // In clap's own colours.
            let _ = found.print();
        } else {
            to_stderr(text.trim_end());
        }
        return ExitCode::from(2);
    }
    let printed = found.print().and_then(|()| std::io::stdout().flush());
    match written(printed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            error(&failed);
            ExitCode::FAILURE
        }
    }
}

/// What became of writing to stdout. A reader that has gone away ends the program.
fn written(outcome: std::io::Result<()>) -> Result<()> {
    match outcome {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => match UNREAD.get() {
            Some(leave) => leave(),
            None => bestof_files::end_unfinished(|| std::process::exit(0)),
        },
        other => other.context("could not write to stdout"),
    }
}

/// Writes a remark to stderr, unless `--quiet`.
pub(crate) fn note(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        to_stderr(text);
    }
}

/// Tells which rows of a file were left out and why, if any were.
pub(crate) fn left_out(report: &DataReport) {
    if report.dropped() > 0 || !report.bad.is_empty() {
        note(&format!("{}: {report}", report.file.display()));
    }
}

/// Writes an error with its causes to stderr.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        // Many messages already end in the words of their cause.
        let cause = cause.to_string();
        if !last.contains(&cause) {
            text += "\n  because: ";
            text += &cause;
        }
        last = cause;
    }
    to_stderr(&text);
}

/// What cannot be said is not said: a remark that nobody can read ends nothing.
pub(crate) fn to_stderr(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", shown(text));
}

/// A bar that is hidden under `--quiet` and where stderr is no terminal.
pub(crate) fn bar(total: u64, template: &str) -> ProgressBar {
    if QUIET.load(Ordering::Relaxed) {
        return ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template(&shown(template))
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr())
        .with_style(style.progress_chars("█▉▊▋▌▍▎▏ "))
}

/// A bar over bytes.
#[derive(Debug)]
pub(crate) struct Bytes(ProgressBar);

impl Bytes {
    /// A bar named `what`.
    pub(crate) fn new(what: &str) -> Self {
        let template = format!("{what:>9} {{wide_bar}} {{bytes}} of {{total_bytes}} {{eta}}");
        let bar = bar(0, &template);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Shows `done` of `total`.
    pub(crate) fn at(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// Takes the bar away.
    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}
