//! The configuration of the runs, and what differs between them.

use std::collections::BTreeMap;

use toml::Value;

use super::runs::Runs;
use super::tables;
use crate::element::{Code, Text};
use crate::page::Section;

/// The keys in which runs differ, then each configuration, folded.
pub(super) fn section(runs: &Runs<'_>) -> Section {
    let mut section = Section::new("Configuration");
    if runs.are_compared() {
        let settings: Vec<_> = runs
            .folders
            .iter()
            .map(|run| settings(run.config.as_deref().unwrap_or_default()))
            .collect();
        let differ =
            |key: &&String| settings.windows(2).any(|pair| pair[0].get(*key) != pair[1].get(*key));
        let order = settings.iter().flat_map(BTreeMap::keys).filter(differ);
        match tables::by_name(runs, "What differs", "key", order, &settings) {
            Some(table) => section.push(table),
            None if runs.folders.iter().any(|run| run.config.is_some()) => {
                section.push(Text::note("The configurations are the same."));
            }
            None => {}
        }
    }
    for (name, run) in runs.iter() {
        if let Some(config) = &run.config {
            section.push(Code::new(runs.labelled(name, "config.toml"), config).folded());
        }
    }
    section
}

/// Every value of a TOML text by its dotted key; none when it is no TOML.
fn settings(text: &str) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    if let Ok(table) = text.parse::<toml::Table>() {
        for (key, value) in &table {
            flatten(key, value, &mut flat);
        }
    }
    flat
}

fn flatten(key: &str, value: &Value, flat: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) => {
            for (field, value) in table {
                flatten(&format!("{key}.{field}"), value, flat);
            }
        }
        Value::String(text) => {
            flat.insert(key.into(), text.clone());
        }
        other => {
            flat.insert(key.into(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_dotted_keys() {
        let flat = settings("seed = 1\n[loss]\nname = \"dpop\"\n[loss.dpop]\nlambda = 50.0\n");
        let expected = [("loss.dpop.lambda", "50.0"), ("loss.name", "dpop"), ("seed", "1")];
        assert!(flat.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(expected));
        assert!(settings("no toml").is_empty());
    }
}
