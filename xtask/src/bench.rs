//! Criterion benches of the workspace, and comparisons with other implementations.

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
            return with_python("classical_side_by_side.py", "scikit-learn", &args[1..]);
        }
        Some("sentences") => {
            let packages = "torch, transformers and scikit-learn";
            return with_python("sentences.py", packages, &args[1..]);
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
        None => process::root().join("models/smollm2-135m-instruct").display().to_string(),
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
    let (python, rest) = python_and_rest(args)?;
    let model = process::root().join("models/smollm2-135m-instruct");
    let binary = user_verb::build(&["mpi".to_owned()])?;
    let mut command = Command::new(&python);
    command.arg(process::root().join("benches/scaling.py"));
    command.arg("--bestof").arg(binary).arg("--model").arg(model).args(rest);
    process::step("scaling", process::keeping_memory(&mut command))
}

/// The reward transformations and the same formulas in the user's `NumPy`, on the same rewards.
fn estimators(args: &[String]) -> Result<()> {
    let (python, rest) = python_and_rest(args)?;
    let mut build = process::cargo();
    build.args(["build", "--release", "--quiet", "--package", "bestof-estimators"]);
    let program = process::executable(build.args(["--example", "beside"]), "the example `beside`")?;
    let mut command = Command::new(&python);
    command.arg(process::root().join("benches/estimators.py"));
    command.arg("--bestof").arg(program).args(rest);
    process::step("estimators beside NumPy", &mut command)
        .with_context(|| format!("{python} needs numpy; name another with --python"))
}

/// Samples of a model, and the same in the user's transformers and llama.cpp.
fn rollouts(args: &[String]) -> Result<()> {
    let (python, rest) = python_and_rest(args)?;
    let program = user_verb::build(&[])?;
    let mut build = process::cargo();
    build.args(["build", "--release", "--quiet", "--package", "bestof-benches"]);
    let example =
        process::executable(build.args(["--example", "rollouts"]), "the example `rollouts`")?;
    let mut command = Command::new(&python);
    command.arg(process::root().join("benches/rollouts.py"));
    command.arg("--bestof").arg(example).arg("--program").arg(program);
    if !rest.iter().any(|arg| arg == "--model" || arg.starts_with("--model=")) {
        command.arg("--model").arg(process::root().join("models/smollm2-135m-instruct"));
    }
    process::step("rollouts", process::keeping_memory(command.args(rest))).with_context(|| {
        format!("{python} needs torch and transformers; name another with --python")
    })
}

/// Prediction and fine-tuning of an encoder, and the same in the user's `PyTorch`.
fn encoder_side_by_side(args: &[String]) -> Result<()> {
    let (python, rest) = python_and_rest(args)?;
    let mut build = process::cargo();
    build.args(["build", "--release", "--quiet", "--package", "bestof-benches"]);
    let program =
        process::executable(build.args(["--example", "encoder"]), "the example `encoder`")?;
    let mut command = Command::new(&python);
    command.arg(process::root().join("benches/encoder_side_by_side.py"));
    command.arg("--bestof").arg(program).args(rest);
    process::step("side by side", process::keeping_memory(&mut command)).with_context(|| {
        format!("{python} needs torch and transformers; name another with --python")
    })
}

/// A script that compares the built `bestof` with `packages` of the user's Python.
fn with_python(script: &str, packages: &str, args: &[String]) -> Result<()> {
    let (python, rest) = python_and_rest(args)?;
    let binary = user_verb::build(&[])?;
    let mut command = Command::new(&python);
    command
        .arg(process::root().join("benches").join(script))
        .arg("--bestof")
        .arg(binary)
        .args(rest);
    process::step(script, process::keeping_memory(&mut command))
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
        command.arg("--model").arg(root.join("models/smollm2-135m-instruct"));
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
