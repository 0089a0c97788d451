//! A neural model as the shared training loop takes it.

use bestof_trainer::TrainError;
use bestof_trainer::communicator::Ranks;
use bestof_trainer::metric::MetricSums;
use bestof_trainer::model_files::ModelFiles;
use bestof_trainer::progress::Progress;
use bestof_trainer::run::{Accumulated, Evaluation, StepContext, TrainingRun};
use bestof_trainer::sft::ForwardSettings;
use burn::module::Module;
use burn::tensor::Tensor;

use super::batch::Batch;
use super::encoded::{EncodedReview, by_length, fingerprint};
use super::loss::{class_weights, fixed_weights, row_losses, weighted_sum};
use super::model::NeuralModel;
use super::task::Task;
use crate::error::SentimentError;
use crate::metrics::ConfusionMatrix;
use crate::predictions::likeliest;
use bestof_kernels::host_values;

/// A run of a neural model.
///
/// ```text
/// loss = 1/rows sum_rows [ sum_tasks w_t L_t ]                          fixed weights
/// loss = 1/rows sum_rows [ sum_tasks exp(-u_t) L_t / 2 + u_t / 2 ]      learned weights
/// ```
///
/// The rows of a micro-batch go through the model in order of length; the result for a row does not
/// depend on the others.
#[derive(Debug)]
pub(super) struct NeuralRun {
    model: NeuralModel,
    files: ModelFiles,
    train: Vec<EncodedReview>,
    names: Vec<String>,
    validation: Vec<EncodedReview>,
    class_weights: Vec<Vec<f32>>,
    max_tokens: usize,
    eval_batch: usize,
}

/// The losses of one forward pass, one entry per task.
struct ForwardPass {
    /// `[rows]` each.
    losses: Vec<Tensor<1>>,
    values: Vec<Vec<f32>>,
}

impl NeuralRun {
    /// A run on the training rows with their names for messages, and on validation rows.
    pub(super) fn new(
        model: NeuralModel,
        files: ModelFiles,
        train: (Vec<EncodedReview>, Vec<String>),
        validation: Vec<EncodedReview>,
        settings: ForwardSettings,
    ) -> Self {
        let (train, names) = train;
        let rule = model.shape().settings.class_weights;
        let class_weights =
            model.shape().tasks().iter().map(|task| class_weights(*task, &train, rule)).collect();
        Self {
            model,
            files,
            train,
            names,
            validation,
            class_weights,
            max_tokens: settings.max_tokens,
            eval_batch: settings.eval_batch,
        }
    }

    /// The trained model.
    pub(super) fn into_model(self) -> NeuralModel {
        self.model
    }

    fn forward(&self, rows: &[usize], seed: u64) -> Result<ForwardPass, SentimentError> {
        let shape = self.model.shape();
        let items = rows.iter().map(|&row| &self.train[row]);
        let keys = rows.iter().map(|&row| row as u64);
        let batch =
            Batch::new(items.clone(), shape, &self.model.device()).with_keys(keys.collect());
        let rows: Vec<&EncodedReview> = items.collect();
        let outputs = self.model.forward(&batch, Some(seed))?;
        let losses: Vec<Tensor<1>> = shape
            .tasks()
            .into_iter()
            .zip(&self.class_weights)
            .filter_map(|(task, weights)| row_losses(task, &outputs, &rows, weights))
            .collect();
        let values = losses.iter().map(|loss| host_values(loss.clone())).collect();
        Ok(ForwardPass { losses, values })
    }

    /// The sum that is differentiated, over tasks and rows, `[1]`.
    fn combine(&self, losses: Vec<Tensor<1>>, rows: usize) -> Tensor<1> {
        let sums = losses.into_iter().map(Tensor::sum);
        if let Some(log_variances) = self.model.log_variances() {
            return weighted_sum(Tensor::cat(sums.collect(), 0), log_variances, rows);
        }
        let weights = fixed_weights(self.model.shape());
        let weighted = sums.zip(weights).map(|(sum, weight)| sum.mul_scalar(weight));
        Tensor::cat(weighted.collect(), 0).sum()
    }

    /// Refuses losses that are not finite, with the names of their rows.
    fn check(&self, pass: &ForwardPass, rows: &[usize], step: u64) -> Result<(), TrainError> {
        let bad =
            |at: usize| pass.values.iter().find_map(|v| (!v[at].is_finite()).then_some(v[at]));
        let found: Vec<(usize, f32)> =
            (0..rows.len()).filter_map(|at| Some((rows[at], bad(at)?))).collect();
        match found.first() {
            None => Ok(()),
            Some((_, loss)) => Err(TrainError::LossNotFinite {
                step,
                loss: f64::from(*loss),
                rows: found.iter().map(|(row, _)| self.names[*row].clone()).collect(),
            }),
        }
    }
}

pub(super) fn in_training(error: SentimentError) -> TrainError {
    match error {
        SentimentError::Train(error) => error,
        SentimentError::Encoder(error) => error.into(),
        SentimentError::Model(error) => error.into(),
        SentimentError::Checkpoint(error) => error.into(),
        SentimentError::Config(error) => error.into(),
        SentimentError::Device(error) => error.into(),
        other => TrainError::Run(Box::new(other)),
    }
}

impl TrainingRun for NeuralRun {
    type Model = NeuralModel;

    fn model(&self) -> &NeuralModel {
        &self.model
    }

    fn model_mut(&mut self) -> &mut NeuralModel {
        &mut self.model
    }

    fn model_files(&self) -> &ModelFiles {
        &self.files
    }

    fn row_count(&self) -> usize {
        self.train.len()
    }

    fn row_name(&self, row: usize) -> String {
        self.names[row].clone()
    }

    fn fingerprint(&self) -> String {
        fingerprint([self.train.as_slice(), self.validation.as_slice()])
    }

    fn loss_weight(&self, rows: &[usize]) -> f64 {
        rows.len() as f64
    }

    fn row_cost(&self, row: usize) -> usize {
        self.train[row].tokens()
    }

    fn learning_rate_factor(&self, parameter: &str) -> f64 {
        if self.model.is_drawn(parameter) {
            self.model.shape().settings.head_learning_rate_factor
        } else {
            1.0
        }
    }

    fn accumulate(
        &mut self,
        rows: &[usize],
        context: &StepContext<'_>,
    ) -> Result<Accumulated, TrainError> {
        let mut sum = Accumulated::default();
        let tasks = self.model.shape().tasks();
        let parts = by_length(rows, |row| self.train[row].tokens(), rows.len(), self.max_tokens);
        for part in parts {
            let pass = self.forward(&part, context.dropout_seed).map_err(in_training)?;
            self.check(&pass, &part, context.step + 1)?;
            for (task, values) in tasks.iter().zip(&pass.values) {
                let total: f64 = values.iter().map(|value| f64::from(*value)).sum();
                sum.metrics.add(task.loss_name(), total, values.len() as f64);
            }
            let combined = self.combine(pass.losses, part.len());
            let total = combined.clone().into_scalar::<f64>();
            sum.metrics.add("loss", total, part.len() as f64);
            sum.add_backward(&self.model, &combined.div_scalar(context.loss_weight));
            sum.tokens += part.iter().map(|&row| self.train[row].tokens() as u64).sum::<u64>();
        }
        if let Some(log_variances) = self.model.log_variances() {
            for (task, value) in tasks.iter().zip(host_values(log_variances)) {
                sum.metrics.add(task.log_variance_name(), f64::from(value), 1.0);
            }
        }
        Ok(sum)
    }

    fn can_evaluate(&self) -> bool {
        !self.validation.is_empty()
    }

    /// `loss` is the unweighted cross-entropy of the labels: with learned weights the combined losses of
    /// different steps are not comparable.
    fn evaluate(
        &mut self,
        step: u64,
        ranks: Ranks<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Evaluation, TrainError> {
        let model = self.model.valid();
        let tasks = model.shape().tasks();
        let mut sums = MetricSums::default();
        let (mut truth, mut predicted) = (Vec::new(), Vec::new());
        let all = ranks.share(self.validation.len());
        let tokens = |row: usize| self.validation[row].tokens();
        let mut done = 0;
        for part in by_length(&all, tokens, self.eval_batch, self.max_tokens) {
            let rows: Vec<&EncodedReview> = part.iter().map(|&row| &self.validation[row]).collect();
            let batch = Batch::new(rows.iter().copied(), model.shape(), &model.device());
            let outputs = model.forward(&batch, None).map_err(in_training)?;
            for (number, task) in tasks.iter().enumerate() {
                let Some(losses) = row_losses(*task, &outputs, &rows, &[]) else { continue };
                let losses = host_values(losses);
                let total: f64 = losses.iter().map(|loss| f64::from(*loss)).sum();
                if !total.is_finite() {
                    let rows = part.iter().map(|row| format!("validation row {row}")).collect();
                    return Err(TrainError::LossNotFinite { step, loss: total, rows });
                }
                sums.add(task.loss_name(), total, rows.len() as f64);
                if number == 0 {
                    sums.add("loss", total, rows.len() as f64);
                }
            }
            let found = outputs.into_predictions();
            match (tasks[0], found.stars, found.positive) {
                (Task::Stars, Some(stars), _) => {
                    predicted.extend(stars.iter().map(|row| likeliest(row)));
                }
                (_, _, Some(positive)) => {
                    predicted.extend(positive.iter().map(|p| usize::from(*p >= 0.5)));
                }
                _ => {}
            }
            truth.extend(rows.iter().filter_map(|row| row.class(tasks[0])));
            done += part.len();
            progress.rows("evaluation", done, all.len());
        }
        let sums = ranks.merge(sums)?;
        let (truth, predicted): (Vec<Vec<usize>>, Vec<Vec<usize>>) =
            ranks.gather((truth, predicted))?.into_iter().unzip();
        let matrix = ConfusionMatrix::of(tasks[0].classes(), &truth.concat(), &predicted.concat());
        let mut metrics: Vec<(String, f64)> =
            sums.means().map(|(name, mean)| (name.to_owned(), mean)).collect();
        metrics.push(("accuracy".to_owned(), matrix.accuracy()));
        metrics.push(("balanced_accuracy".to_owned(), matrix.balanced_accuracy()));
        metrics.push(("macro_f1".to_owned(), matrix.macro_f1()));
        Ok(Evaluation { metrics, warning: None })
    }
}
