//! Off-policy weights of groups that cannot be enumerated, against exact integers: every sample is left
//! out in turn, and a subtraction costs nothing there.

mod oracle;

use bestof_closeness::{Tolerance, assert_close_in, largest_difference};
use bestof_estimators::{Estimator, OffPolicy, OffPolicyWorkspace, Ratios, off_policy_max_at_k};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, ToPrimitive, Zero};

/// Rewards and ratios are whole numbers of these.
const REWARD_UNIT: i64 = 1 << 10;
const RATIO_UNIT: i64 = 1 << 6;

fn binomial(n: usize, k: usize) -> BigInt {
    (0..k.min(n - k)).fold(BigInt::one(), |c, j| c * (n - j) / (j + 1))
}

/// Sums over the k-subsets of ascending samples: of product times maximum, and of products.
fn sums(samples: &[(i64, i64)], k: usize) -> (BigInt, BigInt) {
    let mut symmetric = vec![BigInt::zero(); k];
    symmetric[0] = BigInt::one();
    let (mut value, mut product) = (BigInt::zero(), BigInt::zero());
    for (reward, ratio) in samples {
        let led = &symmetric[k - 1] * ratio;
        value += &led * reward;
        product += led;
        for m in (1..k).rev() {
            let more = &symmetric[m - 1] * ratio;
            symmetric[m] += more;
        }
    }
    (value, product)
}

struct Exact {
    value: f64,
    plain: Vec<f64>,
    loo: Vec<f64>,
    centred: Vec<BigRational>,
    /// The largest `E_i`.
    product: f64,
}

fn exact(samples: &[(i64, i64)], k: usize) -> Exact {
    let n = samples.len();
    let (value, product) = sums(samples, k);
    let unit = binomial(n, k) * BigInt::from(RATIO_UNIT).pow(k as u32) * REWARD_UNIT;
    let ratio = |x: &BigInt| BigRational::new(x.clone(), unit.clone());
    let float = |x: &BigRational| x.to_f64().expect("a ratio");
    let mut found = Exact {
        value: float(&ratio(&value)),
        plain: Vec::new(),
        loo: Vec::new(),
        centred: Vec::new(),
        product: 0.0,
    };
    for (i, (_, own)) in samples.iter().enumerate() {
        let others = [&samples[..i], &samples[i + 1..]].concat();
        let (outside, mass) = sums(&others, k);
        let (plain, inside) = (ratio(&(&value - &outside)), ratio(&(&product - &mass)));
        found.plain.push(float(&plain));
        // U(-i) has the k-subsets of n - 1; the own ratio is a whole number of units more.
        let level = ratio(&outside) * BigRational::new((n * k).into(), ((n - k) * (n - 1)).into());
        let own = BigRational::new((*own).into(), RATIO_UNIT.into());
        found.loo.push(float(&(&plain - level * own)));
        found.product = found.product.max(float(&inside) * REWARD_UNIT as f64);
        found.centred.push(plain - inside * BigRational::new(outside, mass));
    }
    found
}

#[test]
fn dozens_of_samples_agree_with_exact_integers() {
    let mut rng = oracle::Rng(31);
    for (n, k) in [(24, 1), (24, 23), (40, 3), (40, 20), (64, 8)] {
        // Ratios near 1, and from 1/64 to 16 with one that dominates.
        for wide in [false, true] {
            let mut samples: Vec<(i64, i64)> = (0..n)
                .map(|_| {
                    let reward = (rng.uniform() * 4000.0) as i64 - 1000;
                    let ratio = if wide {
                        (rng.uniform() * 10.0).exp2()
                    } else {
                        48.0 + 32.0 * rng.uniform()
                    };
                    (reward, ratio as i64)
                })
                .collect();
            if wide {
                samples[n / 2].1 = 1 << 40;
            }
            samples.sort_unstable();
            let expected = exact(&samples, k);
            let rewards: Vec<f64> =
                samples.iter().map(|(g, _)| *g as f64 / REWARD_UNIT as f64).collect();
            let ratios: Vec<f64> =
                samples.iter().map(|(_, r)| *r as f64 / RATIO_UNIT as f64).collect();
            let weights = |estimator: Estimator| {
                let rule = OffPolicy::new(estimator, k).unwrap();
                rule.weights(&rewards, Ratios::Plain(&ratios)).unwrap()
            };
            let spread = rewards[n - 1] - rewards[0];
            let scale = spread * expected.product;
            let case = format!("n {n} k {k} wide {wide}");
            let off = largest_difference(weights(Estimator::Plain), &expected.plain) / scale;
            assert!(off < 2e-15, "{case}: plain {off:e}");
            let centred: Vec<f64> = expected.centred.iter().map(|w| w.to_f64().unwrap()).collect();
            let off = largest_difference(weights(Estimator::Centred), &centred) / scale;
            assert!(off < 2e-15, "{case}: centred {off:e}");
            let size = bestof_closeness::largest_magnitude(&expected.loo).max(scale);
            let off = largest_difference(weights(Estimator::Loo), &expected.loo) / size;
            assert!(off < 2e-15, "{case}: loo {off:e}");
            let mut workspace = OffPolicyWorkspace::new();
            let value = off_policy_max_at_k(&rewards, Ratios::Plain(&ratios), k, &mut workspace);
            let off = (value.unwrap().value - expected.value).abs() / scale;
            assert!(off < n as f64 * 1e-16, "{case}: value {off:e}");
            if k > 1 {
                let other = OffPolicy::new(Estimator::Centred, k - 1).unwrap();
                let wrong = other.weights(&rewards, Ratios::Plain(&ratios)).unwrap();
                assert!(largest_difference(wrong, &centred) / scale > 1e-6, "{case}: another k");
            }
        }
    }
}

#[test]
fn harmonic_of_dozens_agrees_with_exact_integers() {
    let mut rng = oracle::Rng(32);
    let n = 20;
    let mut samples: Vec<(i64, i64)> = (0..n)
        .map(|_| ((rng.uniform() * 2000.0) as i64, (40.0 + 60.0 * rng.uniform()) as i64))
        .collect();
    samples.sort_unstable();
    let rewards: Vec<f64> = samples.iter().map(|(g, _)| *g as f64 / REWARD_UNIT as f64).collect();
    let ratios: Vec<f64> = samples.iter().map(|(_, r)| *r as f64 / RATIO_UNIT as f64).collect();
    let mut total = vec![BigRational::zero(); n];
    let mut scale = 0.0;
    for k in 1..n {
        let part = exact(&samples, k);
        scale += part.product * (rewards[n - 1] - rewards[0]) / k as f64;
        for (slot, w) in total.iter_mut().zip(part.centred) {
            *slot += w / BigInt::from(k);
        }
    }
    let expected: Vec<f64> = total.iter().map(|w| w.to_f64().unwrap()).collect();
    let rule = OffPolicy::new(Estimator::Harmonic, 1).unwrap();
    let found = rule.weights(&rewards, Ratios::Plain(&ratios)).unwrap();
    let off = largest_difference(found, expected) / scale;
    assert!(off < 1e-15, "{off:e}");
}

/// Near the limit of range, products that are merely summed would overflow beside their common factor.
#[test]
fn huge_rewards_have_the_weights_of_ordinary_ones_times_their_size() {
    let size = 2.0_f64.powi(960);
    for n in [16, 17, 40] {
        let ordinary: Vec<f64> = (0..n).map(|i| f64::from(i * 7 % 11) + 0.5).collect();
        let huge: Vec<f64> = ordinary.iter().map(|g| g * size).collect();
        let logs: Vec<f64> = (0..n).map(|i| f64::from(i * 5 % 7) * 0.1 - 0.3).collect();
        for estimator in [Estimator::Plain, Estimator::LooMinusOne] {
            let rule = OffPolicy::new(estimator, 16).unwrap();
            let expected = rule.weights(&ordinary, Ratios::Log(&logs)).unwrap();
            let found = rule.weights(&huge, Ratios::Log(&logs)).unwrap();
            let back: Vec<f64> = found.iter().map(|w| w / size).collect();
            assert_close_in(
                format!("{estimator} n {n}"),
                back,
                expected,
                Tolerance::relative(1e-13),
            );
        }
    }
}
