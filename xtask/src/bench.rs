//! Criterion benches of the workspace, and the side-by-side table with the peers.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::user_verb;

/// `bench [FILTER]`, or `bench side-by-side --python PYTHON [options of benches/side_by_side.py]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if args.first().is_some_and(|first| first == "side-by-side") {
        return side_by_side(&args[1..]);
    }
    let mut command = process::cargo();
    command.args(["bench", "--package", "bestof-benches", "--package", "bestof-estimators"]);
    command.args(["--benches", "--"]).args(args);
    process::step("benches", &mut command)
}

/// bestof beside TRL on the same pairs; the peer's packages are the user's.
fn side_by_side(args: &[String]) -> Result<()> {
    let (mut python, mut model, mut rest) = ("python3".to_owned(), None, Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().cloned().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--python" => python = value()?,
            "--model" => model = Some(value()?),
            other => rest.push(other.to_owned()),
        }
    }
    let model = match model {
        Some(model) => model,
        None => process::root().join("models/smollm2-135m-instruct").display().to_string(),
    };
    if !std::path::Path::new(&model).join("config.json").is_file() {
        bail!("{model} holds no model; `cargo xtask fetch smollm2-135m-instruct` brings one");
    }
    let binary = user_verb::build(&[])?;
    let mut command = Command::new(&python);
    command.arg(process::root().join("benches/side_by_side.py"));
    command.arg("--bestof").arg(binary).args(["--model", &model]).args(rest);
    process::step("side by side", &mut command).with_context(|| {
        format!(
            "{python} needs torch, transformers, trl, peft and datasets; name another with --python"
        )
    })
}
