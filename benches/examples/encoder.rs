//! Times of prediction and fine-tuning as JSON lines, for `benches/encoder_side_by_side.py`.
//!
//! `cargo run --release -p bestof-benches --example encoder [REPETITIONS [predict|fine-tune]]`
#![allow(clippy::print_stdout, reason = "an example's output")]

use std::error::Error;
use std::time::Instant;

use bestof_benches::encoder::{MultiTask, batches, optimizer, rows};
use bestof_benches::processor_seconds;
use bestof_models::Device;
use serde_json::json;

/// Seconds of wall clock and of processor time.
#[derive(Debug, Clone, Copy)]
struct Timing {
    wall: f64,
    processor: f64,
}

/// The start of a measurement.
struct Running(Instant, f64);

impl Timing {
    fn start() -> Running {
        Running(Instant::now(), processor_seconds())
    }
}

impl Running {
    fn elapsed(&self) -> Timing {
        let wall = self.0.elapsed().as_secs_f64();
        Timing { wall, processor: processor_seconds() - self.1 }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    bestof_memory::keep_freed();
    let repetitions = std::env::args().nth(1).map_or(Ok(5), |text| text.parse::<usize>())?;
    let only = std::env::args().nth(2);
    let wanted = |work: &str| only.as_deref().is_none_or(|only| only == work);
    let model = MultiTask::new(&Device::flex())?;
    let mut trained = MultiTask::new(&Device::flex().autodiff())?;
    let mut optimizer = optimizer();
    for (name, lengths) in batches() {
        let batch = rows(&lengths)?;
        let report = |work: &str, timings: &[Timing]| {
            let seconds: Vec<f64> = timings[1..].iter().map(|timing| timing.wall).collect();
            let processor: Vec<f64> = timings[1..].iter().map(|timing| timing.processor).collect();
            let line = json!({
                "work": work, "batch": name, "lengths": lengths, "seconds": seconds,
                "processor_seconds": processor,
            });
            println!("{line}");
        };
        if wanted("predict") {
            let mut timings = Vec::new();
            for _ in 0..=repetitions {
                let start = Timing::start();
                for logits in model.forward(&batch, None)? {
                    logits.into_data();
                }
                timings.push(start.elapsed());
            }
            report("predict", &timings);
        }
        if wanted("fine-tune") {
            let mut timings = Vec::new();
            for seed in 0..=repetitions {
                let start = Timing::start();
                trained = trained.step(&mut optimizer, &batch, seed as u64)?.0;
                timings.push(start.elapsed());
            }
            report("fine-tune", &timings);
        }
    }
    Ok(())
}
