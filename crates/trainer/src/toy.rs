//! A bigram model as a burn module of a user's own: small enough to train in microseconds.
#![allow(
    non_snake_case,
    reason = "`lora_A` and `lora_B` are parts of tensor names in PEFT's files"
)]

use bestof_kernels::{Random, host_tensor, host_values, indices};
use bestof_losses::Label;
use bestof_models::{
    AfterToken, CausalLm, Device, FinishReason, ForwardOptions, Generation, ModelError, NewToken,
    Request, SamplingConfig, TokenForest, TokenScores, Vocabulary,
    parameters::{self, ParameterInfo},
};
use bestof_report::{RunFolder, RunType, metric, metric_names};
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use std::collections::BTreeSet;

use crate::config::RunConfig;
use crate::data::{Boundary, EncodedCompletion, EncodedLabelled, EncodedPair};
use crate::model_files::ModelFiles;
use crate::rows::RowSet;

/// A token whose log-probability is no number.
pub(crate) const POISON: u32 = 15;
pub(crate) const VOCAB: usize = 16;

/// `log p(next | previous) = log_softmax(table[previous] + bias)[next]`, with an optional adapter on `table`.
#[derive(Module, Debug)]
pub(crate) struct Toy {
    table: Table,
    /// `[VOCAB]`
    bias: Param<Tensor<1>>,
    /// Sequences of lengths below and from here on may not share a tree.
    #[module(skip)]
    pub(crate) long_from: usize,
}

#[derive(Module, Debug)]
struct Table {
    /// `[VOCAB, VOCAB]`, by the previous token.
    weight: Param<Tensor<2>>,
    /// `[rank, VOCAB]`
    lora_A: Option<Factor>,
    /// `[VOCAB, rank]`
    lora_B: Option<Factor>,
}

#[derive(Module, Debug)]
struct Factor {
    weight: Param<Tensor<2>>,
}

fn parameter<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
    let device = Device::flex().autodiff();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), &device))
}

impl Toy {
    pub(crate) fn new() -> Self {
        let table =
            (0..VOCAB * VOCAB).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0).sin()).collect();
        let weight = parameter(table, [VOCAB, VOCAB]);
        let table = Table { weight, lora_A: None, lora_B: None };
        Self { table, bias: parameter(vec![0.0; VOCAB], [VOCAB]), long_from: usize::MAX }
    }

    pub(crate) fn with_adapter(rank: usize) -> Self {
        let a = (0..rank * VOCAB).map(|i| (i as f32 * 0.7).cos() * 0.3).collect();
        let mut toy = Self::new().no_grad();
        let factor = |values, shape| Some(Factor { weight: parameter(values, shape) });
        toy.table.lora_A = factor(a, [rank, VOCAB]);
        toy.table.lora_B = factor(vec![0.0; VOCAB * rank], [VOCAB, rank]);
        toy
    }

    /// The same, giving the poisoned token next to no probability: what is sampled is the policy.
    pub(crate) fn without_poison(mut self) -> Self {
        let mut table = host_values(self.table.weight.val().inner());
        for row in table.chunks_mut(VOCAB) {
            row[POISON as usize] = -30.0;
        }
        let trained = self.table.weight.is_require_grad();
        self.table.weight = parameter(table, [VOCAB, VOCAB]).set_require_grad(trained);
        self
    }

    /// Rows of logits after `previous`, `[previous, VOCAB]`; the adapter's input is dropped where
    /// `dropout` says so.
    fn rows(&self, previous: &[u32], keys: &[u64], options: &ForwardOptions) -> Tensor<2> {
        let weight = self.table.weight.val();
        let ids = indices(previous, &weight.device());
        let logits = weight.select(0, ids.clone()).add(self.bias.val().unsqueeze());
        match (&self.table.lora_A, &self.table.lora_B) {
            (Some(a), Some(b)) if options.adapters => {
                let b = b.weight.val().select(0, ids);
                let shape = b.dims();
                let kept = host_tensor(kept(shape[1], keys, options), shape, &b);
                logits.add(b.mul(kept).matmul(a.weight.val()))
            }
            _ => logits,
        }
    }

    /// Log-probabilities of all tokens after `previous` at the options' temperature, in f64.
    fn log_softmax(&self, previous: u32, options: &ForwardOptions) -> Vec<f64> {
        let logits = host_values(self.rows(&[previous], &[0], options).inner());
        let logits: Vec<f64> =
            logits.into_iter().map(|x| f64::from(x) / options.temperature).collect();
        let max = logits.iter().copied().fold(f64::MIN, f64::max);
        let log_sum = logits.iter().map(|x| (x - max).exp()).sum::<f64>().ln() + max;
        logits.into_iter().map(|x| x - log_sum).collect()
    }
}

/// Which components of the adapter take part in each token: all, or by the dropout seed and the token's key.
fn kept(rank: usize, keys: &[u64], options: &ForwardOptions) -> Vec<f32> {
    let of_token = |key: &u64| {
        let bits = options.dropout_seed.map(|seed| Random::keyed(&[seed, *key]).next_u64());
        (0..rank).map(move |k| bits.map_or(1.0, |bits| f32::from((bits >> k & 1) as u8) * 2.0))
    };
    keys.iter().flat_map(of_token).collect()
}

impl CausalLm for Toy {
    fn vocab_size(&self) -> usize {
        VOCAB
    }

    fn max_positions(&self) -> usize {
        1024
    }

    fn length_key(&self, length: usize) -> usize {
        usize::from(length >= self.long_from)
    }

    fn hidden_states(
        &self,
        forest: &TokenForest,
        rows: &[u32],
        options: &ForwardOptions,
    ) -> Result<Tensor<2>, ModelError> {
        for tree in 0..forest.trees().len() {
            let keys: BTreeSet<usize> =
                forest.lengths(tree).iter().map(|length| self.length_key(*length)).collect();
            assert!(keys.len() < 2, "a tree of lengths {:?}", forest.lengths(tree));
        }
        let tokens = forest.token_ids();
        let keys: Vec<u64> = forest
            .keyed_rows()
            .iter()
            .flat_map(|tree| std::iter::repeat_n(tree.key, tree.tokens))
            .collect();
        let previous: Vec<u32> = rows.iter().map(|&row| tokens[row as usize]).collect();
        let keys: Vec<u64> = rows.iter().map(|&row| keys[row as usize]).collect();
        Ok(self.rows(&previous, &keys, options))
    }

    /// Hidden states are the logits already.
    fn vocabulary(&self) -> Vocabulary {
        let device = self.table.weight.val().device();
        Vocabulary { weight: Tensor::eye(VOCAB, &device).into(), softcap: None }
    }

    fn token_scores(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<TokenScores, ModelError> {
        let (rows, targets) = forest.target_rows()?;
        // Without a soft cap tempered logits are those of tempered hidden states.
        let hidden = self.hidden_states(forest, &rows, options)?.div_scalar(options.temperature);
        let mut scores = self.vocabulary().score(hidden, &targets, options.entropies);
        let poison: Vec<f32> = targets
            .iter()
            .map(|target| if target.token == POISON { f32::NAN } else { 0.0 })
            .collect();
        if poison.iter().any(|x| x.is_nan()) {
            let poison = Tensor::<1>::from_floats(poison.as_slice(), &Device::flex());
            scores.logps = scores.logps.add(poison);
        }
        Ok(scores)
    }

    /// Samples without cuts from numbers that depend on seed, sample and place alone, one
    /// completion after the other.
    fn generate(
        &self,
        requests: &[Request],
        config: &SamplingConfig,
        on_token: &mut dyn FnMut(NewToken) -> AfterToken,
    ) -> Result<Vec<Generation>, ModelError> {
        let mut generations = Vec::new();
        for (request, asked) in requests.iter().enumerate() {
            for sample in 0..asked.samples {
                generations.push(self.continued(request, sample, asked, config, on_token));
            }
        }
        Ok(generations)
    }
}

impl Toy {
    pub(crate) fn entropy(&self, previous: u32, options: &ForwardOptions) -> f64 {
        -self.log_softmax(previous, options).iter().map(|logp| logp * logp.exp()).sum::<f64>()
    }

    fn continued(
        &self,
        request: usize,
        sample: usize,
        asked: &Request,
        config: &SamplingConfig,
        on_token: &mut dyn FnMut(NewToken) -> AfterToken,
    ) -> Generation {
        let options = ForwardOptions::default().with_adapters(config.adapters);
        let tempered = options.with_temperature(config.temperature);
        let (mut ids, mut logprobs, mut tempered_logprobs) = (Vec::new(), Vec::new(), Vec::new());
        let mut previous = *asked.prompt.last().unwrap();
        let finish = loop {
            if ids.len() == config.max_new_tokens {
                break FinishReason::Length;
            }
            let bits = crate::run::dropout_seed(asked.seed, sample as u64, ids.len() as u64);
            let mut left = (bits >> 11) as f64 / (1_u64 << 53) as f64;
            let logps = self.log_softmax(previous, &tempered);
            // The poisoned token is never drawn.
            let mut drawn = 0;
            for (token, logp) in logps[..POISON as usize].iter().enumerate() {
                drawn = token;
                left -= logp.exp();
                if left < 0.0 {
                    break;
                }
            }
            let token = drawn as u32;
            ids.push(token);
            tempered_logprobs.push(logps[drawn] as f32);
            let logprob = self.log_softmax(previous, &options)[drawn] as f32;
            logprobs.push(logprob);
            previous = token;
            let heard = on_token(NewToken { request, sample, token, logprob });
            if config.eos_token_ids.contains(&token) {
                break FinishReason::Eos;
            }
            match heard {
                AfterToken::Continue => {}
                AfterToken::EndSequence => break FinishReason::Stop,
                AfterToken::EndAll => break FinishReason::Interrupted,
            }
        };
        let sampling_logprobs = tempered_logprobs.clone();
        Generation { request, sample, ids, logprobs, tempered_logprobs, sampling_logprobs, finish }
    }
}

/// Rows that a bigram model can learn from, all different.
/// A model as a configuration asks for it, and the names of its weights.
pub(crate) fn of_config(config: &RunConfig) -> (Toy, ModelFiles) {
    match &config.lora {
        Some(lora) => {
            let toy = Toy::with_adapter(lora.r);
            let stored = |info: ParameterInfo| {
                let stored = format!("base_model.model.{}", info.name);
                (info.name, stored)
            };
            let names = parameters::trainable(&toy).into_iter().map(stored).collect();
            let config = lora.adapters(0).to_peft(&config.model.path.display().to_string());
            (toy, ModelFiles::Adapter { config, names })
        }
        None => (Toy::new(), ModelFiles::Full { config: serde_json::json!({}) }),
    }
}

pub(crate) fn completions(count: usize) -> RowSet<EncodedCompletion> {
    let items: Vec<_> = (0..count as u32)
        .map(|i| EncodedCompletion {
            prompt_ids: vec![i % 7, (i * 3 + 1) % 9],
            completion_ids: (0..=i % 4).map(|t| (i * 5 + t * t + 2) % 14).collect(),
            boundary: Boundary::Joint,
            skipped: Vec::new(),
            truncated: false,
        })
        .collect();
    let names = (1..=count).map(|line| format!("toy.jsonl:{line}").into()).collect();
    RowSet { items, names }
}

/// The same rows with labels, two of three desirable.
pub(crate) fn labelled(count: usize) -> RowSet<EncodedLabelled> {
    let set = completions(count);
    let label = |row: usize| if row % 3 == 1 { Label::Undesirable } else { Label::Desirable };
    let items = set.items.into_iter().enumerate();
    let items =
        items.map(|(row, completion)| EncodedLabelled { completion, label: label(row) }).collect();
    RowSet { items, names: set.names }
}

/// Pairs that differ in one token and share the rest, as DPOP's do.
pub(crate) fn pairs(count: usize) -> RowSet<EncodedPair> {
    let items: Vec<_> = (0..count as u32)
        .map(|i| {
            let chosen: Vec<u32> = (0..3 + i % 3).map(|t| (i * 5 + t * 3 + 2) % 14).collect();
            let mut rejected = chosen.clone();
            rejected[(i % 2) as usize] = (chosen[(i % 2) as usize] + 1 + i % 5) % 14;
            EncodedPair {
                prompt_ids: vec![i % 7, (i * 3 + 1) % 9],
                chosen_ids: chosen,
                rejected_ids: rejected,
                chosen_boundary: Boundary::Joint,
                rejected_boundary: Boundary::Joint,
                truncated: false,
            }
        })
        .collect();
    let names = (1..=count).map(|line| format!("pairs.jsonl:{line}").into()).collect();
    RowSet { items, names }
}

/// The metrics of the table that a run wrote. All that it wrote must be there, and for such runs.
pub(crate) fn known_metrics(report: &RunFolder, run: RunType) -> BTreeSet<&'static str> {
    let known = report.metric_names().into_iter().map(|name| {
        let found = metric(name).unwrap_or_else(|| panic!("`{name}` is not in METRICS"));
        assert!(found.runs.contains(&run), "`{name}` is not listed for {run:?}");
        found.name
    });
    known.collect()
}

/// Every metric of the table for such runs with a single rank.
pub(crate) fn all_metrics(run: RunType) -> BTreeSet<&'static str> {
    metric_names(run).into_iter().filter(|name| !name.starts_with("ranks/")).collect()
}
