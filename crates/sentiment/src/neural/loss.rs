//! What is learned, and how the losses of several tasks become one.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

use super::batch::constant;
use super::model::{Outputs, Shape};
use super::rows::Row;
use super::settings::ClassWeights;
use crate::predictions::STARS;

/// Something a model learns to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// One to five stars, by cross-entropy.
    Stars,
    /// Positive or not, by cross-entropy.
    Binary,
    /// The lexicon's standardised score, by squared error.
    Sentiment,
}

impl Task {
    /// The name of its head.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stars => "stars",
            Self::Binary => "binary",
            Self::Sentiment => "sentiment",
        }
    }

    /// The name of its loss among the metrics.
    pub(super) fn loss_name(self) -> &'static str {
        match self {
            Self::Stars => "stars_loss",
            Self::Binary => "binary_loss",
            Self::Sentiment => "sentiment_loss",
        }
    }

    /// The name of its log-variance among the metrics.
    pub(super) fn variance_name(self) -> &'static str {
        match self {
            Self::Stars => "log_variance/stars",
            Self::Binary => "log_variance/binary",
            Self::Sentiment => "log_variance/sentiment",
        }
    }

    /// The row's class, for tasks that have classes.
    pub(super) fn class(self, row: &Row) -> Option<usize> {
        match self {
            Self::Stars => Some(row.stars),
            Self::Binary => Some(usize::from(row.positive)),
            Self::Sentiment => None,
        }
    }

    fn classes(self) -> usize {
        match self {
            Self::Stars => STARS,
            Self::Binary => 2,
            Self::Sentiment => 0,
        }
    }
}

/// The weights of a task's classes, whose mean over `rows` is 1; empty where each row counts 1.
pub(super) fn class_weights(task: Task, rows: &[Row], rule: ClassWeights) -> Vec<f32> {
    if rule == ClassWeights::None || task.classes() == 0 {
        return Vec::new();
    }
    let mut counts = vec![0_usize; task.classes()];
    for class in rows.iter().filter_map(|row| task.class(row)) {
        counts[class] += 1;
    }
    let present = counts.iter().filter(|count| **count > 0).count();
    let weight = |count: &usize| match count {
        0 => 0.0,
        count => rows.len() as f32 / (present * count) as f32,
    };
    counts.iter().map(weight).collect()
}

/// The loss of each row in one task, `[rows]`.
///
/// ```text
/// labels: -w_y log softmax(logits)_y      score: (prediction - target)^2
/// ```
pub(super) fn row_losses(
    task: Task,
    outputs: &Outputs,
    rows: &[&Row],
    weights: &[f32],
) -> Option<Tensor<1>> {
    let count = rows.len();
    let logits = match task {
        Task::Stars => outputs.stars.clone()?,
        Task::Binary => outputs.binary.clone()?,
        Task::Sentiment => {
            let found = outputs.sentiment.clone()?;
            let targets = rows.iter().map(|row| row.sentiment).collect();
            let targets = constant(targets, [count], &found.device());
            return Some(found.sub(targets).square());
        }
    };
    let classes: Vec<usize> = rows.iter().filter_map(|row| task.class(row)).collect();
    let device = logits.device();
    let places: Vec<i32> = classes.iter().map(|class| *class as i32).collect();
    let plain = device.clone().without_autodiff();
    let places: Tensor<2, Int> = Tensor::from_data(TensorData::new(places, [count, 1]), &plain);
    let losses = log_softmax(logits, 1).gather(1, places).reshape([count]).neg();
    if weights.is_empty() {
        return Some(losses);
    }
    let weights = classes.iter().map(|class| weights[*class]).collect();
    Some(losses.mul(constant(weights, [count], &device)))
}

/// The fixed weight of each task.
pub(super) fn fixed_weights(shape: &Shape) -> Vec<f64> {
    let star_weight = if shape.multi_task() { shape.settings.star_weight } else { 1.0 };
    let weight = |task| if task == Task::Sentiment { 1.0 - star_weight } else { star_weight };
    shape.tasks().into_iter().map(weight).collect()
}

/// Several losses, each summed over `rows` rows, as one sum whose weights are learned.
///
/// ```text
/// sum_t  exp(-u_t) / 2 * L_t  +  rows * u_t / 2,      u_t = log sigma_t^2
/// ```
///
/// A task counts less the larger its noise `sigma` is found to be; the second term keeps `sigma`
/// from growing for ever. With the log-variance as parameter the weights stay above 0.
///
/// Source: Kendall, Gal & Cipolla 2018, arXiv:1705.07115, equation 7; with `L / (2 sigma^2)` for
/// cross-entropies too, as arXiv:2201.07999 has it.
///
/// # Shapes
/// - `losses`, `log_variances`: `[tasks]`
/// - returns `[1]`
///
/// ```
/// use bestof_sentiment::neural::weighted_sum;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let losses = Tensor::<1>::from_floats([8.0, 2.0], &device);
/// let even = Tensor::<1>::from_floats([0.0, 0.0], &device);
/// assert_eq!(weighted_sum(losses.clone(), even, 4).into_scalar::<f32>(), 5.0);
/// // A variance of 4 divides the first loss by 4 and costs 4 ln 4 / 2.
/// let uneven = Tensor::<1>::from_floats([4.0_f32.ln(), 0.0], &device);
/// let sum = weighted_sum(losses, uneven, 4).into_scalar::<f32>();
/// assert!((sum - (1.0 + 1.0 + 2.0 * 4.0_f32.ln())).abs() < 1e-5);
/// ```
pub fn weighted_sum(losses: Tensor<1>, log_variances: Tensor<1>, rows: usize) -> Tensor<1> {
    let weights = log_variances.clone().neg().exp();
    let regular = log_variances.mul_scalar(rows as f64);
    weights.mul(losses).add(regular).mul_scalar(0.5).sum()
}

#[cfg(test)]
mod tests {
    use super::super::batch::floats;
    use super::super::reader::ReadText;
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn log_variances_have_the_gradient_of_the_formula() {
        let device = Device::flex().autodiff();
        let (losses, u, rows) = ([3.0_f32, 0.4], [0.3_f32, -1.2], 5);
        let leaf = |values: [f32; 2]| Tensor::<1>::from_floats(values, &device).require_grad();
        let (l, v) = (leaf(losses), leaf(u));
        let grads = weighted_sum(l.clone(), v.clone(), rows).backward();
        let by_loss = floats(l.grad(&grads).unwrap());
        let by_variance = floats(v.grad(&grads).unwrap());
        for i in 0..2 {
            let weight = (-f64::from(u[i])).exp();
            // d/dL = exp(-u) / 2,   d/du = (rows - exp(-u) L) / 2
            assert!((f64::from(by_loss[i]) - 0.5 * weight).abs() < 1e-6);
            let expected = 0.5 * (rows as f64 - weight * f64::from(losses[i]));
            assert!((f64::from(by_variance[i]) - expected).abs() < 1e-5);
        }
    }

    #[test]
    fn balanced_weights_have_mean_one_and_pass_over_absent_classes() {
        let row = |stars| Row {
            text: ReadText::default(),
            meta: Vec::new(),
            stars,
            positive: stars >= 3,
            sentiment: 0.0,
        };
        let rows: Vec<Row> = [4, 4, 4, 0, 2, 4].map(row).into();
        let weights = class_weights(Task::Stars, &rows, ClassWeights::Balanced);
        assert_eq!(weights, [2.0, 0.0, 2.0, 0.0, 0.5]);
        let mean: f32 = rows.iter().map(|row| weights[row.stars]).sum::<f32>() / 6.0;
        assert_eq!(mean, 1.0);
        assert!(class_weights(Task::Stars, &rows, ClassWeights::None).is_empty());
        assert!(class_weights(Task::Sentiment, &rows, ClassWeights::Balanced).is_empty());
        assert_eq!(class_weights(Task::Binary, &rows, ClassWeights::Balanced), [1.5, 0.75]);
    }
}
