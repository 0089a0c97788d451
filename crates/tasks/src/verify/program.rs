//! An external program as the verifier.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::verification::{Verification, VerificationOutcome, Verifier, VerifierError};
use crate::program::{
    BadProgram, Program, ProgramError, ProgramLimits, ProgramPool, request_line, run_once,
};

/// Rewards completions as an external program says.
///
/// The program reads one line of JSON from its input, `{"completion": ...}` with the fields given at
/// construction beside it, and writes `{"reward": number, "reason": text}` to its output; `reason` may be
/// missing. It is started once for each completion, or ([`persistent`](Self::persistent)) kept and given one line
/// after the other: a program that reads lines until its input ends works both ways.
///
/// A program that crashes, says too much, or something else, or rewards outside the range, gives
/// [`VerificationOutcome::Failed`] and the least reward, and one that hangs [`VerificationOutcome::TimedOut`]. On Unix
/// it runs in a process group of its own, all of which is killed at its end, and at the end of this process, whatever
/// that is.
///
/// The limits keep a bad program from stopping a run. They are no sandbox: the program has the
/// rights of whoever starts it, so run untrusted code inside one of your own.
#[derive(Debug, Clone)]
pub struct ProgramVerifier {
    runs: Runs,
    fields: Map<String, Value>,
    range: RangeInclusive<f64>,
}

#[derive(Debug, Clone)]
enum Runs {
    /// Started for each completion.
    Once(Program),
    /// Kept.
    Pool(Arc<ProgramPool>),
}

#[derive(Deserialize)]
struct Reply {
    reward: f64,
    #[serde(default)]
    reason: String,
}

impl ProgramVerifier {
    /// Verifier that runs `command` (a program and its arguments, no shell in between) and expects
    /// rewards within `range`; `fields` (the prompt, the answer ...) are sent with each completion.
    ///
    /// # Errors
    /// [`VerifierError::Program`].
    pub fn new(
        command: &[String],
        fields: Map<String, Value>,
        range: RangeInclusive<f64>,
        limits: ProgramLimits,
    ) -> Result<Self, VerifierError> {
        Self::of(Runs::Once(Program::new(command, limits)?), fields, range)
    }

    /// Verifier that asks the processes of `pool`, which others may ask as well.
    ///
    /// # Errors
    /// [`VerifierError::Program`].
    pub fn persistent(
        pool: Arc<ProgramPool>,
        fields: Map<String, Value>,
        range: RangeInclusive<f64>,
    ) -> Result<Self, VerifierError> {
        Self::of(Runs::Pool(pool), fields, range)
    }

    /// The same for another row: with these fields.
    #[must_use]
    pub fn with_fields(&self, fields: Map<String, Value>) -> Self {
        Self { fields, ..self.clone() }
    }

    fn of(
        runs: Runs,
        fields: Map<String, Value>,
        range: RangeInclusive<f64>,
    ) -> Result<Self, VerifierError> {
        check_range(&range)?;
        Ok(Self { runs, fields, range })
    }
}

/// Refuses a range of rewards that holds no two numbers.
pub(crate) fn check_range(range: &RangeInclusive<f64>) -> Result<(), VerifierError> {
    let finite = range.start().is_finite() && range.end().is_finite();
    if finite && range.start() < range.end() {
        return Ok(());
    }
    Err(VerifierError::Program { what: "the range of rewards has to be finite and not empty" })
}

impl From<BadProgram> for VerifierError {
    fn from(BadProgram { what }: BadProgram) -> Self {
        Self::Program { what }
    }
}

impl Verifier for ProgramVerifier {
    fn range(&self) -> RangeInclusive<f64> {
        self.range.clone()
    }

    fn verify(&self, completion: &str) -> Verification {
        let request = request_line(&self.fields, [("completion", json!(completion))]);
        let reply = match &self.runs {
            Runs::Once(program) => run_once(program, request),
            Runs::Pool(pool) => pool.ask(&request),
        };
        match reply {
            Err(error) => Verification::not_made(&error, &self.range),
            Ok(reply) => match serde_json::from_slice::<Reply>(&reply) {
                Err(error) => {
                    let reason = format!("the program's output is no reply: {error}");
                    Verification::failed(reason, &self.range)
                }
                Ok(Reply { reward, reason }) => Verification::rewarded(reward, reason, &self.range),
            },
        }
    }
}

impl Verification {
    /// A verification that failed, with the least reward.
    pub(crate) fn failed(reason: String, range: &RangeInclusive<f64>) -> Self {
        let (reward, outcome) = (*range.start(), VerificationOutcome::Failed);
        Self { reward, outcome, reason, extracted: None }
    }

    /// The verification of a program that gave no reply.
    pub(crate) fn not_made(error: &ProgramError, range: &RangeInclusive<f64>) -> Self {
        let failed = Self::failed(error.to_string(), range);
        match error {
            ProgramError::TimedOut { .. } => {
                Self { outcome: VerificationOutcome::TimedOut, ..failed }
            }
            _ => failed,
        }
    }

    /// What a program says a completion is worth.
    pub(crate) fn rewarded(reward: f64, reason: String, range: &RangeInclusive<f64>) -> Self {
        let (low, high) = (*range.start(), *range.end());
        if !range.contains(&reward) {
            return Self::failed(format!("reward {reward} is outside {low}..={high}"), range);
        }
        let outcome = if reward == high {
            VerificationOutcome::Right
        } else if reward == low {
            VerificationOutcome::Wrong
        } else {
            VerificationOutcome::Partial
        };
        Self { reward, outcome, reason, extracted: None }
    }
}
