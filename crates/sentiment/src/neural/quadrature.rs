//! Nodes and weights of a quadrature rule: the integral of a smooth function from few of its values.

use std::f64::consts::PI;

/// The Gauss-Legendre rule with `count` nodes on [0, 1], as pairs of node and weight: exact for
/// polynomials up to degree `2 count - 1`. The weights sum to 1.
///
/// Source: Press et al. 2007, "Numerical Recipes", third edition, section 4.6.
pub(super) fn gauss_legendre(count: usize) -> Vec<(f64, f64)> {
    let n = count as f64;
    (0..count)
        .map(|i| {
            let mut x = (PI * (i as f64 + 0.75) / (n + 0.5)).cos();
            let mut slope = 1.0;
            // Newton's method doubles the correct digits with every step; the start has two.
            for _ in 0..8 {
                let (value, before) = legendre(count, x);
                slope = n * (x * value - before) / (x * x - 1.0);
                x -= value / slope;
            }
            (0.5 * (1.0 - x), 1.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

/// The Legendre polynomials of degree `count` and of the one before, at `x`.
fn legendre(count: usize, x: f64) -> (f64, f64) {
    (0..count).fold((1.0, 0.0), |(value, before), k| {
        let k = k as f64;
        (((2.0 * k + 1.0) * x * value - k * before) / (k + 1.0), value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_integrated_exactly() {
        for count in [2, 3, 8, 32] {
            let rule = gauss_legendre(count);
            let sum = |f: &dyn Fn(f64) -> f64| rule.iter().map(|(x, w)| w * f(*x)).sum::<f64>();
            for degree in 0..2 * count as i32 {
                let exact = 1.0 / f64::from(degree + 1);
                assert!((sum(&|x| x.powi(degree)) - exact).abs() < 1e-13, "{count} {degree}");
            }
            assert!(rule.iter().all(|(x, w)| (0.0..=1.0).contains(x) && *w > 0.0));
        }
        // The two nodes of the rule of two: 1/2 -+ 1/(2 sqrt 3).
        let nodes: Vec<f64> = gauss_legendre(2).iter().map(|(x, _)| *x).collect();
        assert!((nodes[0] - (0.5 - 0.5 / 3.0_f64.sqrt())).abs() < 1e-14, "{nodes:?}");
    }
}
