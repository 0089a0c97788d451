//! Memory and time of a LoRA preference step on a base in f32, bf16, `q8_0` and `q4_0`, as a table.
//!
//! `cargo run --release -p bestof-benches --example at_rest [-- smollm2|1b [STEPS]]`
//!
//! `-- fits` prints instead what steps of other sizes would take, from the formula of `Footprint`.
//!
//! Weights are random, and each format has a process of its own, so that peaks are its own. Formats
//! take turns, and the first step of each process is not counted. Time is for two pairs of 100 + 100
//! tokens: forward, DPOP, backward, AdamW on adapters of rank 16.
#![allow(clippy::print_stdout, reason = "an example's output")]

use std::error::Error;
use std::fmt::Write as _;
use std::process::Command;
use std::time::Instant;

use bestof_benches::{pairs, precision, shape, tensors};
use bestof_losses::{Dpop, PairLogps, PreferenceLoss, with_gradient};
use bestof_models::{CausalLm, Decoder, Device, Footprint, ForwardOptions, LoraConfig, StepShape};
use bestof_trainer::config::TrainSection;
use bestof_trainer::optimizer::AdamW;
use burn::optim::{GradientsParams, ModuleOptimizer};
use serde_json::{Value, json};

const FORMATS: [&str; 4] = ["f32", "bf16", "q8_0", "q4_0"];
/// Processes per format.
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    bestof_memory::keep_freed();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (name, steps) = (args.first().map_or("smollm2", String::as_str), args.get(1));
    let steps: usize = steps.map_or(Ok(4), |text| text.parse())?;
    if name == "fits" {
        return fits();
    }
    if let Some(format) = args.get(2) {
        println!("{}", child(name, steps, format)?);
        return Ok(());
    }
    let mut found: Vec<Vec<Value>> = vec![Vec::new(); FORMATS.len()];
    for _ in 0..ROUNDS {
        for (format, found) in FORMATS.iter().zip(&mut found) {
            let output = Command::new(std::env::current_exe()?)
                .args([name, &steps.to_string(), format])
                .output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into());
            }
            found.push(serde_json::from_slice(&output.stdout)?);
        }
    }
    let least = |rows: &[Value], key: &str| {
        rows.iter().filter_map(|row| row[key].as_f64()).fold(f64::INFINITY, f64::min)
    };
    println!("| {name} | base, MiB | of f32 | peak, MiB | step, s | of f32 | token, ms | of f32 |");
    println!("|---|---|---|---|---|---|---|---|");
    for (format, rows) in FORMATS.iter().zip(&found) {
        let [base, peak, step, token] =
            ["base", "peak", "step", "token"].map(|key| (least(rows, key), least(&found[0], key)));
        println!(
            "| {format} | {:.0} | {:.2} | {:.0} | {:.2} | {:.2} | {:.0} | {:.2} |",
            base.0,
            base.0 / base.1,
            peak.0,
            step.0,
            step.0 / step.1,
            1e3 * token.0,
            token.0 / token.1
        );
    }
    Ok(())
}

/// GiB of LoRA steps of rank 16 by size, format and tokens, with layers computed again.
fn fits() -> Result<(), Box<dyn Error>> {
    println!("| model | tokens | {} |", FORMATS.join(" | "));
    println!("|---|---|---|---|---|---|");
    for name in ["smollm2", "360m", "1b", "3b", "8b"] {
        let config = shape(name)?;
        let tensors = tensors(&config);
        for tokens in [1024, 8192] {
            let mut row = format!("| {name} | {tokens} |");
            for format in FORMATS {
                let (lora, precision) = (LoraConfig::default(), precision(format)?);
                let step = StepShape::new(Some(&lora), tokens).with_checkpoint_layers(true);
                let found = Footprint::of_step(&config, &tensors, precision, step)?.total();
                write!(row, " {:.1} |", found as f64 / f64::from(1 << 30))?;
            }
            println!("{row}");
        }
    }
    Ok(())
}

fn child(name: &str, steps: usize, format: &str) -> Result<Value, Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let before = memory("VmRSS")?;
    let mut model = Decoder::random_in(shape(name)?, 1, precision(format)?, &device)?;
    let base = memory("VmRSS")? - before;
    let token = decoding(&model)?;
    model.attach_lora(&LoraConfig::default())?;
    let mut optimizer = ModuleOptimizer::from(AdamW::new((&TrainSection::default()).into()));
    let loss = Dpop::new(0.3, 50.0)?;
    let forest = pairs(2, 100, 100);
    let mut best = f64::INFINITY;
    for step in 0..=steps {
        let start = Instant::now();
        let logps = model.token_logps(&forest, &ForwardOptions::default())?;
        let count = logps.dims()[0];
        let half = f64::from(logps.clone().inner().sum().into_scalar::<f32>()) / 2.0;
        let terms = loss.terms(&PairLogps {
            chosen: half,
            rejected: half,
            ref_chosen: half + 0.1,
            ref_rejected: half - 0.1,
            chosen_len: 1,
            rejected_len: 1,
        })?;
        let slopes = (0..count)
            .map(|i| if i / 100 % 2 == 0 { terms.grad_chosen } else { terms.grad_rejected });
        let value = with_gradient(terms.loss, [(logps, slopes.collect())]);
        let gradients = GradientsParams::from_grads(value.backward(), &model);
        model = optimizer.step(1e-6, model, gradients);
        if step > 0 {
            best = best.min(start.elapsed().as_secs_f64());
        }
    }
    Ok(json!({"base": base, "peak": memory("VmHWM")?, "step": best, "token": token}))
}

/// Seconds per token of one greedy sample.
fn decoding(model: &Decoder) -> Result<f64, Box<dyn Error>> {
    use bestof_models::{AfterToken, Request, SamplingConfig};
    let request = Request { prompt: vec![5, 6, 7, 8], samples: 1, seed: 0 };
    let mut last = Instant::now();
    let mut best = f64::INFINITY;
    model.generate(&[request], &SamplingConfig::greedy(24), &mut |_| {
        best = best.min(last.elapsed().as_secs_f64());
        last = Instant::now();
        AfterToken::Continue
    })?;
    Ok(best)
}

/// MiB that the system says of this process.
fn memory(field: &str) -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib: f64 = line.and_then(|line| line.split_whitespace().next()).ok_or(field)?.parse()?;
    Ok(kib / 1024.0)
}
