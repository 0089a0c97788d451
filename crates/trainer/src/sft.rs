//! Supervised runs: completions given prompts, or plain text.

use bestof_kernels::host_values;
use bestof_losses::with_gradient;
use bestof_models::{CausalLm, ForwardOptions, RandomPositions};
use burn::module::Module;

use crate::communicator::Ranks;
use crate::data::EncodedCompletion;
use crate::error::TrainError;
use crate::forward::{PackedForest, pack};
use crate::metric::MetricSums;
use crate::model_files::ModelFiles;
use crate::progress::Progress;
use crate::rows::{RowName, RowSet, fingerprint};
use crate::run::{Accumulated, Evaluation, StepContext, TrainingRun, dropout_seed};
use crate::score::{ScoreSettings, completion_sequences};

/// How rows go through the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForwardSettings {
    /// Most tokens in one forward pass.
    pub max_tokens: usize,
    /// Rows per batch of an evaluation.
    pub eval_batch: usize,
    /// Whether the backward pass computes each layer again instead of keeping what is inside.
    pub checkpoint_layers: bool,
    /// Whether dropout is on in training.
    pub dropout: bool,
}

impl Default for ForwardSettings {
    /// At most 4096 tokens, evaluations of 8 rows, no recomputation, no dropout.
    fn default() -> Self {
        Self { max_tokens: 4096, eval_batch: 8, checkpoint_layers: false, dropout: false }
    }
}

impl ForwardSettings {
    /// Options of a training pass.
    pub(crate) fn training(&self, dropout_seed: u64) -> ForwardOptions {
        ForwardOptions::default()
            .with_dropout_seed(self.dropout.then_some(dropout_seed))
            .with_checkpoint_layers(self.checkpoint_layers)
    }

    /// How rows are scored.
    pub(crate) fn scoring(self, ranks: Ranks<'_>) -> ScoreSettings<'_> {
        ScoreSettings { batch: self.eval_batch, max_tokens: self.max_tokens, ranks }
    }
}

/// A supervised run.
///
/// ```text
/// loss = - Σ log p(token | prompt, earlier tokens) / number of completion tokens
/// ```
/// over all learned completion tokens of the *global* batch: long completions weigh more than short ones, and
/// neither gradient accumulation nor the number of ranks changes it. Prompts are not learned.
#[derive(Debug)]
pub struct SupervisedRun<M> {
    model: M,
    files: ModelFiles,
    train: RowSet<EncodedCompletion>,
    eval: RowSet<EncodedCompletion>,
    settings: ForwardSettings,
    random_positions: Option<RandomPositions>,
}

impl<M: CausalLm + Module> SupervisedRun<M> {
    /// A run over `train`, evaluated on `eval` (which may be empty).
    pub fn new(
        model: M,
        files: ModelFiles,
        train: RowSet<EncodedCompletion>,
        eval: RowSet<EncodedCompletion>,
        settings: ForwardSettings,
    ) -> Self {
        Self { model, files, train, eval, settings, random_positions: None }
    }

    /// The run with positions drawn at random in training; every forward pass mixes its own seed
    /// with that of `drawing`. Evaluation stays on even positions.
    #[must_use]
    pub fn with_random_positions(mut self, drawing: RandomPositions) -> Self {
        self.random_positions = Some(drawing);
        self
    }

    /// The trained model.
    pub fn into_model(self) -> M {
        self.model
    }

    fn pack(&self, set: &RowSet<EncodedCompletion>, rows: &[usize]) -> Vec<PackedForest> {
        let sequences = |row: usize| completion_sequences(&set.items[row]);
        let mut packed = pack(&self.model, rows, self.settings.max_tokens, sequences);
        for (row, spans) in packed.iter_mut().flat_map(|part| &mut part.rows) {
            let mut place = 0..;
            let item = &set.items[*row];
            spans[0].targets.retain(|_| place.next().is_some_and(|place| item.is_learned(place)));
        }
        packed
    }

    fn accumulate_forest(
        &self,
        part: &PackedForest,
        context: &StepContext<'_>,
        sum: &mut Accumulated,
    ) -> Result<(), TrainError> {
        let mut options = self.settings.training(context.dropout_seed);
        options.random_positions = self.random_positions.map(|drawing| RandomPositions {
            seed: dropout_seed(drawing.seed, context.dropout_seed, 0),
            ..drawing
        });
        let logps = self.model.token_logps(&part.forest, &options)?;
        let values = host_values(logps.clone().inner());
        add_losses(part, &values, &self.train.names, &mut sum.metrics).map_err(
            |(loss, rows)| TrainError::LossNotFinite { step: context.step + 1, loss, rows },
        )?;
        if values.is_empty() {
            return Ok(());
        }
        let weight = -1.0 / context.loss_weight;
        let (mut loss, mut by_target) = (0.0, vec![0.0; values.len()]);
        for span in part.rows.iter().flat_map(|(_, spans)| spans) {
            loss += weight * span.sum(&values);
            span.targets.iter().for_each(|&target| by_target[target] = weight);
        }
        let loss = with_gradient(loss, [(logps, by_target)]);
        sum.add_backward(&self.model, &loss);
        Ok(())
    }
}

/// Adds loss and token count of a forest's rows; names the rows whose loss is not finite.
fn add_losses(
    part: &PackedForest,
    logprobs: &[f32],
    names: &[RowName],
    metrics: &mut MetricSums,
) -> Result<(), (f64, Vec<String>)> {
    let mut bad = Vec::new();
    let mut worst = 0.0;
    for (row, spans) in &part.rows {
        let (sum, tokens) = (spans[0].sum(logprobs), spans[0].len() as f64);
        if sum.is_finite() {
            metrics.add("loss", -sum, tokens);
        } else {
            worst = -sum;
            bad.push(names[*row].to_string());
        }
    }
    if bad.is_empty() { Ok(()) } else { Err((worst, bad)) }
}

impl<M: CausalLm + Module> TrainingRun for SupervisedRun<M> {
    type Model = M;

    fn model(&self) -> &M {
        &self.model
    }

    fn model_mut(&mut self) -> &mut M {
        &mut self.model
    }

    fn model_files(&self) -> &ModelFiles {
        &self.files
    }

    fn row_count(&self) -> usize {
        self.train.len()
    }

    fn row_name(&self, row: usize) -> String {
        self.train.names[row].to_string()
    }

    fn fingerprint(&self) -> String {
        fingerprint([self.train.items.as_slice(), self.eval.items.as_slice()])
    }

    fn loss_weight(&self, rows: &[usize]) -> f64 {
        rows.iter().map(|&row| self.train.items[row].learned_len()).sum::<usize>() as f64
    }

    fn row_cost(&self, row: usize) -> usize {
        self.train.items[row].sequence().len()
    }

    fn accumulate(
        &mut self,
        rows: &[usize],
        context: &StepContext<'_>,
    ) -> Result<Accumulated, TrainError> {
        let mut sum = Accumulated::default();
        let packed = self.pack(&self.train, rows);
        for (number, part) in packed.iter().enumerate() {
            let last = number + 1 == packed.len();
            context.pass(last, &self.model, &mut sum, |sum| {
                self.accumulate_forest(part, context, sum)
            })?;
        }
        sum.tokens = rows.iter().map(|&row| self.train.items[row].sequence().len() as u64).sum();
        Ok(sum)
    }

    fn can_evaluate(&self) -> bool {
        !self.eval.is_empty()
    }

    fn evaluate(
        &mut self,
        step: u64,
        ranks: Ranks<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Evaluation, TrainError> {
        let mut metrics = MetricSums::default();
        let rows = ranks.share(self.eval.len());
        let mut done = 0;
        let model = self.model.valid();
        for batch in rows.chunks(self.settings.eval_batch) {
            for part in self.pack(&self.eval, batch) {
                let logps = model.token_logps(&part.forest, &ForwardOptions::default())?;
                add_losses(&part, &host_values(logps), &self.eval.names, &mut metrics)
                    .map_err(|(loss, rows)| TrainError::LossNotFinite { step, loss, rows })?;
            }
            done += batch.len();
            progress.rows("evaluation", done, rows.len());
        }
        let loss = ranks.merge(metrics)?.mean("loss").unwrap_or(f64::NAN);
        let metrics = vec![("loss".to_owned(), loss), ("perplexity".to_owned(), loss.exp())];
        Ok(Evaluation { metrics, warning: None })
    }
}

#[cfg(test)]
mod tests {
    use bestof_models::parameters;

    use super::*;
    use crate::gradients::NamedGradients;
    use crate::toy::{Toy, completions};

    #[test]
    fn every_row_has_its_own_dropout_masks() {
        let gradient = |dropout: bool, copies: usize| {
            let mut model = Toy::with_adapter(4);
            parameters::update(&mut model, &mut |_, old| old.add_scalar(0.3));
            let mut set = completions(16);
            set.items = vec![set.items[3].clone(); copies];
            set.names.truncate(copies);
            let settings = ForwardSettings { max_tokens: 4, dropout, ..ForwardSettings::default() };
            let files = ModelFiles::Full { config: serde_json::json!({}) };
            let mut run = SupervisedRun::new(model, files, set, RowSet::empty(), settings);
            let rows: Vec<usize> = (0..copies).collect();
            let loss_weight = run.loss_weight(&rows);
            let context = StepContext {
                step: 0,
                update: 0,
                loss_weight,
                dropout_seed: 1,
                ..StepContext::default()
            };
            let sum = run.accumulate(&rows, &context).unwrap();
            NamedGradients::of(run.model(), sum.gradients).values("table.lora_B.weight")
        };
        let apart = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).any(|(a, b)| (a - b).abs() > 1e-4);
        assert!(!apart(gradient(false, 1), gradient(false, 16)));
        assert!(apart(gradient(true, 1), gradient(true, 16)));
    }

    #[test]
    fn tokens_that_are_not_learned_are_read_and_cost_nothing() {
        let trained = |rows: &[(&[u32], &[u32], &[u32])]| {
            let items: Vec<EncodedCompletion> = rows
                .iter()
                .map(|(prompt, completion, skipped)| EncodedCompletion {
                    prompt_ids: prompt.to_vec(),
                    completion_ids: completion.to_vec(),
                    skipped: skipped.to_vec(),
                    ..completions(1).items.remove(0)
                })
                .collect();
            let names = vec!["toy".into(); items.len()];
            let set = RowSet { items, names };
            let files = ModelFiles::Full { config: serde_json::json!({}) };
            let settings = ForwardSettings::default();
            let mut run = SupervisedRun::new(Toy::new(), files, set.clone(), set, settings);
            let rows: Vec<usize> = (0..run.row_count()).collect();
            let loss_weight = run.loss_weight(&rows);
            let context = StepContext {
                step: 0,
                update: 0,
                loss_weight,
                dropout_seed: 1,
                ..StepContext::default()
            };
            let sum = run.accumulate(&rows, &context).unwrap();
            let loss = sum.metrics.mean("loss").unwrap();
            let held_out =
                run.evaluate(0, Ranks::default(), &mut crate::progress::Silent).unwrap().metrics;
            assert!((held_out[0].1 - loss).abs() < 1e-6);
            let gradients = NamedGradients::of(run.model(), sum.gradients);
            (loss_weight, loss, gradients.values("table.weight"), run.fingerprint())
        };
        let masked = trained(&[(&[1], &[2, 3, 5, 4], &[1, 2]), (&[7], &[8], &[])]);
        let apart = trained(&[(&[1], &[2], &[]), (&[5], &[4], &[]), (&[7], &[8], &[])]);
        let whole = trained(&[(&[1], &[2, 3, 5, 4], &[]), (&[7], &[8], &[])]);
        assert_eq!((masked.0, whole.0), (3.0, 5.0));
        assert!((masked.1 - apart.1).abs() < 1e-6 && (masked.1 - whole.1).abs() > 1e-3);
        let distance = |other: &Vec<f32>| bestof_closeness::largest_difference(&masked.2, other);
        assert!(distance(&apart.2) < 1e-6 && distance(&whole.2) > 1e-3);
        assert_ne!(masked.3, whole.3);
    }
}
