//! Criterion benches of the workspace, and comparisons with other implementations.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{compare, process, user_verb};

/// What a comparison builds, and as which argument its script takes it.
enum Built {
    /// `--bestof`: the program.
    Program,
    /// `--bestof`: the program for ranks under MPI.
    WithRanks,
    /// `--bestof`: the program for the device that `--device` names.
    ForDevice,
    /// `--bestof`: an example of a package.
    Example(&'static str, &'static str),
    /// `--bestof`: the example; `--program`: the program.
    Both(&'static str, &'static str),
}

/// A script in `benches/` that compares what is built with something else.
struct Comparison {
    verb: &'static str,
    script: &'static str,
    /// What the user's Python needs.
    packages: &'static str,
    built: Built,
    /// Whether it takes `--model`, SmolLM2 unless the user names another.
    model: bool,
}

const COMPARISONS: [Comparison; 9] = [
    Comparison {
        verb: "side-by-side",
        script: "side_by_side.py",
        packages: "torch, transformers, trl, peft and datasets",
        built: Built::Program,
        model: true,
    },
    Comparison {
        verb: "grpo-side-by-side",
        script: "grpo_side_by_side.py",
        packages: "torch, transformers, trl, peft and datasets",
        built: Built::Program,
        model: true,
    },
    Comparison {
        verb: "rollouts",
        script: "rollouts.py",
        packages: "torch and transformers",
        built: Built::Both("bestof-benches", "rollouts"),
        model: true,
    },
    Comparison {
        verb: "estimators",
        script: "estimators.py",
        packages: "numpy",
        built: Built::Example("bestof-estimators", "beside"),
        model: false,
    },
    Comparison {
        verb: "scaling",
        script: "scaling.py",
        packages: "its standard library",
        built: Built::WithRanks,
        model: true,
    },
    Comparison {
        verb: "device-side-by-side",
        script: "device_side_by_side.py",
        packages: "its standard library",
        built: Built::ForDevice,
        model: true,
    },
    Comparison {
        verb: "classical-side-by-side",
        script: "classical_side_by_side.py",
        packages: "scikit-learn",
        built: Built::Program,
        model: false,
    },
    Comparison {
        verb: "sentences",
        script: "sentences.py",
        packages: "torch, transformers and scikit-learn",
        built: Built::Program,
        model: false,
    },
    Comparison {
        verb: "encoder-side-by-side",
        script: "encoder_side_by_side.py",
        packages: "torch and transformers",
        built: Built::Example("bestof-benches", "encoder"),
        model: false,
    },
];

/// `bench [FILTER]`, `bench --compare [FILTER]`, or `bench COMPARISON --python PYTHON [options of the script in benches/]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let first = args.first().map(String::as_str);
    if first == Some("--compare") {
        return compare::run(&args[1..]);
    }
    if let Some(comparison) = COMPARISONS.iter().find(|known| first == Some(known.verb)) {
        return beside(comparison, &args[1..]);
    }
    if args.iter().any(|arg| arg == "--python" || arg.starts_with("--python=")) {
        let known: Vec<&str> = COMPARISONS.iter().map(|known| known.verb).collect();
        let known = known.join(", ");
        bail!("no comparison is called `{}`; there are {known}", first.unwrap_or_default());
    }
    let mut command = process::cargo();
    command.args(["bench"]).args(compare::BENCHES).arg("--").args(args);
    process::step("benches", process::keeping_memory(&mut command))
}

fn beside(comparison: &Comparison, args: &[String]) -> Result<()> {
    let (python, rest) = python_and_rest(args)?;
    let mut command = Command::new(&python);
    command.arg(process::root().join("benches").join(comparison.script));
    let named = rest.iter().any(|arg| arg == "--model" || arg.starts_with("--model="));
    if comparison.model && !named {
        command.arg("--model").arg(process::root().join("models/smollm2-135m-instruct"));
    }
    let built = match comparison.built {
        Built::Program => user_verb::build(&[])?,
        Built::WithRanks => user_verb::build(&["mpi".to_owned()])?,
        Built::ForDevice => {
            let features: Vec<String> =
                user_verb::device_feature(&rest, None).into_iter().collect();
            user_verb::build(&features)?
        }
        Built::Example(package, name) => example(package, name)?,
        Built::Both(package, name) => {
            command.arg("--program").arg(user_verb::build(&[])?);
            example(package, name)?
        }
    };
    command.arg("--bestof").arg(built);
    process::step(comparison.verb, process::keeping_memory(command.args(rest))).with_context(|| {
        format!("{python} needs {}; name another with --python", comparison.packages)
    })
}

/// Builds an example of a package.
fn example(package: &str, name: &str) -> Result<PathBuf> {
    let mut build = process::cargo();
    build.args(["build", "--release", "--quiet", "--package", package, "--example", name]);
    process::executable(&mut build, &format!("the example `{name}`"))
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
