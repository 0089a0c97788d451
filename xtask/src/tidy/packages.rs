//! What a package says about itself.

use std::path::Path;

use serde_json::Value;

use crate::workspace::{is_published, name};

/// One line for each thing that a published package lacks.
pub(super) fn findings(packages: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages.iter().filter(|package| is_published(package)) {
        let name = name(package);
        for key in ["description", "license", "readme", "documentation", "rust_version"] {
            if package[key].as_str().is_none_or(str::is_empty) {
                found.push(format!("{name}: Cargo.toml has no `{}`", key.replace('_', "-")));
            }
        }
        for key in ["keywords", "categories"] {
            if !matches!(package[key].as_array().map(Vec::len), Some(1..=5)) {
                found.push(format!("{name}: Cargo.toml needs one to five `{key}`"));
            }
        }
        let folder = Path::new(package["manifest_path"].as_str().unwrap_or_default()).parent();
        let readme = package["readme"].as_str().unwrap_or_default();
        if !folder.is_some_and(|folder| folder.join(readme).is_file()) {
            found.push(format!("{name}: there is no {readme}"));
        }
        if package["metadata"]["docs"]["rs"].is_null() {
            found.push(format!("{name}: Cargo.toml has no [package.metadata.docs.rs]"));
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if dependency["req"] == "*" {
                let to = dependency["name"].as_str().unwrap_or_default();
                found.push(format!("{name} -> {to}: a dependency without a version"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::findings;
    use crate::process;

    #[test]
    fn what_a_package_lacks_is_listed() {
        let manifest = process::root().join("Cargo.toml");
        let mut package = json!({
            "name": "bestof-x", "publish": null, "manifest_path": manifest, "description": "X", "license": "MIT",
            "readme": "README.md", "documentation": "https://docs.rs/bestof-x",
            "rust_version": "1.95", "keywords": ["x"], "categories": ["science"],
            "metadata": {"docs": {"rs": {}}}, "dependencies": [{"name": "y", "req": "^1"}],
        });
        assert_eq!(findings(&[package.clone()]), Vec::<String>::new());
        package["description"] = json!(null);
        package["keywords"] = json!([]);
        package["metadata"] = json!(null);
        package["readme"] = json!("READYOU.md");
        package["dependencies"][0]["req"] = json!("*");
        let found = findings(&[package.clone()]);
        assert_eq!(found.len(), 5, "{found:?}");
        package["publish"] = json!([]);
        assert_eq!(findings(&[package]), Vec::<String>::new());
    }
}
