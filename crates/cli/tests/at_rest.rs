//! Models that rest in fewer bits, from the command line: runs, resumption, GGUF files, what fits.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::model::{byte_level, completions, pairs, set, take_apart, tiny_from};
use support::run::{configured, metrics};
use support::{Done, bestof, text, words, write};
use tempfile::{TempDir, tempdir};

struct Bench {
    dir: TempDir,
    model: PathBuf,
    pairs: String,
}

impl Bench {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let model = tiny_from("llama-gqa-untied", dir.path());
        byte_level(&model);
        let pairs = write(dir.path(), "pairs.jsonl", pairs(16));
        Self { dir, model, pairs }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn gguf(&self, ggml_type: &str) -> PathBuf {
        let out = self.at(&format!("model.{ggml_type}.gguf"));
        let flags = format!("convert {} {} --type {ggml_type}", text(&self.model), text(&out));
        assert_eq!(bestof(words(&flags)).code, 0);
        out
    }

    fn args(&self, verb: &str, model: &Path, name: &str, more: &[&str]) -> Vec<String> {
        let config = format!(
            "[model]\npath = {:?}\n[data]\ntrain = {:?}\nmax_length = 64\n[output]\ndir = {:?}\n\
             [train]\nmax_steps = 6\nper_device_train_batch_size = 4\nsave_steps = 2\n\
             learning_rate = 5e-3\n",
            text(model),
            self.pairs,
            text(&self.at(name))
        );
        configured(self.dir.path(), verb, name, &config, more)
    }

    fn run(&self, verb: &str, model: &Path, name: &str, more: &[&str]) -> Done {
        bestof(self.args(verb, model, name, more))
    }

    /// The summed log-probability of six completions.
    fn score(&self, model: &Path, flags: &str) -> f64 {
        let data = write(self.dir.path(), "rows.jsonl", completions(6));
        let line = format!("score --model {} --data {data} --json {flags}", text(model));
        let rows = bestof(words(&line)).lines();
        rows.iter().map(|row| row["completion"]["logprob"].as_f64().unwrap()).sum()
    }
}

/// The last loss of a run, and how far it is from the first.
fn losses(run: &Path) -> (f64, f64) {
    let rows: Vec<f64> = metrics(run).iter().filter_map(|row| row["loss"].as_f64()).collect();
    (rows[0], rows[rows.len() - 1])
}

#[test]
fn a_gguf_file_is_scored_as_the_folder_it_converts_to() {
    let bench = Bench::new();
    for ggml_type in ["q8_0", "q4_0", "bf16"] {
        let (file, back) = (bench.gguf(ggml_type), bench.at(&format!("{ggml_type}-back")));
        let flags = format!("convert {} {} --dtype f32", text(&file), text(&back));
        assert_eq!(bestof(words(&flags)).code, 0);
        let (direct, converted) = (bench.score(&file, ""), bench.score(&back, ""));
        assert!((direct - converted).abs() < 1e-5 * converted.abs(), "{direct} {converted}");
        let loaded = match ggml_type {
            "bf16" => bench.score(&bench.model, "--dtype bf16"),
            blocks => bench.score(&bench.model, &format!("--quantize {blocks}")),
        };
        assert!((direct - loaded).abs() < 1e-5 * loaded.abs(), "{ggml_type}: {direct} {loaded}");
    }
    let whole = bench.score(&bench.model, "");
    assert_ne!(whole, bench.score(&bench.model, "--quantize q8_0"));
}

#[test]
fn adapters_are_trained_on_blocks_and_a_resumed_run_has_the_same_numbers() {
    let bench = Bench::new();
    let file = bench.gguf("q4_0");
    for (case, (model, more)) in [
        (&bench.model, vec!["lora.r=2", "model.quantize=q8_0"]),
        (&bench.model, vec!["lora.r=2", "model.dtype=bf16", "train.gradient_checkpointing=true"]),
        (&file, vec!["lora.r=2"]),
    ]
    .into_iter()
    .enumerate()
    {
        let (straight, parted) = (format!("straight-{case}"), format!("parted-{case}"));
        bench.run("prefer", model, &straight, &more).json();
        let (first, last) = losses(&bench.at(&straight));
        assert!(last < first, "{more:?}: {first} to {last}");
        bench.run("prefer", model, &parted, &more).json();
        fs::remove_dir_all(bench.at(&parted).join("checkpoints/step-000006")).unwrap();
        bench.run("prefer", model, &parted, &[&more[..], &["--resume"]].concat()).json();
        let (straight, parted) = (bench.at(&straight), bench.at(&parted));
        assert_eq!(metrics(&straight), metrics(&parted));
        let weights = |run: &Path| fs::read(run.join("final/model.safetensors")).unwrap();
        assert!(weights(&straight) == weights(&parted), "not the same weights");
    }
}

#[test]
fn what_is_left_has_the_type_asked_for() {
    let bench = Bench::new();
    let file = bench.gguf("q8_0");
    let run = |name: &str, more: &[&str]| {
        bench.run("sft", &file, name, &[&["lora.r=2"], more].concat()).json();
        bench.at(name).join("final")
    };
    let pairs = fs::read_to_string(&bench.pairs).unwrap();
    let rows: Vec<String> = pairs
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            serde_json::json!({"prompt": row["prompt"], "completion": row["chosen"]}).to_string()
        })
        .collect();
    fs::write(&bench.pairs, rows.join("\n")).unwrap();
    let dtype = |dir: &Path| {
        let (header, _) = take_apart(&dir.join("model.safetensors"));
        header["lm_head.weight"]["dtype"].as_str().unwrap().to_owned()
    };
    let half = run("half", &[]);
    assert_eq!(dtype(&half), "BF16", "blocks are written in bf16 unless another type is asked for");
    let single = run("single", &["output.dtype=float32"]);
    assert_eq!(dtype(&single), "F32");
    let blocks = run("blocks", &["output.dtype=q8_0"]);
    assert!(blocks.join("model.gguf").is_file() && !blocks.join("config.json").exists());
    // A file written from the folder of the same name is that of another run, byte for byte.
    let again = run("again", &["output.dtype=q8_0"]);
    let bytes = |dir: &Path| fs::read(dir.join("model.gguf")).unwrap();
    assert!(bytes(&blocks) == bytes(&again), "not the same file");
    let named = |name: &str| bytes(&blocks).windows(name.len()).any(|at| at == name.as_bytes());
    assert!(named("model.q8_0") && !named(".partial"));
    // The folder is a GGUF file to `convert` too.
    let converted = bench.at("converted");
    let flags = format!("convert {} {}", text(&blocks), text(&converted));
    assert_eq!(bestof(words(&flags)).code, 0);
    assert_eq!(dtype(&converted), "F32");
    let file_of_file = format!("convert {} {}", text(&blocks), text(&bench.at("twice.gguf")));
    bestof(words(&file_of_file)).refuses(1, &["model.gguf", "to a folder first"]);
    let (single, blocks) = (bench.score(&single, ""), bench.score(&blocks, ""));
    assert!((single - blocks).abs() < 0.02 * single.abs() && single != blocks);

    // The adapter apart, merged by `convert`, is what the run merged.
    let merged = bench.at("merged");
    let adapter = bench.at("single").join("adapter");
    let flags = format!(
        "convert {} {} --adapter {} --dtype f32",
        text(&file),
        text(&merged),
        text(&adapter)
    );
    assert_eq!(bestof(words(&flags)).code, 0);
    assert!((bench.score(&merged, "") - single).abs() < 1e-9 * single.abs());
    // A folder is called what it is called, dots included; what cannot be written is refused at once.
    let dotted = bench.at("tiny-0.5B");
    fs::rename(&bench.model, &dotted).unwrap();
    let out = bench.at("new/merged.gguf");
    let flags =
        format!("convert {} {} --adapter {} --type f32", text(&dotted), text(&out), text(&adapter));
    assert_eq!(bestof(words(&flags)).code, 0);
    let written = fs::read(&out).unwrap();
    assert!(written.windows(9).any(|at| at == b"tiny-0.5B"));
    let no_adapter = flags.replace(&text(&adapter), "nowhere");
    bestof(words(&no_adapter)).refuses(1, &["merged.gguf", "exists"]);
    bestof(words(&format!("{no_adapter} --dtype f32"))).refuses(2, &["--dtype"]);
    let on_blocks = bench.score(&file, &format!("--adapter {}", text(&adapter)));
    assert!((on_blocks - single).abs() < 1e-5 * single.abs(), "{on_blocks} {single}");
}

#[test]
fn settings_that_cannot_be_name_themselves() {
    let bench = Bench::new();
    let file = bench.gguf("q4_0");
    let refused = |model: &Path, more: &[&str], code: i32, parts: &[&str]| {
        bench.run("prefer", model, "refused", more).refuses(code, parts);
    };
    refused(&bench.model, &["model.quantize=q8_0"], 1, &["model.quantize", "[lora]"]);
    refused(&file, &[], 1, &["Q4_0", "[lora]"]);
    refused(&file, &["lora.r=2", "model.quantize=q8_0"], 1, &["Q4_0 already", "quantize"]);
    refused(&bench.model, &["lora.r=2", "model.quantize=q4_k"], 1, &["model.quantize", "q4_0"]);
    refused(&bench.model, &["model.dtype=int8"], 1, &["model.dtype", "bfloat16"]);
    refused(&bench.model, &["train.master_dtype=bf16"], 1, &["train.master_dtype", "float32"]);
    refused(&bench.model, &["output.dtype=q6_k"], 1, &["output.dtype", "q8_0"]);
    let out = bench.at("extended");
    let line =
        format!("extend --model {} --method linear --factor 2 --out {}", text(&file), text(&out));
    bestof(words(&line)).refuses(1, &["model.q4_0.gguf", "convert"]);
    assert!(!out.exists());
}

#[test]
fn inspect_says_whether_a_run_fits() {
    let bench = Bench::new();
    let memory = |more: &[&str]| {
        let mut args = bench.args("inspect", &bench.model, "run", more);
        args.retain(|arg| arg != "--json");
        args.push("--json".to_owned());
        let lines = bestof(args).lines();
        assert!(lines.len() == 2 && lines[1]["rows"].is_object(), "{lines:?}");
        lines[0]["memory"].clone()
    };
    let (whole, blocks) = (memory(&[]), memory(&["lora.r=2", "model.quantize=q8_0"]));
    let bytes = |memory: &Value, part: &str| memory[part].as_u64().unwrap();
    // 8,192 values of embeddings and head, twice 10,240 of layers; norms stay f32.
    let matrices = 2 * 128 * 32 + 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 64 * 32);
    let norms = 5 * 32 * 4;
    assert_eq!(bytes(&whole, "weights"), 4 * matrices + norms);
    assert_eq!(bytes(&whole, "trained"), 3 * (4 * matrices + norms));
    assert_eq!(bytes(&blocks, "weights"), matrices / 32 * 34 + norms);
    assert_eq!(whole["fits"], true);
    let sum =
        ["weights", "trained", "activations", "moment"].iter().map(|part| bytes(&whole, part));
    assert_eq!(bytes(&whole, "total"), sum.sum::<u64>());
    // Four rows of 64 tokens a batch, of one sequence each unless a section says that they are pairs; a
    // group of five completions of 16 tokens behind a prompt of 64; windows of an extension's own length.
    let tokens = |more: &[&str]| bytes(&memory(more), "tokens_per_forward");
    assert_eq!(tokens(&[]), 4 * 64);
    assert_eq!(tokens(&["loss.beta=0.2"]), 4 * 64 * 2);
    let group = ["rollout.num_generations=5", "rollout.max_new_tokens=16"];
    assert_eq!(tokens(&group), 4 * (64 + 16) * 5);
    let extend = ["extend.method=linear", "extend.factor=2", "extend.train_length=100"];
    assert_eq!(tokens(&extend), 4 * 100);
    let shorter =
        format!("inspect --json --max-length 32 --config {}", bench.at("run.toml").display());
    let shorter = bestof(words(&shorter)).lines()[0]["memory"].clone();
    assert_eq!(bytes(&shorter, "tokens_per_forward"), 4 * 32);
    let line = format!("inspect --config {}", bench.at("run.toml").display());
    let done = bestof(words(&line));
    assert!(done.stdout.contains("GiB") && done.stdout.contains("fits into"), "{}", done.stdout);
    set(&bench.model, "config.json", "num_attention_heads", 3.into());
    assert_ne!(bestof(words(&line)).code, 0);
}
