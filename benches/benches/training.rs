//! A training step on one preference pair: forward, loss, backward, AdamW.
//!
//! `pair of 100 + 100` has two answers without a common start; `low edit distance` has the same
//! lengths, and answers that differ from token 60 on.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use bestof_benches::{pair, smollm2};
use bestof_losses::{Dpop, PairLogps, PreferenceLoss, with_gradient};
use bestof_models::{CausalLm, Decoder, Device, ForwardOptions, LoraConfig, TokenForest};
use bestof_trainer::config::TrainSection;
use bestof_trainer::optimizer::AdamW;
use burn::optim::{GradientsParams, ModuleOptimizer};
use criterion::{Criterion, criterion_group, criterion_main};

/// One step; the reference log-probabilities differ from the policy's by 0.1.
fn step(
    model: Decoder,
    optimizer: &mut ModuleOptimizer,
    forest: &TokenForest,
    loss: &dyn PreferenceLoss,
) -> Decoder {
    let logps = model.token_logps(forest, &ForwardOptions::default()).expect("tokens are in range");
    let count = logps.dims()[0];
    let half = f64::from(logps.clone().inner().sum().into_scalar::<f32>()) / 2.0;
    let terms = loss
        .terms(&PairLogps {
            chosen: half,
            rejected: half,
            ref_chosen: half + 0.1,
            ref_rejected: half - 0.1,
            chosen_len: 1,
            rejected_len: 1,
        })
        .expect("log-probabilities are finite");
    let slopes =
        (0..count).map(|i| if i < count / 2 { terms.grad_chosen } else { terms.grad_rejected });
    let loss = with_gradient(terms.loss, [(logps, slopes.collect())]);
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    optimizer.step(1e-6, model, gradients)
}

fn training(c: &mut Criterion) {
    let device = Device::flex().autodiff();
    let loss = Dpop::new(0.3, 50.0).expect("the paper's values");
    let mut group = c.benchmark_group("training step");
    group.sample_size(10);
    let forests = [
        ("pair of 200 + 60", pair(200, 0, 60)),
        ("pair of 100 + 100", pair(100, 0, 100)),
        ("pair of 100 + 100, low edit distance", pair(100, 60, 40)),
    ];
    for kind in ["LoRA", "full"] {
        let mut model = smollm2(&device).expect("the shape makes a model");
        if kind == "LoRA" {
            model.attach_lora(&LoraConfig::default()).expect("the layers have these names");
        }
        let mut model = Some(model);
        let adamw = AdamW::new((&TrainSection::default()).into());
        let mut optimizer = ModuleOptimizer::from(adamw);
        for (name, forest) in &forests {
            group.bench_function(format!("{kind}, {name}"), |b| {
                b.iter(|| {
                    let before = model.take().expect("every step gives the model back");
                    model = Some(step(before, &mut optimizer, forest, &loss));
                });
            });
        }
    }
}

criterion_group!(benches, training);
criterion_main!(benches);
