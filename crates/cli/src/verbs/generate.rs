//! `generate`: text from a model.

use anyhow::{Context, Result, bail};
use bestof_checkpoints::Message;
use bestof_models::{
    AfterToken, CausalLm, FinishReason, Generation, ModelError, Request, SamplingConfig,
};
use serde::Serialize;

use crate::bounds::{TOKENS, at_most};
use crate::console::{self, Usage};
use crate::model::{ModelArg, Opened, template_of};
use crate::ranks::ranks;

/// Continue prompts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask generate --model models/smollm2-135m-instruct --chat --prompt 'What is 7 times 8?'\n  \
    cargo xtask generate --model models/gemma3-270m --prompt 'Once upon a time' --temperature 0.8 --top-p 0.95 --samples 4 --json"
)]
pub(crate) struct Generate {
    #[command(flatten)]
    model: ModelArg,
    /// The text to continue; may be given several times
    #[arg(long, required = true)]
    prompt: Vec<String>,
    /// The prompt is a user's message, rendered by the model's chat template
    #[arg(long)]
    chat: bool,
    /// With --chat: a system message in front
    #[arg(long, requires = "chat")]
    system: Option<String>,
    /// Continuations of each prompt
    #[arg(long, value_parser = at_most::<65_536>, default_value_t = 1)]
    samples: usize,
    /// Longest continuation, in tokens
    #[arg(long, value_parser = at_most::<TOKENS>, default_value_t = 256)]
    max_new_tokens: usize,
    /// Divides the logits; 0 takes the likeliest token each time
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    temperature: f64,
    /// Keep the k likeliest tokens
    #[arg(long)]
    top_k: Option<usize>,
    /// Keep the likeliest tokens whose probabilities first reach this sum
    #[arg(long, allow_negative_numbers = true)]
    top_p: Option<f64>,
    /// Keep tokens at least this many times as likely as the likeliest
    #[arg(long, allow_negative_numbers = true)]
    min_p: Option<f64>,
    /// Seed of the samples
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Leave special tokens, such as the one that ends a text, out of the text
    #[arg(long)]
    skip_special_tokens: bool,
    /// Print one JSON object a continuation; `text` is all of `ids`, special tokens included
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row<'a> {
    prompt_ids: &'a [u32],
    ids: &'a [u32],
    text: String,
    logprob: f64,
    finish: &'static str,
}

impl Generate {
    pub(crate) fn run(self) -> Result<()> {
        let sampling = SamplingConfig::default()
            .with_temperature(self.temperature)
            .with_top_k(self.top_k)
            .with_top_p(self.top_p)
            .with_min_p(self.min_p)
            .with_max_new_tokens(self.max_new_tokens);
        sampling.validate().map_err(|e| Usage(e.to_string()))?;
        let greedy = self.temperature == 0.0;
        console::unread(
            "greedy decoding (--temperature 0, the default)",
            &[
                ("--top-k", greedy && self.top_k.is_some()),
                ("--top-p", greedy && self.top_p.is_some()),
                ("--min-p", greedy && self.min_p.is_some()),
            ],
        )?;
        if self.samples == 0 {
            bail!(Usage(
                "--samples is 0; it says how many continuations of each prompt there are".into()
            ));
        }
        if self.samples > 1 && greedy {
            bail!(Usage(
                "--samples above 1 needs --temperature above 0: greedy samples are all alike"
                    .into()
            ));
        }
        let opened = self.model.open()?;
        let sampling = sampling.with_eos_token_ids(opened.folder.generation.eos_token_ids.clone());
        let requests = self.requests(&opened)?;
        let stream = !self.json && requests.len() == 1 && self.samples == 1 && ranks().is_alone();
        if stream {
            let mut shown = Shown::new(&opened);
            opened
                .decoder
                .generate(&requests, &sampling, &mut |token| {
                    if shown.add(token.token).is_err() {
                        return AfterToken::EndAll;
                    }
                    AfterToken::Continue
                })
                .context("prompt 1 cannot be continued")?;
            return shown.end();
        }
        // Of each prompt all samples, from the rank whose prompt it is.
        let continued = ranks().deal(requests.len(), |share| {
            let mine: Vec<Request> = share.iter().map(|&at| requests[at].clone()).collect();
            let found = opened.decoder.generate(&mine, &sampling, &mut |_| AfterToken::Continue);
            // Counted as on the command line.
            let found = found.map_err(|error| match error {
                ModelError::LogitsNotFinite { request, drawn, found } => {
                    ModelError::LogitsNotFinite { request: share[request], drawn, found }
                }
                error => error,
            })?;
            let mut of_prompts = vec![Vec::new(); mine.len()];
            for Generation { request, ids, logprobs, finish, .. } in found {
                let logprob: f64 = logprobs.iter().map(|p| f64::from(*p)).sum();
                of_prompts[request].push((ids, logprob, finish));
            }
            Ok(of_prompts)
        })?;
        for (prompt, (request, samples)) in requests.iter().zip(&continued).enumerate() {
            for (sample, continuation) in samples.iter().enumerate() {
                self.show(&opened, (prompt, sample), &request.prompt, continuation)?;
            }
        }
        Ok(())
    }

    fn requests(&self, opened: &Opened) -> Result<Vec<Request>> {
        let tokenizer = opened.tokenizer()?;
        let requests = self.prompt.iter().map(|prompt| {
            let ids = if self.chat {
                let system = self.system.iter().map(|text| Message::new("system", text));
                let messages: Vec<Message> = system.chain([Message::new("user", prompt)]).collect();
                let text = template_of(&opened.folder)?.render(&messages, true)?;
                tokenizer.encode(&text, false)?
            } else {
                tokenizer.encode(prompt, true)?
            };
            let longest = opened.decoder.max_positions();
            if ids.len() >= longest {
                bail!(
                    "the prompt has {} tokens, and the model's context is {longest}; shorten it",
                    ids.len()
                );
            }
            Ok(Request { prompt: ids, samples: self.samples, seed: self.seed })
        });
        requests.collect()
    }

    fn show(
        &self,
        opened: &Opened,
        (prompt, sample): (usize, usize),
        prompt_ids: &[u32],
        (ids, logprob, finish): &(Vec<u32>, f64, FinishReason),
    ) -> Result<()> {
        let tokenizer = opened.tokenizer()?;
        if self.json {
            return console::json(&Row {
                prompt_ids,
                ids,
                text: tokenizer.decode(ids, self.skip_special_tokens)?,
                logprob: *logprob,
                finish: finish.as_str(),
            });
        }
        let text = tokenizer.decode(ids, true)?;
        console::line(&format!(
            "--- prompt {} sample {} ({})",
            prompt + 1,
            sample + 1,
            finish.as_str()
        ))?;
        console::line(&text)
    }
}

/// Text that appears as it is generated.
struct Shown<'a> {
    opened: &'a Opened,
    ids: Vec<u32>,
    written: usize,
}

impl<'a> Shown<'a> {
    fn new(opened: &'a Opened) -> Self {
        Self { opened, ids: Vec::new(), written: 0 }
    }

    /// Writes what a token adds, once its characters are whole.
    fn add(&mut self, token: u32) -> Result<()> {
        self.ids.push(token);
        let text = self.opened.tokenizer()?.decode(&self.ids, true)?;
        if text.ends_with('\u{fffd}') {
            return Ok(());
        }
        self.write(&text)
    }

    fn write(&mut self, text: &str) -> Result<()> {
        if let Some(new) = text.get(self.written..) {
            console::part(new)?;
            self.written = text.len();
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let text = self.opened.tokenizer()?.decode(&self.ids, true)?;
        self.write(&text)?;
        console::line("")
    }
}
