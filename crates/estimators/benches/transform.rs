//! Time of each transformation per group, of sorting the same rewards alone, and of off-policy weights.

use std::hint::black_box;

use bestof_estimators::{
    Estimator, OffPolicy, OffPolicyWorkspace, Ratios, Workspace, max_at_k_with,
};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const SIZES: [usize; 6] = [8, 16, 64, 1024, 65_536, 1_000_000];

fn rewards(n: usize) -> Vec<f64> {
    let mut state = 1_u64;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        })
        .collect()
}

fn transforms(c: &mut Criterion) {
    for n in SIZES {
        let mut group = c.benchmark_group(format!("n={n}"));
        group.throughput(Throughput::Elements(n as u64));
        if n > 10_000 {
            group.sample_size(20);
        }
        let rewards = rewards(n);
        let mut weights = vec![0.0; n];
        let mut workspace = Workspace::with_capacity(n);
        let k = (n / 2).clamp(2, 8);
        group.bench_function("sort alone, rewards", |b| {
            b.iter_batched_ref(
                || rewards.clone(),
                |r| r.sort_unstable_by(f64::total_cmp),
                BatchSize::LargeInput,
            );
        });
        group.bench_function("sort alone, rewards with indices", |b| {
            let pairs: Vec<(f64, usize)> = rewards.iter().copied().zip(0..).collect();
            b.iter_batched_ref(
                || pairs.clone(),
                |r| r.sort_unstable_by(|a, b| a.0.total_cmp(&b.0)),
                BatchSize::LargeInput,
            );
        });
        group.bench_function("max@k", |b| {
            b.iter(|| max_at_k_with(black_box(&rewards), k, &mut workspace));
        });
        for estimator in Estimator::ALL {
            let transform = estimator.build(k).expect("k is at least 2");
            let successes: Vec<f64> =
                rewards.iter().map(|g| f64::from(u8::from(*g > 0.7))).collect();
            let input = if estimator == Estimator::Binary { &successes } else { &rewards };
            group.bench_function(BenchmarkId::from_parameter(estimator), |b| {
                b.iter(|| transform.transform_into(black_box(input), &mut weights, &mut workspace));
            });
        }
        // Another k each time, so that the weights of the ranks are computed again.
        let pair = [k, k + 1].map(|k| Estimator::LooMinusOne.build(k).expect("k is at least 2"));
        let mut turn = 0;
        group.bench_function("loo-minus-one, new k", |b| {
            b.iter(|| {
                turn ^= 1;
                pair[turn].transform_into(black_box(&rewards), &mut weights, &mut workspace)
            });
        });
        group.finish();
    }
}

fn off_policy(c: &mut Criterion) {
    for n in [16, 256] {
        let mut group = c.benchmark_group(format!("off-policy n={n}"));
        group.throughput(Throughput::Elements(n as u64));
        let rewards = rewards(n);
        let logs: Vec<f64> = rewards.iter().map(|g| (g * 7919.0).fract() * 0.4 - 0.2).collect();
        let mut weights = vec![0.0; n];
        for k in [8, n / 2].into_iter().take(if n > 16 { 2 } else { 1 }) {
            let mut workspace = OffPolicyWorkspace::with_capacity(n, k);
            let estimators =
                [Estimator::Plain, Estimator::Loo, Estimator::LooMinusOne, Estimator::Centred];
            for estimator in estimators {
                let rule = OffPolicy::new(estimator, k).expect("k is at least 2");
                group.bench_function(BenchmarkId::new(estimator.name(), k), |b| {
                    b.iter(|| {
                        let ratios = Ratios::Log(black_box(&logs));
                        rule.weights_into(&rewards, ratios, &mut weights, &mut workspace)
                    });
                });
            }
        }
        let mut workspace = OffPolicyWorkspace::with_capacity(n, n);
        let harmonic = OffPolicy::new(Estimator::Harmonic, 1).expect("k is not read");
        group.bench_function("harmonic", |b| {
            b.iter(|| {
                let ratios = Ratios::Log(black_box(&logs));
                harmonic.weights_into(&rewards, ratios, &mut weights, &mut workspace)
            });
        });
        group.finish();
    }
}

criterion_group!(benches, transforms, off_policy);
criterion_main!(benches);
