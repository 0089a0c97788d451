//! The toy's max@k, its gradient and its optimum, by quadrature.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::policy::SIGMA;

/// Panels of the unit interval, each with [`POINTS`] points.
const PANELS: usize = 32;
const POINTS: usize = 16;

/// Points and weights for integrals over `[0, 1]`: Gauss-Legendre on panels that are narrow
/// against the policy's width.
#[derive(Debug, Clone)]
pub(crate) struct Quadrature {
    nodes: Vec<(f64, f64)>,
}

impl Quadrature {
    pub(crate) fn new() -> Self {
        let rule = gauss_legendre(POINTS);
        let width = 1.0 / PANELS as f64;
        let nodes = (0..PANELS)
            .flat_map(|panel| {
                let start = panel as f64 * width;
                rule.iter().map(move |(x, w)| (start + 0.5 * width * (x + 1.0), 0.5 * width * w))
            })
            .collect();
        Self { nodes }
    }

    /// max@k of the policy at `theta`.
    ///
    /// ```text
    /// E[max of k] = int_0^1 2u (1 - (1 - q(u))^k) du,    q(u) = P(u < x <= 1)
    /// ```
    pub(crate) fn objective(&self, theta: f64, k: usize) -> f64 {
        let k = k as f64;
        let term = |u: f64| -libm::expm1(k * libm::log1p(-beyond(u, theta)));
        self.nodes.iter().map(|&(u, w)| w * 2.0 * u * term(u)).sum()
    }

    /// Derivative of [`objective`](Self::objective) by `theta`.
    pub(crate) fn gradient(&self, theta: f64, k: usize) -> f64 {
        let count = k as f64;
        let edge = density(1.0, theta);
        let term = |u: f64| {
            let none = libm::exp((count - 1.0) * libm::log1p(-beyond(u, theta)));
            count * none * (density(u, theta) - edge)
        };
        self.nodes.iter().map(|&(u, w)| w * 2.0 * u * term(u)).sum()
    }

    /// The `theta` of the highest max@k: the best point of a grid, then the zero of the gradient
    /// around it by bisection.
    pub(crate) fn optimum(&self, k: usize) -> f64 {
        let step = 0.01;
        let grid = (0..=200).map(|i| -0.5 + step * f64::from(i));
        let best = grid.max_by(|a, b| self.objective(*a, k).total_cmp(&self.objective(*b, k)));
        let (mut low, mut high) = best.map_or((0.0, 1.0), |best| (best - step, best + step));
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.gradient(middle, k) > 0.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        f64::midpoint(low, high)
    }
}

/// `P(u < x <= 1)`, from whichever tails are small.
fn beyond(u: f64, theta: f64) -> f64 {
    let (from, to) = ((u - theta) / SIGMA, (1.0 - theta) / SIGMA);
    let mass = if from > 0.0 {
        upper_tail(from) - upper_tail(to)
    } else if to < 0.0 {
        upper_tail(-to) - upper_tail(-from)
    } else {
        1.0 - upper_tail(-from) - upper_tail(to)
    };
    mass.clamp(0.0, 1.0)
}

fn upper_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

/// Density of the policy at `x`.
fn density(x: f64, theta: f64) -> f64 {
    let z = (x - theta) / SIGMA;
    libm::exp(-0.5 * z * z) / (SIGMA * (2.0 * PI).sqrt())
}

/// Points and weights on `[-1, 1]`: the zeros of the Legendre polynomial by Newton's method.
fn gauss_legendre(points: usize) -> Vec<(f64, f64)> {
    let n = points as f64;
    (1..=points)
        .map(|i| {
            let mut x = libm::cos(PI * (i as f64 - 0.25) / (n + 0.5));
            let mut slope = 1.0;
            for _ in 0..8 {
                let (mut last, mut value) = (1.0, x);
                for degree in 2..=points {
                    let d = degree as f64;
                    (last, value) = (value, ((2.0 * d - 1.0) * x * value - (d - 1.0) * last) / d);
                }
                slope = n * (x * value - last) / (x * x - 1.0);
                x -= value / slope;
            }
            (x, 2.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn golden() -> Value {
        serde_json::from_str(include_str!("../../tests/golden/pkpo_toy.json")).unwrap()
    }

    fn close(found: f64, expected: &Value, tolerance: f64) {
        let expected = expected.as_f64().unwrap();
        let gap = (found - expected).abs();
        assert!(gap <= tolerance * expected.abs().max(1.0), "found {found}, expected {expected}");
    }

    #[test]
    fn polynomials_are_integrated_exactly() {
        let rule = gauss_legendre(POINTS);
        for power in 0..2 * POINTS as i32 {
            let found: f64 = rule.iter().map(|(x, w)| w * x.powi(power)).sum();
            let expected = if power % 2 == 0 { 2.0 / f64::from(power + 1) } else { 0.0 };
            assert!((found - expected).abs() < 1e-14, "x^{power}: {found}");
        }
    }

    #[test]
    fn values_and_gradients_are_those_of_another_quadrature() {
        let quadrature = Quadrature::new();
        let golden = golden();
        let grid = golden["grid"].as_array().unwrap();
        assert_eq!(grid.len(), 11);
        for point in grid {
            let theta = point["theta"].as_f64().unwrap();
            for k in [1, 2, 4, 8, 16] {
                let name = k.to_string();
                close(quadrature.objective(theta, k), &point["maxg_at_k"][&name], 1e-10);
                close(quadrature.gradient(theta, k), &point["grad"][&name], 1e-9);
            }
        }
        close(quadrature.gradient(1.0, 4), &golden["exact_grad_theta1_k4"], 1e-10);
        for name in ["grad_min_over_theta", "grad_max_over_theta"] {
            for (k, extreme) in golden[name].as_object().unwrap() {
                let theta = extreme["theta"].as_f64().unwrap();
                close(quadrature.gradient(theta, k.parse().unwrap()), &extreme["value"], 1e-9);
            }
        }
    }

    #[test]
    fn optima_are_those_of_another_quadrature() {
        let quadrature = Quadrature::new();
        for optimum in golden()["optimum"].as_array().unwrap() {
            let k = optimum["k"].as_u64().unwrap() as usize;
            let theta = quadrature.optimum(k);
            close(theta, &optimum["theta_star"], 1e-7);
            close(quadrature.objective(theta, k), &optimum["maxg_at_k"], 1e-10);
        }
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_objective() {
        let quadrature = Quadrature::new();
        let h = 1e-5;
        for theta in [-0.3, 0.1, 0.7, 0.95, 1.1, 1.6] {
            for k in [1, 3, 16, 100] {
                let (up, down) =
                    (quadrature.objective(theta + h, k), quadrature.objective(theta - h, k));
                let numeric = (up - down) / (2.0 * h);
                let found = quadrature.gradient(theta, k);
                assert!((found - numeric).abs() < 1e-6, "{theta} {k}: {found} {numeric}");
            }
        }
    }
}
