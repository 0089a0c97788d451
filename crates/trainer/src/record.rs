//! The settings that a run's folder keeps: what of them changed since the run was started.

use std::collections::BTreeMap;

/// A key whose value differs between the settings of a run and those it is resumed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Dotted path of the key.
    pub key: String,
    /// The value the run was started with; `absent` if it had none.
    pub before: String,
    /// The value given now; `absent` if there is none.
    pub now: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` was {} and is now {}", self.key, self.before, self.now)
    }
}

/// Keys that say where something is or how it is reached, and may change when a run goes on.
const PLACES: &[&str] = &[
    "output.dir",
    "rollout.server",
    "rollout.server_concurrency",
    "rollout.server_timeout",
    "rollout.server_retries",
    "rollout.sync_command",
];

/// A key that may also come or go: whether a server asks for a key decides no number.
const KEY_OF_SERVER: &str = "rollout.server_api_key_env";

/// Every key whose value differs between two TOML texts, but [`PLACES`] and [`KEY_OF_SERVER`]: the run's folder or
/// its server may have moved, everything else decides what the numbers are.
pub(crate) fn differences(before: &str, now: &str) -> Result<Vec<Difference>, toml::de::Error> {
    let (mut before, mut now) = (flatten(before)?, flatten(now)?);
    for key in PLACES {
        // Whether there is one at all decides numbers.
        if before.contains_key(*key) && now.contains_key(*key) {
            before.remove(*key);
            now.remove(*key);
        }
    }
    before.remove(KEY_OF_SERVER);
    now.remove(KEY_OF_SERVER);
    let absent = || "absent".to_owned();
    let mut differences: Vec<Difference> = before
        .iter()
        .filter(|(key, value)| now.get(*key) != Some(*value))
        .map(|(key, value)| Difference {
            key: key.clone(),
            before: value.clone(),
            now: now.get(key).cloned().unwrap_or_else(absent),
        })
        .collect();
    differences.extend(
        now.iter().filter(|(key, _)| !before.contains_key(*key)).map(|(key, value)| Difference {
            key: key.clone(),
            before: absent(),
            now: value.clone(),
        }),
    );
    Ok(differences)
}

/// Dotted key to value text.
fn flatten(text: &str) -> Result<BTreeMap<String, String>, toml::de::Error> {
    let mut flat = BTreeMap::new();
    flatten_into(&text.parse()?, "", &mut flat);
    Ok(flat)
}

fn flatten_into(table: &toml::Table, prefix: &str, flat: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten_into(inner, &path, flat),
            other => {
                flat.insert(path, other.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_key_is_named_but_the_folder() {
        let before = "[lora]\nr = 4\n[train]\nseed = 1\n[output]\ndir = 'a'\n";
        let now = "[train]\nseed = 2\n[output]\ndir = 'b'\n[loss]\nname = 'dpop'\n";
        let differences = differences(before, now).unwrap();
        let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "`lora.r` was 4 and is now absent",
                "`train.seed` was 1 and is now 2",
                "`loss.name` was absent and is now \"dpop\"",
            ]
        );
    }

    #[test]
    fn a_server_may_move_and_ask_for_a_key_but_not_come_or_go() {
        let before = "[rollout]\nserver = 'http://a'\n";
        let now = "[rollout]\nserver = 'http://b'\nserver_api_key_env = 'KEY'\n";
        assert_eq!(differences(before, now).unwrap(), []);
        assert_eq!(differences(now, before).unwrap(), []);
        let found = differences("", now).unwrap();
        let keys: Vec<&str> = found.iter().map(|difference| difference.key.as_str()).collect();
        assert_eq!(keys, ["rollout.server"]);
    }

    #[test]
    fn the_folder_may_move_and_the_text_be_laid_out_otherwise() {
        let before = "[train]\nseed = 1\nlearning_rate = 0.5\n[output]\ndir = 'a'\n";
        let now = "output = { dir = 'b' }\ntrain = { learning_rate = 5e-1, seed = 1 }\n";
        assert_eq!(differences(before, now).unwrap(), []);
        assert!(differences("seed", now).is_err());
        assert!(differences("seed = 18446744073709551615", now).is_err());
    }
}
