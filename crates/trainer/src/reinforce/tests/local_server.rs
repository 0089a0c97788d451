//! A completions server in the test: it answers what the test says, or what a toy draws.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bestof_models::{AfterToken, CausalLm, Request, SamplingConfig};
use serde_json::{Value, json};

use super::END;
use crate::run::dropout_seed;
use crate::server::ServerSettings;
use crate::toy::Toy;

/// What a request is answered with.
pub(super) enum Answer {
    Status(u16, String),
    /// Come again after so many seconds.
    Busy(u64),
    /// Success, after a while.
    Late(Duration, Value),
    /// The beginning of an answer.
    Cut,
}

impl Answer {
    pub(super) fn now(answer: Value) -> Self {
        Self::Late(Duration::ZERO, answer)
    }
}

/// What has been asked for, and how much of it at the same time.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) bodies: Mutex<Vec<Value>>,
    pub(super) keys: Mutex<Vec<Option<String>>>,
    under_way: AtomicUsize,
    pub(super) most_at_once: AtomicUsize,
}

impl Seen {
    pub(super) fn count(&self) -> usize {
        self.bodies.lock().unwrap().len()
    }
}

pub(super) struct LocalServer {
    server: Arc<tiny_http::Server>,
    pub(super) seen: Arc<Seen>,
}

impl LocalServer {
    /// A server that answers the requests, counted from 0 in the order they come.
    pub(super) fn new(answer: impl Fn(usize, &Value) -> Answer + Send + Sync + 'static) -> Self {
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
        let (seen, answer) = (Arc::new(Seen::default()), Arc::new(answer));
        for _ in 0..8 {
            let (server, seen, answer) = (server.clone(), seen.clone(), answer.clone());
            thread::spawn(move || {
                while let Ok(mut request) = server.recv() {
                    let now = seen.under_way.fetch_add(1, Ordering::SeqCst) + 1;
                    seen.most_at_once.fetch_max(now, Ordering::SeqCst);
                    let body: Value = serde_json::from_reader(request.as_reader()).unwrap();
                    assert_eq!(request.url(), "/v1/completions");
                    let is_key = |header: &&tiny_http::Header| header.field.equiv("Authorization");
                    let key = request.headers().iter().find(is_key);
                    seen.keys.lock().unwrap().push(key.map(|key| key.value.to_string()));
                    let number = {
                        let mut bodies = seen.bodies.lock().unwrap();
                        bodies.push(body.clone());
                        bodies.len() - 1
                    };
                    let answered = answer(number, &body);
                    if let Answer::Late(wait, _) = &answered {
                        thread::sleep(*wait);
                    }
                    // Whoever asked may ask again as soon as it hears.
                    seen.under_way.fetch_sub(1, Ordering::SeqCst);
                    // Whoever asked has gone when it took too long.
                    let _ = reply(request, answered);
                }
            });
        }
        Self { server, seen }
    }

    /// A server that draws with a toy that others may change, as a run with this seed asks for it.
    pub(super) fn of(toy: Arc<Mutex<Toy>>, seeds: Seeds) -> Self {
        Self::new(move |_, body| Answer::now(drawn(&toy.lock().unwrap(), body, &seeds)))
    }

    pub(super) fn settings(&self) -> ServerSettings {
        let url = format!("http://{}", self.server.server_addr());
        ServerSettings { first_wait: Duration::from_millis(1), ..ServerSettings::new(url) }
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        for _ in 0..8 {
            self.server.unblock();
        }
    }
}

fn reply(request: tiny_http::Request, answer: Answer) -> std::io::Result<()> {
    let refused = |status: u16, text: String, wait: u64| {
        let header = tiny_http::Header::from_bytes("Retry-After", wait.to_string()).unwrap();
        tiny_http::Response::from_string(text).with_header(header).with_status_code(status)
    };
    match answer {
        Answer::Status(status, text) => request.respond(refused(status, text, 0)),
        Answer::Busy(wait) => request.respond(refused(429, String::new(), wait)),
        Answer::Late(_, answer) => {
            request.respond(tiny_http::Response::from_string(answer.to_string()))
        }
        Answer::Cut => {
            let mut writer = request.into_writer();
            writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"choices\": [")?;
            writer.flush()
        }
    }
}

/// The seeds that a run may ask with, whose upper bits do not reach a server.
pub(super) struct Seeds(Vec<u64>);

impl Seeds {
    /// Those of the first steps and rows of a run.
    pub(super) fn of_run(seed: u64) -> Self {
        let steps = (0..16).chain([u64::MAX]);
        Self(steps.flat_map(|step| (0..32).map(move |row| dropout_seed(seed, step, row))).collect())
    }

    /// And those of the turns of episodes.
    pub(super) fn with_turns(mut self, turns: u64) -> Self {
        let whole = self.0.clone();
        let later = |seed: u64| {
            (2..=turns)
                .flat_map(move |turn| (0..8).map(move |sample| dropout_seed(seed, turn, sample)))
        };
        self.0.extend(whole.into_iter().flat_map(later));
        self
    }

    fn whole(&self, sent: u64) -> u64 {
        let whole = self.0.iter().find(|seed| **seed & 0x7fff_ffff == sent);
        *whole.unwrap_or_else(|| panic!("no seed of the run is sent as {sent}"))
    }
}

/// What a toy draws, as vLLM answers it.
pub(super) fn drawn(toy: &Toy, body: &Value, seeds: &Seeds) -> Value {
    let list = |name: &str| body[name].as_array().unwrap().clone();
    let request = Request {
        prompt: list("prompt").iter().map(|id| id.as_u64().unwrap() as u32).collect(),
        samples: body["n"].as_u64().unwrap() as usize,
        seed: seeds.whole(body["seed"].as_u64().unwrap()),
    };
    let sampling = SamplingConfig::default()
        .with_temperature(body["temperature"].as_f64().unwrap())
        .with_max_new_tokens(body["max_tokens"].as_u64().unwrap() as usize)
        .with_eos_token_ids(vec![END]);
    let drawn = toy.generate(&[request], &sampling, &mut |_| AfterToken::Continue).unwrap();
    let choice = |generation: &bestof_models::Generation| {
        let ended = generation.ids.last() == Some(&END);
        json!({
            "index": generation.sample, "text": "", "finish_reason": if ended { "stop" } else { "length" },
            "prompt_token_ids": body["prompt"], "token_ids": generation.ids,
            "logprobs": {"token_logprobs": generation.sampling_logprobs, "tokens": [], "top_logprobs": null},
        })
    };
    json!({ "object": "text_completion", "choices": drawn.iter().map(choice).collect::<Vec<_>>() })
}
