//! The keys of `[rollout]` that say where completions are drawn and how new weights get there.

use std::time::Duration;

use super::{RewardSection, RolloutSection};
use crate::config::error::{ConfigError, ValueProblem};
use crate::config::problems::Problems;
use crate::server::ServerSettings;

/// Turns of an episode, unless `rollout.max_turns` says how many.
const MAX_TURNS: usize = 8;

impl RolloutSection {
    /// The same with the defaults of a server and of episodes, if there are any, written down.
    #[must_use]
    pub(crate) fn resolved(mut self, reward: &RewardSection) -> Self {
        if self.server.is_some() {
            let defaults = ServerSettings::new("");
            self.server_concurrency.get_or_insert(defaults.concurrency);
            self.server_timeout.get_or_insert(defaults.timeout.as_secs_f64());
            self.server_retries.get_or_insert(defaults.retries);
        }
        if !self.sync_command.is_empty() {
            self.sync_steps.get_or_insert(1);
        }
        if reward.is_environment() {
            self.max_turns.get_or_insert(MAX_TURNS);
        }
        self
    }

    /// The server that draws completions, if there is one.
    ///
    /// # Errors
    /// [`ConfigError::Values`] for an environment variable without a key.
    pub(crate) fn server_settings(&self) -> Result<Option<ServerSettings>, ConfigError> {
        let Some(url) = &self.server else { return Ok(None) };
        let defaults = ServerSettings::new(url);
        let timeout = self.server_timeout.and_then(|s| Duration::try_from_secs_f64(s).ok());
        Ok(Some(ServerSettings {
            model: self.server_model.clone(),
            concurrency: self.server_concurrency.unwrap_or(defaults.concurrency),
            timeout: timeout.unwrap_or(defaults.timeout),
            retries: self.server_retries.unwrap_or(defaults.retries),
            api_key: self.server_api_key_env.as_deref().map(api_key).transpose()?,
            ..defaults
        }))
    }
}

fn api_key(variable: &str) -> Result<String, ConfigError> {
    let key = std::env::var(variable).unwrap_or_default();
    let fits = |c: char| c.is_ascii_graphic();
    if !key.is_empty() && key.chars().all(fits) {
        return Ok(key);
    }
    let problem = ValueProblem {
        key: "rollout.server_api_key_env",
        found: format!("{variable:?}, a variable that holds no key"),
        expected: "the name of an environment variable with the server's key",
    };
    Err(ConfigError::Values { problems: vec![problem] })
}

pub(super) fn check_server(rollout: &RolloutSection, problems: &mut Problems) {
    const ONLY: &str = "absent: only runs with a `rollout.server` have it";
    let server = rollout.server.is_some();
    if let Some(url) = &rollout.server {
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        problems.need(
            host.is_some_and(|host| !host.is_empty() && !host.starts_with('/') && is_plain(host)),
            "rollout.server",
            format!("{url:?}"),
            "an address, as `http://127.0.0.1:8000`",
        );
    }
    for (key, set) in [
        ("rollout.server_model", rollout.server_model.is_some()),
        ("rollout.server_concurrency", rollout.server_concurrency.is_some()),
        ("rollout.server_timeout", rollout.server_timeout.is_some()),
        ("rollout.server_retries", rollout.server_retries.is_some()),
        ("rollout.server_api_key_env", rollout.server_api_key_env.is_some()),
        ("rollout.sync_command", !rollout.sync_command.is_empty()),
        ("rollout.max_lag", rollout.max_lag.is_some()),
    ] {
        problems.need(server || !set, key, "present", ONLY);
    }
    problems.need(
        rollout.sync_steps.is_none() || !rollout.sync_command.is_empty(),
        "rollout.sync_steps",
        "present",
        "absent: only runs with a `rollout.sync_command` have it",
    );
    for (key, name) in [
        ("rollout.server_model", &rollout.server_model),
        ("rollout.server_api_key_env", &rollout.server_api_key_env),
    ] {
        problems.need(name.as_deref() != Some(""), key, "empty", "a name, or absent");
    }
    let concurrency = rollout.server_concurrency.unwrap_or(1);
    problems.need(
        (1..=1024).contains(&concurrency),
        "rollout.server_concurrency",
        concurrency,
        "at least 1 prompt, at most 1024",
    );
    let timeout = rollout.server_timeout.unwrap_or(1.0);
    problems.need(
        timeout > 0.0 && timeout <= 86_400.0,
        "rollout.server_timeout",
        timeout,
        "seconds above 0, at most a day",
    );
    problems.need(
        rollout.sync_command.first().is_none_or(|program| !program.is_empty()),
        "rollout.sync_command",
        "an empty name",
        "a program and its arguments, as [\"sh\", \"load.sh\"]",
    );
    problems.need(rollout.sync_steps != Some(0), "rollout.sync_steps", 0, "at least 1 step");
}

/// Whether a text is of an address without spaces, and without a key that would be shown in messages.
fn is_plain(host: &str) -> bool {
    host.chars().all(|c| c.is_ascii_graphic() && !"@?#".contains(c))
}

#[cfg(test)]
mod tests {
    use crate::config::{ConfigError, RunConfig};

    fn problems(overrides: &[&str]) -> Vec<String> {
        let text = "[model]\npath='m'\n[data]\ntrain='t'\n[output]\ndir='o'\n[objective]\nk=2\n";
        let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
        match RunConfig::from_toml(text, &overrides) {
            Err(ConfigError::Values { problems }) => {
                problems.iter().map(|problem| problem.key.to_owned()).collect()
            }
            Err(other) => panic!("{other}"),
            Ok(_) => Vec::new(),
        }
    }

    const SERVER: &str = "rollout.server=http://127.0.0.1:8000";

    #[test]
    fn keys_of_a_server_need_one() {
        for key in [
            "server_model=\"m\"",
            "server_concurrency=4",
            "server_timeout=10",
            "server_retries=2",
            "server_api_key_env=KEY",
            "sync_command=[\"true\"]",
            "max_lag=3",
        ] {
            let set = format!("rollout.{key}");
            let (name, _) = set.split_once('=').unwrap();
            assert_eq!(problems(&[&set]), [name], "{key}");
            assert!(problems(&[SERVER, &set]).is_empty(), "{key}");
        }
        assert_eq!(problems(&[SERVER, "rollout.sync_steps=2"]), ["rollout.sync_steps"]);
        let with = [SERVER, "rollout.sync_command=[\"true\"]", "rollout.sync_steps=2"];
        assert!(problems(&with).is_empty());
    }

    #[test]
    fn bad_values_are_refused_under_their_names() {
        for url in [
            "",
            "127.0.0.1:8000",
            "ftp://a",
            "http://",
            "http:///v1",
            "http://a b",
            "http://me:pw@a",
        ] {
            let set = format!("rollout.server={url:?}");
            assert_eq!(problems(&[&set]), ["rollout.server"], "{url}");
        }
        for key in [
            "server_model=\"\"",
            "server_concurrency=0",
            "server_timeout=0",
            "server_timeout=nan",
            "server_api_key_env=\"\"",
            "sync_command=[\"\"]",
        ] {
            let set = format!("rollout.{key}");
            let (name, _) = set.split_once('=').unwrap();
            assert_eq!(problems(&[SERVER, &set]), [name], "{key}");
        }
        let sync = "rollout.sync_command=[\"true\"]";
        assert_eq!(problems(&[SERVER, sync, "rollout.sync_steps=0"]), ["rollout.sync_steps"]);
    }

    #[test]
    fn a_key_comes_from_the_environment() {
        let rollout = super::RolloutSection {
            server: Some("http://a".to_owned()),
            server_api_key_env: Some("BESTOF_NO_SUCH_KEY".to_owned()),
            ..super::RolloutSection::default()
        };
        let error = rollout.server_settings().unwrap_err().to_string();
        assert!(
            error.contains("server_api_key_env") && error.contains("BESTOF_NO_SUCH_KEY"),
            "{error}"
        );
        let named =
            super::RolloutSection { server_api_key_env: Some("PATH".to_owned()), ..rollout };
        let settings = named.server_settings().unwrap().unwrap();
        assert_eq!(settings.api_key, std::env::var("PATH").ok());
    }
}
