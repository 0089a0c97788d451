//! `judge`: what a verifier says about completions, before a run depends on it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use bestof_tasks::rows::AnswerRow;
use bestof_tasks::verify::{Verification, VerificationOutcome, Verifier, VerifierKind};
use bestof_trainer::config::{External, RewardSection, VerifierName};
use bestof_trainer::launch::find_program;
use bestof_trainer::reinforce::VerifierSettings;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde_json::{Map, Value, json};

use crate::console::{self, Usage};
use crate::input;

/// Judge completions with a verifier, to try a reward before a run
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each line is a JSON object with `answer` and `completion`; for the verifiers `countdown` and\n\
    `countdown-near` also `numbers` and `target`. A program is sent all fields of the line.\n\
    The outcome is right, partial, wrong, unclear (no answer could be read) or failed (the check itself).\n\n\
    Examples:\n  echo '{\"answer\": \"0.5\", \"completion\": \"so it is \\\\boxed{\\\\frac{1}{2}}\"}' | cargo xtask judge --verifier math\n  \
    cargo xtask judge --json rows.jsonl --program python3 check.py"
)]
pub(crate) struct Judge {
    /// The file of JSON lines; stdin if left out
    file: Option<PathBuf>,
    /// Who judges: number, math, text, exact-text, choice, grid, countdown, countdown-near or program; by default
    /// number, and program with --program
    #[arg(long, value_parser = verifier)]
    verifier: Option<VerifierName>,
    /// A program of your own and its arguments, as the verifier; the last of the flags
    #[arg(long, visible_alias = "command", num_args = 1.., allow_hyphen_values = true)]
    program: Vec<String>,
    /// With --program: seconds until it has to have answered; by default 10
    #[arg(long)]
    time_limit: Option<f64>,
    /// With --program: `MiB` of memory for each of its processes
    #[arg(long)]
    memory_limit: Option<u64>,
    /// With --program: keep its process and give it one line after the other
    #[arg(long)]
    persistent: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// The verifier that a flag names.
pub(super) fn verifier(name: &str) -> Result<VerifierName, String> {
    let name: StrDeserializer<'_, ValueError> = name.into_deserializer();
    VerifierName::deserialize(name).map_err(|error| error.to_string())
}

impl Judge {
    pub(crate) fn run(self) -> Result<()> {
        let judges = self.reward()?.verifier_settings()?;
        let (source, name, whole): (Box<dyn Read>, String, String) = match &self.file {
            None => (Box::new(std::io::stdin().lock()), "stdin".into(), "standard input".into()),
            Some(path) => {
                let shown = path.display().to_string();
                let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
                (Box::new(file), shown.clone(), shown)
            }
        };
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut rewards = 0.0;
        for line in input::lines_of(source, &name, &whole)? {
            let (number, line) = line?;
            let verdict =
                judged(&judges, &line).with_context(|| format!("{name}, line {number}"))?;
            let outcome = outcome(verdict.outcome);
            *counts.entry(outcome).or_default() += 1;
            rewards += verdict.reward;
            self.print(number, outcome, &verdict)?;
        }
        if self.json {
            return Ok(());
        }
        let rows: usize = counts.values().sum();
        let of = |outcome: &str| counts.get(outcome).copied().unwrap_or(0);
        let partial = match of("partial") {
            0 => String::new(),
            count => format!(", {count} partial"),
        };
        let mean = if rows == 0 { 0.0 } else { rewards / rows as f64 };
        console::line(&format!(
            "{rows} rows: {} right{partial}, {} wrong, {} unclear, {} failed; mean reward {mean:.4}",
            of("right"),
            of("wrong"),
            of("unclear"),
            of("failed"),
        ))
    }

    /// The flags as a run's configuration has them, which checks them.
    fn reward(&self) -> Result<RewardSection> {
        let program = VerifierName::External(External::Program);
        let default =
            if self.program.is_empty() { RewardSection::default().verifier } else { program };
        let verifier = self.verifier.unwrap_or(default);
        if verifier == VerifierName::External(External::Environment) {
            bail!(Usage(
                "an environment judges episodes, and there are none here; run `reinforce` with it, or send its program \
                 lines as they are described in docs/rollouts.md"
                    .to_owned()
            ));
        }
        if verifier == program && self.program.is_empty() {
            bail!(Usage("--verifier program needs --program with the program to run".to_owned()));
        }
        console::unread(
            "a built-in verifier (--program is another)",
            &[
                ("--program", verifier != program && !self.program.is_empty()),
                ("--time-limit", verifier != program && self.time_limit.is_some()),
                ("--memory-limit", verifier != program && self.memory_limit.is_some()),
                ("--persistent", verifier != program && self.persistent),
            ],
        )?;
        let defaults = RewardSection::default();
        let reward = RewardSection {
            verifier,
            command: self.program.clone(),
            time_limit: self.time_limit.unwrap_or(defaults.time_limit),
            memory_limit: self.memory_limit,
            persistent: self.persistent,
            ..defaults
        };
        reward.validate().map_err(|error| Usage(error.to_string()))?;
        find_program(&reward)?;
        Ok(reward)
    }

    fn print(&self, number: usize, outcome: &str, verdict: &Verification) -> Result<()> {
        if self.json {
            return console::json(&json!({
                "outcome": outcome, "reward": verdict.reward, "reason": verdict.reason,
                "extracted": verdict.extracted,
            }));
        }
        let read = match &verdict.extracted {
            Some(read) => format!("  from {read:?}"),
            None => String::new(),
        };
        console::line(&format!(
            "line {number}: {outcome:8} reward {}  {}{read}",
            verdict.reward, verdict.reason
        ))
    }
}

/// The word for an outcome.
fn outcome(outcome: VerificationOutcome) -> &'static str {
    match outcome {
        VerificationOutcome::Right => "right",
        VerificationOutcome::Partial => "partial",
        VerificationOutcome::Wrong => "wrong",
        VerificationOutcome::CannotTell => "unclear",
        VerificationOutcome::Failed | VerificationOutcome::TimedOut => "failed",
    }
}

/// What the verifier says about the completion of a line.
fn judged(judges: &VerifierSettings, line: &str) -> Result<Verification> {
    const LINE: &str = "an object with `answer` and `completion`";
    let mut fields: Map<String, Value> = serde_json::from_str(line)
        .with_context(|| format!("expected {LINE}, found `{}`", input::cut(line)))?;
    let completion = match fields.remove("completion") {
        Some(Value::String(completion)) => completion,
        Some(other) => {
            bail!("`completion` has to be a text, found `{}`", input::cut(&other.to_string()))
        }
        None => bail!("`completion` is missing: expected {LINE}, found {}", named(&fields)),
    };
    match judges {
        VerifierSettings::BuiltIn(kind) => Ok(built_in(*kind, fields)?.verify(&completion)),
        VerifierSettings::Program(program) => Ok(program.with_fields(fields).verify(&completion)),
    }
}

/// The verifier of a line; every field of it is used or refused.
fn built_in(kind: VerifierKind, mut fields: Map<String, Value>) -> Result<Box<dyn Verifier>> {
    let countdown = matches!(kind, VerifierKind::Countdown | VerifierKind::CountdownNear);
    let answer = match fields.remove("answer") {
        Some(Value::String(answer)) => answer,
        Some(Value::Number(answer)) => answer.to_string(),
        Some(other) => {
            bail!(
                "`answer` has to be a text or a number, found `{}`",
                input::cut(&other.to_string())
            )
        }
        None if countdown => String::new(),
        None => bail!("`answer` is missing: found {}", named(&fields)),
    };
    let read: &[&str] = if countdown { &["numbers", "target"] } else { &[] };
    if let Some(unknown) = fields.keys().find(|name| !read.contains(&name.as_str())) {
        let known: Vec<String> =
            ["answer", "completion"].iter().chain(read).map(|name| format!("`{name}`")).collect();
        bail!(
            "`{unknown}` is not read by this verifier, which reads {}: remove it, or rename it",
            known.join(", ")
        );
    }
    Ok(kind.for_row(&AnswerRow { extra: fields, ..AnswerRow::new("", answer) })?)
}

/// The names of the fields, for messages.
fn named(fields: &Map<String, Value>) -> String {
    if fields.is_empty() {
        return "no other field".to_owned();
    }
    fields.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
