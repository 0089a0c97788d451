//! How models learn: rows made as they are needed, one step after the other.

use bestof_models::{CausalLm, Decoder, ForestBuilder, ForwardOptions, Sequence};
use bestof_tasks::rng::SeededRng;
use bestof_trainer::TrainError;
use bestof_trainer::optimizer::{AdamW, AdamWConfig};
use burn::grad_clipping::GradientClippingConfig;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Tensor, TensorData};

use super::documents::{Between, Row, training_row};
use super::size::Size;
use crate::ReproduceError;

/// Steps over which the learning rate rises at the beginning.
const WARM_UP: usize = 100;
/// Steps whose accuracies decide whether a lesson is passed.
const WATCHED: usize = 20;
/// Adam's second decay, and the largest norm of a parameter's gradient.
const BETA2: f64 = 0.98;
const CLIPPED_AT: f32 = 1.0;

/// A model with its optimiser.
pub(super) struct Learner {
    model: Decoder,
    optimizer: ModuleOptimizer,
}

/// How a base model came through its lessons.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Report {
    /// Steps after which each lesson was passed; fewer than there are lessons if the limit came first.
    pub(super) passed_after: Vec<usize>,
    /// Share of the values' tokens that were predicted in the last tenth of the steps at full
    /// length; none where it did not come to them.
    pub(super) learned: Option<f64>,
}

impl Learner {
    pub(super) fn new(model: Decoder) -> Self {
        let config = AdamWConfig { beta2: BETA2, ..AdamWConfig::default() };
        let optimizer = ModuleOptimizer::from(AdamW::new(config))
            .with_grad_clipping(GradientClippingConfig::Norm(CLIPPED_AT).init());
        Self { model, optimizer }
    }

    pub(super) fn into_model(self) -> Decoder {
        self.model
    }

    /// Every lesson in turn, then rows of the whole context; no more than the lessons if these are
    /// not passed within the steps they have.
    pub(super) fn teach(
        &mut self,
        size: &Size,
        draw: &mut SeededRng,
    ) -> Result<Report, ReproduceError> {
        let (mut passed_after, mut step) = (Vec::new(), 0);
        for lesson in &size.lessons {
            let mut seen = Vec::new();
            while !passed(&seen, size.passed_at) {
                if step == size.most_steps {
                    return Ok(Report { passed_after, learned: None });
                }
                let rate = size.rate * ((step + 1) as f64 / WARM_UP as f64).min(1.0);
                let rows = batch(size.batch, lesson.length, lesson.between, draw);
                seen.push(self.step(&rows, rate, &ForwardOptions::default())?);
                step += 1;
            }
            passed_after.push(step);
        }
        let (steps, mut seen) = (size.last_steps, Vec::new());
        for step in 0..steps {
            let rate = size.rate * (steps - step) as f64 / steps as f64;
            let rows = batch(size.batch, size.context(), Between::Text, draw);
            seen.push(self.step(&rows, rate, &ForwardOptions::default())?);
        }
        let last = &seen[steps - steps.div_ceil(10)..];
        Ok(Report { passed_after, learned: Some(mean(last)) })
    }

    /// The training after an extension: `steps` steps on rows of at most `longest` tokens, the rate
    /// falling to 0. `options` of each step by its number.
    pub(super) fn adapt(
        &mut self,
        size: &Size,
        steps: usize,
        longest: usize,
        draw: &mut SeededRng,
        options: impl Fn(u64) -> ForwardOptions,
    ) -> Result<(), ReproduceError> {
        let warm_up = (steps / 10).max(1);
        for step in 0..steps {
            let rising = (step + 1) as f64 / warm_up as f64;
            let falling = (steps - step) as f64 / (steps - steps / 10).max(1) as f64;
            let rate = size.extended_rate * rising.min(falling).min(1.0);
            let rows = batch(size.batch, longest, Between::Text, draw);
            self.step(&rows, rate, &options(step as u64))?;
        }
        Ok(())
    }

    /// One step; the share of the values' tokens that were predicted before it.
    fn step(
        &mut self,
        rows: &[Row],
        rate: f64,
        options: &ForwardOptions,
    ) -> Result<f64, ReproduceError> {
        let mut builder = ForestBuilder::new();
        let mut spans = Vec::with_capacity(rows.len());
        for row in rows {
            let sequence = Sequence { tokens: &row.tokens, completion_start: 1 };
            spans.extend(builder.add_group(&[sequence]));
        }
        let forest = builder.finish();
        let logps = self.model.token_logps(&forest, options).map_err(TrainError::from)?;
        let mut weights = vec![0.0_f32; logps.dims()[0]];
        let mut values = Vec::new();
        for (row, span) in rows.iter().zip(&spans) {
            for (target, learned) in span.targets.iter().zip(&row.learned) {
                weights[*target] = f32::from(u8::from(*learned));
            }
            values.extend(row.values.iter().map(|place| span.targets[*place]));
        }
        let host: Vec<f32> = logps.to_data().iter().collect();
        // Likelier than all other tokens together.
        let right = values.iter().filter(|at| host[**at] > 0.5_f32.ln()).count();
        let total: f32 = weights.iter().sum();
        let shape = [weights.len()];
        let weights = Tensor::<1>::from_data(TensorData::new(weights, shape), &logps.device());
        let loss = -(logps * weights).sum() / total;
        let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
        let model = self.model.clone();
        self.model = self.optimizer.step(rate, model, gradients);
        Ok(right as f64 / values.len() as f64)
    }
}

/// Whether so much was predicted in the last steps that are watched.
fn passed(seen: &[f64], share: f64) -> bool {
    seen.len() >= WATCHED && mean(&seen[seen.len() - WATCHED..]) >= share
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Rows of about so many tokens together.
fn batch(tokens: usize, longest: usize, between: Between, draw: &mut SeededRng) -> Vec<Row> {
    (0..(tokens / longest).max(1)).map(|_| training_row(draw, longest, between)).collect()
}
