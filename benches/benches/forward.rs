//! Log-probabilities of texts and pairs, no graph kept.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use bestof_benches::{pair, smollm2, text};
use bestof_kernels::host_values;
use bestof_models::{CausalLm, Device, ForwardOptions};
use criterion::{Criterion, criterion_group, criterion_main};

fn forward(c: &mut Criterion) {
    let model = smollm2(&Device::flex()).expect("the shape makes a model");
    let options = ForwardOptions::default();
    let mut group = c.benchmark_group("log-probabilities");
    group.sample_size(10);
    let forests = [
        ("text of 256", text(256)),
        ("text of 1024", text(1024)),
        ("pair of 200 + 60", pair(200, 0, 60)),
    ];
    for (name, forest) in forests {
        group.bench_function(name, |b| {
            b.iter(|| {
                host_values(model.token_logps(&forest, &options).expect("tokens are in range"))
            });
        });
    }
}

criterion_group!(benches, forward);
criterion_main!(benches);
