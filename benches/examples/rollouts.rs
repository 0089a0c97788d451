//! Sampling of one workload, for `benches/rollouts.py`.
//!
//! `rollouts MODEL FORMAT REQUESTS.json REPETITIONS` draws `tokens` tokens of `samples` continuations of each of
//! `prompts` (token ids) at temperature 1, with nothing that ends them early, and prints a JSON object a repetition
//! after one that is not counted.
#![allow(clippy::print_stdout, reason = "an example's output")]

use std::error::Error;
use std::fs::read_to_string;
use std::path::Path;
use std::time::Instant;

use bestof_benches::{precision, processor_seconds};
use bestof_checkpoints::ModelFolder;
use bestof_models::{AfterToken, CausalLm, Decoder, Device, Request, SamplingConfig};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    bestof_memory::keep_freed();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, format, requests, repetitions] = args.as_slice() else {
        return Err("usage: rollouts MODEL FORMAT REQUESTS.json REPETITIONS".into());
    };
    let asked: Value = serde_json::from_str(&read_to_string(requests)?)?;
    let prompts: Vec<Vec<u32>> = serde_json::from_value(asked["prompts"].clone())?;
    let samples = asked["samples"].as_u64().ok_or("samples: a number")? as usize;
    let tokens = asked["tokens"].as_u64().ok_or("tokens: a number")? as usize;
    let folder = ModelFolder::open(Path::new(model))?;
    let model = Decoder::open_in(&folder, precision(format)?, &Device::flex())?;
    let config = SamplingConfig::default().with_max_new_tokens(tokens);
    for repetition in 0..=repetitions.parse::<u64>()? {
        let requests: Vec<Request> = prompts
            .iter()
            .map(|prompt| Request { prompt: prompt.clone(), samples, seed: repetition })
            .collect();
        let (start, used) = (Instant::now(), processor_seconds());
        let drawn = model.generate(&requests, &config, &mut |_| AfterToken::Continue)?;
        let (seconds, used) = (start.elapsed().as_secs_f64(), processor_seconds() - used);
        let count: usize = drawn.iter().map(|generation| generation.ids.len()).sum();
        if count != prompts.len() * samples * tokens {
            return Err(format!("{count} tokens were drawn").into());
        }
        if repetition > 0 {
            let told = json!({"seconds": seconds, "processor_seconds": used, "tokens": count});
            println!("{told}");
        }
    }
    Ok(())
}
