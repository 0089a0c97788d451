//! One update of every weight of SmolLM2-135M's shape: the trainer's fused `AdamW` and burn's.
#![allow(clippy::print_stdout, reason = "the times are what the program is for")]

use std::error::Error;
use std::time::Instant;

use bestof_benches::smollm2;
use bestof_models::{CausalLm, Decoder, Device, ForwardOptions, TokenForest};
use bestof_trainer::optimizer::{AdamW, AdamWConfig};
use burn::optim::{AdamWConfig as BurnAdamWConfig, GradientsParams, ModuleOptimizer};

const UPDATES: usize = 6;

/// Seconds of each update, the first of which makes the state.
fn time(mut model: Decoder, mut optimizer: ModuleOptimizer) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut seconds = Vec::new();
    for _ in 0..UPDATES {
        let text = TokenForest::text(&[1, 2, 3, 4]);
        let loss = model.token_logps(&text, &ForwardOptions::default())?.mean().neg();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let start = Instant::now();
        model = optimizer.step(1e-5, model, gradients);
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(seconds)
}

fn main() -> Result<(), Box<dyn Error>> {
    bestof_memory::keep_freed();
    let device = Device::flex().autodiff();
    let config = AdamWConfig { weight_decay: 0.01, ..AdamWConfig::default() };
    let burn = BurnAdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01);
    for round in 1..=3 {
        let fused = time(smollm2(&device)?, AdamW::new(config).into())?;
        let of_burn = time(smollm2(&device)?, burn.init())?;
        let best = |times: &[f64]| times[1..].iter().copied().fold(f64::INFINITY, f64::min);
        let (fused, of_burn) = (best(&fused), best(&of_burn));
        println!(
            "round {round}: fused {fused:.3} s, burn {of_burn:.3} s, {:.2} times",
            of_burn / fused
        );
    }
    Ok(())
}
