//! The toy itself: a normal policy with one parameter, and a reward that rises to a cliff.

use crate::noise::Noise;

/// Standard deviation of the policy.
pub(crate) const SIGMA: f64 = 0.1;

/// `x^2` on `[0, 1]`, else 0 (equation 35).
pub(crate) fn reward(x: f64) -> f64 {
    if (0.0..=1.0).contains(&x) { x * x } else { 0.0 }
}

/// One batch of samples: their standard noise and their rewards.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    noise: Vec<f64>,
    pub(crate) rewards: Vec<f64>,
    pub(crate) weights: Vec<f64>,
}

impl Batch {
    pub(crate) fn new(n: usize) -> Self {
        Self { noise: vec![0.0; n], rewards: vec![0.0; n], weights: vec![0.0; n] }
    }

    /// Draws `x_i = theta + sigma z_i` and rewards them.
    pub(crate) fn draw(&mut self, theta: f64, source: &mut Noise) {
        for (z, g) in self.noise.iter_mut().zip(&mut self.rewards) {
            *z = source.normal();
            *g = reward(theta + SIGMA * *z);
        }
    }

    /// `sum_i w_i d/dtheta log p(x_i)`, with `d/dtheta log p = (x - theta) / sigma^2 = z / sigma`.
    pub(crate) fn gradient(&self) -> f64 {
        self.weights.iter().zip(&self.noise).map(|(w, z)| w * z).sum::<f64>() / SIGMA
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reward_ends_at_a_cliff() {
        for (x, expected) in [(-0.1, 0.0), (0.0, 0.0), (0.5, 0.25), (1.0, 1.0), (1.001, 0.0)] {
            assert_eq!(reward(x), expected);
        }
    }

    #[test]
    fn the_score_is_the_derivative_of_the_log_density() {
        let log_density = |x: f64, theta: f64| -0.5 * ((x - theta) / SIGMA).powi(2);
        let mut batch = Batch::new(1);
        batch.draw(0.7, &mut Noise::new(1, 0));
        batch.weights[0] = 1.0;
        let x = 0.7 + SIGMA * batch.noise[0];
        let h = 1e-6;
        let numeric = (log_density(x, 0.7 + h) - log_density(x, 0.7 - h)) / (2.0 * h);
        assert!((batch.gradient() - numeric).abs() < 1e-6 * numeric.abs().max(1.0));
    }
}
