//! The answer of a completions server as generations, every value of it checked.

use bestof_models::{FinishReason, Generation};
use serde_json::Value;

use super::error::ServerProblem;

/// What was asked for, which the answer has to fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Number of the request.
    pub(super) request: usize,
    pub(super) prompt: &'a [u32],
    pub(super) samples: usize,
    /// The longest completion, in tokens.
    pub(super) max_tokens: usize,
    /// Whether there are stop texts, whose tokens a server may leave out, even if there are no others.
    pub(super) stops: bool,
    pub(super) vocab_size: usize,
    pub(super) eos_token_ids: &'a [u32],
}

/// A log-probability above this is no rounding of 0.
const ROUNDING: f64 = 1e-3;

impl Asked<'_> {
    /// The completions in an answer, in the order of their numbers.
    pub(super) fn read(&self, answer: &Value) -> Result<Vec<Generation>, ServerProblem> {
        let expected = format!("a list of {} completions", self.samples);
        let Some(choices) = answer.get("choices").and_then(Value::as_array) else {
            return Err(wrong("choices", answer.get("choices"), expected));
        };
        if choices.len() != self.samples {
            let found = format!("a list of {}", choices.len());
            return Err(ServerProblem::Answer { field: "choices".to_owned(), found, expected });
        }
        let mut read: Vec<Option<Generation>> = vec![None; self.samples];
        for (at, choice) in choices.iter().enumerate() {
            let number = match choice.get("index") {
                None => Some(at),
                Some(index) => index.as_u64().map(|index| index as usize),
            };
            let place = number.and_then(|number| Some((number, read.get_mut(number)?)));
            let Some((sample, place @ None)) = place else {
                let expected = format!("each of the numbers below {} once", self.samples);
                let field = format!("choices[{at}].index");
                return Err(wrong(&field, choice.get("index"), expected));
            };
            *place = Some(self.completion(at, sample, choice)?);
        }
        Ok(read.into_iter().flatten().collect())
    }

    fn completion(
        &self,
        at: usize,
        sample: usize,
        choice: &Value,
    ) -> Result<Generation, ServerProblem> {
        let field = |name: &str| format!("choices[{at}].{name}");
        if let Some(prompt) = choice.get("prompt_token_ids").filter(|ids| !ids.is_null()) {
            let same = prompt.as_array().is_some_and(|ids| {
                ids.iter().map(Value::as_u64).eq(self.prompt.iter().map(|id| Some(u64::from(*id))))
            });
            if !same {
                let expected = "the ids of the prompt that was sent: the server changed or cut it";
                return Err(wrong(&field("prompt_token_ids"), Some(prompt), expected.to_owned()));
            }
        }
        let (ids_field, ids) = self.ids(choice, &field)?;
        let logprobs = logprobs(choice, &field)?;
        if ids.len() != logprobs.len() {
            return Err(ServerProblem::Answer {
                field: field("logprobs"),
                found: format!("of {} tokens", logprobs.len()),
                expected: format!("one for each of the {} tokens of `{ids_field}`", ids.len()),
            });
        }
        if (ids.is_empty() && !self.stops) || ids.len() > self.max_tokens {
            return Err(ServerProblem::Answer {
                field: ids_field,
                found: format!("of {} tokens", ids.len()),
                expected: format!("1 to {} tokens, with the one that ended it", self.max_tokens),
            });
        }
        let finish = self.finish(choice.get("finish_reason"), &ids, &ids_field, &field)?;
        Ok(Generation {
            request: self.request,
            sample,
            ids,
            logprobs: logprobs.clone(),
            tempered_logprobs: logprobs.clone(),
            sampling_logprobs: logprobs,
            finish,
        })
    }

    /// The ids of a completion and the field they are in.
    fn ids(
        &self,
        choice: &Value,
        field: &dyn Fn(&str) -> String,
    ) -> Result<(String, Vec<u32>), ServerProblem> {
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned();
        let logprobs = choice.get("logprobs");
        let content = list(logprobs.and_then(|logprobs| logprobs.get("content")));
        let tokens = list(logprobs.and_then(|logprobs| logprobs.get("tokens")));
        let named = |token: &Value| token.as_str().is_some_and(|t| t.starts_with(NAMED_ID));
        let (name, values): (&str, Vec<Option<u64>>) = if let Some(ids) =
            list(choice.get("token_ids"))
        {
            ("token_ids", ids.iter().map(Value::as_u64).collect())
        } else if let Some(content) =
            content.filter(|all| all.iter().any(|one| one.get("id").is_some()))
        {
            ("logprobs.content", content.iter().map(|one| one.get("id")?.as_u64()).collect())
        } else if let Some(tokens) = tokens.filter(|all| all.iter().any(named)) {
            let id = |token: &Value| token.as_str()?.strip_prefix(NAMED_ID)?.parse().ok();
            ("logprobs.tokens", tokens.iter().map(id).collect())
        } else if let Some(ids) = list(choice.get("tokens")) {
            ("tokens", ids.iter().map(Value::as_u64).collect())
        } else {
            let expected = "the token ids of the completion: a server that answers `return_token_ids` (vLLM from 0.10.2, \
                            SGLang) or gives `logprobs.content` with an `id` for each token (llama.cpp)";
            return Err(wrong(&field("token_ids"), choice.get("token_ids"), expected.to_owned()));
        };
        let known = |id: u64| u32::try_from(id).ok().filter(|id| (*id as usize) < self.vocab_size);
        let ids = values
            .iter()
            .enumerate()
            .map(|(token, id)| {
                id.and_then(known).ok_or_else(|| ServerProblem::Answer {
                    field: format!("{}[{token}]", field(name)),
                    found: id.map_or("no token id".to_owned(), |id| id.to_string()),
                    expected: format!(
                        "a token id below {}, the model's vocabulary",
                        self.vocab_size
                    ),
                })
            })
            .collect::<Result<Vec<u32>, _>>()?;
        Ok((field(name), ids))
    }

    /// Why a completion ended, by its last token and what the server says.
    fn finish(
        &self,
        said: Option<&Value>,
        ids: &[u32],
        ids_field: &str,
        field: &dyn Fn(&str) -> String,
    ) -> Result<FinishReason, ServerProblem> {
        let ends = ids.last().is_some_and(|last| self.eos_token_ids.contains(last));
        match said.and_then(Value::as_str) {
            Some("stop" | "length") | None if ends => Ok(FinishReason::Eos),
            Some("stop") if self.stops => Ok(FinishReason::Stop),
            // Without the token that ended it, stopping would not be learned.
            Some("stop") => Err(ServerProblem::Answer {
                field: ids_field.to_owned(),
                found: format!("\"stop\" after {:?}", ids.last().copied().unwrap_or_default()),
                expected: format!(
                    "the token that ended it, as its last id: one of {:?}, the model's `eos_token_id`",
                    self.eos_token_ids
                ),
            }),
            Some("length") => Ok(FinishReason::Length),
            None if ids.len() == self.max_tokens => Ok(FinishReason::Length),
            _ => {
                let expected = "\"stop\" or \"length\"".to_owned();
                Err(wrong(&field("finish_reason"), said, expected))
            }
        }
    }
}

/// What stands before an id where tokens are named by it.
const NAMED_ID: &str = "token_id:";

/// The log-probabilities of a completion's tokens.
fn logprobs(choice: &Value, field: &dyn Fn(&str) -> String) -> Result<Vec<f32>, ServerProblem> {
    let logprobs = choice.get("logprobs");
    let list = |name: &str| logprobs.and_then(|logprobs| logprobs.get(name)?.as_array());
    let (name, values): (&str, Vec<Option<f64>>) = if let Some(values) = list("token_logprobs") {
        ("logprobs.token_logprobs", values.iter().map(Value::as_f64).collect())
    } else if let Some(content) = list("content") {
        let of = |one: &Value| match one.get("prob") {
            Some(probability) => probability.as_f64().map(f64::ln),
            None => one.get("logprob")?.as_f64(),
        };
        ("logprobs.content", content.iter().map(of).collect())
    } else {
        let expected = "the log-probability of each token, in `token_logprobs` or `content`";
        return Err(wrong(&field("logprobs"), logprobs, expected.to_owned()));
    };
    values
        .iter()
        .enumerate()
        .map(|(token, logp)| match logp {
            Some(logp) if logp.is_finite() && *logp <= ROUNDING => Ok(*logp as f32),
            _ => Err(ServerProblem::Answer {
                field: format!("{}[{token}]", field(name)),
                found: logp.map_or("no number".to_owned(), |logp| logp.to_string()),
                expected: "a finite log-probability".to_owned(),
            }),
        })
        .collect()
}

fn wrong(field: &str, found: Option<&Value>, expected: String) -> ServerProblem {
    let found = found.map_or("missing".to_owned(), |value| shortened(&value.to_string()));
    ServerProblem::Answer { field: field.to_owned(), found, expected }
}

/// The beginning of a text that may be long.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 300;
    let mut shown: String = text.trim().chars().take(SHOWN).collect();
    if text.trim().chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
