//! Sampling: prompts once, then all their samples a token at a time.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use burn::tensor::Tensor;

use crate::block::Pass;
use crate::causal_lm::ForwardOptions;
use crate::decoder::{Decoder, DecoderWeights};
use crate::draw::{Draw, draw};
use crate::error::ModelError;
use crate::kv_cache::{Group, PromptLayer, SuffixLayer};
use crate::mask::CausalMasks;
use crate::plan::indices;
use crate::random::Random;
use crate::sampling::{FinishReason, Generation, NewToken, Request, SamplingConfig};
use crate::vocabulary::{Vocabulary, floats};
use burn::module::Module;

/// Continuations of the requests' prompts. See [`crate::CausalLm::generate`].
pub(crate) fn generate(
    model: &Decoder,
    requests: &[Request],
    config: &SamplingConfig,
    on_token: &mut dyn FnMut(NewToken) -> ControlFlow<()>,
) -> Result<Vec<Generation>, ModelError> {
    config.validate()?;
    check_requests(model, requests)?;
    let options = ForwardOptions { adapters: config.adapters, ..ForwardOptions::default() };
    let options = model.resolve(&options)?;
    let weights = model.weights.valid();
    let vocabulary = model.vocabulary(&weights);
    let sampler =
        Sampler { model, weights, vocabulary, requests, config, options, on_token, stopped: false };
    Ok(sampler.run())
}

fn check_requests(model: &Decoder, requests: &[Request]) -> Result<(), ModelError> {
    let vocab_size = model.config.vocab_size;
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

/// A sample being drawn.
#[derive(Debug)]
struct Sequence {
    request: usize,
    sample: usize,
    /// Which of the batch's prompts it continues.
    prompt: usize,
    random: Random,
    ids: Vec<u32>,
    logprobs: Vec<f32>,
    sampling_logprobs: Vec<f32>,
}

impl Sequence {
    fn finish(self, finish: FinishReason) -> Generation {
        Generation {
            request: self.request,
            sample: self.sample,
            ids: self.ids,
            logprobs: self.logprobs,
            sampling_logprobs: self.sampling_logprobs,
            finish,
        }
    }
}

struct Sampler<'a> {
    model: &'a Decoder,
    weights: DecoderWeights,
    vocabulary: Vocabulary,
    requests: &'a [Request],
    config: &'a SamplingConfig,
    options: ForwardOptions,
    on_token: &'a mut dyn FnMut(NewToken) -> ControlFlow<()>,
    stopped: bool,
}

impl Sampler<'_> {
    fn run(mut self) -> Vec<Generation> {
        let mut done = Vec::new();
        let mut waiting: VecDeque<(usize, usize)> = self
            .requests
            .iter()
            .enumerate()
            .flat_map(|(index, request)| (0..request.samples).map(move |sample| (index, sample)))
            .collect();
        while !waiting.is_empty() && !self.stopped {
            let batch = waiting.drain(..waiting.len().min(self.config.max_batch)).collect();
            self.run_batch(batch, &mut done);
        }
        done.sort_by_key(|generation| (generation.request, generation.sample));
        done
    }

    /// Draws samples that start together, and so have computed equally many tokens of their own
    /// at any time.
    fn run_batch(&mut self, batch: Vec<(usize, usize)>, done: &mut Vec<Generation>) {
        let mut prompts: Vec<Vec<PromptLayer>> = Vec::new();
        let mut active: Vec<Sequence> = Vec::new();
        let mut rows: Vec<Vec<f32>> = Vec::new();
        let mut first: Vec<usize> = Vec::new();
        let mut last_request = None;
        for (request, sample) in batch {
            if last_request != Some(request) {
                let (layers, logits) = self.prefill(&self.requests[request].prompt);
                prompts.push(layers);
                rows.push(logits);
                last_request = Some(request);
            }
            first.push(prompts.len() - 1);
            active.push(Sequence {
                request,
                sample,
                prompt: prompts.len() - 1,
                random: Random::keyed(&[self.requests[request].seed, sample as u64]),
                ids: Vec::new(),
                logprobs: Vec::new(),
                sampling_logprobs: Vec::new(),
            });
        }
        let prompts = by_layer(prompts);
        let logits: Vec<&[f32]> = first.iter().map(|&prompt| rows[prompt].as_slice()).collect();
        let mut active = self.take_tokens(active, &logits, done).0;
        drop(rows);
        let like = self.vocabulary.weight.clone();
        let model_config = &self.model.config;
        let mut suffixes: Vec<SuffixLayer> = (0..model_config.layers.len())
            .map(|_| SuffixLayer::new(model_config, active.len(), &like))
            .collect();
        let mut step = 0;
        while !active.is_empty() && !self.stopped {
            let logits = self.step(&active, step, &prompts, &mut suffixes);
            let rows: Vec<&[f32]> = logits.chunks(model_config.vocab_size).collect();
            let before = active.len();
            let (rest, places) = self.take_tokens(active, &rows, done);
            active = rest;
            if active.len() < before && !active.is_empty() {
                let places = indices(&places, &like.device());
                for suffix in &mut suffixes {
                    suffix.keep(&places);
                }
            }
            step += 1;
        }
        done.extend(active.into_iter().map(|s| s.finish(FinishReason::Interrupted)));
    }

    /// Draws the next token of each sequence from its row of logits. Returns the sequences that
    /// go on and their places in the batch.
    fn take_tokens(
        &mut self,
        active: Vec<Sequence>,
        logits: &[&[f32]],
        done: &mut Vec<Generation>,
    ) -> (Vec<Sequence>, Vec<u32>) {
        let mut rest = Vec::with_capacity(active.len());
        let mut places = Vec::with_capacity(active.len());
        for (place, (mut sequence, logits)) in active.into_iter().zip(logits).enumerate() {
            if let Some(reason) = self.no_room(&sequence) {
                done.push(sequence.finish(reason));
                continue;
            }
            let Draw { token, logprob, sampling_logprob } =
                draw(logits, self.config, sequence.random.uniform());
            sequence.ids.push(token);
            sequence.logprobs.push(logprob);
            sequence.sampling_logprobs.push(sampling_logprob);
            let (request, sample) = (sequence.request, sequence.sample);
            let heard = (self.on_token)(NewToken { request, sample, token, logprob });
            if let Some(reason) = self.end(&sequence) {
                done.push(sequence.finish(reason));
            } else {
                rest.push(sequence);
                places.push(place as u32);
            }
            self.stopped |= heard.is_break();
        }
        (rest, places)
    }

    /// Why no token can follow, whatever it is.
    fn no_room(&self, sequence: &Sequence) -> Option<FinishReason> {
        let length = self.requests[sequence.request].prompt.len() + sequence.ids.len();
        if sequence.ids.len() >= self.config.max_new_tokens {
            Some(FinishReason::Length)
        } else if length >= self.model.config.max_positions {
            Some(FinishReason::Context)
        } else {
            None
        }
    }

    /// Why a sequence ends with the token it just got.
    fn end(&self, sequence: &Sequence) -> Option<FinishReason> {
        let stops = &self.config.stop_sequences;
        if sequence.ids.last().is_some_and(|id| self.config.eos_token_ids.contains(id)) {
            Some(FinishReason::Eos)
        } else if stops.iter().any(|s| !s.is_empty() && sequence.ids.ends_with(s)) {
            Some(FinishReason::Stop)
        } else {
            self.no_room(sequence)
        }
    }

    /// The keys and values of a prompt in every layer, and the logits after its last token.
    fn prefill(&self, prompt: &[u32]) -> (Vec<PromptLayer>, Vec<f32>) {
        let config = &*self.model.config;
        let like = &self.vocabulary.weight;
        let mut layers: Vec<PromptLayer> =
            config.layers.iter().map(|_| PromptLayer::new(config, prompt.len(), like)).collect();
        let masks: Vec<(Option<usize>, CausalMasks)> = config
            .windows()
            .into_iter()
            .map(|window| (window, CausalMasks::new(prompt.len(), window, like)))
            .collect();
        let mut last: Option<Tensor<2>> = None;
        for (index, chunk) in prompt.chunks(self.config.prefill_chunk).enumerate() {
            let start = index * self.config.prefill_chunk;
            let places: Vec<(usize, usize)> =
                (start..start + chunk.len()).map(|position| (position, prompt.len())).collect();
            let rotations = self.model.rotary.rotations(&places, None, like);
            let mut x = self.model.embed(&self.weights, chunk);
            for (index, layer) in self.weights.model.layers.iter().enumerate() {
                let kind = &config.layers[index];
                let pass = Pass { config, options: self.options, layer: index, decoding: false };
                let rotation = kind.rope.map(|rope| &rotations[rope]);
                x = layer.forward(x, rotation, &pass, |heads| {
                    let masks = masks.iter().find(|(window, _)| *window == kind.window);
                    match masks {
                        Some((_, masks)) => layers[index].extend(heads, masks, config),
                        None => unreachable!("every window has its masks"),
                    }
                });
            }
            last = Some(x.slice_dim(0, chunk.len() - 1..chunk.len()));
        }
        let logits = last.map_or_else(Vec::new, |x| self.logits(x));
        (layers, logits)
    }

    /// The logits of the next token of each sequence, whose last token is computed here.
    fn step(
        &self,
        active: &[Sequence],
        step: usize,
        prompts: &[Vec<PromptLayer>],
        suffixes: &mut [SuffixLayer],
    ) -> Vec<f32> {
        let config = &*self.model.config;
        let ids: Vec<u32> = active.iter().filter_map(|s| s.ids.last().copied()).collect();
        let places: Vec<(usize, usize)> = active
            .iter()
            .map(|s| {
                let position = self.requests[s.request].prompt.len() + step;
                (position, position + 1)
            })
            .collect();
        let rotations = self.model.rotary.rotations(&places, None, &self.vocabulary.weight);
        let groups = groups_of(active);
        let mut x = self.model.embed(&self.weights, &ids);
        for (index, layer) in self.weights.model.layers.iter().enumerate() {
            let kind = &config.layers[index];
            let pass = Pass { config, options: self.options, layer: index, decoding: true };
            let rotation = kind.rope.map(|rope| &rotations[rope]);
            x = layer.forward(x, rotation, &pass, |heads| {
                suffixes[index].step(heads, step, &groups, &prompts[index], kind.window, config)
            });
        }
        self.logits(x)
    }

    fn logits(&self, x: Tensor<2>) -> Vec<f32> {
        floats(self.vocabulary.next_token_logits(self.model.final_norm(&self.weights, x)))
    }
}

/// Runs of sequences with the same prompt.
fn groups_of(active: &[Sequence]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (place, sequence) in active.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if group.prompt == sequence.prompt => group.members.end = place + 1,
            _ => groups.push(Group { members: place..place + 1, prompt: sequence.prompt }),
        }
    }
    groups
}

/// Prompt by layer to layer by prompt.
fn by_layer(prompts: Vec<Vec<PromptLayer>>) -> Vec<Vec<PromptLayer>> {
    let mut layers: Vec<Vec<PromptLayer>> = Vec::new();
    for prompt in prompts {
        for (index, layer) in prompt.into_iter().enumerate() {
            match layers.get_mut(index) {
                Some(row) => row.push(layer),
                None => layers.push(vec![layer]),
            }
        }
    }
    layers
}
