//! Figure 4: mean and variance of six gradient estimators at theta = 1, k = 4, against the
//! number of samples.

use bestof_estimators::Workspace;

use super::method::Method;
use super::policy::Batch;
use super::reference::VARIANCES;
use crate::noise::Noise;
use crate::{Measured, Progress, ReproduceError};

pub(crate) const THETA: f64 = 1.0;
pub(crate) const K: usize = 4;
/// First stream of this experiment; the number of samples is added to it.
const STREAM: u64 = 1 << 32;

/// What the estimates with one number of samples look like.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) n: usize,
    /// In the order of [`Method::ALL`]; nothing where n is too small for a method.
    pub(crate) spreads: Vec<Option<Spread>>,
}

/// The estimates of one method, and what they sum up to.
#[derive(Debug, Clone)]
pub(crate) struct Spread {
    pub(crate) mean: Measured,
    pub(crate) standard_error: f64,
    pub(crate) variance: Measured,
    pub(crate) variance_error: f64,
    /// Squared distance of each estimate from their mean.
    squares: Vec<f64>,
}

/// Draws `estimates` batches for each number of samples; all methods see the same batches.
pub(crate) fn measure(
    seed: u64,
    estimates: usize,
    progress: &mut dyn Progress,
) -> Result<Vec<Point>, ReproduceError> {
    let total = VARIANCES.len();
    let mut points = Vec::with_capacity(total);
    for (done, (n, _)) in VARIANCES.iter().enumerate() {
        progress.rows("variance", done, total);
        points.push(at(*n, seed, estimates)?);
    }
    progress.rows("variance", total, total);
    Ok(points)
}

pub(crate) fn at(n: usize, seed: u64, estimates: usize) -> Result<Point, ReproduceError> {
    let mut source = Noise::new(seed, STREAM + n as u64);
    let mut workspace = Workspace::with_capacity(n);
    let mut batch = Batch::new(n);
    let mut methods = Vec::with_capacity(Method::ALL.len());
    for method in Method::ALL {
        methods.push(method.build(n, K)?.map(|rule| (rule, Vec::with_capacity(estimates))));
    }
    for _ in 0..estimates {
        batch.draw(THETA, &mut source);
        for (rule, found) in methods.iter_mut().flatten() {
            rule.weights_into(&batch.rewards, &mut batch.weights, &mut workspace)?;
            found.push(batch.gradient());
        }
    }
    let spreads = methods.into_iter().map(|method| Some(Spread::of(&method?.1))).collect();
    Ok(Point { n, spreads })
}

impl Spread {
    fn of(estimates: &[f64]) -> Self {
        let count = estimates.len() as f64;
        let mean = estimates.iter().sum::<f64>() / count;
        let squares: Vec<f64> = estimates.iter().map(|x| (x - mean) * (x - mean)).collect();
        let (variance, error) = mean_and_error(squares.iter().copied());
        let standard_error = (variance / count).sqrt();
        Self {
            mean: Measured::of_draws(mean, standard_error),
            standard_error,
            // The mean takes one degree of freedom.
            variance: Measured::of_draws(variance * count / (count - 1.0), error),
            variance_error: error,
            squares,
        }
    }

    /// By how much this variance exceeds another's on the same batches.
    pub(crate) fn excess_over(&self, other: &Self) -> Measured {
        let differences = self.squares.iter().zip(&other.squares).map(|(a, b)| a - b);
        let (mean, error) = mean_and_error(differences);
        Measured::of_draws(mean, error)
    }
}

fn mean_and_error(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let squares: f64 = values.map(|x| (x - mean) * (x - mean)).sum();
    (mean, (squares / (count - 1.0) / count).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bestof_estimators::{Estimator, RewardTransform, Rloo};

    #[test]
    fn moments_of_known_numbers() {
        let spread = Spread::of(&[1.0, 2.0, 3.0, 6.0]);
        assert_eq!(spread.mean.value, 3.0);
        assert!((spread.variance.value - 14.0 / 3.0).abs() < 1e-12);
        assert!((spread.standard_error - (3.5_f64 / 4.0).sqrt()).abs() < 1e-12);
        let none = Spread::of(&[2.0, 2.0, 2.0, 2.0]);
        assert!((spread.excess_over(&none).value - 3.5).abs() < 1e-12);
    }

    #[test]
    fn methods_that_need_more_samples_are_left_out() {
        let point = at(4, 1, 10).unwrap();
        let there: Vec<bool> = point.spreads.iter().map(Option::is_some).collect();
        assert_eq!(there, [true, false, true, true, false, true]);
        assert!(at(8, 1, 10).unwrap().spreads.iter().all(Option::is_some));
    }

    #[test]
    fn an_estimator_of_another_gradient_is_seen() {
        // Leave-one-out REINFORCE follows the mean reward, not max@4 (gradient -1.777).
        let (mut source, mut batch) = (Noise::new(5, 0), Batch::new(8));
        let mut estimates = Vec::new();
        for _ in 0..10_000 {
            batch.draw(THETA, &mut source);
            batch.weights = Rloo.transform(&batch.rewards).unwrap();
            estimates.push(batch.gradient());
        }
        let found = Spread::of(&estimates).mean;
        assert!(found.high < -1.777_170 || found.low > -1.777_170, "{found}");
        assert_eq!(Method::ALL[2], Method::AllSubsets(Estimator::LooMinusOne));
    }
}
