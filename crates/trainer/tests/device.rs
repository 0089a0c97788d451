//! The device that `BESTOF_DEVICE` names, beside the CPU: forward passes, gradients, whole steps of
//! training, sampling. Without that variable it is the CPU itself; `cargo xtask test --device NAME`
//! builds the device and sets it.
//!
//! Devices add up in another order than the CPU and have exponentials of their own, so that numbers
//! agree to some units in the last place of f32 and not to the bit.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use bestof_checkpoints::{ModelFolder, Weights};
use bestof_closeness::{largest_difference, largest_magnitude};
use bestof_kernels::host_values;
use bestof_models::{
    CausalLm, Decoder, DecoderConfig, Device, ForestBuilder, ForwardOptions, LoraConfig, Request,
    SamplingConfig, Sequence, TokenForest, check_float_type, parameters,
};
use bestof_report::RunFolder;
use bestof_trainer::config::RunConfig;
use bestof_trainer::launch::{preference, reinforce, supervised};
use bestof_trainer::progress::{Progress, Silent};
use bestof_trainer::run::TrainOptions;
use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};
use serde_json::json;
use support::device::{
    BACKWARD, FAMILIES, FORWARD, apart, checkpoint, device, device_name, fill_second_factors,
    generate,
};

/// Gradients, relative to the largest of the model, between the CPU and f64.
const CPU_BACKWARD: f64 = 1e-4;
/// Weights after a step, relative to the largest of their tensor, and the numbers of its log, relative
/// or absolute below 1, between the device and the CPU.
const STEP: f64 = 5e-6;
/// Logits and log-probabilities, absolute, between either and transformers.
const TRANSFORMERS: f64 = 1e-4;

fn decoder(name: &str, device: &Device) -> Decoder {
    Decoder::open(&ModelFolder::open(&checkpoint(name)).unwrap(), device).unwrap()
}

#[test]
fn a_float_type_that_the_device_lacks_is_named() {
    let (name, device) = (device_name(), device());
    check_float_type(&name, &device, DType::F32).unwrap();
    for dtype in [DType::BF16, DType::F16, DType::F64] {
        let found = check_float_type(&name, &device, dtype);
        println!("{name}: {dtype:?} {found:?}");
        assert_eq!(found.is_ok(), device.supports_dtype(dtype));
        let message = found.err().map(|error| error.to_string());
        let names = |text: String| text.contains(&name) && text.contains(dtype.name());
        assert!(message.is_none_or(names));
    }
}

#[test]
fn three_families_compute_what_transformers_does() {
    for name in FAMILIES {
        let expected = Weights::open(&checkpoint(name).join("expected.safetensors")).unwrap();
        let (shape, ids) = expected.read_i64("input_ids").unwrap();
        let rows: Vec<Vec<u32>> =
            ids.chunks(shape[1]).map(|row| row.iter().map(|&id| id as u32).collect()).collect();
        let computed = |model: &Decoder| {
            let (mut logits, mut logps) = (Vec::new(), Vec::new());
            for row in &rows {
                let forest = TokenForest::text(row);
                let nodes: Vec<u32> = (0..row.len() as u32).collect();
                let options = ForwardOptions::default();
                logits.extend(host_values(model.logits(&forest, &nodes, &options).unwrap()));
                logps.extend(host_values(model.token_logps(&forest, &options).unwrap()));
            }
            (logits, logps)
        };
        let model = decoder(name, &device());
        let (logits, logps) = computed(&model);
        for (what, found) in [("logits", &logits), ("token_logprobs", &logps)] {
            let (_, expected) = expected.read_f32_any(what).unwrap();
            let difference = largest_difference(found, &expected);
            assert!(difference < TRANSFORMERS, "{name}: {what} differ by {difference}");
        }
        let (of_cpu, logps_of_cpu) = computed(&decoder(name, &Device::flex()));
        for (what, difference) in [
            ("logits", apart(&logits, &of_cpu)),
            ("log-probabilities", apart(&logps, &logps_of_cpu)),
        ] {
            println!("{name}: {what} {difference:e}");
            assert!(difference < FORWARD, "{name}: {what} differ by {difference} from the CPU's");
        }

        let (shape, greedy) = expected.read_i64("greedy").unwrap();
        let request = Request { prompt: rows[0][..8].to_vec(), samples: 1, seed: 0 };
        let config = SamplingConfig::greedy(shape[1] - 8).with_prefill_chunk(3);
        let found = generate(&model, &[request], &config);
        let ids: Vec<i64> = found[0].ids.iter().map(|&id| i64::from(id)).collect();
        assert_eq!(ids, greedy[8..], "{name}: greedy");
    }
}

/// A model with windows, soft caps and grouped queries, and adapters whose second factors are not zero.
fn gemma(device: &Device, lora: bool) -> Decoder {
    let config = json!({
        "model_type": "gemma2", "vocab_size": 64, "hidden_size": 32, "head_dim": 8,
        "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "sliding_window": 40, "query_pre_attn_scalar": 8,
    });
    let config = DecoderConfig::from_hf(&config).unwrap();
    let mut model = Decoder::random(config, 5, &device.clone().autodiff()).unwrap();
    if lora {
        model.attach_lora(&LoraConfig::default().with_r(3).with_dropout(0.2)).unwrap();
        fill_second_factors(&mut model);
    }
    model
}

/// A pair with a long shared start, over more than one block of attention, and a text.
fn forest() -> TokenForest {
    let tokens = |first: u32, count: u32| -> Vec<u32> {
        (0..count).map(|i| (first + i * i + 3 * i) % 64).collect()
    };
    let start = tokens(1, 280);
    let [chosen, rejected] = [7, 9].map(|first| [start.clone(), tokens(first, 20)].concat());
    let pair = [&chosen, &rejected].map(|tokens| Sequence { tokens, completion_start: 280 });
    let mut builder = ForestBuilder::new();
    builder.add_group(&pair);
    builder.add_group(&[Sequence { tokens: &tokens(4, 290), completion_start: 1 }]);
    builder.finish()
}

fn gradients(model: &Decoder, options: &ForwardOptions) -> (Vec<f32>, BTreeMap<String, Vec<f32>>) {
    let scores = model.token_scores(&forest(), options).unwrap();
    let values = host_values(scores.logps.clone().inner());
    let entropies = scores.entropies.unwrap();
    let loss = scores.logps.mean().neg().sub(entropies.mean().mul_scalar(0.1));
    let gradients = GradientsParams::from_grads(loss.backward(), model);
    let gradients = parameters::named_gradients(model, gradients);
    (values, gradients.into_iter().map(|(name, x)| (name, host_values(x))).collect())
}

/// Copies parameters in f64.
struct Exact;

impl ModuleMapper for Exact {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trained = param.is_require_grad();
        let (id, tensor, mapper) = param.consume();
        let leaf = tensor.inner().cast(DType::F64).autodiff().set_require_grad(trained);
        Param::from_mapped_value(id, leaf, mapper)
    }
}

/// Where values cancel, the CPU is as far from the truth as any device: so both are held to f64.
#[test]
fn gradients_are_those_of_f64() {
    for lora in [false, true] {
        for checkpoint_layers in [false, true] {
            let options = ForwardOptions::default()
                .with_entropies(true)
                .with_checkpoint_layers(checkpoint_layers)
                .with_dropout_seed(lora.then_some(11));
            let of = |model: &Decoder| {
                let (logps, gradients) = gradients(model, &options);
                let (names, values): (Vec<String>, Vec<Vec<f32>>) = gradients.into_iter().unzip();
                (logps, names, values)
            };
            let exact = of(&gemma(&Device::flex(), lora).map(&mut Exact));
            let largest = largest_magnitude(&exact.2);
            assert!(largest > 0.0 && !exact.1.is_empty());
            let errors = |model: &Decoder| {
                let (logps, names, values) = of(model);
                assert_eq!(names, exact.1);
                (apart(&logps, &exact.0), largest_difference(&values, &exact.2) / largest)
            };
            let (here, cpu) =
                (errors(&gemma(&device(), lora)), errors(&gemma(&Device::flex(), lora)));
            let what = format!("lora {lora}, checkpoints {checkpoint_layers}");
            println!("{what}: log-probabilities and gradients {here:?}, on the CPU {cpu:?}");
            assert!(cpu.1 < CPU_BACKWARD, "{what}: gradients of the CPU are {} from f64", cpu.1);
            assert!(here.0 < FORWARD, "{what}: log-probabilities are {} from f64", here.0);
            assert!(
                here.1 < BACKWARD.max(4.0 * cpu.1),
                "{what}: gradients are {} from f64",
                here.1
            );
        }
    }
}

#[test]
fn the_policy_before_training_is_its_reference_to_the_last_bit() {
    let model = gemma(&device(), false);
    let options = ForwardOptions::default();
    let traced = host_values(model.token_logps(&forest(), &options).unwrap().inner());
    let plain = host_values(model.valid().token_logps(&forest(), &options).unwrap());
    assert_eq!(traced, plain);
}

#[test]
fn a_seed_samples_the_same_tokens() {
    let requests: Vec<Request> = (0..3)
        .map(|n| Request { prompt: vec![5 + n, 9, 40], samples: 6, seed: 70 + u64::from(n) })
        .collect();
    let sampling = SamplingConfig::default().with_max_new_tokens(24).with_eos_token_ids(vec![7]);
    let (model, of_cpu) = (gemma(&device(), true), gemma(&Device::flex(), true));
    for config in [
        sampling.clone(),
        sampling.clone().with_temperature(0.7).with_top_k(Some(9)),
        sampling.clone().with_top_p(Some(0.8)).with_max_batch(5),
        sampling.clone().with_min_p(Some(0.3)).with_temperature(1.4),
        sampling.with_temperature(0.0),
    ] {
        let (found, expected) =
            (generate(&model, &requests, &config), generate(&of_cpu, &requests, &config));
        assert_eq!(found.len(), 18);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.ids, expected.ids, "{config:?}");
            assert_eq!(found.finish, expected.finish);
            for (found, expected) in [
                (&found.logprobs, &expected.logprobs),
                (&found.tempered_logprobs, &expected.tempered_logprobs),
                (&found.sampling_logprobs, &expected.sampling_logprobs),
            ] {
                let difference = apart(found, expected);
                assert!(difference < FORWARD, "{config:?}: differ by {difference}");
            }
        }
    }
}

type Launch = fn(&RunConfig) -> Result<(), bestof_trainer::TrainError>;

fn sft(config: &RunConfig) -> Result<(), bestof_trainer::TrainError> {
    supervised(config, &TrainOptions::default(), &mut Silent).map(|_| ())
}

fn prefer(config: &RunConfig) -> Result<(), bestof_trainer::TrainError> {
    preference(config, &TrainOptions::default(), &mut Silent).map(|_| ())
}

fn sample_and_reinforce(config: &RunConfig) -> Result<(), bestof_trainer::TrainError> {
    reinforce(config, &TrainOptions::default(), &mut Silent).map(|_| ())
}

/// Every tensor of a file of weights, by name.
fn tensors(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let weights = Weights::open(path).unwrap();
    let infos = weights.infos().iter();
    infos.map(|i| (i.name.clone(), weights.read_f32(&i.name, &i.shape).unwrap())).collect()
}

/// Whether two lists are within a share of their largest magnitude.
fn assert_within(found: &[f32], expected: &[f32], share: f64, what: &str) {
    let difference = largest_difference(found, expected) / largest_magnitude(expected);
    assert!(difference < share, "{what} differs from the CPU's by {difference}");
}

/// Runs of one step on the device and on the CPU: every number of their logs, every sample and every
/// trained weight. The reference and the rows are the same, so that all that differs is the arithmetic.
fn compare_step(launch: Launch, root: &Path, kind: &str, rows: &Path, overrides: &[&str]) {
    let on = |name: &str, device: &str| {
        let device = format!("model.device='{device}'");
        // With a small epsilon the first step is the gradient's sign, also where the gradient is rounding.
        let epsilon = "train.adam_epsilon=1e-2";
        let base = ["train.max_steps=1", "train.warmup_steps=0", epsilon, device.as_str()];
        let name = format!("{kind}/{name}");
        let config = support::config(root, &name, rows, &[&base, overrides].concat());
        launch(&config).unwrap();
        RunFolder::open(&config.output.dir).unwrap()
    };
    let (here, of_cpu) = (on("device", &device_name()), on("cpu", "cpu"));
    assert_eq!(here.metric_names(), of_cpu.metric_names());
    for name in here.metric_names() {
        if bestof_report::TIMING_METRICS.contains(&name) {
            continue;
        }
        let (found, expected) = (here.curve(name), of_cpu.curve(name));
        assert_eq!(found.len(), expected.len());
        for ((_, found), (_, expected)) in found.into_iter().zip(expected) {
            let difference = (found - expected).abs() / expected.abs().max(1.0);
            assert!(difference < STEP, "{kind}: {name} is {found}, on the CPU {expected}");
        }
    }
    let said = |run: &RunFolder| run.samples.iter().map(|s| s.completion.clone()).collect();
    let (found, expected): (Vec<String>, Vec<String>) = (said(&here), said(&of_cpu));
    assert_eq!(found, expected, "{kind}: samples");

    let before = tensors(&root.join("model"));
    let mut moved = 0.0_f64;
    for file in ["final", "adapter/adapter_model.safetensors"] {
        let [found, expected] = [&here, &of_cpu].map(|run| run.dir.join(file));
        if !expected.exists() {
            continue;
        }
        let (found, expected) = (tensors(&found), tensors(&expected));
        assert!(found.keys().eq(expected.keys()));
        for (name, expected) in &expected {
            assert_within(&found[name], expected, STEP, &format!("{kind}: {name}"));
            if let Some(before) = before.get(name) {
                moved = moved.max(largest_difference(before, expected));
            }
        }
    }
    assert!(moved > 1e-5, "{kind}: the step moved nothing");
}

#[test]
fn a_supervised_step_is_that_of_the_cpu() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    support::tiny_model(&root.join("model"), true);
    let rows = support::completions(&root.join("rows.jsonl"), 30);
    compare_step(sft, root, "sft", &rows, &[]);
    compare_step(sft, root, "sft-lora", &rows, &["lora.r=4", "train.learning_rate=2e-2"]);
}

#[test]
fn a_preference_step_is_that_of_the_cpu() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    support::tiny_model(&root.join("model"), false);
    let rows = support::pairs(&root.join("pairs.jsonl"), 30);
    let lora = ["lora.r=4", "lora.dropout=0.2", "train.learning_rate=2e-2"];
    compare_step(prefer, root, "dpo", &rows, &["loss.name=dpo"]);
    compare_step(prefer, root, "dpo-lora", &rows, &[&lora[..], &["loss.name=dpo"]].concat());
    compare_step(prefer, root, "dpop-lora", &rows, &[&lora[..], &["loss.name=dpop"]].concat());
}

#[test]
fn a_pkpo_step_is_that_of_the_cpu() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    support::tiny_model(&root.join("model"), false);
    let rows = support::questions(&root.join("questions.jsonl"), 20);
    let group =
        ["rollout.num_generations=16", "rollout.max_new_tokens=8", "reward.verifier=number"];
    let objective = [
        "objective.estimator=loo-minus-one",
        "objective.k=4",
        "objective.kl_coefficient=0.05",
        "objective.entropy_coefficient=0.01",
    ];
    compare_step(sample_and_reinforce, root, "pkpo", &rows, &[&group[..], &objective].concat());
    let lora = ["lora.r=4", "objective.updates_per_batch=2"];
    let all = [&group[..], &objective, &lora].concat();
    compare_step(sample_and_reinforce, root, "pkpo-lora", &rows, &all);
}

/// The moments of the optimiser lie on the device; a checkpoint brings them down and up again.
#[test]
fn a_run_goes_on_from_a_checkpoint_as_if_it_had_not_stopped() {
    struct Stop;

    impl Progress for Stop {
        fn wants_stop(&mut self) -> bool {
            true
        }
    }

    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    support::tiny_model(&root.join("model"), true);
    let rows = support::completions(&root.join("rows.jsonl"), 30);
    let device = format!("model.device='{}'", device_name());
    let settings = ["train.max_steps=3", device.as_str()];
    let straight = support::config(root, "straight", &rows, &settings);
    sft(&straight).unwrap();
    let stopped = support::config(root, "stopped", &rows, &settings);
    let options = TrainOptions { resume: true, ..TrainOptions::default() };
    for step in 1..=2 {
        let error = supervised(&stopped, &options, &mut Stop).unwrap_err();
        assert!(error.to_string().contains(&format!("step {step}")), "{error}");
    }
    supervised(&stopped, &options, &mut Stop).unwrap();
    let [found, expected] = [stopped, straight].map(|c| tensors(&c.output.dir.join("final")));
    for (name, expected) in &expected {
        assert_within(&found[name], expected, 1e-6, name);
    }
}
