//! The repository's own rules, checked as a test of the repository itself. Every finding is
//! printed, not only the first.

mod arrows;
mod circles;
mod files;
mod packages;

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::process;
use crate::workspace::{self, name};

/// `tidy [--circles]`: prints every finding and fails if there is one. With `--circles` it only lists
/// the circles of files in all crates.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let packages = workspace::metadata()?.packages;
    let circles_only = match args {
        [] => false,
        [flag] if flag == "--circles" => true,
        _ => bail!("unknown arguments `{}`; known: --circles", args.join(" ")),
    };
    if circles_only {
        let circles = circles::describe(&targets(&packages))?;
        process::print(&(circles.join("\n") + "\n"));
        return Ok(());
    }
    process::report("\n=== tidy");
    let mut findings = arrows::findings(&packages);
    findings.extend(packages::findings(&packages));
    findings.extend(files::check()?);
    findings.extend(circles::check(&targets(&packages))?);
    for finding in &findings {
        process::report(finding);
    }
    match findings.len() {
        0 => Ok(()),
        n => bail!("tidy: {n} finding(s), listed above"),
    }
}

/// Each library and program with its package's name and its root file.
fn targets(packages: &[Value]) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for package in packages {
        for target in package["targets"].as_array().into_iter().flatten() {
            let kinds = target["kind"].as_array().into_iter().flatten();
            let root = target["src_path"].as_str().unwrap_or_default();
            if kinds.filter_map(Value::as_str).any(|kind| kind == "lib" || kind == "bin") {
                found.push((name(package).to_owned(), PathBuf::from(root)));
            }
        }
    }
    found
}
