//! Criterion benches of the workspace.

use anyhow::Result;

use crate::process;

/// Runs every bench whose name holds `args`' filter.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut command = process::cargo();
    command.args(["bench", "--package", "bestof-benches", "--package", "bestof-estimators"]);
    command.args(["--benches", "--"]).args(args);
    process::step("benches", &mut command)
}
