//! The decoder's own sampling engine: keys and values are kept, a step computes one row per
//! sequence.

use std::ops::Range;

use bestof_kernels::{CausalMasks, DecodeCache, PromptKeys, Vocabulary, each_on_pool, on_pool};
use burn::module::Module;
use burn::tensor::Tensor;

use super::model::Decoder;
use crate::block::Pass;
use crate::causal_lm::{CausalLm, ForwardOptions};
use crate::error::ModelError;
use crate::generate::{self, ActiveSequence, Engine, Limits};
use crate::kv_cache::PromptLayer;
use crate::sampling::{AfterToken, Generation, NewToken, Request, SamplingConfig};

pub(super) fn generate(
    model: &Decoder,
    requests: &[Request],
    config: &SamplingConfig,
    on_token: &mut dyn FnMut(NewToken) -> AfterToken,
) -> Result<Vec<Generation>, ModelError> {
    let options = ForwardOptions::default().with_adapters(config.adapters);
    let mut options = model.resolve(&options)?;
    let limits = Limits { vocab_size: model.vocab_size(), max_positions: model.max_positions() };
    let mut model = model.seen_with(&options).valid();
    if options.adapters && model.lora().is_some_and(|lora| lora.dora) {
        // The norms of the adapted weights would be computed again for every token.
        if model.blocks().is_empty() {
            model.merge_lora()?;
            options = options.with_adapters(false);
        } else {
            model.keep_gains();
        }
    }
    let vocabulary = model.vocabulary();
    let prefill_chunk = config.prefill_chunk;
    let like = model.like();
    let new = || DecodeCache::new(model.config().attention(), &like);
    let suffixes = model.config().layers.iter().map(|_| new()).collect();
    let prompts = Vec::new();
    let mut engine = Cached { model, vocabulary, like, options, prefill_chunk, prompts, suffixes };
    generate::generate(&mut engine, limits, requests, config, on_token)
}

struct Cached {
    /// On a plain device.
    model: Decoder,
    vocabulary: Vocabulary,
    /// Of the device and the type of hidden states.
    like: Tensor<2>,
    options: ForwardOptions,
    prefill_chunk: usize,
    /// By number; `None` once nothing continues them.
    prompts: Vec<Option<Prompt>>,
    /// By layer.
    suffixes: Vec<DecodeCache>,
}

struct Prompt {
    ids: Vec<u32>,
    layers: Vec<PromptLayer>,
}

impl Engine for Cached {
    /// Each prompt by itself, so that its numbers are the same whatever the others are.
    fn start(&mut self, prompts: &[&[u32]]) -> Result<Tensor<2>, ModelError> {
        let started = each_on_pool(prompts.len(), &self.like.device(), |number| {
            let prompt = prompts[number];
            let (layers, last) = self.prefill(prompt, prompt.len());
            (Prompt { ids: prompt.to_vec(), layers }, self.logits(last))
        });
        let (started, logits): (Vec<Prompt>, Vec<Tensor<2>>) = started.into_iter().unzip();
        self.prompts.extend(started.into_iter().map(Some));
        Ok(Tensor::cat(logits, 0))
    }

    fn forget(&mut self, prompt: usize) {
        self.prompts[prompt] = None;
    }

    fn admit(&mut self, sequences: usize) {
        self.suffixes.iter_mut().for_each(|suffix| suffix.add(sequences));
    }

    fn step(&mut self, active: &[ActiveSequence]) -> Result<Tensor<2>, ModelError> {
        Ok(on_pool(|| self.next_logits(active)))
    }

    fn keep(&mut self, kept: &[u32]) {
        self.suffixes.iter_mut().for_each(|suffix| suffix.keep(kept));
    }

    /// Where the basis depends on the length so far, the keys of a prompt are those of one length.
    fn may_be_ragged(&self) -> bool {
        !self.model.config().renews_cache
    }
}

impl Cached {
    /// The logits after the last token of each sequence.
    fn next_logits(&mut self, active: &[ActiveSequence]) -> Tensor<2> {
        if self.model.config().renews_cache {
            self.renew(active);
        }
        let ids: Vec<u32> = active.iter().filter_map(|s| s.ids.last().copied()).collect();
        let positions: Vec<(usize, usize)> = active
            .iter()
            .map(|s| {
                let position = going(&self.prompts, s.prompt).ids.len() + s.ids.len() - 1;
                (position, position + 1)
            })
            .collect();
        let rotations = self.model.rotary().rotations(&positions, None, &self.like);
        let runs = runs_of(active);
        let config = self.model.config();
        let mut x = self.model.embed(&ids);
        for (index, (layer, suffix)) in
            self.model.layers().iter().zip(&mut self.suffixes).enumerate()
        {
            let kind = &config.layers[index];
            let pass =
                Pass { config, options: self.options, rows: None, layer: index, decoding: true };
            let rotation = kind.rope.map(|rope| &rotations[rope]);
            let seen: Vec<PromptKeys<'_>> = runs
                .iter()
                .map(|(prompt, members)| {
                    going(&self.prompts, *prompt).layers[index].seen_by(members.clone())
                })
                .collect();
            x = layer.forward(x, rotation, &pass, |heads| {
                suffix.attend(heads.q, heads.k, heads.v, &seen, kind.window)
            });
        }
        self.logits(x)
    }

    /// Computes the keys and values of sequences again whose basis is another one with the token of this
    /// step.
    fn renew(&mut self, active: &[ActiveSequence]) {
        for (index, sequence) in active.iter().enumerate() {
            let prompt = &going(&self.prompts, sequence.prompt).ids;
            let before = sequence.ids.len() - 1;
            let ids = [prompt.as_slice(), &sequence.ids[..before]].concat();
            let prompt = prompt.len();
            let rotary = self.model.rotary();
            if rotary.length_key(ids.len()) == rotary.length_key(ids.len() + 1) {
                continue;
            }
            let (layers, _) = self.prefill(&ids, ids.len() + 1);
            let mut of_prompt = Vec::with_capacity(layers.len());
            for (suffix, all) in self.suffixes.iter_mut().zip(layers) {
                let (layer, (k, v)) = all.split(prompt);
                of_prompt.push(layer);
                suffix.replace(index, k, v);
            }
            if let Some(prompt) = &mut self.prompts[sequence.prompt] {
                prompt.layers = of_prompt;
            }
        }
    }

    /// The keys and values of the tokens with which a sequence of a length begins, in every layer, and
    /// the last one's row above the layers.
    fn prefill(&self, prompt: &[u32], length: usize) -> (Vec<PromptLayer>, Tensor<2>) {
        let config = self.model.config();
        let like = &self.like;
        let mut layers: Vec<PromptLayer> =
            config.layers.iter().map(|_| PromptLayer::new(config, prompt.len(), like)).collect();
        let masks: Vec<(Option<usize>, CausalMasks)> = config
            .windows()
            .into_iter()
            .map(|window| (window, CausalMasks::new(prompt.len(), window, like)))
            .collect();
        let mut last = self.like.clone();
        for (index, chunk) in prompt.chunks(self.prefill_chunk).enumerate() {
            let start = index * self.prefill_chunk;
            let positions: Vec<(usize, usize)> =
                (start..start + chunk.len()).map(|position| (position, length)).collect();
            let rotations = self.model.rotary().rotations(&positions, None, like);
            let mut x = self.model.embed(chunk);
            for (index, layer) in self.model.layers().iter().enumerate() {
                let kind = &config.layers[index];
                let pass = Pass {
                    config,
                    options: self.options,
                    rows: None,
                    layer: index,
                    decoding: false,
                };
                let rotation = kind.rope.map(|rope| &rotations[rope]);
                x = layer.forward(x, rotation, &pass, |heads| {
                    let masks = masks.iter().find(|(window, _)| *window == kind.window);
                    match masks {
                        Some((_, masks)) => layers[index].extend(heads, masks, config),
                        None => unreachable!("every window has its masks"),
                    }
                });
            }
            last = x.slice_dim(0, chunk.len() - 1..chunk.len());
        }
        (layers, last)
    }

    fn logits(&self, x: Tensor<2>) -> Tensor<2> {
        self.vocabulary.next_token_logits(self.model.final_norm(x))
    }
}

/// A prompt that something continues.
fn going(prompts: &[Option<Prompt>], number: usize) -> &Prompt {
    prompts[number].as_ref().expect("a prompt is kept as long as something continues it")
}

/// Runs of sequences with the same prompt: its number, and their places.
fn runs_of(active: &[ActiveSequence]) -> Vec<(usize, Range<usize>)> {
    let mut runs: Vec<(usize, Range<usize>)> = Vec::new();
    for (index, sequence) in active.iter().enumerate() {
        match runs.last_mut() {
            Some((prompt, members)) if *prompt == sequence.prompt => members.end = index + 1,
            _ => runs.push((sequence.prompt, index..index + 1)),
        }
    }
    runs
}
