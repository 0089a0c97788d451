//! Generation with the KV cache: 32 new tokens after a prompt of 44.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use bestof_benches::{smollm2, tokens};
use bestof_models::{AfterToken, CausalLm, Device, Request, SamplingConfig};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const NEW_TOKENS: usize = 32;

fn decoding(c: &mut Criterion) {
    let model = smollm2(&Device::flex()).expect("the shape makes a model");
    let config = SamplingConfig::default().with_max_new_tokens(NEW_TOKENS);
    let mut group = c.benchmark_group("decoding");
    group.sample_size(10);
    for samples in [1, 8, 16] {
        let request = Request { prompt: tokens(44, 3), samples, seed: 1 };
        group.throughput(Throughput::Elements((samples * NEW_TOKENS) as u64));
        group.bench_function(format!("batch {samples}"), |b| {
            b.iter(|| {
                model
                    .generate(std::slice::from_ref(&request), &config, &mut |_| {
                        AfterToken::Continue
                    })
                    .expect("the prompt is not empty")
            });
        });
    }
}

criterion_group!(benches, decoding);
criterion_main!(benches);
