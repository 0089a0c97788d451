//! The sampling loop: prompts once, then all their samples a token at a time.

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
    /// Takes on prompts and returns the logits after each, `[prompts, vocab_size]`.
    fn start(&mut self, prompts: &[&[u32]]) -> Result<Tensor<2>, ModelError>;

    /// The logits after the last token of each sequence, `[sequences, vocab_size]`.
    fn step(&mut self, active: &[ActiveSequence]) -> Result<Tensor<2>, ModelError>;

    /// Goes on with the sequences at these indices of the batch only.
    fn keep(&mut self, indices: &[u32]);
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
    /// Which of the batch's prompts it continues.
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
    Sampler { engine, limits, requests, config, on_token, stopped: false }.run()
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
    stopped: bool,
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
        while !waiting.is_empty() && !self.stopped {
            let batch = waiting.drain(..waiting.len().min(self.config.max_batch)).collect();
            self.run_batch(batch, &mut done)?;
        }
        done.sort_by_key(|generation| (generation.request, generation.sample));
        Ok(done)
    }

    /// Draws samples that start together, and so have computed equally many tokens of their own
    /// at any time.
    fn run_batch(
        &mut self,
        batch: Vec<(usize, usize)>,
        done: &mut Vec<Generation>,
    ) -> Result<(), ModelError> {
        let mut prompts: Vec<&[u32]> = Vec::new();
        let mut active: Vec<ActiveSequence> = Vec::new();
        let mut last_request = None;
        for (request, sample) in batch {
            if last_request != Some(request) {
                prompts.push(&self.requests[request].prompt);
                last_request = Some(request);
            }
            active.push(ActiveSequence {
                request,
                sample,
                prompt: prompts.len() - 1,
                random: Random::keyed(&[self.requests[request].seed, sample as u64]),
                ids: Vec::new(),
                logprobs: Vec::new(),
                tempered_logprobs: Vec::new(),
                sampling_logprobs: Vec::new(),
            });
        }
        let mut logits = self.engine.start(&prompts)?;
        let mut rows: Vec<u32> = active.iter().map(|s| s.prompt as u32).collect();
        loop {
            let before = active.len();
            let (rest, kept) = self.take_tokens(active, logits, &rows, done);
            active = rest;
            if active.is_empty() || self.stopped {
                break;
            }
            if active.len() < before {
                self.engine.keep(&kept);
            }
            logits = self.engine.step(&active)?;
            rows = (0..active.len() as u32).collect();
        }
        done.extend(active.into_iter().map(|s| s.finish(FinishReason::Interrupted)));
        Ok(())
    }

    /// Draws the next token of each sequence from its row of logits. Returns the sequences that
    /// go on and their indices in the batch.
    fn take_tokens(
        &mut self,
        active: Vec<ActiveSequence>,
        logits: Tensor<2>,
        rows: &[u32],
        done: &mut Vec<Generation>,
    ) -> (Vec<ActiveSequence>, Vec<u32>) {
        let mut open = Vec::with_capacity(active.len());
        let (mut open_rows, mut uniforms) = (Vec::new(), Vec::new());
        for (index, (mut sequence, row)) in active.into_iter().zip(rows).enumerate() {
            if let Some(reason) = self.no_room(&sequence) {
                done.push(sequence.finish(reason));
            } else {
                open_rows.push(*row);
                uniforms.push(sequence.random.uniform());
                open.push((index as u32, sequence));
            }
        }
        let mut rest = Vec::with_capacity(open.len());
        let mut kept = Vec::with_capacity(open.len());
        if open.is_empty() {
            return (rest, kept);
        }
        let sampled = sample_tokens(logits, &open_rows, self.config, &uniforms);
        for ((index, mut sequence), sampled) in open.into_iter().zip(sampled) {
            let SampledToken { token, logprob, tempered_logprob, sampling_logprob } = sampled;
            sequence.ids.push(token);
            sequence.logprobs.push(logprob);
            sequence.tempered_logprobs.push(tempered_logprob);
            sequence.sampling_logprobs.push(sampling_logprob);
            let (request, sample) = (sequence.request, sequence.sample);
            let heard = (self.on_token)(NewToken { request, sample, token, logprob });
            if let Some(reason) = self.end(&sequence, heard) {
                done.push(sequence.finish(reason));
            } else {
                rest.push(sequence);
                kept.push(index);
            }
            self.stopped |= heard == AfterToken::EndAll;
        }
        (rest, kept)
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
        self.prompts = prompts.iter().map(|prompt| prompt.to_vec()).collect();
        self.last_logits(&self.prompts)
    }

    fn step(&mut self, active: &[ActiveSequence]) -> Result<Tensor<2>, ModelError> {
        let sequences: Vec<Vec<u32>> =
            active.iter().map(|s| [self.prompts[s.prompt].as_slice(), &s.ids].concat()).collect();
        self.last_logits(&sequences)
    }

    fn keep(&mut self, _: &[u32]) {}
}
