//! Training runs from outside: their flags, and what they wrote.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Flags as they are, everything else as an override.
pub(crate) fn flags_and_sets(given: &[&str]) -> Vec<String> {
    let mut args = Vec::new();
    for text in given {
        if !text.starts_with("--") {
            args.push("--set".to_owned());
        }
        args.push((*text).to_owned());
    }
    args
}

/// The objects of a file of JSON lines.
pub(crate) fn read_lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The metrics of a run without those that a clock makes.
pub(crate) fn metrics(run: &Path) -> Vec<Value> {
    let timing =
        |name: &str| ["second", "runtime", "time", "memory"].iter().any(|part| name.contains(part));
    let mut rows = read_lines(&run.join("metrics.jsonl"));
    for row in &mut rows {
        let row = row.as_object_mut().unwrap();
        row.retain(|name, _| name == "verifier/timeouts" || !timing(name));
    }
    rows
}
