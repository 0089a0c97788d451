//! A bigram model in closed form: small enough to train in microseconds, exact enough to check gradients by hand.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bestof_models::{
    CausalLm, Device, FinishReason, ForwardOptions, ForwardPass, Generation, Gradients, ModelError,
    NewToken, ParameterInfo, Request, SamplingConfig, TokenForest, Trainable,
};
use bestof_report::{RunFolder, RunType, metric, metric_names};
use burn::tensor::{Tensor, TensorData};

use crate::data::{Boundary, EncodedCompletion, EncodedPair};
use crate::rows::RowSet;

/// A token whose log-probability is no number.
pub(crate) const POISON: u32 = 15;
pub(crate) const VOCAB: usize = 16;

/// `log p(next | previous) = log_softmax(table[previous] + bias)[next]`, with an optional adapter on `table`.
#[derive(Debug, Clone)]
pub(crate) struct Toy {
    table: Vec<f32>,
    bias: Vec<f32>,
    adapter: Option<ToyAdapter>,
}

#[derive(Debug, Clone)]
struct ToyAdapter {
    rank: usize,
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Toy {
    pub(crate) fn new() -> Self {
        let table =
            (0..VOCAB * VOCAB).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0).sin()).collect();
        Self { table, bias: vec![0.0; VOCAB], adapter: None }
    }

    pub(crate) fn with_adapter(rank: usize) -> Self {
        let a = (0..rank * VOCAB).map(|i| (i as f32 * 0.7).cos() * 0.3).collect();
        let adapter = ToyAdapter { rank, a, b: vec![0.0; VOCAB * rank] };
        Self { adapter: Some(adapter), ..Self::new() }
    }

    /// The same, giving the poisoned token next to no probability: what is sampled is the policy.
    pub(crate) fn without_poison(mut self) -> Self {
        for row in self.table.chunks_mut(VOCAB) {
            row[POISON as usize] = -30.0;
        }
        self
    }

    fn parameters(&mut self) -> Vec<(&'static str, Vec<usize>, &mut Vec<f32>)> {
        match &mut self.adapter {
            Some(ToyAdapter { rank, a, b }) => vec![
                ("table.lora_A.weight", vec![*rank, VOCAB], a),
                ("table.lora_B.weight", vec![VOCAB, *rank], b),
            ],
            None => vec![
                ("bias", vec![VOCAB], &mut self.bias),
                ("table.weight", vec![VOCAB, VOCAB], &mut self.table),
            ],
        }
    }

    /// Row of logits after `previous`; the adapter's input is dropped where `dropout` says so.
    fn logits(&self, previous: u32, options: &ForwardOptions) -> Vec<f64> {
        let row = previous as usize * VOCAB;
        let mut logits: Vec<f64> = self.table[row..row + VOCAB]
            .iter()
            .zip(&self.bias)
            .map(|(w, b)| f64::from(*w) + f64::from(*b))
            .collect();
        if let Some(adapter) = self.adapter.as_ref().filter(|_| options.adapters) {
            for (k, keep) in kept(adapter.rank, options).into_iter().enumerate() {
                let b = f64::from(adapter.b[previous as usize * adapter.rank + k]) * keep;
                for (logit, a) in logits.iter_mut().zip(&adapter.a[k * VOCAB..]) {
                    *logit += b * f64::from(*a);
                }
            }
        }
        logits
    }

    fn log_softmax(&self, previous: u32, options: &ForwardOptions) -> Vec<f64> {
        let logits = self.logits(previous, options);
        let max = logits.iter().copied().fold(f64::MIN, f64::max);
        let log_sum = logits.iter().map(|x| (x - max).exp()).sum::<f64>().ln() + max;
        logits.into_iter().map(|x| x - log_sum).collect()
    }
}

/// Which components of the adapter take part: all, or by the bits of the dropout seed.
fn kept(rank: usize, options: &ForwardOptions) -> Vec<f64> {
    (0..rank)
        .map(|k| match options.dropout_seed {
            Some(seed) => f64::from((seed >> k & 1) as u8) * 2.0,
            None => 1.0,
        })
        .collect()
}

/// Previous and next token of every wanted node.
fn bigrams(forest: &TokenForest) -> Vec<(u32, u32)> {
    forest
        .wanted()
        .iter()
        .map(|wanted| {
            let tree = &forest.trees()[wanted.tree];
            let parent = tree.parents()[wanted.node].expect("wanted nodes are no roots");
            (tree.tokens()[parent], tree.tokens()[wanted.node])
        })
        .collect()
}

impl CausalLm for Toy {
    fn vocab_size(&self) -> usize {
        VOCAB
    }

    fn max_positions(&self) -> usize {
        1024
    }

    fn logprobs(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<Vec<f32>, ModelError> {
        let value = |(previous, next): (u32, u32)| {
            let logp = self.log_softmax(previous, options)[next as usize];
            if next == POISON { f32::NAN } else { logp as f32 }
        };
        Ok(bigrams(forest).into_iter().map(value).collect())
    }

    fn forward(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<ForwardPass<'_>, ModelError> {
        let logprobs = self.logprobs(forest, options)?;
        let (bigrams, options) = (bigrams(forest), *options);
        let entropies = if options.entropies {
            bigrams.iter().map(|(previous, _)| self.entropy(*previous, &options) as f32).collect()
        } else {
            Vec::new()
        };
        let backward = move |weights: &[f32], entropy_weights: &[f32]| {
            let mut table = vec![0.0f64; VOCAB * VOCAB];
            for (at, (previous, next)) in bigrams.iter().enumerate() {
                let row = *previous as usize * VOCAB;
                let logps = self.log_softmax(*previous, &options);
                let entropy = self.entropy(*previous, &options);
                let by_entropy = entropy_weights.get(at).copied().map_or(0.0, f64::from);
                for (j, logp) in logps.iter().enumerate() {
                    let hit = f64::from(u8::from(j == *next as usize));
                    table[row + j] += f64::from(weights[at]) * (hit - logp.exp());
                    table[row + j] -= by_entropy * logp.exp() * (logp + entropy);
                }
            }
            Ok(self.gradients(&table, &options))
        };
        Ok(ForwardPass::new(logprobs, entropies, Box::new(backward)))
    }

    /// Samples at temperature 1 from numbers that depend on seed, sample and place alone.
    fn generate(
        &self,
        requests: &[Request],
        config: &SamplingConfig,
        _: &mut dyn FnMut(NewToken) -> ControlFlow<()>,
    ) -> Result<Vec<Generation>, ModelError> {
        let mut generations = Vec::new();
        for (request, asked) in requests.iter().enumerate() {
            for sample in 0..asked.samples {
                generations.push(self.continued(request, sample, asked, config));
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
    ) -> Generation {
        let options = ForwardOptions { adapters: config.adapters, ..ForwardOptions::default() };
        let (mut ids, mut logprobs) = (Vec::new(), Vec::new());
        let mut previous = *asked.prompt.last().unwrap();
        let finish = loop {
            if ids.len() == config.max_new_tokens {
                break FinishReason::Length;
            }
            let bits = crate::run::dropout_seed(asked.seed, sample as u64, ids.len() as u64);
            let mut left = (bits >> 11) as f64 / (1_u64 << 53) as f64;
            let logps = self.log_softmax(previous, &options);
            // The poisoned token is never drawn.
            let mut drawn = 0;
            for (token, logp) in logps[..POISON as usize].iter().enumerate() {
                drawn = token;
                left -= logp.exp();
                if left < 0.0 {
                    break;
                }
            }
            ids.push(drawn as u32);
            logprobs.push(logps[drawn] as f32);
            previous = drawn as u32;
            if config.eos_token_ids.contains(&previous) {
                break FinishReason::Eos;
            }
        };
        let sampling_logprobs = logprobs.clone();
        Generation { request, sample, ids, logprobs, sampling_logprobs, finish }
    }
}

impl Toy {
    fn gradients(&self, table: &[f64], options: &ForwardOptions) -> Gradients {
        let upload = |name: &str, values: Vec<f64>| {
            let values: Vec<f32> = values.into_iter().map(|x| x as f32).collect();
            (name.to_owned(), Tensor::<1>::from_floats(values.as_slice(), &Device::flex()))
        };
        let Some(ToyAdapter { rank, a, b }) = &self.adapter else {
            let bias = (0..VOCAB).map(|j| (0..VOCAB).map(|i| table[i * VOCAB + j]).sum()).collect();
            return [upload("bias", bias), upload("table.weight", table.to_vec())]
                .into_iter()
                .collect();
        };
        let (mut da, mut db) = (vec![0.0; rank * VOCAB], vec![0.0; VOCAB * rank]);
        for (k, keep) in kept(*rank, options).into_iter().enumerate() {
            for i in 0..VOCAB {
                for j in 0..VOCAB {
                    let d = table[i * VOCAB + j] * keep;
                    da[k * VOCAB + j] += d * f64::from(b[i * rank + k]);
                    db[i * rank + k] += d * f64::from(a[k * VOCAB + j]);
                }
            }
        }
        [upload("table.lora_A.weight", da), upload("table.lora_B.weight", db)].into_iter().collect()
    }
}

impl Trainable for Toy {
    fn trainable_parameters(&self) -> Vec<ParameterInfo> {
        self.clone()
            .parameters()
            .into_iter()
            .map(|(name, shape, _)| ParameterInfo { name: name.to_owned(), shape })
            .collect()
    }

    fn update_parameters(&mut self, update: &mut dyn FnMut(&str, Tensor<1>) -> Tensor<1>) {
        for (name, _, values) in self.parameters() {
            let len = values.len();
            let data = TensorData::new(std::mem::take(values), [len]);
            let tensor = Tensor::from_data(data, &Device::flex());
            *values = update(name, tensor).into_data().try_into_vec().unwrap();
        }
    }

    fn parameter(&self, name: &str) -> Result<Tensor<1>, ModelError> {
        let mut copy = self.clone();
        let values = match name {
            "table.weight" => Some(&mut copy.table),
            "bias" => Some(&mut copy.bias),
            _ => None,
        };
        let values = match values {
            Some(values) => values.clone(),
            None => copy
                .parameters()
                .into_iter()
                .find(|(known, _, _)| *known == name)
                .map(|(_, _, values)| values.clone())
                .ok_or_else(|| ModelError::UnknownParameter {
                    name: name.to_owned(),
                    suggestion: None,
                })?,
        };
        Ok(Tensor::from_floats(values.as_slice(), &Device::flex()))
    }
}

/// Rows that a bigram model can learn from, all different.
pub(crate) fn completions(count: usize) -> RowSet<EncodedCompletion> {
    let items: Vec<_> = (0..count as u32)
        .map(|i| EncodedCompletion {
            prompt_ids: vec![i % 7, (i * 3 + 1) % 9],
            completion_ids: (0..=i % 4).map(|t| (i * 5 + t * t + 2) % 14).collect(),
            boundary: Boundary::Joint,
            truncated: false,
        })
        .collect();
    let names = (1..=count).map(|line| format!("toy.jsonl:{line}")).collect();
    RowSet { items, names }
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
    let names = (1..=count).map(|line| format!("pairs.jsonl:{line}")).collect();
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

/// Every metric of the table for such runs.
pub(crate) fn all_metrics(run: RunType) -> BTreeSet<&'static str> {
    metric_names(run).into_iter().collect()
}
