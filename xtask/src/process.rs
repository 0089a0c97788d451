//! Running cargo from the workspace's root, and the two places that print.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The workspace's root: the folder above this crate.
pub(crate) fn root() -> PathBuf {
    // Cargo says where the package lies that it runs. Of checkouts that share a target folder, the program may have been
    // built in another one.
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().map_or_else(|| here.clone(), Path::to_path_buf)
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// What `bestof` tells glibc's allocator itself, for benches, examples and what they are compared with.
const ALLOCATOR: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=268435456",
);

/// Sets [`ALLOCATOR`] for a program that computes, unless the user has set that variable.
pub(crate) fn keeping_memory(program: &mut Command) -> &mut Command {
    let (name, value) = ALLOCATOR;
    if std::env::var_os(name).is_none() {
        program.env(name, value);
    }
    program
}

/// Runs a step to its end, its output passed through; a failure names the step.
pub(crate) fn step(name: &str, command: &mut Command) -> Result<()> {
    report(&format!("\n=== {name}"));
    let status = command.status().with_context(|| format!("{name}: could not start"))?;
    ensure!(status.success(), "{name} failed ({status})");
    Ok(())
}

/// Becomes a program where the system can, so that signals and exit codes are the program's own; else runs it to its
/// end.
pub(crate) fn become_or_wait(program: &mut Command) -> std::io::Result<ExitStatus> {
    #[cfg(unix)]
    let outcome = Err(std::os::unix::process::CommandExt::exec(program));
    #[cfg(not(unix))]
    let outcome = program.status();
    outcome
}

/// Builds a program and returns its path; the compiler's messages are passed through.
pub(crate) fn executable(build: &mut Command, name: &str) -> Result<PathBuf> {
    executable_of(build, name, |_| true)
}

/// As [`executable`], of several programs that are built the one called `bin`.
pub(crate) fn program(build: &mut Command, bin: &str) -> Result<PathBuf> {
    let is_bin = |kind: &Value| kind.as_array().is_some_and(|kinds| kinds.contains(&"bin".into()));
    executable_of(build, bin, |message| {
        let target = &message["target"];
        target["name"] == bin && is_bin(&target["kind"]) && message["profile"]["test"] == false
    })
}

/// Builds benches and returns the paths of their programs.
pub(crate) fn benches(build: &mut Command) -> Result<Vec<PathBuf>> {
    let is_bench = |message: &Value| {
        message["target"]["kind"].as_array().is_some_and(|kinds| kinds.contains(&"bench".into()))
    };
    executables(build, "the benches", is_bench)
}

fn executable_of(
    build: &mut Command,
    name: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Result<PathBuf> {
    let found = executables(build, name, wanted)?;
    found.into_iter().next_back().with_context(|| format!("cargo named no executable for {name}"))
}

fn executables(
    build: &mut Command,
    name: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Vec<PathBuf>> {
    // Cargo's messages name the path: the target folder may be anywhere.
    build.args(["--message-format", "json-render-diagnostics"]);
    let output = build
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("could not start cargo to build {name}"))?;
    ensure!(output.status.success(), "building {name} failed; the compiler's messages are above");
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(wanted)
        .filter_map(|m| m.get("executable").and_then(Value::as_str).map(PathBuf::from))
        .collect())
}

/// Writes a text to stdout.
#[expect(clippy::print_stdout, reason = "the one place that prints results")]
pub(crate) fn print(text: &str) {
    print!("{text}");
}

/// Writes a line to stderr: progress and problems, so that stdout has the verb's output only.
#[expect(clippy::print_stderr, reason = "the one place that prints progress")]
pub(crate) fn report(text: &str) {
    eprintln!("{text}");
}
