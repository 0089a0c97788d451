//! The repository's own rules, checked as a test of the repository itself. Every finding is
//! printed, not only the first.

mod arrows;
mod files;

use anyhow::{Result, bail};

use crate::process;

/// Prints every finding and fails if there is one.
pub(crate) fn run() -> Result<()> {
    process::complain("\n=== tidy");
    let mut findings = arrows::check()?;
    findings.extend(files::check()?);
    for finding in &findings {
        process::complain(finding);
    }
    match findings.len() {
        0 => Ok(()),
        n => bail!("tidy: {n} finding(s), listed above"),
    }
}
