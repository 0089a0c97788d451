//! The losses of the tasks, and their weighted sum.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

use super::encoded::EncodedReview;
use super::outputs::Outputs;
use super::settings::ClassWeights;
use super::shape::ModelShape;
use super::task::Task;
use bestof_kernels::constant;

/// The weights of a task's classes, whose mean over `rows` is 1; empty where every row has weight 1.
pub(super) fn class_weights(task: Task, rows: &[EncodedReview], rule: ClassWeights) -> Vec<f32> {
    if rule == ClassWeights::None || task.classes() == 0 {
        return Vec::new();
    }
    let mut counts = vec![0_usize; task.classes()];
    for class in rows.iter().filter_map(|row| row.class(task)) {
        counts[class] += 1;
    }
    let present = counts.iter().filter(|count| **count > 0).count();
    let weight = |count: &usize| match count {
        0 => 0.0,
        count => rows.len() as f32 / (present * count) as f32,
    };
    counts.iter().map(weight).collect()
}

/// The loss of each row in one task, `[rows]`; `None` without a head for it.
///
/// ```text
/// labels: -w_y log softmax(logits)_y      score: (prediction - target)^2
/// ```
pub(super) fn row_losses(
    task: Task,
    outputs: &Outputs,
    rows: &[&EncodedReview],
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
    let classes: Vec<usize> = rows.iter().filter_map(|row| row.class(task)).collect();
    let device = logits.device();
    let columns: Vec<i32> = classes.iter().map(|class| *class as i32).collect();
    let plain = device.clone().without_autodiff();
    let columns: Tensor<2, Int> = Tensor::from_data(TensorData::new(columns, [count, 1]), &plain);
    let losses = log_softmax(logits, 1).gather(1, columns).reshape([count]).neg();
    if weights.is_empty() {
        return Some(losses);
    }
    let weights = classes.iter().map(|class| weights[*class]).collect();
    Some(losses.mul(constant(weights, [count], &device)))
}

/// The fixed weight of each task.
pub(super) fn fixed_weights(shape: &ModelShape) -> Vec<f64> {
    let star_weight = if shape.multi_task() { shape.settings.star_weight } else { 1.0 };
    let weight = |task| if task == Task::Sentiment { 1.0 - star_weight } else { star_weight };
    shape.tasks().into_iter().map(weight).collect()
}

/// Sum of several losses with learned weights, each loss summed over `rows` rows.
///
/// ```text
/// sum_t  exp(-u_t) / 2 * L_t  +  rows * u_t / 2,      u_t = log sigma_t^2
/// ```
///
/// The larger the noise `sigma` of a task, the smaller its weight; the second term keeps `sigma` from
/// growing without bound. With the log-variance as parameter the weights stay positive.
///
/// Source: Kendall, Gal & Cipolla 2018, arXiv:1705.07115, equation 7; with `L / (2 sigma^2)` for
/// cross-entropies too, as arXiv:2201.07999 has it.
///
/// # Shapes
/// - `losses`, `log_variances`: `[tasks]`
/// - returns `[1]`
pub(super) fn weighted_sum(losses: Tensor<1>, log_variances: Tensor<1>, rows: usize) -> Tensor<1> {
    let weights = log_variances.clone().neg().exp();
    let regular = log_variances.mul_scalar(rows as f64);
    weights.mul(losses).add(regular).mul_scalar(0.5).sum()
}

#[cfg(test)]
mod tests {
    use super::super::tokenizer::EncodedText;
    use super::*;
    use bestof_kernels::host_values;
    use burn::tensor::Device;

    #[test]
    fn a_larger_variance_gives_a_smaller_weight_at_a_price() {
        let device = Device::flex();
        let losses = Tensor::<1>::from_floats([8.0, 2.0], &device);
        let even = Tensor::<1>::from_floats([0.0, 0.0], &device);
        assert_eq!(weighted_sum(losses.clone(), even, 4).into_scalar::<f32>(), 5.0);
        // A variance of 4 divides the first loss by 4 and costs 4 ln 4 / 2.
        let uneven = Tensor::<1>::from_floats([4.0_f32.ln(), 0.0], &device);
        let sum = weighted_sum(losses, uneven, 4).into_scalar::<f32>();
        assert!((sum - (1.0 + 1.0 + 2.0 * 4.0_f32.ln())).abs() < 1e-5);
    }

    #[test]
    fn log_variances_have_the_gradient_of_the_formula() {
        let device = Device::flex().autodiff();
        let (losses, u, rows) = ([3.0_f32, 0.4], [0.3_f32, -1.2], 5);
        let leaf = |values: [f32; 2]| Tensor::<1>::from_floats(values, &device).require_grad();
        let (l, v) = (leaf(losses), leaf(u));
        let grads = weighted_sum(l.clone(), v.clone(), rows).backward();
        let by_loss = host_values(l.grad(&grads).unwrap());
        let by_variance = host_values(v.grad(&grads).unwrap());
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
        let row = |stars| EncodedReview {
            text: EncodedText::default(),
            meta: Vec::new(),
            stars,
            positive: stars >= 3,
            sentiment: 0.0,
        };
        let rows: Vec<EncodedReview> = [4, 4, 4, 0, 2, 4].map(row).into();
        let weights = class_weights(Task::Stars, &rows, ClassWeights::Balanced);
        assert_eq!(weights, [2.0, 0.0, 2.0, 0.0, 0.5]);
        let mean: f32 = rows.iter().map(|row| weights[row.stars]).sum::<f32>() / 6.0;
        assert_eq!(mean, 1.0);
        assert!(class_weights(Task::Stars, &rows, ClassWeights::None).is_empty());
        assert!(class_weights(Task::Sentiment, &rows, ClassWeights::Balanced).is_empty());
        assert_eq!(class_weights(Task::Binary, &rows, ClassWeights::Balanced), [1.5, 0.75]);
    }
}
