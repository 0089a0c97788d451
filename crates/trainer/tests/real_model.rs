//! Supervised and DPO steps on SmolLM2 and Gemma 3 against the same steps with `PyTorch` and
//! `transformers`, recorded under `fixtures/`.
//!
//! Compiled with the feature `real-models` only, and then failing, not passing over, when the
//! folder named by `BESTOF_REAL_MODELS` or the model in it is missing.
#![cfg(feature = "real-models")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use bestof_checkpoints::ModelFolder;
use bestof_losses::{LossName, LossParameters};
use bestof_models::{Decoder, Device, parameters};
use bestof_report::RunFolder;
use bestof_trainer::communicator::Ranks;
use bestof_trainer::config::RunConfig;
use bestof_trainer::data::{Boundary, EncodedCompletion, EncodedPair};
use bestof_trainer::displacement::{DisplacementDetector, DisplacementSettings};
use bestof_trainer::model_files::ModelFiles;
use bestof_trainer::preference::{PreferenceParts, PreferenceRun};
use bestof_trainer::progress::Silent;
use bestof_trainer::reference::ReferenceCache;
use bestof_trainer::rows::RowSet;
use bestof_trainer::run::{StepContext, TrainOptions, TrainingRun, train};
use bestof_trainer::sft::SupervisedRun;
use burn::optim::GradientsParams;
use serde_json::Value;

fn pairs(folder: &ModelFolder, recorded: &Value) -> RowSet<EncodedPair> {
    let tokenizer = folder.tokenizer().unwrap();
    let encode = |value: &Value| tokenizer.encode(value.as_str().unwrap(), false).unwrap();
    let items: Vec<EncodedPair> = recorded["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| EncodedPair {
            prompt_ids: encode(&pair[0]),
            chosen_ids: encode(&pair[1]),
            rejected_ids: encode(&pair[2]),
            chosen_boundary: Boundary::Joint,
            rejected_boundary: Boundary::Joint,
            truncated: false,
        })
        .collect();
    let names = (1..=items.len()).map(|line| format!("recorded:{line}").into()).collect();
    RowSet { items, names }
}

fn open(model: &str) -> ModelFolder {
    let root = std::env::var_os("BESTOF_REAL_MODELS")
        .expect("BESTOF_REAL_MODELS names the folder that holds the converted models");
    ModelFolder::open(&PathBuf::from(root).join(model)).unwrap()
}

/// Plain AdamW without decay or clipping; the learning rate stays.
fn config(dir: &Path) -> RunConfig {
    let text = format!(
        "[model]\npath='m'\n[data]\ntrain='t'\nshuffle=false\n[output]\ndir={:?}\n[train]\n\
         learning_rate=1e-5\nlr_scheduler_type='constant'\nmax_steps=4\nmax_grad_norm=0\nsave_steps=0\n",
        dir.join("run")
    );
    RunConfig::from_toml(&text, &[]).unwrap()
}

/// Holds the norm of every recorded parameter's gradient to the one found.
fn check_gradients(model: &Decoder, gradients: GradientsParams, recorded: &Value) {
    assert_eq!(gradients.len(), parameters::trainable(model).len());
    let gradients = parameters::named_gradients(model, gradients);
    for (name, norm) in recorded.as_object().unwrap() {
        let gradient = gradients.get(name).unwrap_or_else(|| panic!("no gradient of {name}"));
        let found: f64 =
            gradient.to_data().iter::<f32>().map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let norm = norm.as_f64().unwrap();
        assert!((found / norm - 1.0).abs() < 1e-3, "{name}: {found} against {norm}");
    }
}

fn close(found: f64, expected: f64, step: usize, what: &str) {
    println!("step {step} {what}: {found} against {expected}");
    assert!((found - expected).abs() < 2e-3 * expected.abs().max(0.5), "step {step} {what}");
}

fn completions(folder: &ModelFolder, recorded: &Value) -> RowSet<EncodedCompletion> {
    let tokenizer = folder.tokenizer().unwrap();
    let items: Vec<EncodedCompletion> = recorded["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let encode = |field: &str, special: bool| {
                let ids = tokenizer.encode(row[field].as_str().unwrap(), special).unwrap();
                assert_eq!(Value::from(ids.clone()), row[format!("{field}_ids")], "{row}");
                ids
            };
            EncodedCompletion {
                prompt_ids: encode("prompt", true),
                completion_ids: encode("completion", false),
                boundary: Boundary::Separate,
                skipped: Vec::new(),
                truncated: false,
            }
        })
        .collect();
    let names = (1..=items.len()).map(|line| format!("recorded:{line}").into()).collect();
    RowSet { items, names }
}

fn sft_steps_follow_pytorch(model: &str, recorded: &str) {
    let folder = open(model);
    let recorded: Value = serde_json::from_str(recorded).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let rows = completions(&folder, &recorded);
    let all: Vec<usize> = (0..rows.len()).collect();
    let mut run = SupervisedRun::new(
        Decoder::open(&folder, &Device::flex().autodiff()).unwrap(),
        ModelFiles::Full { config: folder.config.clone() },
        rows,
        RowSet::empty(),
        config.forward_settings(),
    );
    let first = &recorded["trace"][0];
    let loss_weight = run.loss_weight(&all);
    assert_eq!(Some(loss_weight), first["tokens"].as_f64());
    let context = StepContext { loss_weight, ..StepContext::default() };
    let gradients = run.accumulate(&all, &context).unwrap().gradients;
    check_gradients(run.model(), gradients, &first["param_grad_norms"]);

    train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
    let report = RunFolder::open(&config.output.dir).unwrap();
    let (losses, norms) = (report.curve("loss"), report.curve("grad_norm"));
    for (step, expected) in recorded["trace"].as_array().unwrap().iter().enumerate() {
        close(losses[step].1, expected["loss"].as_f64().unwrap(), step, "loss");
        close(norms[step].1, expected["grad_norm"].as_f64().unwrap(), step, "grad_norm");
    }
}

#[test]
fn four_sft_steps_on_smollm2_follow_pytorch() {
    let recorded = include_str!("fixtures/smollm2-sft-steps.json");
    sft_steps_follow_pytorch("smollm2-135m-instruct", recorded);
}

#[test]
fn four_sft_steps_on_gemma3_follow_pytorch() {
    sft_steps_follow_pytorch("gemma3-270m", include_str!("fixtures/gemma3-sft-steps.json"));
}

#[test]
fn four_dpo_steps_follow_pytorch() {
    let folder = open("smollm2-135m-instruct");
    let recorded: Value =
        serde_json::from_str(include_str!("fixtures/smollm2-dpo-steps.json")).unwrap();
    let recorded = &recorded["dpo_steps"];
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let model = Decoder::open(&folder, &Device::flex().autodiff()).unwrap();
    let parts = PreferenceParts {
        model,
        files: ModelFiles::Full { config: folder.config.clone() },
        loss: LossName::Dpo.build(&LossParameters::of(LossName::Dpo)).unwrap(),
        train: pairs(&folder, recorded),
        eval: RowSet::empty(),
        length_factor: 1.0,
        settings: config.forward_settings(),
        detector: DisplacementDetector::new(DisplacementSettings::default()),
        decode: Box::new(|_| String::new()),
    };
    let cache = ReferenceCache::new(dir.path().join("reference"), "recorded");
    let mut run = PreferenceRun::new(parts, &cache, Ranks::default(), &mut Silent).unwrap();

    let context = StepContext { loss_weight: 2.0, ..StepContext::default() };
    let gradients = run.accumulate(&[0, 1], &context).unwrap().gradients;
    check_gradients(run.model(), gradients, &recorded["trace"][0]["param_grad_norms"]);

    train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
    let report = RunFolder::open(&config.output.dir).unwrap();
    let (losses, norms) = (report.curve("loss"), report.curve("grad_norm"));
    let mean = |value: &Value| {
        let values: Vec<f64> = value.as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    for (step, expected) in recorded["trace"].as_array().unwrap().iter().enumerate() {
        close(losses[step].1, expected["loss"].as_f64().unwrap(), step, "loss");
        close(norms[step].1, expected["grad_norm"].as_f64().unwrap(), step, "grad_norm");
        let chosen = report.curve("rewards/chosen")[step].1;
        close(chosen, mean(&expected["reward_chosen"]), step, "rewards/chosen");
        let rejected = report.curve("rewards/rejected")[step].1;
        close(rejected, mean(&expected["reward_rejected"]), step, "rewards/rejected");
    }
}
