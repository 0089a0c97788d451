//! The estimate of memory against the peaks of processes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "the measured peaks are worth reading")]
#![cfg(target_os = "linux")]

use std::process::Command;

use bestof_checkpoints::{StoredType, TensorInfo};
use bestof_models::{
    CausalLm, Decoder, DecoderConfig, Device, Dtype, Footprint, ForwardOptions, LoraConfig,
    Precision, Quantization, StepShape, TokenForest, parameters,
};
use burn::optim::GradientsParams;
use serde_json::{Value, json};

/// Set in the processes that are measured.
const CASE: &str = "BESTOF_FOOTPRINT_CASE";

fn config(case: &Value) -> DecoderConfig {
    DecoderConfig::from_hf(&json!({
        "model_type": "llama", "vocab_size": case["vocab"], "hidden_size": case["width"],
        "intermediate_size": case["inner"], "num_hidden_layers": case["layers"],
        "num_attention_heads": 8, "num_key_value_heads": case["kv"],
        "max_position_embeddings": 4096, "tie_word_embeddings": true,
    }))
    .unwrap()
}

fn precision(case: &Value) -> Precision {
    let trained = case["lora"] == false;
    let precision = Precision::default().with_trained(trained);
    match case["format"].as_str().unwrap() {
        "f32" => precision,
        "bf16" => precision.with_dtype(Dtype::BF16),
        "q8_0" => precision.with_quantize(Some(Quantization::Q8_0)),
        _ => precision.with_quantize(Some(Quantization::Q4_0)),
    }
}

/// Runs in a process of its own, told by a variable which case it is.
#[test]
fn one_case() {
    let Ok(case) = std::env::var(CASE) else { return };
    let case: Value = serde_json::from_str(&case).unwrap();
    let device = Device::flex().autodiff();
    let before = memory("VmRSS");
    let mut model = Decoder::random_in(config(&case), 1, precision(&case), &device).unwrap();
    if case["lora"] == true {
        model.attach_lora(&LoraConfig::default()).unwrap();
    }
    let tokens: Vec<u32> =
        (0..case["tokens"].as_u64().unwrap() as u32).map(|i| i * 7 % 500).collect();
    let options = ForwardOptions::default().with_checkpoint_layers(case["checkpoint"] == true);
    // The moments of AdamW.
    let mut moments = Vec::new();
    for _ in 0..2 {
        let logps = model.token_logps(&TokenForest::text(&tokens), &options).unwrap();
        let gradients = GradientsParams::from_grads(logps.sum().backward(), &model);
        let gradients = parameters::named_gradients(&model, gradients);
        if moments.is_empty() {
            let filled = |x: &burn::tensor::Tensor<1>| x.ones_like();
            moments = gradients.values().flat_map(|x| [filled(x), filled(x)]).collect();
        }
    }
    println!("peak {}", memory("VmHWM") - before);
    drop((model, moments));
}

/// MiB that the system says of this process.
fn memory(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}

/// The peak of a process of its own. glibc would keep freed blocks of up to 32 MiB for itself, some 70 MiB
/// of them and not the same each time; with this threshold it hands back what the computation has left.
fn measured(case: &Value) -> f64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "one_case", "--nocapture", "--test-threads", "1"])
        .env(CASE, case.to_string())
        .env("RAYON_NUM_THREADS", "2")
        .env("MALLOC_MMAP_THRESHOLD_", "1048576")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let peak = text
        .lines()
        .find_map(|line| line.split("peak ").nth(1))
        .unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)));
    peak.parse().unwrap()
}

fn tensors(config: &DecoderConfig) -> Vec<TensorInfo> {
    let model = Decoder::random(config.clone(), 1, &Device::flex()).unwrap();
    let info = |name, shape| TensorInfo { name, dtype: StoredType::F32, shape };
    parameters::all(&model).into_iter().map(|found| info(found.name, found.shape)).collect()
}

#[test]
fn tensors_that_are_not_loaded_take_nothing() {
    let case = json!({"width": 64, "inner": 96, "layers": 2, "kv": 2, "vocab": 128});
    let config = config(&case);
    let lora = LoraConfig::default();
    let estimate = |tensors: &[TensorInfo]| {
        let precision = Precision::default().with_quantize(Some(Quantization::Q4_0));
        Footprint::of_step(&config, tensors, precision, StepShape::new(Some(&lora), 16)).unwrap()
    };
    let mut all = tensors(&config);
    let without = estimate(&all);
    let push = |all: &mut Vec<TensorInfo>, name: &str| {
        let shape = vec![128, 64];
        all.push(TensorInfo { name: name.to_owned(), dtype: StoredType::F32, shape });
    };
    push(&mut all, "lm_head.weight");
    assert_eq!(estimate(&all), without);
    // The half of a multimodal model that is not read is one under that model's names only.
    let tower = "vision_tower.layers.0.self_attn.q_proj.weight";
    let mut plain = all.clone();
    push(&mut plain, tower);
    assert!(estimate(&plain).weights > without.weights);
    for tensor in &mut all {
        tensor.name = format!("language_model.{}", tensor.name);
    }
    assert_eq!(estimate(&all), without);
    push(&mut all, tower);
    assert_eq!(estimate(&all), without);
}

fn estimated(case: &Value) -> f64 {
    let config = config(case);
    let tensors = tensors(&config);
    let lora = LoraConfig::default();
    let step = StepShape::new(
        (case["lora"] == true).then_some(&lora),
        case["tokens"].as_u64().unwrap() as usize,
    )
    .with_checkpoint_layers(case["checkpoint"] == true);
    let found = Footprint::of_step(&config, &tensors, precision(case), step).unwrap();
    found.total() as f64 / f64::from(1 << 20)
}

/// Within 15 %, and 20 MiB that a process takes whatever it computes.
#[test]
fn peaks_are_as_estimated() {
    let small = json!({"width": 256, "inner": 1024, "layers": 8, "kv": 8, "vocab": 8192});
    let grouped = json!({"width": 512, "inner": 1408, "layers": 6, "kv": 2, "vocab": 32_000});
    let mut wrong = Vec::new();
    for (shape, format, lora) in [
        (&small, "q4_0", true),
        (&small, "f32", false),
        (&grouped, "f32", true),
        (&grouped, "bf16", true),
        (&grouped, "q4_0", true),
        (&grouped, "f32", false),
    ] {
        for (tokens, checkpoint) in [(1024, false), (1024, true)] {
            let mut case = shape.clone();
            case["format"] = format.into();
            case["lora"] = lora.into();
            case["tokens"] = tokens.into();
            case["checkpoint"] = checkpoint.into();
            let (found, expected) = (measured(&case), estimated(&case));
            println!("{found:7.1} MiB, estimated {expected:7.1}: {case}");
            let close = (found - expected).abs() <= 0.15 * expected + 20.0;
            if !close {
                wrong.push(format!("{found} for {expected}: {case}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
