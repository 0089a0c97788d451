//! Prediction and fine-tuning with MiniLM-L6's shape, sixteen reviews at once.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use bestof_benches::encoder::{MultiTask, batches, optimizer, rows};
use bestof_models::Device;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn encoder(c: &mut Criterion) {
    let mut group = c.benchmark_group("encoder");
    group.sample_size(10).throughput(Throughput::Elements(16));
    let model = MultiTask::new(&Device::flex()).expect("the shape makes a model");
    let trained = MultiTask::new(&Device::flex().autodiff()).expect("the shape makes a model");
    let mut trained = Some(trained);
    let mut optimizer = optimizer();
    for (name, lengths) in batches() {
        let batch = rows(&lengths).expect("no row is empty");
        group.bench_function(format!("predict, {name}"), |b| {
            b.iter(|| model.forward(&batch, None).expect("tokens are in range"));
        });
        let mut seed = 0;
        group.bench_function(format!("fine-tune, {name}"), |b| {
            b.iter(|| {
                seed += 1;
                let model = trained.take().expect("every step gives the model back");
                let (model, loss) =
                    model.step(&mut optimizer, &batch, seed).expect("tokens are in range");
                trained = Some(model);
                loss
            });
        });
    }
}

criterion_group!(benches, encoder);
criterion_main!(benches);
