//! Verbs of `bestof`, which is built in release with the features that its device needs, and run.

use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result};

use crate::process;

/// Builds `bestof`, runs it with `args` and returns its exit code.
pub(crate) fn run(features: &[String], args: &[String]) -> ExitCode {
    let mut features = features.to_vec();
    features.extend(wanted_feature(args));
    exit_code(build(&features).and_then(|binary| {
        let mut command = Command::new(&binary);
        command.args(args).env("BESTOF_INVOKED_AS", "cargo xtask");
        process::become_or_wait(&mut command)
            .with_context(|| format!("could not start {}", binary.display()))
    }))
}

/// The exit code of a program that was run.
pub(crate) fn exit_code(outcome: Result<ExitStatus>) -> ExitCode {
    match outcome {
        // A process ended by a signal has no code; 1 means failure.
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)),
        Err(error) => {
            process::report(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The cargo feature that these arguments and the environment ask for.
pub(crate) fn wanted_feature(args: &[String]) -> Option<String> {
    device_feature(args, std::env::var("BESTOF_DEVICE").ok().as_deref())
}

/// The cargo feature behind `--device NAME[:n]`, or behind `BESTOF_DEVICE`; none for the CPU.
pub(crate) fn device_feature(args: &[String], from_env: Option<&str>) -> Option<String> {
    let flag = args.iter().enumerate().find_map(|(i, arg)| {
        arg.strip_prefix("--device=")
            .map(str::to_owned)
            .or_else(|| (arg == "--device").then(|| args.get(i + 1).cloned()).flatten())
    });
    let device = flag.or_else(|| from_env.map(str::to_owned))?;
    let kind = device.split(':').next().unwrap_or_default();
    matches!(kind, "wgpu" | "vulkan" | "cuda").then(|| kind.to_owned())
}

/// Builds `bestof` in release and returns the path of the binary.
pub(crate) fn build(features: &[String]) -> Result<PathBuf> {
    let mut command = process::cargo();
    command.args(["build", "--release", "--package", "bestof", "--bin", "bestof"]);
    if !features.is_empty() {
        command.arg("--features").arg(features.join(","));
    }
    if std::env::var_os("CARGO_TERM_QUIET").is_none() && !needs_build_output() {
        command.arg("--quiet");
    }
    process::executable(&mut command, "`bestof`")
}

/// Whether cargo should show its progress: a first build takes minutes.
fn needs_build_output() -> bool {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| process::root().join("target"), PathBuf::from);
    !target.join("release").join(format!("bestof{}", std::env::consts::EXE_SUFFIX)).exists()
}

#[cfg(test)]
mod tests {
    use super::device_feature;

    fn args(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_device_brings_its_feature() {
        assert_eq!(device_feature(&args("sft --device cuda:1"), None), Some("cuda".into()));
        assert_eq!(device_feature(&args("sft --device=wgpu"), None), Some("wgpu".into()));
        assert_eq!(device_feature(&args("sft --device cpu"), Some("cuda")), None);
        assert_eq!(device_feature(&args("sft"), Some("vulkan")), Some("vulkan".into()));
        assert_eq!(device_feature(&args("sft --device"), None), None);
    }
}
