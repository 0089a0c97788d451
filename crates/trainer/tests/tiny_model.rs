//! Whole runs on a tiny LLaMA: what a run folder holds, and that it holds the same however it came about.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use bestof_checkpoints::{ModelFolder, Weights};
use bestof_closeness::largest_difference;
use bestof_kernels::host_values;
use bestof_models::{CausalLm, Decoder, Device, ForwardOptions, TokenForest};
use bestof_report::RunFolder;
use bestof_trainer::TrainError;
use bestof_trainer::config::RunConfig;
use bestof_trainer::launch::{Finished, preference, supervised};
use bestof_trainer::progress::{Progress, Silent, StepProgress};
use bestof_trainer::run::TrainOptions;
use burn::module::Module;

fn open(dir: &Path) -> Decoder {
    Decoder::open(&ModelFolder::open(dir).unwrap(), &Device::flex().autodiff()).unwrap()
}

fn logprobs(model: &Decoder) -> Vec<f32> {
    let text: Vec<u32> = (0..40).map(|i| 2 + i * 17 % 44).collect();
    let text = TokenForest::text(&text);
    host_values(model.valid().token_logps(&text, &ForwardOptions::default()).unwrap())
}

fn straight(config: &RunConfig, prefer: bool) -> Finished {
    let launch = if prefer { preference } else { supervised };
    launch(config, &TrainOptions::default(), &mut Silent).unwrap()
}

/// Steps that a watcher asks to stop at.
struct Stop(u64);

impl Progress for Stop {
    fn step(&mut self, progress: &StepProgress) {
        self.0 = progress.step;
    }

    fn wants_stop(&mut self) -> bool {
        true
    }
}

/// Stops after every single step and starts again with everything made anew.
fn interrupted(config: &RunConfig, prefer: bool) -> Finished {
    let launch = if prefer { preference } else { supervised };
    let options = TrainOptions { resume: true, ..TrainOptions::default() };
    let mut stops = 0;
    loop {
        match launch(config, &options, &mut Stop(0)) {
            Ok(finished) => {
                assert_eq!(stops, 5);
                return finished;
            }
            Err(TrainError::Stopped { .. }) => stops += 1,
            Err(other) => panic!("{other}"),
        }
    }
}

fn assert_same_numbers(a: &Path, b: &Path) {
    let (left, right) = (RunFolder::open(a).unwrap(), RunFolder::open(b).unwrap());
    assert_eq!(left.metric_names(), right.metric_names());
    for name in left.metric_names() {
        if !bestof_report::TIMING_METRICS.contains(&name) {
            assert_eq!(left.curve(name), right.curve(name), "{name}");
        }
    }
    let last = "checkpoints/step-000006";
    for entry in std::fs::read_dir(a.join(last)).unwrap() {
        let name = entry.unwrap().file_name();
        let read = |dir: &Path| std::fs::read(dir.join(last).join(&name)).unwrap();
        assert!(read(a) == read(b), "{} differs", name.display());
    }
    let read = |dir: &Path| std::fs::read(dir.join("final/model.safetensors")).unwrap();
    assert!(read(a) == read(b), "final weights differ");
}

#[test]
fn a_supervised_run_leaves_a_model_and_a_report() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    for tied in [true, false] {
        let base = support::tiny_model(&root.join("model"), tied);
        let rows = support::completions(&root.join("rows.jsonl"), 30);
        let name = format!("tied-{tied}");
        let config = support::config(root, &name, &rows, &["train.max_steps=20"]);
        let finished = straight(&config, false);
        let dir = &config.output.dir;
        for file in
            ["config.toml", "metrics.jsonl", "report.html", "train_results.json", "facts.json"]
        {
            assert!(dir.join(file).is_file(), "{file}");
        }
        let run = RunFolder::open(dir).unwrap();
        let loss = run.curve("loss");
        assert!(loss.last().unwrap().1 < loss[0].1 - 0.3, "{loss:?}");
        assert_eq!(run.curve("eval_perplexity").len(), 7);
        // The exported model, and the last checkpoint as a model folder, are the trained one.
        let (trained, checkpoint) = (open(&finished.model), dir.join("checkpoints/step-000020"));
        assert_eq!(logprobs(&trained), logprobs(&open(&checkpoint)));
        assert!(largest_difference(logprobs(&trained), logprobs(&open(&base))) > 1e-3);
        let companions = ModelFolder::open(&finished.model).unwrap();
        assert_eq!(companions.tokenizer().unwrap().encode("7+1", false).unwrap().len(), 3);
        let names = |dir: &Path| -> Vec<String> {
            Weights::open(dir).unwrap().infos().iter().map(|info| info.name.clone()).collect()
        };
        assert_eq!(names(&finished.model), names(&base));
    }
}

#[test]
fn adapters_are_exported_merged_and_apart() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let base = support::tiny_model(&root.join("model"), true);
    let rows = support::pairs(&root.join("pairs.jsonl"), 30);
    let lora = ["lora.r=4", "lora.dropout=0.2", "loss.name=dpop", "train.learning_rate=2e-2"];
    let config = support::config(root, "lora", &rows, &lora);
    let finished = straight(&config, true);
    let dir = &config.output.dir;

    let merged = logprobs(&open(&finished.model));
    for adapter in [dir.join("adapter"), dir.join("checkpoints/step-000006")] {
        let mut model = open(&base);
        let before = logprobs(&model);
        model.load_adapter(&adapter).unwrap();
        let attached = logprobs(&model);
        let (moved, apart) =
            (largest_difference(&attached, &before), largest_difference(&attached, &merged));
        assert!(moved > 100.0 * apart && moved > 1e-3, "moved {moved}, apart {apart}");
        assert!(largest_difference(&attached, &merged) < 1e-5, "{}", adapter.display());
    }
    let names: Vec<String> = Weights::open(&dir.join("adapter/adapter_model.safetensors"))
        .unwrap()
        .infos()
        .iter()
        .map(|info| info.name.clone())
        .collect();
    assert_eq!(names.len(), 2 * 2 * 7);
    assert!(names[0].starts_with("base_model.model.model.layers.0."), "{}", names[0]);

    let run = RunFolder::open(dir).unwrap();
    let first = &run.rows[0];
    for name in ["rewards/margins", "rewards/chosen", "displacement", "dpop/penalty"] {
        assert_eq!(first.get(name), Some(0.0), "{name}");
    }
    assert_eq!(first.get("reference_gap"), Some(0.0), "the reference is the same computation");
    assert!(run.last("rewards/margins").unwrap() != 0.0);
    assert!(!run.metadata.edit_distances.is_empty());
}

/// Two matrices where the base has one, layers of other ranks, and biases in the base's place for none.
#[test]
fn adapters_of_other_kinds_are_exported() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let base = support::tiny_model(&root.join("model"), true);
    let rows = support::pairs(&root.join("pairs.jsonl"), 30);
    let before = logprobs(&open(&base));
    let whole = ["lora.modules_to_save=['lm_head']", "lora.use_dora=true", "lora.dropout=0.1"];
    let ranks = ["lora.rank_pattern={ v_proj = 3, '.*' = 5 }", "lora.use_rslora=true"];
    let biased = ["lora.lora_bias=true", "lora.target_modules='.*(q|v)_proj'"];
    for (name, overrides) in [("whole", &whole[..]), ("ranks", &ranks), ("biased", &biased)] {
        let rate = ["lora.r=4", "train.learning_rate=2e-2"];
        let config = support::config(root, name, &rows, &[&rate, overrides].concat());
        let finished = straight(&config, true);
        let dir = &config.output.dir;
        let first = &RunFolder::open(dir).unwrap().rows[0];
        assert_eq!(first.get("rewards/margins"), Some(0.0), "{name}: nothing is changed at first");
        let attached = |adapter: &Path| {
            let mut model = open(&base);
            model.load_adapter(adapter).unwrap();
            let text = TokenForest::text(&[2, 5, 9, 30]);
            let options = ForwardOptions::reference();
            let reference =
                |m: &Decoder| host_values(m.valid().token_logps(&text, &options).unwrap());
            assert_eq!(reference(&model), reference(&open(&base)), "{name}");
            logprobs(&model)
        };
        let trained = attached(&dir.join("adapter"));
        assert_eq!(trained, attached(&dir.join("checkpoints/step-000006")), "{name}");
        assert!(largest_difference(&trained, &before) > 1e-2, "{name}");
        if name == "ranks" {
            let stored = Weights::open(&dir.join("adapter/adapter_model.safetensors")).unwrap();
            let rank = |layer: &str| {
                let name = format!("base_model.model.model.layers.1.{layer}.lora_A.weight");
                stored.info(&name).unwrap().shape[0]
            };
            let ranks = [rank("self_attn.v_proj"), rank("mlp.up_proj")];
            assert_eq!(ranks, [3, 5], "the first pattern holds");
        }
        if name == "biased" {
            assert_eq!(finished.model, dir.join("adapter"), "what cannot be merged is apart only");
            assert!(!dir.join("final").exists());
            continue;
        }
        let merged = ModelFolder::open(&finished.model).unwrap();
        let tied = merged.config["tie_word_embeddings"].as_bool();
        assert_eq!(tied, Some(name == "ranks"), "{name}");
        let names = Weights::open(&finished.model).unwrap();
        assert_eq!(names.contains("lm_head.weight"), name == "whole");
        assert!(largest_difference(logprobs(&open(&finished.model)), &trained) < 1e-5, "{name}");
    }
}

#[test]
fn settings_of_adapters_without_effect_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    support::tiny_model(&root.join("model"), true);
    let rows = support::pairs(&root.join("pairs.jsonl"), 4);
    for (setting, parts) in [
        ("lora.target_modules=['q_proj', 'qkv_proj']", ["`qkv_proj`", "no linear layer"]),
        ("lora.layers_to_transform=[1, 2]", ["`layers_to_transform`", "2"]),
        ("lora.rank_pattern={ k_poj = 3 }", ["`rank_pattern`", "k_poj"]),
        ("lora.modules_to_save=['score']", ["`modules_to_save`", "score"]),
    ] {
        let config = support::config(root, "run", &rows, &[setting]);
        let error = preference(&config, &TrainOptions::default(), &mut Silent).unwrap_err();
        for part in parts {
            assert!(error.to_string().contains(part), "{setting}: {error}");
        }
    }
}

#[test]
fn a_tokenizer_with_more_words_than_the_model_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let model = support::tiny_model(&root.join("model"), true);
    let rows = support::pairs(&root.join("pairs.jsonl"), 4);
    let path = model.join("tokenizer.json");
    let mut tokenizer: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    tokenizer["model"]["vocab"]["zebra"] = 999.into();
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    let config = support::config(root, "run", &rows, &[]);
    let error = preference(&config, &TrainOptions::default(), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("\"zebra\" with id 999"), "{error}");
}

#[test]
fn interrupting_after_every_step_changes_no_bit() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    support::tiny_model(&root.join("model"), false);
    let pairs = support::pairs(&root.join("pairs.jsonl"), 30);
    let completions = support::completions(&root.join("rows.jsonl"), 30);
    let labelled = support::labelled(&root.join("labelled.jsonl"), 30);
    let whole = [
        "lora.r=2",
        "lora.dropout=0.3",
        "lora.use_dora=true",
        "lora.modules_to_save=['lm_head', 'norm']",
        "train.weight_decay=0.1",
    ];
    let cases: [(&str, bool, &[&str]); 6] = [
        ("whole-modules", true, &whole),
        ("sft", false, &["train.gradient_checkpointing=true"]),
        ("dpo", true, &["train.weight_decay=0.1"]),
        ("dpop", true, &["loss.name=dpop", "lora.r=2", "lora.dropout=0.3"]),
        ("kto", true, &["loss.name=kto"]),
        ("kto-lora", true, &["loss.name=kto", "lora.r=2", "lora.dropout=0.3"]),
    ];
    for (name, prefer, overrides) in cases {
        let rows = match name {
            "sft" => &completions,
            "kto" | "kto-lora" => &labelled,
            _ => &pairs,
        };
        let one = support::config(root, &format!("{name}-straight"), rows, overrides);
        let other = support::config(root, &format!("{name}-stopped"), rows, overrides);
        straight(&one, prefer);
        interrupted(&other, prefer);
        assert_same_numbers(&one.output.dir, &other.output.dir);
    }
}

#[test]
fn labelled_rows_are_trained_on_by_kto_alone() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    support::tiny_model(&root.join("model"), true);
    let rows = support::labelled(&root.join("labelled.jsonl"), 30);
    let pairs = support::pairs(&root.join("pairs.jsonl"), 30);
    let steps = "train.max_steps=20";
    let config = support::config(root, "kto", &rows, &["loss.name=kto", "loss.beta=0.3", steps]);
    let finished = straight(&config, true);
    let run = RunFolder::open(&config.output.dir).unwrap();
    assert_eq!(run.rows[0].get("kl"), Some(0.0));
    assert!(run.last("rewards/margins").unwrap() > 0.0);
    assert!(run.last("eval_loss").unwrap().is_finite());
    assert!(finished.model.is_dir() && finished.report.is_file());

    let bad = root.join("bad.jsonl");
    let text = std::fs::read_to_string(&rows).unwrap().replacen("false", "\"no\"", 1);
    std::fs::write(&bad, text).unwrap();
    let kto = "loss.name=kto";
    for (name, rows, overrides, parts) in [
        ("pairs", &pairs, &[kto][..], &["pairs.jsonl:1", "`completion` is missing"][..]),
        ("labels", &bad, &[kto], &["bad.jsonl:2", "`label`", "the text \"no\"", "true or false"]),
        ("dpo", &rows, &[], &["labelled.jsonl:1", "`chosen` is missing"]),
        ("detector", &rows, &[kto, "displacement.fail=true"], &["`displacement`"]),
        ("lambda", &rows, &[kto, "loss.lambda=5"], &["`loss.lambda`"]),
        (
            "single",
            &rows,
            &[kto, "train.per_device_train_batch_size=1", "train.gradient_accumulation_steps=1"],
            &["`train.per_device_train_batch_size`"],
        ),
    ] {
        let config = support::config(root, name, rows, overrides);
        let error = preference(&config, &TrainOptions::default(), &mut Silent).unwrap_err();
        for part in parts {
            assert!(error.to_string().contains(part), "{name}: no {part} in {error}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    support::tiny_model(&root.join("model"), false);
    let rows = support::pairs(&root.join("pairs.jsonl"), 30);
    let run = |threads: usize| {
        let config = support::config(root, &format!("threads-{threads}"), &rows, &[]);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| straight(&config, true));
        config.output.dir
    };
    assert_same_numbers(&run(1), &run(3));
}

#[test]
fn files_are_mixed_renamed_and_resumed() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    support::tiny_model(&root.join("model"), true);
    let many = support::completions(&root.join("many.jsonl"), 30);
    // The same rows as a table of another language.
    let table: Vec<String> = (0..6).map(|n| format!("{n}+{n}=,{},x", 2 * n)).collect();
    let few = root.join("few.csv");
    std::fs::write(&few, format!("frage,antwort,label\n{}\n", table.join("\n"))).unwrap();
    let files = format!("data.train=[{many:?}, {few:?}]");
    let weighted = ["data.weights=[1, 2]", "train.max_steps=6", "data.eval_fraction=0.1"];
    let with = |name: &str, more: &[&str]| {
        support::config(root, name, &many, &[&[files.as_str()], more].concat())
    };
    let refused = |config: &RunConfig| {
        let launched = supervised(config, &TrainOptions::default(), &mut Silent);
        launched.map(|_| ()).unwrap_err().to_string()
    };
    let unnamed = refused(&with("unnamed", &[]));
    assert!(unnamed.contains("few.csv:2") && unnamed.contains("frage"), "{unnamed}");

    // Columns hold for all files, so that the table is read by its own.
    let columns = r#"data.columns={prompt = "frage", completion = "antwort", label = ""}"#;
    let table = format!("data.train=[{few:?}]");
    let config = support::config(root, "table", &few, &[columns, table.as_str()]);
    assert_eq!(config.data.columns["prompt"], "frage");
    let again = RunConfig::from_toml(&config.to_toml(), &[]).unwrap();
    assert_eq!(again, config);
    straight(&config, false);
    let wrong = r#"data.columns={prompt = "question", completion = "antwort", label = ""}"#;
    let missing = refused(&support::config(root, "wrong", &few, &[wrong, table.as_str()]));
    assert!(missing.contains("`question`") && missing.contains("frage, antwort"), "{missing}");

    let line = |n| format!("{{\"prompt\": \"{n}+{n}=\", \"completion\": \"{}\"}}\n", 2 * n);
    let lines: Vec<String> = (0..6).map(line).collect();
    let few = root.join("few.jsonl");
    std::fs::write(&few, lines.concat()).unwrap();
    let files = format!("data.train=[{many:?}, {few:?}]");
    let with = |name: &str, more: &[&str]| {
        support::config(root, name, &many, &[&[files.as_str()], more].concat())
    };
    let (whole, parts) = (with("whole", &weighted), with("parts", &weighted));
    let finished = straight(&whole, false);
    interrupted(&parts, false);
    assert_same_numbers(&whole.output.dir, &parts.output.dir);
    assert_eq!(finished.data.len(), 2);
    // 27 and 5 rows are trained on; of an epoch of 32 the second file has two thirds.
    let facts = std::fs::read_to_string(whole.output.dir.join("facts.json")).unwrap();
    assert!(facts.contains("11, 21"), "{facts}");
    let plain = straight(&with("plain", &weighted[1..]), false);
    assert_ne!(logprobs(&open(&plain.model)), logprobs(&open(&finished.model)));
}

#[test]
fn shares_that_cannot_be_are_refused() {
    let config = |more: &[&str]| {
        let text =
            "[model]\npath = 'm'\n[data]\ntrain = ['a.jsonl', 'b.csv']\n[output]\ndir = 'r'\n";
        let more: Vec<String> = more.iter().map(|text| (*text).to_owned()).collect();
        RunConfig::from_toml(text, &more).map(|_| ()).map_err(|error| error.to_string())
    };
    config(&["data.weights=[1, 0.5]"]).unwrap();
    config(&["data.columns={prompt = 'x', rationale = ''}"]).unwrap();
    for (wrong, key) in [
        ("data.weights=[1]", "data.weights"),
        ("data.weights=[1, 0]", "data.weights"),
        ("data.weights=[1, nan]", "data.weights"),
        ("data.train=[]", "data.train"),
        ("data.columns={promt = 'x'}", "data.columns"),
    ] {
        let error = config(&[wrong]).unwrap_err();
        assert!(error.contains(key), "{error}");
    }
    let still = config(&["data.weights=[1, 1]", "data.shuffle=false"]).unwrap_err();
    assert!(still.contains("data.shuffle"), "{still}");
}
