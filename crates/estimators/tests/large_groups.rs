//! Large groups against integers of any size, and identities that hold at a million samples.

mod oracle;

use bestof_closeness::{
    Tolerance, assert_close_in, largest_difference, largest_magnitude, largest_relative_difference,
};
use bestof_estimators::{
    Centred, Loo, LooMinusOne, MAX_REWARD, MaxAtN, Plain, RewardTransform, Workspace, max_at_k,
    pass_at_k,
};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, ToPrimitive, Zero};
use oracle::gap;

const UNIT: i64 = 1 << 10;

/// `k` factors down from `n`, over `k!`.
fn binomial(n: usize, k: usize) -> BigInt {
    if k > n {
        return BigInt::zero();
    }
    (0..k.min(n - k)).fold(BigInt::one(), |c, j| c * (n - j) / (j + 1))
}

fn ratio(numerator: &BigInt, denominator: &BigInt) -> f64 {
    BigRational::new(numerator.clone(), denominator * UNIT).to_f64().expect("a ratio")
}

/// Value and the weight vectors of ascending rewards `g / 1024`, in exact integers: the paper's
/// equations 12, 19 to 21, 29 and 33, each as the sum it is, and the centred weights.
struct Exact {
    value: f64,
    plain: Vec<f64>,
    loo: Vec<f64>,
    minus_one: Vec<f64>,
    centred: Vec<f64>,
}

fn exact(ascending: &[i64], k: usize) -> Exact {
    let n = ascending.len();
    let all = binomial(n, k);
    // C(i, k-1) for 0-based rank i: subsets whose largest rank is i.
    let led: Vec<BigInt> = (0..n).map(|i| binomial(i, k - 1)).collect();
    // C(i-1, k-2): those that also contain one given lower rank.
    let shared: Vec<BigInt> = (0..n)
        .map(|i| if i == 0 || k < 2 { BigInt::zero() } else { binomial(i - 1, k - 2) })
        .collect();
    let total: BigInt = ascending.iter().zip(&led).map(|(g, c)| c * g).sum();
    let mut above = BigInt::zero();
    let mut plain = vec![BigInt::zero(); n];
    for i in (0..n).rev() {
        plain[i] = &led[i] * ascending[i] + &above;
        above += &shared[i] * ascending[i];
    }
    // Max@k of the others: ranks below i keep their count, ranks above lose one place.
    let lower: Vec<BigInt> = running((0..n).map(|i| &led[i] * ascending[i]));
    let shifted: Vec<BigInt> =
        running((0..n).map(|i| if i == 0 { BigInt::zero() } else { &led[i - 1] * ascending[i] }));
    let fewer = binomial(n - 1, k);
    let loo = (0..n).map(|i| {
        if fewer.is_zero() {
            return 0.0;
        }
        let others = &lower[i] + (&shifted[n] - &shifted[i + 1]);
        let weight = BigRational::new(plain[i].clone(), all.clone())
            - BigRational::new(others * k, &fewer * (n - 1));
        (weight / BigRational::from_integer(UNIT.into())).to_f64().expect("a ratio")
    });
    let loo = loo.collect();
    // Rank i leads, and the runner-up is j < i.
    let runner: Vec<BigInt> =
        (0..n).map(|j| if k < 2 { BigInt::zero() } else { binomial(j, k - 2) }).collect();
    let counts = running(runner.iter().cloned());
    let weighted = running((0..n).map(|j| &runner[j] * ascending[j]));
    let minus_one =
        (0..n).map(|i| ratio(&(&counts[i] * ascending[i] - &weighted[i]), &all)).collect();
    // n/(n-k) (s_i - mean s), where the sum of s is k times the total.
    let centred = plain
        .iter()
        .map(|s| if k == n { 0.0 } else { ratio(&(s * n - &total * k), &(&all * (n - k))) });
    let centred = centred.collect();
    let plain = plain.iter().map(|s| ratio(s, &all)).collect();
    Exact { value: ratio(&total, &all), plain, loo, minus_one, centred }
}

fn running(terms: impl Iterator<Item = BigInt>) -> Vec<BigInt> {
    let mut sums = vec![BigInt::zero()];
    for term in terms {
        sums.push(&sums[sums.len() - 1] + term);
    }
    sums
}

#[test]
fn hundreds_of_samples_agree_with_exact_integers_weight_by_weight() {
    let mut rng = oracle::Rng(7);
    for (n, k) in
        [(300, 1), (300, 2), (300, 17), (300, 150), (300, 299), (300, 300), (700, 5), (700, 350)]
    {
        for (low, high) in [(0, 4000), (-4000, 4000), (0, 3), (1_000_000_000, 1_000_000_999)] {
            let mut ascending: Vec<i64> =
                (0..n).map(|_| low + (rng.uniform() * (high - low + 1) as f64) as i64).collect();
            ascending.sort_unstable();
            let rewards: Vec<f64> = ascending.iter().map(|&g| g as f64 / UNIT as f64).collect();
            let expected = exact(&ascending, k);
            let scale = largest_magnitude(&rewards);
            let absolute = |found: &[f64], expected: &[f64], factor: f64| {
                largest_difference(found, expected) / (scale * factor).max(f64::MIN_POSITIVE)
            };
            let share = k as f64 / n as f64;
            let value = max_at_k(&rewards, k).unwrap();
            assert!((value - expected.value).abs() <= 1e-15 * scale, "n {n} k {k}");
            let plain = Plain::new(k).unwrap().transform(&rewards).unwrap();
            assert!(absolute(&plain, &expected.plain, share) < 1e-15, "n {n} k {k}");
            if low >= 0 {
                // One sign loses nothing.
                assert!(largest_relative_difference(&plain, &expected.plain, 0.0) < 1e-15);
            }
            if k < n {
                let loo = Loo::new(k).unwrap().transform(&rewards).unwrap();
                assert!(absolute(&loo, &expected.loo, share) < 3e-15, "n {n} k {k}");
                let centred = Centred::new(k).unwrap().transform(&rewards).unwrap();
                let spread = rewards[n - 1] - rewards[0];
                let off = largest_difference(&centred, &expected.centred) / spread;
                assert!(off < 1e-15, "n {n} k {k}: {off:e}");
                let wrong = Loo::new((k % (n - 2)) + 1).unwrap().transform(&rewards).unwrap();
                assert!(absolute(&wrong, &expected.loo, share) > 1e-14, "another k must be seen");
            }
            if k > 1 {
                let found = LooMinusOne::new(k).unwrap().transform(&rewards).unwrap();
                // Weights below the smallest normal number may be flushed.
                let tolerance = Tolerance::relative(2e-15).plus(1e-290);
                assert_close_in(format!("n {n} k {k}"), found, &expected.minus_one, tolerance);
            }
        }
    }
}

#[test]
fn a_million_samples_agree_with_exact_integers_at_both_ends() {
    let n = 1_000_000;
    // One step at rank m: every quantity has a closed form in a few binomials.
    for k in [2, 3, 8, 64] {
        for successes in [1, 2, 1000, 500_000, 999_990] {
            let rewards: Vec<f64> =
                (0..n).map(|i| f64::from(u8::from((i * 7919) % n < successes))).collect();
            let failures = n - successes;
            let (all, none) = (binomial(n, k), binomial(failures, k));
            let exact = |numerator: BigInt, denominator: &BigInt| {
                BigRational::new(numerator, denominator.clone()).to_f64().unwrap()
            };
            let value = exact(&all - &none, &all);
            assert!((max_at_k(&rewards, k).unwrap() / value - 1.0).abs() < 1e-15);
            assert!((pass_at_k(n, successes, k).unwrap() / value - 1.0).abs() < 1e-15);
            let best = rewards.iter().position(|&f| f == 1.0).unwrap();
            let worst = rewards.iter().position(|&f| f == 0.0).unwrap();
            let others = binomial(n - 1, k - 1);
            let failure = exact(&others - binomial(failures - 1, k - 1), &all);
            let plain = Plain::new(k).unwrap().transform(&rewards).unwrap();
            assert!((plain[best] / (k as f64 / n as f64) - 1.0).abs() < 1e-15);
            assert!((plain[worst] / failure - 1.0).abs() < 1e-15, "k {k} c {successes}");
            let gain = exact(binomial(failures, k - 1), &all);
            let found = LooMinusOne::new(k).unwrap().transform(&rewards).unwrap();
            assert!(found[worst] == 0.0);
            assert!((found[best] - gain).abs() <= 1e-15 * gain, "k {k} c {successes}");
        }
    }
}

#[test]
fn a_million_samples_obey_the_sum_laws_for_every_size_of_k() {
    let n = 1_000_000;
    let mut rng = oracle::Rng(99);
    let rewards: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
    let mut workspace = Workspace::with_capacity(n);
    let mut weights = vec![0.0; n];
    for k in [1, 2, 16, 1000, 500_000, 999_999, 1_000_000] {
        let value = max_at_k(&rewards, k).unwrap();
        let kf = k as f64;
        let mut check = |transform: &dyn RewardTransform, expected: f64| {
            transform.transform_into(&rewards, &mut weights, &mut workspace).unwrap();
            let sum: f64 = weights.chunks(1000).map(|c| c.iter().sum::<f64>()).sum();
            // The expected sum is itself a difference of values times k.
            let size: f64 = weights.iter().map(|w| w.abs()).sum::<f64>().max(kf * value.abs());
            assert!((sum - expected).abs() < 1e-12 * size, "{transform:?}: {sum} {expected}");
        };
        check(&Plain::new(k).unwrap(), kf * value);
        if k < n {
            check(&Loo::new(k).unwrap(), -kf / (n - 1) as f64 * value);
        }
        if k > 1 && k < 500_000 {
            let before = max_at_k(&rewards, k - 1).unwrap();
            check(&LooMinusOne::new(k).unwrap(), kf * (value - before));
        }
    }
    let last = LooMinusOne::new(n).unwrap().transform(&rewards).unwrap();
    assert_eq!(last, MaxAtN.transform(&rewards).unwrap());
}

/// The paper's stable product (equation 14), without compensation, as a second opinion.
#[test]
fn medium_groups_agree_with_the_printed_product() {
    let mut rng = oracle::Rng(5);
    let (n, k) = (2000, 64);
    let mut rewards: Vec<f64> = (0..n).map(|_| rng.uniform()).collect();
    rewards.sort_by(f64::total_cmp);
    let sum: f64 = (k..=n)
        .map(|i| (1..k).fold(rewards[i - 1], |x, j| x * (i - j) as f64 / (n - j + 1) as f64))
        .sum();
    let printed = k as f64 / (n - k + 1) as f64 * sum;
    assert!((max_at_k(&rewards, k).unwrap() - printed).abs() < 1e-13);
    assert!((max_at_k(&rewards, k + 1).unwrap() - printed).abs() > 1e-6);
}

#[test]
fn rewards_at_the_limit_of_range_stay_finite() {
    let rewards = [MAX_REWARD, -MAX_REWARD, MAX_REWARD / 2.0, 5e-324, -MAX_REWARD, 1.0];
    for estimator in bestof_estimators::Estimator::ALL {
        for k in 2..rewards.len() {
            let Ok(weights) = estimator.build(k).unwrap().transform(&rewards) else { continue };
            assert!(weights.iter().all(|w| w.is_finite()), "{estimator} {k}");
        }
    }
    let tiny = [5e-324, 0.0, 1e-310, 2e-308];
    let expected: Vec<f64> = oracle::plain(&tiny, 2);
    assert!(gap(&Plain::new(2).unwrap().transform(&tiny).unwrap(), &expected) < 1e-320);
}
