//! Which crate may use which: the arrows of `docs/ARCHITECTURE.md`, and no others.

use serde_json::Value;

use crate::workspace::{NO_TENSORS, name};

/// Each crate with the workspace crates it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("bestof-blocks", &[]),
    ("bestof-closeness", &[]),
    ("bestof-memory", &[]),
    ("bestof-suggest", &[]),
    ("bestof-files", &[]),
    ("bestof-estimators", &[]),
    ("bestof-losses", &["bestof-suggest"]),
    ("bestof-positional", &[]),
    ("bestof-tasks", &["bestof-files", "bestof-suggest"]),
    (
        "bestof-checkpoints",
        &["bestof-blocks", "bestof-files", "bestof-positional", "bestof-suggest"],
    ),
    ("bestof-report", &["bestof-files"]),
    ("bestof-kernels", &["bestof-blocks"]),
    (
        "bestof-models",
        &[
            "bestof-blocks",
            "bestof-kernels",
            "bestof-positional",
            "bestof-checkpoints",
            "bestof-suggest",
            "bestof-files",
        ],
    ),
    (
        "bestof-trainer",
        &[
            "bestof-kernels",
            "bestof-models",
            "bestof-checkpoints",
            "bestof-positional",
            "bestof-tasks",
            "bestof-losses",
            "bestof-estimators",
            "bestof-report",
            "bestof-suggest",
            "bestof-files",
        ],
    ),
    (
        "bestof-sentiment",
        &[
            "bestof-trainer",
            "bestof-kernels",
            "bestof-models",
            "bestof-checkpoints",
            "bestof-report",
            "bestof-tasks",
            "bestof-files",
        ],
    ),
    (
        "bestof-reproduce",
        &[
            "bestof-sentiment",
            "bestof-trainer",
            "bestof-models",
            "bestof-checkpoints",
            "bestof-report",
            "bestof-tasks",
            "bestof-estimators",
            "bestof-losses",
            "bestof-positional",
            "bestof-suggest",
            "bestof-files",
        ],
    ),
    (
        "bestof",
        &[
            "bestof-reproduce",
            "bestof-sentiment",
            "bestof-trainer",
            "bestof-models",
            "bestof-checkpoints",
            "bestof-report",
            "bestof-tasks",
            "bestof-estimators",
            "bestof-losses",
            "bestof-positional",
            "bestof-suggest",
            "bestof-files",
            "bestof-memory",
        ],
    ),
    ("xtask", &[]),
];

/// One line for each dependency that no arrow allows.
pub(super) fn findings(packages: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        let name = name(package);
        if name == "bestof-benches" {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
            found.push(format!(
                "{name}: a crate without arrows; add it to xtask/src/tidy/arrows.rs"
            ));
            continue;
        };
        let dependencies = package["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
        for dependency in dependencies {
            let to = dependency["name"].as_str().unwrap_or_default();
            let normal = dependency["kind"].is_null();
            let optional = dependency["optional"].as_bool().unwrap_or_default();
            if normal && to.starts_with("bestof") && !allowed.contains(&to) {
                found.push(format!("{name} -> {to}: no such arrow"));
            }
            if normal && !optional && to == "burn" && NO_TENSORS.contains(&name) {
                found.push(format!("{name} -> burn: this crate stays free of tensors"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::findings;

    #[test]
    fn a_wrong_arrow_and_a_stray_tensor_library_are_found() {
        let dependency = |name: &str| json!({"name": name, "kind": null, "optional": false});
        let packages = [
            json!({"name": "bestof-models", "dependencies": [dependency("bestof-trainer")]}),
            json!({"name": "bestof-tasks", "dependencies": [dependency("burn")]}),
            json!({"name": "bestof-trainer", "dependencies": [dependency("bestof-models")]}),
            json!({"name": "bestof-odd", "dependencies": []}),
        ];
        let found = findings(&packages);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("bestof-models -> bestof-trainer"));
        assert!(found[1].contains("bestof-tasks -> burn"));
        assert!(found[2].contains("bestof-odd"));
    }
}
