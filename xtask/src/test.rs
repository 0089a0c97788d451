//! Everything CI checks, the fastest first.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::of_workspace;
use crate::{device, package, process, ranks, tidy};

/// `test [--real-models] [--quick]`, `test --device NAME`, or `test --ranks`.
pub(crate) fn run(features: &[String], args: &[String]) -> Result<()> {
    let mut real_models = false;
    let mut quick = false;
    let mut on = None;
    let mut several = false;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--real-models" => real_models = true,
            "--quick" => quick = true,
            "--ranks" => several = true,
            "--device" => on = Some(rest.next().context("--device needs a name, such as wgpu")?),
            other => {
                bail!("unknown flag `{other}`; known: --real-models, --quick, --device, --ranks")
            }
        }
    }
    if let Some(name) = on {
        ensure!(
            !real_models && !quick && !several,
            "--device stands alone: it runs the tests of devices only"
        );
        return device::test(name, features);
    }
    if several {
        ensure!(!real_models && !quick, "--ranks stands alone: it runs the tests of ranks only");
        return ranks::test(features);
    }
    process::step("format", process::cargo().args(["fmt", "--all", "--check"]))?;
    tidy::run(&[])?;
    if !quick {
        let clippy = ["clippy", "--release", "--workspace", "--all-targets"];
        let mut command = process::cargo();
        command.args(clippy).args(of_workspace(features, &[]));
        process::step("lints", command.args(["--", "--deny", "warnings"]))?;
        let mut command = small_program("clippy", features);
        command.args(["--bins", "--benches", "--", "--deny", "warnings"]);
        process::step("lints of the program that the first quickstart builds", &mut command)?;
    }
    if !quick {
        package::run(&[])?;
    }
    let mut command = process::cargo();
    command.args(["test", "--release", "--workspace", "--all-targets"]);
    process::step("tests", command.args(of_workspace(features, &["bestof-losses/flex"])))?;
    let mut command = small_program("test", features);
    command.args(["--package", "bestof-tasks", "--test", "left_out"]);
    process::step("tests of what it refuses", &mut command)?;
    let mut command = process::cargo();
    command.args(["test", "--release", "--workspace", "--doc"]);
    process::step("doctests", command.args(of_workspace(features, &[])))?;
    if real_models {
        on_real_models(features)?;
    }
    Ok(())
}

/// Cargo on the program without the features that `quickstart` does without. The other two packages bring the
/// features of dependencies that the whole workspace has: without them burn would be built once more.
fn small_program(verb: &str, features: &[String]) -> Command {
    let mut command = process::cargo();
    command.args([verb, "--release", "--no-default-features"]);
    for package in ["bestof", "bestof-estimators", "bestof-kernels"] {
        command.args(["--package", package]);
    }
    let own = features.iter().map(|feature| format!("bestof/{feature}"));
    let features =
        ["bestof-kernels/default", "bestof/cpu"].map(str::to_owned).into_iter().chain(own);
    command.arg("--features").arg(features.collect::<Vec<_>>().join(","));
    command
}

fn on_real_models(features: &[String]) -> Result<()> {
    // The program that the tests start: a build of its own would have other features of dependencies, and
    // burn would be built once more.
    let mut build = process::cargo();
    // Any test of the program has it built.
    build.args(["test", "--release", "--quiet", "--workspace", "--no-run", "--test", "fetch"]);
    build.args(of_workspace(features, &["real-models"]));
    let bestof = process::program(&mut build, "bestof")?;
    for name in ["smollm2-135m-instruct", "gemma3-270m", "minilm-l6-v2"] {
        let mut command = Command::new(&bestof);
        command.current_dir(process::root()).args(["fetch", name]);
        process::step(&format!("fetch {name}"), &mut command)?;
    }
    let mut command = process::cargo();
    command.args(["test", "--release", "--workspace"]);
    command.args(of_workspace(features, &["real-models"]));
    command.args(["--test", "real_*"]);
    command.env("BESTOF_REAL_MODELS", process::root().join("models"));
    process::step("real models", &mut command)
}
