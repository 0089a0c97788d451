//! The paper's toy: a normal policy whose reward rises to a cliff. Baselines change no
//! expectation and lower the variance, in the paper's order.

mod oracle;

use bestof_estimators::{Estimator, Workspace};

const SIGMA: f64 = 0.1;

/// Mean and variance of the gradient estimate at theta = 1, with the largest standard error.
fn moments(estimator: Estimator, n: usize, k: usize, batches: usize) -> (f64, f64) {
    let mut rng = oracle::Rng(2025);
    let transform = estimator.build(k).expect("k is at least 2");
    let mut workspace = Workspace::with_capacity(n);
    let (mut noise, mut rewards, mut weights) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let (mut sum, mut squares) = (0.0, 0.0);
    for _ in 0..batches {
        for (z, g) in noise.iter_mut().zip(&mut rewards) {
            *z = rng.normal();
            let x = 1.0 + SIGMA * *z;
            *g = if (0.0..=1.0).contains(&x) { x * x } else { 0.0 };
        }
        transform.transform_into(&rewards, &mut weights, &mut workspace).expect("finite rewards");
        let gradient: f64 = weights.iter().zip(&noise).map(|(w, z)| w * z / SIGMA).sum();
        sum += gradient;
        squares += gradient * gradient;
    }
    let mean = sum / batches as f64;
    (mean, squares / batches as f64 - mean * mean)
}

/// Figure 4 (theta = 1, k = 4); the gradient by quadrature, the variances from 400,000 batches.
#[test]
fn variances_fall_in_the_order_of_the_paper() {
    const GRADIENT: f64 = -1.77717;
    const BATCHES: usize = 40_000;
    for (n, plain, loo, minus_one) in [(8, 116.8, 13.07, 2.056), (16, 56.3, 3.451, 0.829)] {
        let mut last = f64::INFINITY;
        for (estimator, expected) in
            [(Estimator::Plain, plain), (Estimator::Loo, loo), (Estimator::LooMinusOne, minus_one)]
        {
            let (mean, variance) = moments(estimator, n, 4, BATCHES);
            let standard_error = (variance / BATCHES as f64).sqrt();
            assert!((mean - GRADIENT).abs() < 4.0 * standard_error, "{estimator} {n}: {mean}");
            assert!((variance / expected - 1.0).abs() < 0.08, "{estimator} {n}: {variance}");
            assert!(variance < last);
            last = variance;
        }
    }
    // REINFORCE estimates another gradient, and the comparison of means sees it.
    let (mean, variance) = moments(Estimator::Rloo, 8, 4, BATCHES);
    assert!((mean - GRADIENT).abs() > 10.0 * (variance / BATCHES as f64).sqrt());
}
