//! Where time and memory go: SmolLM2-135M's shape with random weights.
//!
//! `cargo run --release -p bestof-benches --example profile [-- FILTER]` prints a line a workload:
//! the fastest of some runs in seconds, the processor time of that run, and the highest memory of
//! the process during them. Each workload has a process of its own, since memory that was freed is kept.
#![allow(clippy::print_stdout, reason = "an example's output")]

use std::error::Error;
use std::process::Command;
use std::time::Instant;

use bestof_benches::{pair, processor_seconds, smollm2, text, tokens};
use bestof_kernels::host_values;
use bestof_models::{
    AfterToken, CausalLm, Decoder, Device, ForwardOptions, LoraConfig, Request, SamplingConfig,
    TokenForest,
};
use burn::optim::GradientsParams;

type Outcome = Result<(), Box<dyn Error>>;

/// The peak of the resident set since the last call, in MiB; 0 where the system does not say.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    peak.unwrap_or(0) / 1024
}

/// The flag of a process that runs one workload.
const ALONE: &str = "--alone";

#[derive(Default)]
struct Profile {
    /// What runs here; nothing where workloads are only listed.
    alone: Option<String>,
    names: Vec<String>,
}

impl Profile {
    fn time(&mut self, name: &str, runs: usize, mut work: impl FnMut() -> Outcome) -> Outcome {
        if self.alone.as_deref() != Some(name) {
            self.names.push(name.to_owned());
            return Ok(());
        }
        peak_mib();
        let mut best = (f64::INFINITY, 0.0);
        for _ in 0..runs {
            let (start, processor) = (Instant::now(), processor_seconds());
            work()?;
            let elapsed = start.elapsed().as_secs_f64();
            if elapsed < best.0 {
                best = (elapsed, processor_seconds() - processor);
            }
        }
        let (wall, processor) = best;
        println!("{name:<40} {wall:>8.3} s {processor:>8.2} cpu s {:>6} MiB", peak_mib());
        Ok(())
    }
}

fn train(model: &Decoder, forest: &TokenForest, options: &ForwardOptions) -> Outcome {
    let loss = model.token_logps(forest, options)?.mean().neg();
    GradientsParams::from_grads(loss.backward(), model);
    Ok(())
}

fn generate(model: &Decoder, samples: usize, new_tokens: usize) -> Outcome {
    let request = Request { prompt: tokens(44, 3), samples, seed: 1 };
    let config = SamplingConfig::default().with_max_new_tokens(new_tokens);
    model.generate(&[request], &config, &mut |_| AfterToken::Continue)?;
    Ok(())
}

fn main() -> Outcome {
    bestof_memory::keep_freed();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let filter = match &args[..] {
        [flag, name] if flag == ALONE => {
            return workloads(&mut Profile { alone: Some(name.clone()), names: Vec::new() });
        }
        [] => "",
        [filter] => filter,
        _ => return Err("usage: profile [FILTER]".into()),
    };
    let mut profile = Profile::default();
    workloads(&mut profile)?;
    let chosen: Vec<&String> = profile.names.iter().filter(|name| name.contains(filter)).collect();
    if chosen.is_empty() {
        return Err(format!("no workload has `{filter}` in its name: {:?}", profile.names).into());
    }
    for name in chosen {
        let status = Command::new(std::env::current_exe()?).args([ALONE, name]).status()?;
        if !status.success() {
            return Err(format!("{name}: {status}").into());
        }
    }
    Ok(())
}

fn workloads(profile: &mut Profile) -> Outcome {
    let options = ForwardOptions::default();
    {
        let model = smollm2(&Device::flex())?;
        let short = text(256);
        profile.time("log-probabilities 1x256", 3, || {
            host_values(model.token_logps(&short, &options)?);
            Ok(())
        })?;
        let middle = text(1024);
        profile.time("log-probabilities 1x1024", 2, || {
            host_values(model.token_logps(&middle, &options)?);
            Ok(())
        })?;
        profile.time("log-probabilities of a pair 200+60+60", 2, || {
            host_values(model.token_logps(&pair(200, 0, 60), &options)?);
            Ok(())
        })?;
        profile.time("prefill 44, decode 32 tokens, batch 1", 2, || generate(&model, 1, 32))?;
        profile.time("prefill 44, decode 32 tokens, batch 16", 2, || generate(&model, 16, 32))?;
        let long = Request { prompt: tokens(8192, 6), samples: 1, seed: 0 };
        profile.time("prefill 8192", 1, || {
            let config = SamplingConfig::greedy(1);
            model.generate(std::slice::from_ref(&long), &config, &mut |_| AfterToken::Continue)?;
            Ok(())
        })?;
        let long = text(8192);
        profile.time("log-probabilities 1x8192", 1, || {
            host_values(model.token_logps(&long, &options)?);
            Ok(())
        })?;
    }
    let mut model = smollm2(&Device::flex().autodiff())?;
    let short = text(256);
    let checkpointed = options.with_checkpoint_layers(true);
    profile.time("full gradient 1x256", 2, || train(&model, &short, &options))?;
    profile
        .time("full gradient 1x256, checkpointed", 2, || train(&model, &short, &checkpointed))?;
    model.attach_lora(&LoraConfig::default())?;
    profile
        .time("LoRA gradient, pair 200+60+60", 2, || train(&model, &pair(200, 0, 60), &options))?;
    profile.time("LoRA gradient, pair, checkpointed", 2, || {
        train(&model, &pair(200, 0, 60), &checkpointed)
    })?;
    Ok(())
}
