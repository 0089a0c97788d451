//! A program as the environment.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::episode::{Environment, EnvironmentReply, Episode, NO_REWARD};
use crate::program::{
    LineProcess, Program, ProgramError, ProgramLimits, ProgramPool, Unanswered, request_line,
};
use crate::rows::{ChatMessage, Json, read_messages};
use crate::verify::{Verification, VerifierError, check_range};

/// What a request says besides the fields of the row.
const OWN_FIELDS: [&str; 3] = ["messages", "turn", "last"];

/// How long a process whose episode is over has to end of itself.
const GRACE: Duration = Duration::from_millis(500);

/// A program on the other side of a conversation.
///
/// After every turn of the policy it is sent one line of JSON,
/// `{"messages": [{"role", "content"}, ...], "turn": 1, "last": false}` with the fields given at construction beside it:
/// the whole conversation, whose last message is that turn; the number of the turn; and whether it is the last. It
/// writes one line, either `{"message": {"role": "tool", "content": ...}}` (or `messages` with a list of them) or
/// `{"reward": number, "reason": text}`, which ends the episode; `reason` may be missing. `"last": true` calls for a
/// reward: an episode that goes on without one has the least.
///
/// Each episode has a process of its own, which may keep what it likes between the turns, or
/// ([`persistent`](Self::persistent)) all share a pool, where another process may answer the next turn. Limits are those
/// of a [`ProgramPool`]: a program that crashes, hangs or talks nonsense ends its episode as a failed verification
/// with the least reward.
#[derive(Debug, Clone)]
pub struct ProgramEnvironment {
    runs: Runs,
    fields: Map<String, Value>,
    range: RangeInclusive<f64>,
}

#[derive(Debug, Clone)]
enum Runs {
    /// A process for each episode.
    Own(Program),
    /// Shared.
    Pool(Arc<ProgramPool>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    message: Option<Json>,
    messages: Option<Json>,
    reward: Option<f64>,
    reason: Option<String>,
}

impl ProgramEnvironment {
    /// Environment that runs `command` (a program and its arguments, no shell in between) for each episode and
    /// expects rewards within `range`.
    ///
    /// # Errors
    /// [`VerifierError::Program`].
    pub fn new(
        command: &[String],
        range: RangeInclusive<f64>,
        limits: ProgramLimits,
    ) -> Result<Self, VerifierError> {
        check_range(&range)?;
        Ok(Self { runs: Runs::Own(Program::new(command, limits)?), fields: Map::new(), range })
    }

    /// Environment that asks the processes of `pool`.
    ///
    /// # Errors
    /// [`VerifierError::Program`].
    pub fn persistent(
        pool: Arc<ProgramPool>,
        range: RangeInclusive<f64>,
    ) -> Result<Self, VerifierError> {
        check_range(&range)?;
        Ok(Self { runs: Runs::Pool(pool), fields: Map::new(), range })
    }

    /// The same with fields (the answer ...) that are sent with each turn.
    ///
    /// # Errors
    /// [`VerifierError::Program`] for a field with the name of what is sent anyway.
    pub fn with_fields(&self, fields: Map<String, Value>) -> Result<Self, VerifierError> {
        if OWN_FIELDS.iter().any(|name| fields.contains_key(*name)) {
            let what = "an environment is sent `messages`, `turn` and `last` of its own; give the row's field of this \
                        name another one";
            return Err(VerifierError::Program { what });
        }
        Ok(Self { fields, ..self.clone() })
    }

    fn reply(&self, line: &[u8], last: bool) -> EnvironmentReply {
        let failed =
            |reason: String| EnvironmentReply::End(Verification::failed(reason, &self.range));
        let reply: Reply = match serde_json::from_slice(line) {
            Ok(reply) => reply,
            Err(error) => return failed(format!("the program's output is no reply: {error}")),
        };
        let messages = match reply {
            Reply { reward: Some(reward), reason, message: None, messages: None } => {
                let reason = reason.unwrap_or_default();
                return EnvironmentReply::End(Verification::rewarded(reward, reason, &self.range));
            }
            Reply { message: Some(message), messages: None, reward: None, reason: None } => {
                read_messages("message", message)
            }
            Reply { messages: Some(messages), message: None, reward: None, reason: None } => {
                read_messages("messages", messages)
            }
            _ => {
                return failed(
                    "the program's output is no reply: expected either `message`, or `messages`, or `reward` with a \
                     `reason`"
                        .to_owned(),
                );
            }
        };
        match messages {
            Err(problem) => failed(format!("the program's output is no reply: {problem}")),
            Ok(messages) if messages.iter().any(|message| message.role() == "assistant") => failed(
                "the program's output is no reply: a message of the role `assistant`, which is the policy's own"
                    .to_owned(),
            ),
            Ok(_) if last => EnvironmentReply::End(self.unrewarded(NO_REWARD)),
            Ok(messages) => EnvironmentReply::Messages(messages),
        }
    }
}

impl Environment for ProgramEnvironment {
    fn range(&self) -> RangeInclusive<f64> {
        self.range.clone()
    }

    fn begin(&self) -> Box<dyn Episode + '_> {
        Box::new(ProgramEpisode { environment: self, process: None, turn: 0 })
    }
}

struct ProgramEpisode<'a> {
    environment: &'a ProgramEnvironment,
    /// Started by the first turn, where the episode has one of its own.
    process: Option<LineProcess>,
    turn: u64,
}

impl ProgramEpisode<'_> {
    fn ask(&mut self, line: &str) -> Result<Vec<u8>, ProgramError> {
        let program = match &self.environment.runs {
            Runs::Pool(pool) => return pool.ask(line),
            Runs::Own(program) => program,
        };
        let deadline = program.deadline();
        let process = match &mut self.process {
            Some(process) => process,
            none => none.insert(LineProcess::start(program)?),
        };
        process.ask(line, deadline).map_err(|error| match error {
            Unanswered::Failed(error) => error,
            // What it knew of the episode has gone with it.
            Unanswered::NotAsked => {
                ProgramError::NoReply { how: "ended, or wrote another line, between two turns" }
            }
        })
    }
}

impl Episode for ProgramEpisode<'_> {
    fn respond(&mut self, messages: &[ChatMessage], last: bool) -> EnvironmentReply {
        self.turn += 1;
        let own = [
            ("messages", serde_json::to_value(messages).unwrap_or_default()),
            ("turn", json!(self.turn)),
            ("last", json!(last)),
        ];
        let environment = self.environment;
        match self.ask(&request_line(&environment.fields, own)) {
            Ok(line) => environment.reply(&line, last),
            Err(error) => {
                self.process = None;
                EnvironmentReply::End(Verification::not_made(&error, &environment.range))
            }
        }
    }
}

impl Drop for ProgramEpisode<'_> {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            process.close_input();
            process.ends_before(Instant::now() + GRACE);
        }
    }
}
