//! Criterion benches of the workspace, and comparisons with other implementations.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::user_verb;

/// `bench [FILTER]`, or `bench side-by-side|rollouts|encoder-side-by-side|device-side-by-side|
/// classical-side-by-side|sentences|estimators|scaling --python PYTHON [options of the script in benches/]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    match args.first().map(String::as_str) {
        Some("side-by-side") => return side_by_side(&args[1..]),
        Some("rollouts") => return rollouts(&args[1..]),
        Some("estimators") => return estimators(&args[1..]),
        Some("scaling") => return scaling(&args[1..]),
        Some("device-side-by-side") => return device_side_by_side(&args[1..]),
        Some("classical-side-by-side") => {
            let built = [("--bestof", user_verb::build(&[])?)];
            return with_python("classical_side_by_side.py", "scikit-learn", &built, &args[1..]);
        }
        Some("sentences") => {
            let (packages, built) =
                ("torch, transformers and scikit-learn", [("--bestof", user_verb::build(&[])?)]);
            return with_python("sentences.py", packages, &built, &args[1..]);
        }
        Some("encoder-side-by-side") => return encoder_side_by_side(&args[1..]),
        _ => {}
    }
    let mut command = process::cargo();
    command.args(["bench", "--package", "bestof-benches", "--package", "bestof-estimators"]);
    command.args(["--benches", "--"]).args(args);
    process::step("benches", process::keeping_memory(&mut command))
}

/// bestof and TRL on the same pairs; the user's Python needs TRL's packages.
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
        None => smollm2().display().to_string(),
    };
    if !std::path::Path::new(&model).join("config.json").is_file() {
        bail!("{model} holds no model; `cargo xtask fetch smollm2-135m-instruct` downloads one");
    }
    let binary = user_verb::build(&[])?;
    let mut command = Command::new(&python);
    command.arg(process::root().join("benches/side_by_side.py"));
    command.arg("--bestof").arg(binary).args(["--model", &model]).args(rest);
    process::step("side by side", process::keeping_memory(&mut command)).with_context(|| {
        format!(
            "{python} needs torch, transformers, trl, peft and datasets; name another with --python"
        )
    })
}

/// One rank and two on this machine, and more on paper.
fn scaling(args: &[String]) -> Result<()> {
    let bestof = user_verb::build(&["mpi".to_owned()])?;
    let built = [("--bestof", bestof), ("--model", smollm2())];
    with_python("scaling.py", "its standard library", &built, args)
}

/// The reward transformations and the same formulas in the user's `NumPy`, on the same rewards.
fn estimators(args: &[String]) -> Result<()> {
    let built = [("--bestof", example("bestof-estimators", "beside")?)];
    with_python("estimators.py", "numpy", &built, args)
}

/// Samples of a model, and the same in the user's transformers and llama.cpp.
fn rollouts(args: &[String]) -> Result<()> {
    let program = user_verb::build(&[])?;
    let example = example("bestof-benches", "rollouts")?;
    // A model that the user names comes later, and counts.
    let built = [("--bestof", example), ("--program", program), ("--model", smollm2())];
    with_python("rollouts.py", "torch and transformers", &built, args)
}

/// Prediction and fine-tuning of an encoder, and the same in the user's `PyTorch`.
fn encoder_side_by_side(args: &[String]) -> Result<()> {
    let built = [("--bestof", example("bestof-benches", "encoder")?)];
    with_python("encoder_side_by_side.py", "torch and transformers", &built, args)
}

/// The model that comparisons are made with unless the user names another.
fn smollm2() -> PathBuf {
    process::root().join("models/smollm2-135m-instruct")
}

/// Builds an example of a package.
fn example(package: &str, name: &str) -> Result<PathBuf> {
    let mut build = process::cargo();
    build.args(["build", "--release", "--quiet", "--package", package, "--example", name]);
    process::executable(&mut build, &format!("the example `{name}`"))
}

/// A script that compares what was built with `packages` of the user's Python.
fn with_python(
    script: &str,
    packages: &str,
    built: &[(&str, PathBuf)],
    args: &[String],
) -> Result<()> {
    let (python, rest) = python_and_rest(args)?;
    let mut command = Command::new(&python);
    command.arg(process::root().join("benches").join(script));
    for (flag, path) in built {
        command.arg(flag).arg(path);
    }
    process::step(script, process::keeping_memory(command.args(rest)))
        .with_context(|| format!("{python} needs {packages}; name another with --python"))
}

/// A device with `bestof` built for it, beside TRL where the user's Python has it.
fn device_side_by_side(args: &[String]) -> Result<()> {
    let (python, rest) = python_and_rest(args)?;
    let features: Vec<String> = user_verb::device_feature(&rest, None).into_iter().collect();
    let binary = user_verb::build(&features)?;
    let root = process::root();
    let mut command = Command::new(&python);
    command.arg(root.join("benches/device_side_by_side.py")).arg("--bestof").arg(binary);
    command.arg("--fixtures").arg(root.join("crates/models/tests/fixtures/parity"));
    if !rest.iter().any(|arg| arg == "--model" || arg.starts_with("--model=")) {
        command.arg("--model").arg(smollm2());
    }
    process::step("device side by side", process::keeping_memory(command.args(rest)))
}

/// The interpreter of `--python`, and the other arguments.
fn python_and_rest(args: &[String]) -> Result<(String, Vec<String>)> {
    let (mut python, mut rest) = ("python3".to_owned(), Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--python" => python = args.next().cloned().context("--python needs a value")?,
            other => rest.push(other.to_owned()),
        }
    }
    Ok((python, rest))
}
