//! The decoder's own sampling engine: keys and values are kept, a step computes one row per
//! sequence.

use bestof_kernels::{CausalMasks, Vocabulary, indices};
use burn::module::Module;
use burn::tensor::Tensor;

use super::model::Decoder;
use crate::block::Pass;
use crate::causal_lm::{CausalLm, ForwardOptions};
use crate::error::ModelError;
use crate::generate::{self, ActiveSequence, Engine, Limits};
use crate::kv_cache::{Group, PromptLayer, SuffixLayer};
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
    let mut engine = Cached {
        model,
        vocabulary,
        like,
        options,
        prefill_chunk,
        prompts: Vec::new(),
        prompt_ids: Vec::new(),
        suffixes: Vec::new(),
    };
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
    /// By layer, then by prompt.
    prompts: Vec<Vec<PromptLayer>>,
    prompt_ids: Vec<Vec<u32>>,
    /// By layer; empty until the first step.
    suffixes: Vec<SuffixLayer>,
}

impl Engine for Cached {
    fn start(&mut self, prompts: &[&[u32]]) -> Result<Tensor<2>, ModelError> {
        self.suffixes = Vec::new();
        self.prompt_ids = prompts.iter().map(|prompt| prompt.to_vec()).collect();
        let mut layers = Vec::with_capacity(prompts.len());
        let mut logits = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            let (of_prompt, last) = self.prefill(prompt, prompt.len());
            layers.push(of_prompt);
            logits.extend(last.map(|x| self.logits(x)));
        }
        self.prompts = by_layer(layers);
        Ok(Tensor::cat(logits, 0))
    }

    fn step(&mut self, active: &[ActiveSequence]) -> Result<Tensor<2>, ModelError> {
        let config = self.model.config().clone();
        if self.suffixes.is_empty() {
            let like = &self.like;
            let new = || SuffixLayer::new(&config, active.len(), like);
            self.suffixes = config.layers.iter().map(|_| new()).collect();
        }
        // All samples of a batch start together.
        let step = active.first().map_or(0, |sequence| sequence.ids.len() - 1);
        if config.renews_cache {
            self.renew(active, step);
        }
        let ids: Vec<u32> = active.iter().filter_map(|s| s.ids.last().copied()).collect();
        let positions: Vec<(usize, usize)> = active
            .iter()
            .map(|s| {
                let position = self.prompt_ids[s.prompt].len() + step;
                (position, position + 1)
            })
            .collect();
        let rotations = self.model.rotary().rotations(&positions, None, &self.like);
        let groups = groups_of(active);
        let mut x = self.model.embed(&ids);
        for (index, layer) in self.model.layers().iter().enumerate() {
            let kind = &config.layers[index];
            let pass = Pass {
                config: &config,
                options: self.options,
                rows: None,
                layer: index,
                decoding: true,
            };
            let rotation = kind.rope.map(|rope| &rotations[rope]);
            let (suffix, prompts) = (&mut self.suffixes[index], &self.prompts[index]);
            x = layer.forward(x, rotation, &pass, |heads| {
                suffix.step(heads, step, &groups, prompts, kind.window, &config)
            });
        }
        Ok(self.logits(x))
    }

    fn keep(&mut self, kept: &[u32]) {
        let kept = indices(kept, &self.like.device());
        for suffix in &mut self.suffixes {
            suffix.keep(&kept);
        }
    }
}

impl Cached {
    /// Computes the keys and values of sequences again whose basis is another one with the token of this
    /// step.
    fn renew(&mut self, active: &[ActiveSequence], step: usize) {
        for (index, sequence) in active.iter().enumerate() {
            let mut ids = self.prompt_ids[sequence.prompt].clone();
            let prompt = ids.len();
            ids.extend(&sequence.ids[..step]);
            let rotary = self.model.rotary();
            if rotary.length_key(ids.len()) == rotary.length_key(ids.len() + 1) {
                continue;
            }
            let (layers, _) = self.prefill(&ids, ids.len() + 1);
            for (layer, all) in layers.into_iter().enumerate() {
                let (of_prompt, own) = all.split(prompt);
                self.prompts[layer][sequence.prompt] = of_prompt;
                self.suffixes[layer].replace(index, own);
            }
        }
    }

    /// The keys and values of the tokens with which a sequence of a length begins, in every layer, and
    /// the last one's row above the layers.
    fn prefill(&self, prompt: &[u32], length: usize) -> (Vec<PromptLayer>, Option<Tensor<2>>) {
        let config = self.model.config();
        let like = &self.like;
        let mut layers: Vec<PromptLayer> =
            config.layers.iter().map(|_| PromptLayer::new(config, prompt.len(), like)).collect();
        let masks: Vec<(Option<usize>, CausalMasks)> = config
            .windows()
            .into_iter()
            .map(|window| (window, CausalMasks::new(prompt.len(), window, like)))
            .collect();
        let mut last: Option<Tensor<2>> = None;
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
            last = Some(x.slice_dim(0, chunk.len() - 1..chunk.len()));
        }
        (layers, last)
    }

    fn logits(&self, x: Tensor<2>) -> Tensor<2> {
        self.vocabulary.next_token_logits(self.model.final_norm(x))
    }
}

/// Runs of sequences with the same prompt.
fn groups_of(active: &[ActiveSequence]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (index, sequence) in active.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if group.prompt == sequence.prompt => group.members.end = index + 1,
            _ => groups.push(Group { members: index..index + 1, prompt: sequence.prompt }),
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
