//! The sampling loop: each prompt once, then its samples a token at a time. The batch is continuous: a
//! sample that ends makes room for one that waits.

use std::collections::VecDeque;

use bestof_kernels::Random;
use burn::tensor::Tensor;

use crate::device_sampling::sample_tokens;
use crate::error::ModelError;
use crate::forest::{ForestBuilder, Sequence, TokenForest};
use crate::sampled_token::SampledToken;
use crate::sampling::{AfterToken, FinishReason, Generation, NewToken, Request, SamplingConfig};

/// What computes the logits that tokens are sampled from.
pub(crate) trait Engine {
    /// Takes on prompts, the next in number, and returns the logits after each, `[prompts, vocab_size]`.
    fn start(&mut self, prompts: &[&[u32]]) -> Result<Tensor<2>, ModelError>;

    /// Nothing continues a prompt any more.
    fn forget(&mut self, prompt: usize);

    /// Takes on so many more sequences, behind those of the batch.
    fn admit(&mut self, sequences: usize);

    /// The logits after the last token of each sequence, `[sequences, vocab_size]`.
    fn step(&mut self, active: &[ActiveSequence]) -> Result<Tensor<2>, ModelError>;

    /// Goes on with the sequences at these indices of the batch only.
    fn keep(&mut self, indices: &[u32]);

    /// Whether sequences of one prompt may have different numbers of tokens of their own.
    fn may_be_ragged(&self) -> bool {
        true
    }
}

/// What bounds a sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) vocab_size: usize,
    /// Tokens, prompt included.
    pub(crate) max_positions: usize,
}

/// A continuation being sampled.
#[derive(Debug)]
pub(crate) struct ActiveSequence {
    request: usize,
    sample: usize,
    /// The number of the prompt that it continues.
    pub(crate) prompt: usize,
    random: Random,
    /// The tokens sampled so far.
    pub(crate) ids: Vec<u32>,
    logprobs: Vec<f32>,
    tempered_logprobs: Vec<f32>,
    sampling_logprobs: Vec<f32>,
}

impl ActiveSequence {
    fn finish(self, finish: FinishReason) -> Generation {
        Generation {
            request: self.request,
            sample: self.sample,
            ids: self.ids,
            logprobs: self.logprobs,
            tempered_logprobs: self.tempered_logprobs,
            sampling_logprobs: self.sampling_logprobs,
            finish,
        }
    }
}

/// Continuations of the requests' prompts. See [`crate::CausalLm::generate`].
pub(crate) fn generate(
    engine: &mut dyn Engine,
    limits: Limits,
    requests: &[Request],
    config: &SamplingConfig,
    on_token: &mut dyn FnMut(NewToken) -> AfterToken,
) -> Result<Vec<Generation>, ModelError> {
    config.validate()?;
    check_requests(limits.vocab_size, requests)?;
    let stopped = false;
    Sampler { engine, limits, requests, config, on_token, prompts: Vec::new(), stopped }.run()
}

fn check_requests(vocab_size: usize, requests: &[Request]) -> Result<(), ModelError> {
    for (index, request) in requests.iter().enumerate() {
        if request.prompt.is_empty() {
            return Err(ModelError::EmptyPrompt { request: index });
        }
        if let Some(node) = request.prompt.iter().position(|&t| t as usize >= vocab_size) {
            let token = request.prompt[node];
            return Err(ModelError::TokenOutOfRange { token, vocab_size, tree: index, node });
        }
    }
    Ok(())
}

struct Sampler<'a> {
    engine: &'a mut dyn Engine,
    limits: Limits,
    requests: &'a [Request],
    config: &'a SamplingConfig,
    on_token: &'a mut dyn FnMut(NewToken) -> AfterToken,
    /// By the engine's number.
    prompts: Vec<Started>,
    stopped: bool,
}

/// A prompt that was taken on.
struct Started {
    request: usize,
    /// What follows it, as long as samples wait for their first token.
    logits: Option<Tensor<2>>,
    /// Samples that have begun and are not done.
    open: usize,
}

impl Sampler<'_> {
    fn run(mut self) -> Result<Vec<Generation>, ModelError> {
        let mut done = Vec::new();
        let mut waiting: VecDeque<(usize, usize)> = self
            .requests
            .iter()
            .enumerate()
            .flat_map(|(index, request)| (0..request.samples).map(move |sample| (index, sample)))
            .collect();
        let mut active: Vec<ActiveSequence> = Vec::new();
        while !self.stopped {
            let free = self.config.max_batch.saturating_sub(active.len()).min(waiting.len());
            if free > 0 && (active.is_empty() || self.engine.may_be_ragged()) {
                let admitted = self.begin(waiting.drain(..free), &mut done)?;
                self.engine.admit(admitted.len());
                active.extend(admitted);
            } else if active.is_empty() {
                break;
            }
            if self.stopped || active.is_empty() {
                continue;
            }
            let logits = self.engine.step(&active)?;
            let (before, rows) = (active.len(), (0..active.len() as u32).collect::<Vec<u32>>());
            let (rest, kept) = self.take_tokens(active, logits, &rows, &mut done)?;
            active = rest;
            if active.len() < before {
                self.engine.keep(&kept);
            }
        }
        done.extend(active.into_iter().map(|s| s.finish(FinishReason::Interrupted)));
        done.sort_by_key(|generation| (generation.request, generation.sample));
        Ok(done)
    }

    /// Draws the first token of samples, whose prompts are computed where they are not yet. Returns those
    /// that go on.
    fn begin(
        &mut self,
        samples: impl Iterator<Item = (usize, usize)>,
        done: &mut Vec<Generation>,
    ) -> Result<Vec<ActiveSequence>, ModelError> {
        let samples: Vec<(usize, usize)> = samples.collect();
        // Samples wait in the order of their prompts. Where the keys of one may have become those of another length,
        // it is computed again.
        let mut requests: Vec<usize> = samples.iter().map(|(request, _)| *request).collect();
        requests.dedup();
        let mut logits = Vec::new();
        if let Some(last) = self.prompts.last_mut()
            && let Some(after) = last.logits.clone()
        {
            if self.engine.may_be_ragged() {
                logits.push(after);
                requests.remove(0);
            } else {
                last.logits = None;
                self.engine.forget(self.prompts.len() - 1);
            }
        }
        let first = self.prompts.len() - logits.len();
        if !requests.is_empty() {
            let prompts: Vec<&[u32]> =
                requests.iter().map(|request| self.requests[*request].prompt.as_slice()).collect();
            let after = self.engine.start(&prompts)?;
            for (row, request) in requests.into_iter().enumerate() {
                let logits = Some(after.clone().slice_dim(0, row..row + 1));
                self.prompts.push(Started { request, logits, open: 0 });
            }
            logits.push(after);
        }
        let (mut new, mut rows, mut prompt) = (Vec::new(), Vec::new(), first);
        for (request, sample) in samples {
            if self.prompts[prompt].request != request {
                prompt += 1;
            }
            self.prompts[prompt].open += 1;
            let asked = &self.requests[request];
            if sample + 1 == asked.samples {
                self.prompts[prompt].logits = None;
            }
            rows.push((prompt - first) as u32);
            new.push(ActiveSequence {
                request,
                sample,
                prompt,
                random: Random::keyed(&[asked.seed, sample as u64]),
                ids: Vec::new(),
                logprobs: Vec::new(),
                tempered_logprobs: Vec::new(),
                sampling_logprobs: Vec::new(),
            });
        }
        let logits = if logits.len() == 1 { logits.remove(0) } else { Tensor::cat(logits, 0) };
        Ok(self.take_tokens(new, logits, &rows, done)?.0)
    }

    /// A sequence is done, and its prompt too if it was the last one.
    fn finish(
        &mut self,
        sequence: ActiveSequence,
        reason: FinishReason,
        done: &mut Vec<Generation>,
    ) {
        let prompt = sequence.prompt;
        done.push(sequence.finish(reason));
        let started = &mut self.prompts[prompt];
        started.open -= 1;
        if started.open == 0 && started.logits.is_none() {
            self.engine.forget(prompt);
        }
    }

    /// Draws the next token of each sequence from its row of logits. Returns the sequences that
    /// go on and their indices in the batch.
    fn take_tokens(
        &mut self,
        active: Vec<ActiveSequence>,
        logits: Tensor<2>,
        rows: &[u32],
        done: &mut Vec<Generation>,
    ) -> Result<(Vec<ActiveSequence>, Vec<u32>), ModelError> {
        let mut open = Vec::with_capacity(active.len());
        let (mut open_rows, mut uniforms) = (Vec::new(), Vec::new());
        for (index, (mut sequence, row)) in active.into_iter().zip(rows).enumerate() {
            if let Some(reason) = self.no_room(&sequence) {
                self.finish(sequence, reason, done);
            } else {
                open_rows.push(*row);
                uniforms.push(sequence.random.uniform());
                open.push((index as u32, sequence));
            }
        }
        let mut rest = Vec::with_capacity(open.len());
        let mut kept = Vec::with_capacity(open.len());
        if open.is_empty() {
            return Ok((rest, kept));
        }
        let sampled = sample_tokens(logits, &open_rows, self.config, &uniforms);
        for ((index, mut sequence), sampled) in open.into_iter().zip(sampled) {
            let SampledToken { token, logprob, tempered_logprob, sampling_logprob } = sampled;
            if !logprob.is_finite() {
                let (request, drawn) = (sequence.request, sequence.ids.len());
                return Err(ModelError::LogitsNotFinite { request, drawn, found: logprob });
            }
            sequence.ids.push(token);
            sequence.logprobs.push(logprob);
            sequence.tempered_logprobs.push(tempered_logprob);
            sequence.sampling_logprobs.push(sampling_logprob);
            let (request, sample) = (sequence.request, sequence.sample);
            let heard = (self.on_token)(NewToken { request, sample, token, logprob });
            if let Some(reason) = self.end(&sequence, heard) {
                self.finish(sequence, reason, done);
            } else {
                rest.push(sequence);
                kept.push(index);
            }
            self.stopped |= heard == AfterToken::EndAll;
        }
        Ok((rest, kept))
    }

    /// Why no token can follow, whatever it is.
    fn no_room(&self, sequence: &ActiveSequence) -> Option<FinishReason> {
        let length = self.requests[sequence.request].prompt.len() + sequence.ids.len();
        if sequence.ids.len() >= self.config.max_new_tokens {
            Some(FinishReason::Length)
        } else if length >= self.limits.max_positions {
            Some(FinishReason::Context)
        } else {
            None
        }
    }

    /// Why a sequence ends with the token it just got.
    fn end(&self, sequence: &ActiveSequence, heard: AfterToken) -> Option<FinishReason> {
        let stops = &self.config.stop_sequences;
        if sequence.ids.last().is_some_and(|id| self.config.eos_token_ids.contains(id)) {
            Some(FinishReason::Eos)
        } else if heard == AfterToken::EndSequence
            || stops.iter().any(|s| !s.is_empty() && sequence.ids.ends_with(s))
        {
            Some(FinishReason::Stop)
        } else {
            self.no_room(sequence)
        }
    }
}

/// The logits of some nodes of a forest, `[rows, vocab_size]`.
type ForestLogits<'a> = dyn Fn(&TokenForest, &[u32]) -> Result<Tensor<2>, ModelError> + 'a;

/// An engine for any model: each step computes whole sequences.
pub(crate) struct Recomputed<'a> {
    logits: &'a ForestLogits<'a>,
    prompts: Vec<Vec<u32>>,
}

impl<'a> Recomputed<'a> {
    pub(crate) fn new(logits: &'a ForestLogits<'a>) -> Self {
        Self { logits, prompts: Vec::new() }
    }

    /// The logits after the last token of each sequence, each in a tree of its own.
    fn last_logits(&self, sequences: &[Vec<u32>]) -> Result<Tensor<2>, ModelError> {
        let mut builder = ForestBuilder::new();
        let mut rows = Vec::with_capacity(sequences.len());
        for tokens in sequences {
            builder.add_group(&[Sequence { tokens, completion_start: tokens.len() }]);
            rows.push(builder.token_count() as u32 - 1);
        }
        (self.logits)(&builder.finish(), &rows)
    }
}

impl Engine for Recomputed<'_> {
    fn start(&mut self, prompts: &[&[u32]]) -> Result<Tensor<2>, ModelError> {
        let prompts = prompts.iter().map(|prompt| prompt.to_vec());
        let first = self.prompts.len();
        self.prompts.extend(prompts);
        let logits: Result<_, _> =
            self.prompts[first..].chunks(1).map(|prompt| self.last_logits(prompt)).collect();
        Ok(Tensor::cat(logits?, 0))
    }

    fn forget(&mut self, prompt: usize) {
        self.prompts[prompt] = Vec::new();
    }

    fn admit(&mut self, _: usize) {}

    fn step(&mut self, active: &[ActiveSequence]) -> Result<Tensor<2>, ModelError> {
        let sequences: Vec<Vec<u32>> =
            active.iter().map(|s| [self.prompts[s.prompt].as_slice(), &s.ids].concat()).collect();
        self.last_logits(&sequences)
    }

    fn keep(&mut self, _: &[u32]) {}
}
