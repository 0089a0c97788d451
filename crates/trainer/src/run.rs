//! The training loop, written once for every kind of run.

mod claim;
mod deal;
mod folder;
mod options;
mod overlap;
mod settings;
mod summary;
mod trainer;

use bestof_kernels::{listening, on_pool};
use bestof_models::parameters;
use bestof_report::Sample;
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;
use serde_json::Value;

pub use crate::record::Difference;
pub use claim::Claim;
pub use options::TrainOptions;
pub use overlap::Overlap;
pub use settings::TrainSettings;
pub use summary::{Spent, TrainSummary};
pub use trainer::train;

use crate::communicator::Ranks;
use crate::displacement::DisplacementWarning;
use crate::error::TrainError;
use crate::metric::MetricSums;
use crate::model_files::ModelFiles;
use crate::progress::Progress;

/// What one micro-batch gave.
#[derive(Debug, Default)]
pub struct Accumulated {
    /// Gradients of the micro-batch's share of the step's loss.
    pub gradients: GradientsParams,
    /// Metrics; `loss` must be among them.
    pub metrics: MetricSums,
    /// Tokens of the rows, prompts included.
    pub tokens: u64,
}

impl Accumulated {
    /// Adds the gradients of a loss, a part of the step's, by a backward pass.
    pub fn add_backward<M: Module>(&mut self, model: &M, loss: &Tensor<1>) {
        let gradients = on_pool(|| loss.backward());
        self.add_gradients(model, GradientsParams::from_grads(gradients, model));
    }

    /// Adds the gradients of another backward pass.
    pub fn add_gradients<M: Module>(&mut self, model: &M, gradients: GradientsParams) {
        let mut sum = GradientsAccumulator::new();
        sum.accumulate(model, std::mem::take(&mut self.gradients));
        sum.accumulate(model, gradients);
        self.gradients = sum.grads();
    }
}

/// What the loop says about the step a micro-batch belongs to.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepContext<'a> {
    /// Steps done before this one.
    pub step: u64,
    /// Which update of the step this is, from 0; see [`TrainingRun::updates`].
    pub update: usize,
    /// What the loss of the whole update is divided by: [`TrainingRun::loss_weight`] of all its rows.
    pub loss_weight: f64,
    /// Seed of the update's dropout masks, which each row draws from by its own key: how rows are cut
    /// into micro-batches and forests, or spread over ranks, changes no mask.
    pub dropout_seed: u64,
    /// Set for the last micro-batch of an update whose gradients are to be sent to other ranks while they are
    /// computed; read by [`pass`](Self::pass).
    pub overlap: Option<&'a Overlap>,
}

impl StepContext<'_> {
    /// Makes one of a micro-batch's passes: forward and backward, by `work`, which adds to `sum`. `last` says
    /// that no other follows it; then gradients may be on their way to other ranks when it is over.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn pass<M: Module, E>(
        &self,
        last: bool,
        model: &M,
        sum: &mut Accumulated,
        work: impl FnOnce(&mut Accumulated) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(overlap) = self.overlap.filter(|_| last) else { return work(sum) };
        overlap.add(parameters::named_gradients(model, std::mem::take(&mut sum.gradients)));
        listening(overlap.listener(), || work(sum))
    }
}

/// The rows of a step.
#[derive(Debug, Clone, Copy)]
pub struct StepRows<'a> {
    /// Of all ranks together, in order.
    pub all: &'a [usize],
    /// Those that this rank computes, in the same order.
    pub mine: &'a [usize],
}

impl<'a> StepRows<'a> {
    /// Those of a single rank.
    pub fn alone(rows: &'a [usize]) -> Self {
        Self { all: rows, mine: rows }
    }
}

/// Which of a run's evaluations counts as the best.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BestBy {
    /// The metric, without the prefix `eval_`.
    pub metric: String,
    /// Whether more of it is better.
    pub higher: bool,
}

impl BestBy {
    fn prefers(&self, value: f64, best: f64) -> bool {
        best.is_nan() || if self.higher { value > best } else { value < best }
    }
}

/// What an evaluation gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluation {
    /// Names without the prefix `eval_`, and values.
    pub metrics: Vec<(String, f64)>,
    /// Set if chosen answers keep losing probability.
    pub warning: Option<DisplacementWarning>,
}

/// What is particular to one kind of run; the loop does the rest.
///
/// A step sums the gradients of its micro-batches. Each divides by the weight of the *whole* step
/// ([`StepContext::loss_weight`]), so the way rows are cut into micro-batches, or spread over ranks, changes
/// no result beyond rounding.
pub trait TrainingRun {
    /// The model being trained.
    type Model: Module;

    /// The model being trained.
    fn model(&self) -> &Self::Model;

    /// The model being trained, for the optimiser.
    fn model_mut(&mut self) -> &mut Self::Model;

    /// Under which names the trained weights are stored.
    fn model_files(&self) -> &ModelFiles;

    /// Number of training rows.
    fn row_count(&self) -> usize;

    /// Where a row comes from, as `file:line`.
    fn row_name(&self, row: usize) -> String;

    /// SHA-256 of the encoded rows, training and evaluation: a resumed run must have the same.
    fn fingerprint(&self) -> String;

    /// The rows of each optimiser update that is made of the rows of one step, in order. The step
    /// counts once, whatever their number: schedules, checkpoints and metrics go by steps.
    fn updates<'a>(&self, rows: &'a [usize]) -> Vec<&'a [usize]> {
        vec![rows]
    }

    /// What a row costs beside others, as its number of tokens: ranks get equal sums.
    fn row_cost(&self, row: usize) -> usize {
        let _ = row;
        1
    }

    /// Prepares a step before its micro-batches, as by sampling what they learn from.
    ///
    /// With several ranks each is called with its own rows; what a step needs of all of them goes through
    /// `ranks`. It may be called again for the same step after a run was stopped and resumed, and must
    /// prepare the same then. What a finished step changes belongs in
    /// [`finish_step`](Self::finish_step).
    ///
    /// # Errors
    /// What the model says.
    fn begin_step(
        &mut self,
        rows: StepRows<'_>,
        step: u64,
        ranks: Ranks<'_>,
        progress: &mut dyn Progress,
    ) -> Result<(), TrainError> {
        let _ = (rows, step, ranks, progress);
        Ok(())
    }

    /// Hears that the step was made. Gives metrics of the step as a whole, on every rank the same.
    ///
    /// # Errors
    /// What the ranks say.
    fn finish_step(&mut self, ranks: Ranks<'_>) -> Result<MetricSums, TrainError> {
        let _ = ranks;
        Ok(MetricSums::default())
    }

    /// Samples drawn since the last call, for `samples.jsonl`, those of rank 0 for all: those of a step carry
    /// its number, counted from 1, those of an evaluation the number of steps before it.
    fn take_samples(&mut self) -> Vec<Sample> {
        Vec::new()
    }

    /// Which evaluation counts as the best: by default that of the lowest loss.
    fn best_by(&self) -> BestBy {
        BestBy { metric: "loss".to_owned(), higher: false }
    }

    /// What the loss of these rows is divided by, as the number of completion tokens, or of pairs.
    fn loss_weight(&self, rows: &[usize]) -> f64;

    /// Gradients and metrics of one micro-batch.
    ///
    /// A step without any gradient leaves weights and optimiser as they are: the loop makes no
    /// update then, so that no momentum moves them either.
    ///
    /// # Errors
    /// [`TrainError::LossNotFinite`] naming the rows, or what the model says.
    fn accumulate(
        &mut self,
        rows: &[usize],
        context: &StepContext<'_>,
    ) -> Result<Accumulated, TrainError>;

    /// Whether there is anything to evaluate on, on every rank the same.
    fn can_evaluate(&self) -> bool;

    /// Metrics on the held-out rows after `step` steps, on every rank the same. Each rank computes its share,
    /// as by [`Ranks::deal`].
    ///
    /// # Errors
    /// What the model says.
    fn evaluate(
        &mut self,
        step: u64,
        ranks: Ranks<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Evaluation, TrainError>;

    /// What the learning rate of the schedule is multiplied by for this parameter, as for heads that
    /// start from random weights on an encoder that does not.
    fn learning_rate_factor(&self, parameter: &str) -> f64 {
        let _ = parameter;
        1.0
    }

    /// A second state of the model that the run cannot do without, as a reference that follows the
    /// policy: its trained weights are part of every checkpoint.
    fn kept_model(&self) -> Option<&Self::Model> {
        None
    }

    /// Puts back what [`TrainingRun::kept_model`] was.
    fn restore_kept_model(&mut self, model: Self::Model) {
        let _ = model;
    }

    /// What this kind of run keeps in a checkpoint.
    fn save_state(&self) -> Value {
        Value::Null
    }

    /// Puts back what [`TrainingRun::save_state`] gave.
    ///
    /// # Errors
    /// A sentence saying what does not fit.
    fn restore_state(&mut self, state: &Value) -> Result<(), String> {
        let _ = state;
        Ok(())
    }

    /// An error to end with once everything is saved, as displacement that was to be treated as failure.
    fn failure(&self) -> Option<TrainError> {
        None
    }
}

/// Seed of the dropout masks of one update: a mix of the run's seed, the step and the update's number.
pub(crate) fn dropout_seed(seed: u64, step: u64, update: u64) -> u64 {
    // SplitMix64 (Steele, Lea & Flood 2014), one round for each part.
    [step, update].into_iter().fold(split_mix(seed), |mixed, part| split_mix(mixed ^ part))
}

/// The step between the states of `SplitMix64`; its multiples all differ.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

fn split_mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod loop_tests;
#[cfg(test)]
mod rank_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_seeds_differ_by_every_part() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..4 {
            for step in 0..10 {
                for update in 0..40 {
                    assert!(seen.insert(dropout_seed(seed, step, update)));
                }
            }
        }
    }
}
