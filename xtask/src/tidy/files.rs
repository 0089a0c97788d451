//! Rules for single files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process;

/// A longer file has more than one idea.
const MAX_LINES: usize = 500;

/// Names that say nothing about the contents.
const EMPTY_NAMES: &[&str] =
    &["utils.rs", "util.rs", "common.rs", "helpers.rs", "base.rs", "misc.rs"];

/// One line for each file that breaks a rule.
pub(crate) fn check() -> Result<Vec<String>> {
    let root = process::root();
    let mut found = Vec::new();
    for path in tracked(&root)? {
        let Ok(text) = std::fs::read_to_string(root.join(&path)) else { continue };
        let name = path.to_string_lossy().into_owned();
        let is_rust = path.extension().is_some_and(|e| e == "rs");
        if is_rust {
            found.extend(rust_file(&name, &text));
        }
        if is_rust || path.extension().is_some_and(|e| e == "md" || e == "toml") {
            found.extend(any_file(&name, &text));
        }
    }
    Ok(found)
}

/// The files that git tracks; in an exported tree without git, every file of the source folders.
fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let output = std::process::Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .context("could not start git")?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(names.split('\0').filter(|n| !n.is_empty()).map(PathBuf::from).collect())
}

fn rust_file(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let short = name.rsplit('/').next().unwrap_or(name);
    if EMPTY_NAMES.contains(&short) {
        found.push(format!("{name}: the name says nothing about the contents"));
    }
    if !text.starts_with("//!") && !text.starts_with("#!") {
        found.push(format!("{name}:1: the first line must say what the file is about (`//! …`)"));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES && !name.contains("/tests/") {
        found.push(format!("{name}: {lines} lines, at most {MAX_LINES}: split it by idea"));
    }
    // Assembled, so that this list is not found in itself.
    let unfinished = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    for (i, line) in text.lines().enumerate() {
        for word in unfinished.iter().chain(&[concat!("#[ig", "nore")]) {
            if line.contains(word) {
                found.push(format!("{name}:{}: `{word}`", i + 1));
            }
        }
    }
    found
}

fn any_file(name: &str, text: &str) -> Vec<String> {
    let banned = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("../sha", "red"),
    ];
    let mut found = Vec::new();
    for (i, line) in text.lines().enumerate() {
        for word in banned {
            if line.contains(word) {
                found.push(format!("{name}:{}: `{word}` names a machine's path", i + 1));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{any_file, rust_file};

    #[test]
    fn each_rule_finds_a_violation() {
        assert_eq!(rust_file("a/b.rs", "//! Fine.\n"), Vec::<String>::new());
        assert_eq!(rust_file("a/utils.rs", "//! Fine.\n").len(), 1);
        assert_eq!(rust_file("a/b.rs", "fn x() {}\n").len(), 1);
        assert_eq!(rust_file("a/b.rs", &format!("//! Long.\n{}", "\n".repeat(600))).len(), 1);
        assert_eq!(rust_file("a/b.rs", concat!("//! Open.\n// TO", "DO\n")).len(), 1);
        assert_eq!(any_file("a.md", concat!("see /wo", "rk/x\n")).len(), 1);
    }
}
