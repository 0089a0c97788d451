//! Times of prediction and fine-tuning as JSON lines, for `benches/encoder_side_by_side.py`.
//!
//! `cargo run --release -p bestof-benches --example encoder [REPETITIONS]`
#![allow(clippy::print_stdout, reason = "an example's output")]

use std::error::Error;
use std::time::Instant;

use bestof_benches::encoder::{MultiTask, batches, optimizer, rows};
use bestof_models::Device;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let repetitions = std::env::args().nth(1).map_or(Ok(5), |text| text.parse::<usize>())?;
    let model = MultiTask::new(&Device::flex())?;
    let mut trained = MultiTask::new(&Device::flex().autodiff())?;
    let mut optimizer = optimizer();
    for (name, lengths) in batches() {
        let batch = rows(&lengths)?;
        let report = |work: &str, seconds: Vec<f64>| {
            let line = json!({"work": work, "batch": name, "lengths": lengths, "seconds": seconds});
            println!("{line}");
        };
        let mut seconds = Vec::new();
        for _ in 0..=repetitions {
            let start = Instant::now();
            for logits in model.forward(&batch, None)? {
                logits.into_data();
            }
            seconds.push(start.elapsed().as_secs_f64());
        }
        report("predict", seconds.split_off(1));
        let mut seconds = Vec::new();
        for seed in 0..=repetitions {
            let start = Instant::now();
            trained.step(&mut optimizer, &batch, seed as u64)?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        report("fine-tune", seconds.split_off(1));
    }
    Ok(())
}
