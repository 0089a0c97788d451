//! The workspace as `cargo metadata` describes it.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process;

/// Crates that must build without a tensor library; `losses` has it as an option.
pub(crate) const NO_TENSORS: &[&str] = &[
    "bestof-blocks",
    "bestof-closeness",
    "bestof-memory",
    "bestof-suggest",
    "bestof-files",
    "bestof-estimators",
    "bestof-losses",
    "bestof-positional",
    "bestof-tasks",
    "bestof-checkpoints",
    "bestof-report",
    "xtask",
];

pub(crate) struct Metadata {
    pub(crate) packages: Vec<Value>,
    pub(crate) target_directory: PathBuf,
}

/// The workspace's packages, without those they depend on.
pub(crate) fn metadata() -> Result<Metadata> {
    let output = process::cargo()
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()
        .context("could not start cargo metadata")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: Value = serde_json::from_slice(&output.stdout)?;
    let Value::Array(packages) = metadata["packages"].take() else {
        bail!("cargo metadata lists no packages")
    };
    let target = metadata["target_directory"].as_str();
    let target_directory = target.context("cargo metadata names no target folder")?.into();
    Ok(Metadata { packages, target_directory })
}

pub(crate) fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap_or_default()
}

/// Whether a package may go to a registry: `publish = false` is an empty list of registries.
pub(crate) fn is_published(package: &Value) -> bool {
    package["publish"].as_array().is_none_or(|registries| !registries.is_empty())
}

/// Features of the program and others, as cargo takes them for the workspace: with the same ones nothing is built
/// twice.
pub(crate) fn of_workspace(features: &[String], others: &[&str]) -> Vec<String> {
    let of_program = features.iter().map(|feature| match feature.as_str() {
        "mpi" => "bestof/mpi".to_owned(),
        device => format!("bestof-trainer/{device}"),
    });
    let all: Vec<String> = of_program.chain(others.iter().map(|&other| other.to_owned())).collect();
    if all.is_empty() { Vec::new() } else { vec!["--features".to_owned(), all.join(",")] }
}
