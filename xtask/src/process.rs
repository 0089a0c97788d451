//! Running cargo from the workspace's root, and the two places that print.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The workspace's root: the folder above this crate.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a step to its end, its output passed through; a failure names the step.
pub(crate) fn step(name: &str, command: &mut Command) -> Result<()> {
    complain(&format!("\n=== {name}"));
    let status = command.status().with_context(|| format!("{name}: could not start"))?;
    ensure!(status.success(), "{name} failed ({status})");
    Ok(())
}

/// Writes a text to stdout.
#[expect(clippy::print_stdout, reason = "the one place that prints results")]
pub(crate) fn print(text: &str) {
    print!("{text}");
}

/// Writes a line to stderr: progress and problems, so that stdout stays the verb's own.
#[expect(clippy::print_stderr, reason = "the one place that prints progress")]
pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}
