//! Everything CI checks, the fastest first.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{package, process, tidy};

/// `test [--real-models] [--quick]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut real_models = false;
    let mut quick = false;
    for arg in args {
        match arg.as_str() {
            "--real-models" => real_models = true,
            "--quick" => quick = true,
            other => bail!("unknown flag `{other}`; known: --real-models, --quick"),
        }
    }
    process::step("format", process::cargo().args(["fmt", "--all", "--check"]))?;
    tidy::run(&[])?;
    if !quick {
        let clippy = ["clippy", "--release", "--workspace", "--all-targets"];
        let mut command = process::cargo();
        process::step("lints", command.args(clippy).args(["--", "--deny", "warnings"]))?;
    }
    if !quick {
        package::run(&[])?;
    }
    let mut command = process::cargo();
    process::step(
        "tests",
        command.args([
            "test",
            "--release",
            "--workspace",
            "--all-targets",
            "--features",
            "bestof-losses/flex",
        ]),
    )?;
    let mut command = process::cargo();
    process::step("doctests", command.args(["test", "--release", "--workspace", "--doc"]))?;
    if real_models {
        on_real_models()?;
    }
    Ok(())
}

/// Type-checks the `cuda` feature: its build script wants CUDA's LLVM to link, and leaves that
/// out where documentation is built.
pub(crate) fn check_cuda() -> Result<()> {
    let mut command = process::cargo();
    command.args(["check", "--release", "--package", "bestof", "--features", "cuda"]);
    process::step("cuda type-check", command.env("DOCS_RS", "1"))
}

fn on_real_models() -> Result<()> {
    // With the features of the workspace, which the tests have built; the package alone has others, and
    // burn would be built once more.
    let mut build = process::cargo();
    build.args(["build", "--release", "--quiet", "--workspace", "--bin", "bestof"]);
    let bestof = process::executable(&mut build, "`bestof`")?;
    for name in ["smollm2-135m-instruct", "gemma3-270m", "minilm-l6-v2"] {
        let mut command = Command::new(&bestof);
        command.current_dir(process::root()).args(["fetch", name]);
        process::step(&format!("fetch {name}"), &mut command)?;
    }
    let mut command = process::cargo();
    command.args(["test", "--release", "--workspace", "--features", "real-models"]);
    command.args(["--test", "real_*"]);
    command.env("BESTOF_REAL_MODELS", process::root().join("models"));
    process::step("real models", &mut command)
}
