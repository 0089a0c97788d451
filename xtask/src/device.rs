//! Other devices than the CPU: tests on one, and the type check of the one that CI cannot link.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use crate::process;
use crate::workspace::of_workspace;

/// Runs the tests that hold a device to the CPU. Nothing is installed; what is missing is named.
pub(crate) fn test(name: &str, features: &[String]) -> Result<()> {
    let kind = name.split(':').next().unwrap_or_default();
    ensure!(
        matches!(kind, "wgpu" | "vulkan" | "cuda"),
        "device `{name}` has no tests of its own; those that do are wgpu, vulkan and cuda"
    );
    if kind != "cuda" && cfg!(target_os = "linux") && !has_vulkan_driver(&driver_folders()) {
        bail!(
            "this machine has no Vulkan driver; Debian's package mesa-vulkan-drivers brings those of \
             Mesa, one of which computes on the CPU: `apt-get install mesa-vulkan-drivers`"
        );
    }
    let mut command = process::cargo();
    // With the features of the workspace: what they built already is not built once more.
    command.args(["test", "--release", "--workspace", "--test", "device*"]);
    let mut features = features.to_vec();
    if !features.iter().any(|feature| feature == kind) {
        features.push(kind.to_owned());
    }
    command.args(of_workspace(&features, &[]));
    // Mesa says so on every start if there is none.
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }
    process::step(&format!("tests on {name}"), command.env("BESTOF_DEVICE", name))
}

/// Where Vulkan's loader looks for the manifests of drivers.
fn driver_folders() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or(home);
    let mut folders: Vec<PathBuf> = ["/etc", "/usr/local/etc", "/usr/share", "/usr/local/share"]
        .into_iter()
        .map(PathBuf::from)
        .chain(data)
        .map(|folder| folder.join("vulkan/icd.d"))
        .collect();
    // The user's own choice: files or folders.
    for name in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"] {
        if let Some(paths) = std::env::var_os(name) {
            folders.extend(std::env::split_paths(&paths));
        }
    }
    folders
}

fn has_vulkan_driver(places: &[PathBuf]) -> bool {
    let is_manifest = |path: &Path| path.extension().is_some_and(|end| end == "json");
    places.iter().any(|place| match std::fs::read_dir(place) {
        Ok(entries) => entries.flatten().any(|entry| is_manifest(&entry.path())),
        Err(_) => place.is_file() && is_manifest(place),
    })
}

/// Type-checks the `cuda` feature: its build script wants CUDA's LLVM to link, and leaves that
/// out where documentation is built.
pub(crate) fn check_cuda() -> Result<()> {
    let mut command = process::cargo();
    command.args(["check", "--release", "--workspace", "--features", "bestof-trainer/cuda"]);
    process::step("cuda type-check", command.env("DOCS_RS", "1"))
}

#[cfg(test)]
mod tests {
    use super::{has_vulkan_driver, test};

    #[test]
    fn a_device_without_tests_is_named() {
        let message = test("tpu:0", &[]).unwrap_err().to_string();
        assert!(message.contains("`tpu:0`") && message.contains("wgpu"), "{message}");
    }

    #[test]
    fn a_driver_is_a_manifest_in_one_of_the_places() {
        let root = std::env::temp_dir().join(format!("bestof-drivers-{}", std::process::id()));
        let folder = root.join("icd.d");
        std::fs::create_dir_all(&folder).unwrap();
        let (places, manifest) = ([root.join("nowhere"), folder.clone()], folder.join("a.json"));
        std::fs::write(folder.join("README"), "").unwrap();
        assert!(!has_vulkan_driver(&places));
        std::fs::write(&manifest, "{}").unwrap();
        assert!(has_vulkan_driver(&places));
        assert!(has_vulkan_driver(&[manifest]));
        std::fs::remove_dir_all(&root).unwrap();
    }
}
