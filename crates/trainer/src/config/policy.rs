//! `[rollout]`, `[reward]` and `[objective]`: what only policy-gradient runs have.

mod objective;
mod ranges;
mod server;

use bestof_tasks::verify::VerifierKind;
use serde::de::DeserializeOwned;
use serde::de::value::{self, StrDeserializer};
use serde::{Deserialize, Serialize};

pub use objective::ObjectiveSection;

/// `[rollout]`: how completions are sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutSection {
    /// Completions of each prompt, `n`. Default 8.
    pub num_generations: usize,
    /// Divides the logits, above 0, in sampling and in training: the policy is the model at this temperature. Default 1.
    pub temperature: f64,
    /// Keep the `k` likeliest tokens. Cuts bias the gradient. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// Keep the likeliest tokens whose probabilities first reach this sum. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Keep tokens at least this many times as likely as the likeliest. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// Longest completion, in tokens. Default 256.
    pub max_new_tokens: usize,
    /// Completions sampled together; the others wait. Default 64.
    pub max_batch: usize,
    /// Texts that end a completion; compared as text. Default: none.
    pub stop: Vec<String>,
    /// Render plain prompts as a user's message by the model's chat template. Default false.
    pub chat: bool,
    /// System message in front of every conversation. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// Completions of each held-out prompt in an evaluation; 0 takes `num_generations`. Default 0.
    pub eval_generations: usize,
    /// With `reward.verifier = "environment"`: the most turns of an episode. Default 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<usize>,
    /// Completions of each step, and of each evaluation, written to `samples.jsonl`. Default 4.
    pub logged_samples: usize,
    /// Address of a completions server that draws the completions, as `http://host:8000`. Default: the model itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The model, or adapter, that the server is asked for. Default: what it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_model: Option<String>,
    /// Requests to the server under way at the same time. Default 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_concurrency: Option<usize>,
    /// Seconds until a prompt's completions have to be there. Default 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_timeout: Option<f64>,
    /// Further attempts where no server, a busy one (429) or a broken one (5xx) was met, after half a second, one, two and so on. Default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_retries: Option<u32>,
    /// Name of the environment variable that holds the server's API key. Default: no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_api_key_env: Option<String>,
    /// Program and arguments that hand new weights to the server; the folder that holds them is the last argument. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_command: Vec<String>,
    /// Steps from one run of `sync_command` to the next. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_steps: Option<u64>,
    /// The most steps that the server's weights may be behind. Default: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_lag: Option<u64>,
}

impl Default for RolloutSection {
    fn default() -> Self {
        Self {
            num_generations: 8,
            temperature: 1.0,
            top_k: None,
            top_p: None,
            min_p: None,
            max_new_tokens: 256,
            max_batch: 64,
            stop: Vec::new(),
            chat: false,
            system_prompt: None,
            eval_generations: 0,
            max_turns: None,
            logged_samples: 4,
            server: None,
            server_model: None,
            server_concurrency: None,
            server_timeout: None,
            server_retries: None,
            server_api_key_env: None,
            sync_command: Vec::new(),
            sync_steps: None,
            max_lag: None,
        }
    }
}

impl RolloutSection {
    /// Completions of each held-out prompt.
    pub fn eval_samples(&self) -> usize {
        if self.eval_generations == 0 { self.num_generations } else { self.eval_generations }
    }
}

/// `[reward]`: who judges completions, and what a judgement is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardSection {
    /// `number`, `math`, `text`, `exact-text`, `choice`, `grid`, `countdown`, `countdown-near`, `program` or `environment`. Default `number`.
    pub verifier: VerifierName,
    /// `program`, `environment`: the program and its arguments.
    pub command: Vec<String>,
    /// `program`, `environment`: the least reward it may give. Default 0.
    pub low: f64,
    /// `program`, `environment`: the greatest reward it may give. Default 1.
    pub high: f64,
    /// `program`, `environment`: seconds until it has to have answered. Default 10.
    pub time_limit: f64,
    /// `program`, `environment`: MiB of address space for each of its processes. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// `program`, `environment`: keep its processes and give them one line after the other, in place of starting one for each completion or episode. Default false.
    pub persistent: bool,
    /// Reward of a verification that failed: the program crashed, hung or talked nonsense. Default: the verifier's lowest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<f64>,
    /// Rewards from here on count as passed, in pass@k and shares of solved prompts. Default: the verifier's highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_at: Option<f64>,
    /// What the verifier's reward is multiplied by. Default 1.
    pub weight: f64,
    /// Further rewards that are added: tables of `verifier`, `weight` and the keys of `program`. Whether a completion passed is said by the first verifier alone.
    pub more: Vec<RewardPart>,
    /// Reward of a completion that was cut off, whatever the verifiers say. Default: what they say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<f64>,
    /// What each token of a completion costs. Default 0.
    pub length_penalty: f64,
    /// Tokens before `rollout.max_new_tokens` over which `overlong_penalty` rises from 0. Default 0: none.
    pub overlong_buffer: usize,
    /// What the longest completions lose; read with `overlong_buffer`. Default 1.
    pub overlong_penalty: f64,
    /// Completions verified at the same time; 0 takes the number of processors. Default 0.
    pub workers: usize,
}

impl Default for RewardSection {
    fn default() -> Self {
        Self {
            verifier: VerifierName::BuiltIn(VerifierKind::Number),
            command: Vec::new(),
            low: 0.0,
            high: 1.0,
            time_limit: 10.0,
            memory_limit: None,
            persistent: false,
            failed: None,
            pass_at: None,
            weight: 1.0,
            more: Vec::new(),
            truncated: None,
            length_penalty: 0.0,
            overlong_buffer: 0,
            overlong_penalty: 1.0,
            workers: 0,
        }
    }
}

/// One verifier and its weight: a table of `reward.more`, or what `[reward]` says of the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardPart {
    /// As `reward.verifier`.
    pub verifier: VerifierName,
    /// What its reward is multiplied by; may be negative. Default 1.
    #[serde(default = "one")]
    pub weight: f64,
    /// As `reward.command`.
    #[serde(default)]
    pub command: Vec<String>,
    /// As `reward.low`.
    #[serde(default)]
    pub low: f64,
    /// As `reward.high`.
    #[serde(default = "one")]
    pub high: f64,
    /// As `reward.time_limit`.
    #[serde(default = "ten")]
    pub time_limit: f64,
    /// As `reward.memory_limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// As `reward.persistent`.
    #[serde(default)]
    pub persistent: bool,
}

impl RewardSection {
    /// The verifiers, the first of which says what passed.
    pub(crate) fn parts(&self) -> Vec<RewardPart> {
        std::iter::once(self.first()).chain(self.more.iter().cloned()).collect()
    }

    /// The verifier that says what passed.
    pub(crate) fn first(&self) -> RewardPart {
        RewardPart {
            verifier: self.verifier,
            weight: self.weight,
            command: self.command.clone(),
            low: self.low,
            high: self.high,
            time_limit: self.time_limit,
            memory_limit: self.memory_limit,
            persistent: self.persistent,
        }
    }
}

fn one() -> f64 {
    1.0
}

fn ten() -> f64 {
    10.0
}

/// A verifier by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, try_from = "String")]
pub enum VerifierName {
    /// One of those that are built in.
    BuiltIn(VerifierKind),
    /// A program of the user's.
    External(External),
}

impl TryFrom<String> for VerifierName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
            T::deserialize(StrDeserializer::<value::Error>::new(name)).ok()
        }
        let built_in = || named(&name).map(Self::BuiltIn);
        built_in().or_else(|| named(&name).map(Self::External)).ok_or_else(|| {
            format!(
                "no verifier has this name: `{name}`; there are number, math, text, exact-text, choice, grid, \
                 countdown, countdown-near, program and environment"
            )
        })
    }
}

/// The names `program` and `environment`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum External {
    /// `program`: it judges completions.
    Program,
    /// `environment`: it answers the policy turn by turn, and judges episodes.
    Environment,
}

#[cfg(test)]
mod tests {
    use crate::config::{ConfigError, RunConfig};

    fn read(overrides: &[&str]) -> Result<RunConfig, ConfigError> {
        let text = "[model]\npath='m'\n[data]\ntrain='t'\n[output]\ndir='o'\n[objective]\nk=2\n";
        let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
        RunConfig::from_toml(text, &overrides)
    }

    #[test]
    fn the_resolved_sections_read_back_equal() {
        let config = read(&[
            "objective.k_schedule={kind=\"until-stall\",from=4,to=1,patience=3,min_gain=0.01}",
            "rollout.top_p=0.9",
            "reward.verifier=program",
            "reward.command=[\"check\"]",
        ])
        .unwrap();
        assert_eq!(RunConfig::from_toml(&config.to_toml(), &[]).unwrap(), config);
    }
}
