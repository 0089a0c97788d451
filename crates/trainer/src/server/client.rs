//! Asking a completions server: many requests at a time, each again where that may help.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bestof_models::{Generation, Request, SamplingConfig};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Response;

use super::answer::{Asked, shortened};
use super::error::{ServerError, ServerProblem};
use super::settings::ServerSettings;

/// The longest wait between two attempts, unless the server asks for a longer one.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often a waiting request looks whether another one has failed for good.
const GLANCE: Duration = Duration::from_millis(20);

/// A server that draws completions.
#[derive(Debug)]
pub struct CompletionServer {
    settings: ServerSettings,
    endpoint: String,
    agent: Agent,
}

/// What an attempt at a request came to.
enum Attempt {
    Answered(Value),
    /// It may be worth another one, after so long at least.
    Again(ServerProblem, Duration),
    Refused(ServerProblem),
}

/// What bounds the completions of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<'a> {
    /// Size of the vocabulary.
    pub(crate) vocab_size: usize,
    /// The longest completion of each request, in tokens.
    pub(crate) max_tokens: &'a [usize],
    /// Texts that end a completion.
    pub(crate) stops: &'a [String],
}

impl CompletionServer {
    /// A server with these settings; nothing is sent yet.
    pub fn new(settings: ServerSettings) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(settings.timeout))
            // A connection that was kept may be closed by the time it is used again.
            .max_idle_connections(0)
            .build()
            .into();
        Self { endpoint: settings.endpoint(), settings, agent }
    }

    /// The settings.
    pub fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    /// Completions of all requests, in the order of requests and samples. Their log-probabilities are those the
    /// server gives.
    ///
    /// # Errors
    /// That of the first request, in their order, that failed for good.
    pub(crate) fn generate(
        &self,
        requests: &[Request],
        sampling: &SamplingConfig,
        bounds: Bounds<'_>,
    ) -> Result<Vec<Generation>, ServerError> {
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let done = Mutex::new(BTreeMap::new());
        thread::scope(|scope| {
            for _ in 0..self.settings.concurrency.clamp(1, requests.len().max(1)) {
                scope.spawn(|| {
                    while !failed.load(Ordering::Relaxed) {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(request) = requests.get(at) else { break };
                        let found = self.completions(at, request, sampling, bounds, &failed);
                        let Some(found) = found else { break };
                        if found.is_err() {
                            failed.store(true, Ordering::Relaxed);
                        }
                        done.lock().unwrap_or_else(PoisonError::into_inner).insert(at, found);
                    }
                });
            }
        });
        let mut generations = Vec::new();
        for (request, found) in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let server = self.endpoint.clone();
            generations.extend(found.map_err(|problem| ServerError {
                server,
                request,
                problem,
            })?);
        }
        Ok(generations)
    }

    /// Completions of one request; `None` if it was given up because another one has failed.
    fn completions(
        &self,
        number: usize,
        request: &Request,
        sampling: &SamplingConfig,
        bounds: Bounds<'_>,
        failed: &AtomicBool,
    ) -> Option<Result<Vec<Generation>, ServerProblem>> {
        let asked = Asked {
            request: number,
            prompt: &request.prompt,
            samples: request.samples,
            max_tokens: bounds.max_tokens[number],
            stops: !bounds.stops.is_empty(),
            vocab_size: bounds.vocab_size,
            eos_token_ids: &sampling.eos_token_ids,
        };
        let body = self.body(request, asked.max_tokens, sampling, bounds.stops).to_string();
        let mut wait = self.settings.first_wait;
        let mut attempts = 1;
        loop {
            let (problem, at_least) = match self.attempt(&body, attempts) {
                Attempt::Answered(answer) => return Some(asked.read(&answer)),
                Attempt::Refused(problem) => return Some(Err(problem)),
                Attempt::Again(problem, at_least) => (problem, at_least),
            };
            if attempts > self.settings.retries {
                return Some(Err(problem));
            }
            tracing::warn!(server = self.endpoint, attempts, "{problem}");
            // A server that is to be left alone for longer than an answer may take is waited for so long.
            let at_least = at_least.min(self.settings.timeout);
            pause(wait.min(LONGEST_WAIT).max(at_least), failed);
            if failed.load(Ordering::Relaxed) {
                return None;
            }
            wait = wait.saturating_mul(2);
            attempts += 1;
        }
    }

    fn attempt(&self, body: &str, attempts: u32) -> Attempt {
        let mut request = self
            .agent
            .post(&self.endpoint)
            .header("Content-Type", "application/json")
            .header("Connection", "close");
        if let Some(key) = &self.settings.api_key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let met_nothing = |error: &dyn std::fmt::Display| {
            let reason = error.to_string();
            Attempt::Again(ServerProblem::Unreachable { attempts, reason }, Duration::ZERO)
        };
        let mut response = match request.send(body) {
            Ok(response) => response,
            Err(error) if is_passing(&error) => return met_nothing(&error),
            Err(error) => {
                return Attempt::Refused(ServerProblem::Request { reason: error.to_string() });
            }
        };
        let text = match response.body_mut().with_config().limit(u64::MAX).read_to_string() {
            Ok(text) => text,
            Err(error) => return met_nothing(&error),
        };
        let status = response.status().as_u16();
        if !response.status().is_success() {
            let problem = ServerProblem::Status { status, attempts, words: words_of(&text) };
            return match status {
                408 | 429 | 500.. => Attempt::Again(problem, asked_to_wait(&response)),
                _ => Attempt::Refused(problem),
            };
        }
        match serde_json::from_str(&text) {
            Ok(answer) => Attempt::Answered(answer),
            // A connection that broke off where nothing says how long the answer is.
            Err(error) if error.is_eof() => met_nothing(&format!("the answer breaks off: {error}")),
            Err(error) => Attempt::Refused(ServerProblem::Answer {
                field: "the answer".to_owned(),
                found: format!("{} ({error})", shortened(&text)),
                expected: "JSON".to_owned(),
            }),
        }
    }

    /// The request. What the policy is not, as penalties of repetition that a server may have as defaults, is
    /// switched off by name.
    fn body(
        &self,
        request: &Request,
        max_tokens: usize,
        sampling: &SamplingConfig,
        stops: &[String],
    ) -> Value {
        let mut body = json!({
            "prompt": request.prompt,
            "n": request.samples,
            "max_tokens": max_tokens,
            "temperature": sampling.temperature,
            // All servers take -1 for all tokens, and not all of them 0.
            "top_k": sampling.top_k.map_or(json!(-1), |k| json!(k)),
            "top_p": sampling.top_p.unwrap_or(1.0),
            "min_p": sampling.min_p.unwrap_or(0.0),
            // llama.cpp's are of 32 bits, and its greatest one stands for a random one.
            "seed": request.seed & 0x7fff_ffff,
            "stream": false,
            "logprobs": 1,
            "return_token_ids": true,
            "return_tokens_as_token_ids": true,
            "post_sampling_probs": true,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "repetition_penalty": 1.0,
            "repeat_penalty": 1.0,
        });
        if let Some(model) = &self.settings.model {
            body["model"] = json!(model);
        }
        if !stops.is_empty() {
            body["stop"] = json!(stops);
        }
        body
    }
}

/// Whether another attempt may meet something else.
fn is_passing(error: &ureq::Error) -> bool {
    use ureq::Error::{ConnectionFailed, HostNotFound, Io, Protocol, Timeout};
    matches!(error, ConnectionFailed | HostNotFound | Io(_) | Protocol(_) | Timeout(_))
}

/// What an answer without success says: its message, or its text.
fn words_of(text: &str) -> String {
    let message = |value: &Value| Some(value.get("message")?.as_str()?.to_owned());
    let said = serde_json::from_str::<Value>(text).ok().and_then(|value| {
        let error = value.get("error").unwrap_or(&value);
        message(error).or_else(|| Some(error.as_str()?.to_owned()))
    });
    shortened(said.as_deref().unwrap_or(text))
}

/// How long a busy server asks to be left alone, in whole seconds.
fn asked_to_wait<T>(response: &Response<T>) -> Duration {
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    Duration::from_secs(header.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0))
}

/// Waits, unless another request has failed for good meanwhile.
fn pause(wait: Duration, failed: &AtomicBool) {
    let until = Instant::now() + wait;
    while !failed.load(Ordering::Relaxed) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(GLANCE));
    }
}
