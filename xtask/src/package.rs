//! Each crate stands alone: it is packaged, and what is in the packages type-checks by itself.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;
use crate::workspace::{self, NO_TENSORS, is_published, name};

/// `package [--all]`: packages every crate and lints the packages of those without tensors, with each
/// combination of their features; `--all` lints all packages.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let all = match args {
        [] => false,
        [flag] if flag == "--all" => true,
        _ => bail!("unknown arguments `{}`; known: --all", args.join(" ")),
    };
    let metadata = workspace::metadata()?;
    let published: Vec<&Value> = metadata.packages.iter().filter(|p| is_published(p)).collect();
    let mut command = process::cargo();
    command.args(["package", "--no-verify", "--exclude-lockfile", "--allow-dirty", "--quiet"]);
    for package in &published {
        command.args(["--package", name(package)]);
    }
    process::step("packages", &mut command)?;

    let chosen: Vec<&Value> =
        published.into_iter().filter(|p| all || NO_TENSORS.contains(&name(p))).collect();
    let folder = metadata.target_directory.join("packages-alone");
    unpack(&chosen, &metadata.target_directory.join("package"), &folder)?;
    lint("packages alone", &folder, &["--workspace", "--all-targets"])?;
    for package in chosen.into_iter().filter(|p| NO_TENSORS.contains(&name(p))) {
        for features in combinations(package) {
            let name = name(package);
            let step = format!("{name} with the features [{}]", features.join(", "));
            let features = features.join(",");
            let flags = ["--package", name, "--lib", "--no-default-features"];
            lint(&step, &folder, &[&flags[..], &["--features", &features]].concat())?;
        }
    }
    Ok(())
}

/// Every set of a package's own features that brings no tensors; none for a package without features.
fn combinations(package: &Value) -> Vec<Vec<&str>> {
    let Some(table) = package["features"].as_object() else { return Vec::new() };
    let names: Vec<&str> = table
        .keys()
        .map(String::as_str)
        .filter(|name| *name != "default" && !enables(table, name).contains("burn"))
        .collect();
    if names.is_empty() {
        return Vec::new();
    }
    let sets = 0..1_u32 << names.len();
    sets.map(|set| {
        let chosen = names.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1);
        chosen.map(|(_, name)| *name).collect()
    })
    .collect()
}

/// All features and dependencies that a feature enables, itself included.
fn enables(table: &serde_json::Map<String, Value>, feature: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![feature.to_owned()];
    while let Some(feature) = open.pop() {
        // `dep:name`, `name/feature` and `name?/feature` all name the dependency.
        let plain = feature.trim_start_matches("dep:").split(['/', '?']).next().unwrap_or_default();
        if found.insert(plain.to_owned()) {
            let next = table.get(plain).and_then(Value::as_array).into_iter().flatten();
            open.extend(next.filter_map(Value::as_str).map(str::to_owned));
        }
    }
    found
}

/// Makes a workspace of the packages alone, with this workspace's profiles and locked versions.
fn unpack(packages: &[&Value], archives: &Path, folder: &Path) -> Result<()> {
    let crates = folder.join("crates");
    if crates.exists() {
        fs::remove_dir_all(&crates).with_context(|| crates.display().to_string())?;
    }
    fs::create_dir_all(&crates).with_context(|| crates.display().to_string())?;
    let mut patches = String::from("\n[patch.crates-io]\n");
    for package in packages {
        let folder =
            format!("{}-{}", name(package), package["version"].as_str().unwrap_or_default());
        let archive = archives.join(format!("{folder}.crate"));
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&archive).arg("-C").arg(&crates);
        let status = tar.status().context("could not start tar")?;
        if !status.success() {
            bail!("tar could not unpack {}", archive.display());
        }
        let _ = writeln!(patches, "{} = {{ path = \"crates/{folder}\" }}", name(package));
    }
    let root = process::root();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).context("Cargo.toml")?;
    let members = manifest.lines().find(|line| line.starts_with("members = "));
    let members = members.context("the workspace's Cargo.toml has no line `members = …`")?;
    let manifest = manifest.replace(members, "members = [\"crates/*\"]") + &patches;
    fs::write(folder.join("Cargo.toml"), manifest).context("the manifest of the packages")?;
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).context("Cargo.lock")?;
    Ok(())
}

/// Clippy with this workspace's settings, so that warnings fail and dependencies built for the
/// workspace are used again.
fn lint(step: &str, folder: &Path, flags: &[&str]) -> Result<()> {
    let mut command = process::cargo();
    command.current_dir(folder).env("CLIPPY_CONF_DIR", process::root());
    command.args(["clippy", "--release", "--quiet"]).args(flags).args(["--", "--deny", "warnings"]);
    process::step(step, &mut command)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::combinations;

    #[test]
    fn features_are_combined_but_those_with_tensors() {
        let package = json!({"features": {
            "default": ["a"], "a": [], "b": ["dep:serde"], "tensors": ["dep:burn"], "flex": ["tensors"],
        }});
        let expected: [&[&str]; 4] = [&[], &["a"], &["b"], &["a", "b"]];
        assert_eq!(combinations(&package), expected);
        assert!(combinations(&json!({"features": {}})).is_empty());
    }
}
