//! Runs on several ranks, each a thread, against the same runs on one.

use std::path::Path;

use bestof_models::{Decoder, DecoderConfig, Device, parameters};
use bestof_report::RunFolder as Report;

use super::*;
use crate::communicator::{Ranks, threads};
use crate::config::RunConfig;
use crate::preference::tests::{new_run_on as preference, pairs_config};
use crate::progress::{Silent, StepProgress};
use crate::reinforce::tests::{new_run_on as policy, policy_config};
use crate::sft::SupervisedRun;
use crate::toy::{POISON, Toy, completions, of_config};
use crate::unpaired::tests::{labelled_config, new_run_on as unpaired};

/// What a run came to: every row of its metrics that is no time and no traffic, and the weights.
#[derive(Debug, PartialEq)]
struct Came {
    metrics: Vec<Vec<(String, f64)>>,
    weights: Vec<Vec<f32>>,
    samples: String,
}

/// How a kind of run is made from its configuration, on some ranks.
type Make<R> = fn(&RunConfig, Ranks<'_>) -> Result<R, TrainError>;

#[expect(clippy::unnecessary_wraps, reason = "other kinds of run may fail")]
fn supervised(config: &RunConfig, _: Ranks<'_>) -> Result<SupervisedRun<Toy>, TrainError> {
    let (model, files) = of_config(config);
    let settings = config.forward_settings();
    Ok(SupervisedRun::new(model, files, completions(23), completions(5), settings))
}

fn supervised_config(dir: &Path, overrides: &[&str]) -> RunConfig {
    let text = format!(
        "[model]\npath='m'\n[data]\ntrain='t'\n[output]\ndir={:?}\n[train]\n\
         per_device_train_batch_size=4\ngradient_accumulation_steps=2\nlearning_rate=0.05\n\
         num_train_epochs=2\neval_steps=3\nsave_steps=2\nmax_grad_norm=0.3\nweight_decay=0.1\n",
        dir.join("run").display()
    );
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    RunConfig::from_toml(&text, &overrides).unwrap()
}

/// Asks to stop after a step.
struct StopAfter(Option<u64>, u64);

impl Progress for StopAfter {
    fn step(&mut self, progress: &StepProgress) {
        self.1 = progress.step;
    }
    fn wants_stop(&mut self) -> bool {
        self.0 == Some(self.1)
    }
}

/// Trains on so many ranks; only the last is asked to stop, and all have to.
fn train_on<R: TrainingRun>(
    config: &RunConfig,
    make: Make<R>,
    size: usize,
    stop: Option<u64>,
) -> Vec<Result<Vec<Vec<f32>>, TrainError>> {
    threads(size, |rank| {
        let ranks = Ranks::new(&rank);
        let work = || {
            let mut run = make(config, ranks)?;
            let options =
                TrainOptions { ranks: Ranks::new(&rank), resume: true, ..TrainOptions::default() };
            let asked = stop.filter(|_| ranks.rank() + 1 == size);
            let settings = config.train_settings();
            train(&mut run, &settings, &options, &mut StopAfter(asked, 0))?;
            let trained = parameters::trainable(run.model());
            let values = |info: &parameters::ParameterInfo| {
                Ok(bestof_kernels::host_values(parameters::values(run.model(), &info.name)?))
            };
            trained.iter().map(values).collect::<Result<Vec<_>, TrainError>>()
        };
        ranks.agree(work())
    })
}

fn came(config: &RunConfig, weights: Vec<Vec<f32>>) -> Came {
    let dir = &config.output.dir;
    let untimed = |name: &str| !name.starts_with("ranks/") && name != "tokens_per_second";
    let rows = Report::open(dir).unwrap().rows;
    let metrics = rows
        .iter()
        .map(|row| {
            let kept = row.iter().filter(|(name, _)| untimed(name));
            kept.map(|(name, value)| (name.to_owned(), value)).collect()
        })
        .collect();
    let samples = std::fs::read_to_string(dir.join("samples.jsonl")).unwrap_or_default();
    Came { metrics, weights, samples }
}

/// Trains on so many ranks, which end with the same bits.
fn whole<R: TrainingRun>(config: &RunConfig, make: Make<R>, size: usize) -> Came {
    let mut weights: Vec<_> =
        train_on(config, make, size, None).into_iter().map(Result::unwrap).collect();
    assert!(weights.iter().all(|of_rank| *of_rank == weights[0]), "{size} ranks end apart");
    came(config, weights.swap_remove(0))
}

/// Within 1e-5, relative or below 0.1 absolute to that.
fn assert_same(found: &Came, expected: &Came, what: &str) {
    assert_eq!(found.metrics.len(), expected.metrics.len(), "{what}");
    for (found, expected) in found.metrics.iter().zip(&expected.metrics) {
        let names = |row: &[(String, f64)]| row.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
        assert_eq!(names(found), names(expected), "{what}");
        for ((name, a), (_, b)) in found.iter().zip(expected) {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(0.1), "{what}, {name}: {a} for {b}");
        }
    }
    for (a, b) in found.weights.iter().flatten().zip(expected.weights.iter().flatten()) {
        assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{what}, weights: {a} for {b}");
    }
    assert_eq!(found.samples.lines().count(), expected.samples.lines().count(), "{what}");
}

/// Ranks 1, 2, 3 and 5 give the same numbers, and the same when 3 stop and 2 go on; each number of ranks
/// gives its own bits again.
fn check<R: TrainingRun>(
    make: Make<R>,
    config: fn(&Path, &[&str]) -> RunConfig,
    overrides: &[&str],
) {
    let made = |size| {
        let dir = tempfile::tempdir().unwrap();
        whole(&config(dir.path(), overrides), make, size)
    };
    let one = made(1);
    for size in [2, 3, 5] {
        let found = made(size);
        assert_same(&found, &one, &format!("{overrides:?} on {size} ranks"));
        if size == 3 {
            assert_eq!(found, made(size), "{overrides:?}: three ranks give other bits");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), overrides);
    for stopped in train_on(&config, make, 3, Some(3)) {
        assert!(matches!(stopped.unwrap_err(), TrainError::Stopped { step: 3, .. }));
    }
    let resumed = whole(&config, make, 2);
    assert_same(&resumed, &one, &format!("{overrides:?}, stopped on 3 ranks, resumed on 2"));
    let metrics = std::fs::read_to_string(config.output.dir.join("metrics.jsonl")).unwrap();
    assert!(metrics.contains("ranks/bytes") && metrics.contains("ranks/waited"));
}

#[test]
fn supervised_runs_do_not_depend_on_the_number_of_ranks() {
    check(supervised, supervised_config, &[]);
    check(supervised, supervised_config, &["lora.r=4", "lora.dropout=0.5"]);
    check(
        supervised,
        supervised_config,
        &["train.per_device_train_batch_size=3", "train.gradient_accumulation_steps=1"],
    );
}

/// A decoder of three layers, whose gradients are heard of one by one.
fn decoder(config: &RunConfig, _: Ranks<'_>) -> Result<SupervisedRun<Decoder>, TrainError> {
    let shape = DecoderConfig::from_hf(&serde_json::json!({
        "model_type": "llama", "vocab_size": 16, "hidden_size": 8, "intermediate_size": 12,
        "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1,
        "max_position_embeddings": 32, "tie_word_embeddings": true, "initializer_range": 0.3,
    }))
    .unwrap();
    let mut model = Decoder::random(shape, 7, &Device::flex().autodiff())?;
    let files = match &config.lora {
        Some(lora) => {
            let adapters = lora.adapters(3);
            model.attach_lora(&adapters)?;
            ModelFiles::Adapter { config: adapters.to_peft("m"), names: model.adapter_tensors() }
        }
        None => ModelFiles::Full { config: serde_json::json!({"model_type": "llama"}) },
    };
    let settings = config.forward_settings();
    Ok(SupervisedRun::new(model, files, completions(23), completions(5), settings))
}

#[test]
fn gradients_are_sent_while_a_decoders_backward_pass_goes_on() {
    for overrides in [
        &["train.learning_rate=0.002"][..],
        &["train.learning_rate=0.002", "train.gradient_checkpointing=true"],
        &["train.learning_rate=0.002", "train.max_tokens_per_forward=12"],
        &["train.learning_rate=0.002", "lora.r=4", "lora.dropout=0.25"],
    ] {
        check(decoder, supervised_config, overrides);
        let dir = tempfile::tempdir().unwrap();
        let config = supervised_config(dir.path(), overrides);
        whole(&config, decoder, 2);
        let rows = Report::open(&config.output.dir).unwrap().rows;
        let early: Vec<f64> = rows.iter().filter_map(|row| row.get("ranks/overlapped")).collect();
        assert!(!early.is_empty() && early.iter().all(|share| *share > 0.5), "{early:?}");
    }
}

#[test]
fn preference_runs_do_not_depend_on_the_number_of_ranks() {
    check(preference, pairs_config, &["loss.name=dpop"]);
    check(preference, pairs_config, &["loss.name=dpo", "lora.r=4", "lora.dropout=0.5"]);
}

#[test]
fn unpaired_runs_do_not_depend_on_the_number_of_ranks() {
    check(unpaired, labelled_config, &[]);
    check(unpaired, labelled_config, &["lora.r=4", "lora.dropout=0.5"]);
}

#[test]
fn policy_runs_do_not_depend_on_the_number_of_ranks() {
    check(policy, policy_config, &[]);
    check(policy, policy_config, &["objective.redraw_rounds=2", "objective.kl_coefficient=0.1"]);
    check(
        policy,
        policy_config,
        &[
            "objective.updates_per_batch=2",
            "objective.mini_batch_prompts=3",
            "lora.r=4",
            "lora.dropout=0.5",
        ],
    );
}

#[test]
fn the_optimisers_state_is_shared_out_and_written_whole() {
    let states = |size: usize| {
        let dir = tempfile::tempdir().unwrap();
        let config = supervised_config(dir.path(), &[]);
        whole(&config, supervised, size);
        let mut folders: Vec<_> = std::fs::read_dir(config.output.dir.join("checkpoints"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        folders.sort();
        let file = folders.pop().unwrap().join("optimizer.safetensors");
        let weights = bestof_checkpoints::Weights::open(&file).unwrap();
        let read = |info: &bestof_checkpoints::TensorInfo| {
            (info.name.clone(), weights.read_f32(&info.name, &info.shape).unwrap())
        };
        weights.infos().iter().map(read).collect::<Vec<_>>()
    };
    let (one, three) = (states(1), states(3));
    assert!(!one.is_empty());
    assert_eq!(one.len(), three.len());
    for ((name, one), (other, three)) in one.iter().zip(&three) {
        assert_eq!((name, one.len()), (other, three.len()));
        let apart = bestof_closeness::largest_difference(three, one);
        let largest = bestof_closeness::largest_magnitude(one);
        assert!(apart <= 1e-5 * largest, "{name}: {apart} of {largest}");
    }
}

#[test]
fn a_bad_row_is_named_on_all_ranks_with_the_rank_that_has_it() {
    let poisoned: Make<SupervisedRun<Toy>> = |config, _| {
        let (model, files) = of_config(config);
        let mut rows = completions(23);
        rows.items[14].completion_ids = vec![POISON];
        let settings = config.forward_settings();
        Ok(SupervisedRun::new(model, files, rows, completions(5), settings))
    };
    let dir = tempfile::tempdir().unwrap();
    let config = supervised_config(dir.path(), &[]);
    let said: Vec<String> = train_on(&config, poisoned, 3, None)
        .into_iter()
        .map(|outcome| outcome.unwrap_err().to_string())
        .collect();
    assert!(said[0].starts_with("rank ") && said[0].contains("toy.jsonl:15"), "{}", said[0]);
    assert!(said[0].contains("the loss of step "), "{}", said[0]);
    assert!(said.iter().all(|text| *text == said[0]), "{said:?}");
    // The state before the step is there, whole, and goes on to the same error.
    let again = train_on(&config, poisoned, 2, None);
    assert!(again[0].as_ref().unwrap_err().to_string().contains("toy.jsonl:15"));
}

#[test]
fn ranks_that_were_given_other_things_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = supervised_config(dir.path(), &[]);
    let said = threads(3, |rank| {
        let ranks = Ranks::new(&rank);
        let mut run = supervised(&config, ranks).unwrap();
        if ranks.rank() == 2 {
            run = SupervisedRun::new(
                of_config(&config).0,
                of_config(&config).1,
                completions(22),
                completions(5),
                config.forward_settings(),
            );
        }
        let options = TrainOptions { ranks: Ranks::new(&rank), ..TrainOptions::default() };
        train(&mut run, &config.train_settings(), &options, &mut Silent).unwrap_err().to_string()
    });
    assert!(
        said.iter().all(|text| text.contains("rank 2") && text.contains("other rows")),
        "{said:?}"
    );
}
