//! Running the program, and tiny models for it to work on, which several test files share.
#![allow(dead_code, reason = "each test file uses some of these")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

pub(crate) mod bert;
pub(crate) mod model;
pub(crate) mod run;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program with arguments; the caller's environment does not reach into it.
pub(crate) fn command(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bestof"));
    for name in ["BESTOF_DEVICE", "BESTOF_PIP", "HF_ENDPOINT", "HF_TOKEN", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.args(args);
    command
}

/// Runs a command to its end. Whatever else happens, it must not panic.
pub(crate) fn finish(mut command: Command, stdin: &[u8]) -> Done {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that fails before it reads closes the pipe, which is its right.
    child.stdin.take().unwrap().write_all(stdin).ok();
    let output = child.wait_with_output().unwrap();
    let done = Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    done
}

/// Runs the program without input.
pub(crate) fn bestof(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Done {
    finish(command(args), b"")
}

/// Runs the program with input.
pub(crate) fn fed(args: impl IntoIterator<Item = impl AsRef<OsStr>>, stdin: &str) -> Done {
    finish(command(args), stdin.as_bytes())
}

/// The words of a command line, split at white space; arguments with spaces go in as paths.
pub(crate) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

impl Done {
    /// The JSON lines of stdout, which must hold nothing else, after success.
    pub(crate) fn lines(&self) -> Vec<Value> {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        let read =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.stdout.lines().map(read).collect()
    }

    /// The one JSON line of stdout.
    pub(crate) fn json(&self) -> Value {
        let mut lines = self.lines();
        assert_eq!(lines.len(), 1, "{}", self.stdout);
        lines.remove(0)
    }

    /// Checks the exit code and that the message holds every part; nothing is on stdout.
    #[track_caller]
    pub(crate) fn refuses(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "stdout {}\nstderr {}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "", "{}", self.stderr);
        assert!(self.stderr.contains("error: "), "{}", self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in\n{}", self.stderr);
        }
    }
}

/// The names of an object's fields, sorted.
pub(crate) fn keys(value: &Value) -> Vec<String> {
    let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

#[track_caller]
pub(crate) fn has_keys(value: &Value, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(keys(value), expected, "{value}");
}

#[track_caller]
pub(crate) fn close(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{found} is no number"));
    let gap = (found - expected).abs();
    assert!(gap <= 1e-12 * expected.abs().max(1.0), "found {found}, expected {expected}");
}

/// Every number of an array, compared.
#[track_caller]
pub(crate) fn all_close(found: &Value, expected: &[f64]) {
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        close(found, *expected);
    }
}

/// Writes a file and gives its path as text.
pub(crate) fn write(dir: &Path, name: &str, contents: impl AsRef<[u8]>) -> String {
    let path = dir.join(name);
    std::fs::write(&path, contents).unwrap();
    text(&path)
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A parity checkpoint of the models' crate.
pub(crate) fn parity(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures/parity").join(name)
}
