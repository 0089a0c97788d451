//! `extend`: what is written, what stock loaders make of it, what is refused, and training on it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::model::{json_lines, set, tiny, tiny_from};
use support::{bestof, has_keys, text, words, write};
use tempfile::tempdir;

fn extend(model: &Path, out: &Path, flags: &str) -> support::Done {
    let line = format!("extend --model {} --out {} {flags}", model.display(), out.display());
    bestof(words(&line))
}

fn config(dir: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join("config.json")).unwrap()).unwrap()
}

fn inv_freq(dir: &Path) -> Vec<f64> {
    let answer = bestof(words(&format!("rope --config {} --json", dir.display()))).json();
    answer["inv_freq"].as_array().unwrap().iter().map(|f| f.as_f64().unwrap()).collect()
}

#[test]
fn the_new_folder_has_the_same_weights_and_another_basis() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let out = dir.path().join("longer");
    let done = extend(&model, &out, "--method power --power 0.5 --factor 4 --json").json();
    has_keys(
        &done,
        &[
            "model",
            "rope_type",
            "written_as",
            "trained_length",
            "length",
            "frequency_hash",
            "max_relative_difference",
            "layers_without_rope",
        ],
    );
    assert_eq!((&done["rope_type"], &done["written_as"]), (&json!("power"), &json!("longrope")));
    assert_eq!((&done["trained_length"], &done["length"]), (&json!(1024), &json!(4096)));
    let written = config(&out);
    assert_eq!(written["max_position_embeddings"], 4096);
    assert_eq!(written["bestof"]["rope_frequencies"], done["frequency_hash"]);
    let plain = inv_freq(&model);
    let pairs = plain.len();
    for (j, (found, plain)) in inv_freq(&out).iter().zip(&plain).enumerate() {
        let expected = plain / 4.0 * (1.0 - j as f64 / pairs as f64).sqrt();
        assert!((found - expected).abs() < 1e-12 * expected, "{j}: {found} {expected}");
    }
    let read = |dir: &Path, file: &str| std::fs::read(dir.join(file)).unwrap();
    assert_eq!(read(&out, "model.safetensors"), read(&model, "model.safetensors"));
    assert_eq!(read(&out, "tokenizer.json"), read(&model, "tokenizer.json"));
    let tokenizer: Value = serde_json::from_slice(&read(&out, "tokenizer_config.json")).unwrap();
    assert_eq!(tokenizer["model_max_length"], 4096);

    extend(&model, &out, "--method linear --factor 2").refuses(1, &["longer", "exist"]);
    assert_eq!(config(&out), written, "an existing folder is left alone");
}

#[test]
fn a_locked_checkpoint_runs_on_its_own_frequencies_only() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let out = dir.path().join("longer");
    assert_eq!(extend(&model, &out, "--method linear --factor 4").code, 0);
    let generate = format!("generate --model {} --prompt 1 --max-new-tokens 2", out.display());
    assert_eq!(bestof(words(&generate)).code, 0);
    let scaling = config(&out)["rope_scaling"].clone();
    let key = if scaling.is_null() { "rope_parameters" } else { "rope_scaling" };
    let mut changed = config(&out)[key].clone();
    changed["factor"] = json!(8.0);
    for key in ["rope_scaling", "rope_parameters"] {
        if !config(&out)[key].is_null() {
            set(&out, "config.json", key, changed.clone());
        }
    }
    bestof(words(&generate))
        .refuses(1, &["could not load", "bestof.rope_frequencies", "`linear`", "`extend`"]);
}

#[test]
fn flags_that_make_no_basis_are_wrong_usage() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let out = dir.path().join("none");
    let refused = |flags: &str, code: i32, parts: &[&str]| {
        extend(&model, &out, flags).refuses(code, parts);
        assert!(!out.exists(), "{flags}");
    };
    refused("--method linear --factor 0.5", 2, &["`factor` 0.5", "at least 1"]);
    refused("--method linear", 2, &["`factor`", "missing"]);
    refused("--method yran --factor 2", 2, &["yran", "yarn"]);
    refused("--method linear --factor 2 --power 0.5", 2, &["`power`", "drop it"]);
    refused(
        "--method linear --factor 2 --length 9000",
        2,
        &["length 9000", "reaches from 1024", "2048", "8.7891"],
    );
    refused("--method linear --factor 2 --length 100", 2, &["length 100", "shorter", "1024"]);
    refused("--method truncated --truncate 6 --factor 8", 2, &["truncate every pair"]);
    refused("--method xpos", 2, &["`xpos`", "cannot be expressed"]);
    refused("--method randomized --factor 2", 2, &["drawn in training", "`linear`"]);
    assert_eq!(bestof(words("extend --method linear --factor 2")).code, 2);

    set(&model, "config.json", "head_dim", json!(7));
    refused("--method linear --factor 2", 1, &["head dimension 7", "even"]);
}

#[test]
fn a_scaled_model_is_scaled_again_only_as_told() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    assert_eq!(extend(&model, &first, "--method linear --factor 4").code, 0);
    extend(&first, &second, "--method linear --factor 2").refuses(2, &["already", "scale twice"]);
    let flags = "--method linear --factor 2 --on-scaled compose --json";
    assert_eq!(extend(&first, &second, flags).json()["length"], 8192);
    assert!((inv_freq(&second)[0] - 0.125).abs() < 1e-12);
    let third = dir.path().join("third");
    let flags = "--method linear --factor 2 --on-scaled replace --json";
    assert_eq!(extend(&first, &third, flags).json()["length"], 2048);
    assert!((inv_freq(&third)[0] - 0.5).abs() < 1e-12);
}

#[test]
fn the_divisors_of_gguf_give_the_written_frequencies() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let out = dir.path().join("longer");
    let flags = "--method truncated --truncate 64 --factor 2";
    assert_eq!(extend(&model, &out, flags).code, 0);
    let line = format!("rope --config {} --gguf-rope-freqs --json", out.display());
    let answer = bestof(words(&line)).json();
    has_keys(&answer, &["rope_freqs.weight", "rope.freq_base"]);
    let base = answer["rope.freq_base"].as_f64().unwrap();
    let divisors = answer["rope_freqs.weight"].as_array().unwrap();
    let pairs = divisors.len() as f64;
    for (j, (divisor, expected)) in divisors.iter().zip(inv_freq(&out)).enumerate() {
        // As llama.cpp reads them: base^(-2j/d) divided by the entry, both in f32.
        let divisor = divisor.as_f64().unwrap() as f32;
        let found = base.powf(-(j as f64) / pairs) as f32 / divisor;
        assert!((f64::from(found) - expected).abs() < 1e-6 * expected.max(1e-9), "{j}");
    }
    assert_eq!(divisors.last().unwrap().as_f64().unwrap(), 1e30, "a pair that stands still");
}

/// A GGUF file with the metadata that tells its rotary basis, and one tensor.
fn tiny_gguf(dir: &Path) -> PathBuf {
    let name = |name: &str| [&(name.len() as u64).to_le_bytes()[..], name.as_bytes()].concat();
    let mut bytes = [&b"GGUF"[..], &3_u32.to_le_bytes()].concat();
    bytes.extend([1_u64, 4].map(u64::to_le_bytes).concat());
    bytes.extend([name("general.architecture"), vec![8, 0, 0, 0], name("llama")].concat());
    for (key, kind, value) in [
        ("llama.context_length", 4_u32, 1024_u32),
        ("llama.rope.dimension_count", 4, 8),
        ("llama.rope.freq_base", 6, 500_000_f32.to_bits()),
    ] {
        bytes.extend([&name(key)[..], &kind.to_le_bytes(), &value.to_le_bytes()].concat());
    }
    // A vector of 8 numbers in f32, at the start of the data.
    bytes.extend([name("output_norm.weight"), vec![1, 0, 0, 0, 8], vec![0; 7 + 4 + 8]].concat());
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes.extend((0..8_u8).flat_map(|value| f32::from(value).to_le_bytes()));
    PathBuf::from(write(dir, "tiny.gguf", bytes))
}

#[test]
fn the_basis_is_put_into_a_gguf_file() {
    let dir = tempdir().unwrap();
    let longer = dir.path().join("longer");
    let flags = "--method power --power 0.5 --factor 4";
    assert_eq!(extend(&tiny(dir.path()), &longer, flags).code, 0);
    let (gguf, out) = (tiny_gguf(dir.path()), dir.path().join("longer.gguf"));
    let put = |config: &Path, rest: &str| {
        bestof(words(&format!("rope --config {} --gguf-rope-freqs {rest}", config.display())))
    };
    let files = |input: &Path| format!("--gguf {} --out {}", input.display(), out.display());

    put(&longer, &format!("--gguf {}", gguf.display())).refuses(2, &["--out"]);
    put(&longer, &format!("--out {}", out.display())).refuses(2, &["--gguf"]);
    let line = format!("rope --config {} {}", longer.display(), files(&gguf));
    bestof(words(&line)).refuses(2, &["--gguf-rope-freqs"]);
    let weights = longer.join("model.safetensors");
    put(&longer, &files(&weights)).refuses(1, &["model.safetensors", "not a GGUF file"]);
    put(&support::parity("gemma3"), &files(&gguf))
        .refuses(1, &["full_attention, sliding_attention", "one list for all layers"]);
    put(&support::parity("llama-bias-headdim16"), &files(&gguf))
        .refuses(1, &["tiny.gguf", "rotates 8 dimensions", "the basis 16"]);
    assert!(!out.exists());

    let done = put(&longer, &format!("{} --json", files(&gguf))).json();
    let keys = ["gguf", "rope_freqs.weight", "rope.freq_base", "context_length", "replaced"];
    has_keys(&done, &keys);
    assert_eq!((&done["context_length"], &done["replaced"]), (&json!(4096), &json!(false)));
    let bytes = std::fs::read(&out).unwrap();
    for (key, value) in [
        ("llama.context_length", 4096_u32.to_le_bytes()),
        ("llama.rope.freq_base", 10_000_f32.to_le_bytes()),
    ] {
        let at = bytes.windows(key.len()).position(|w| w == key.as_bytes()).unwrap();
        assert_eq!(bytes[at + key.len() + 4..][..4], value, "{key}");
    }
    // The vector, the four divisors, padding to 32.
    let (data, old) = (bytes.len() - 64, std::fs::read(&gguf).unwrap());
    assert_eq!(bytes[data..data + 32], old[old.len() - 32..]);
    for (j, expected) in inv_freq(&longer).into_iter().enumerate() {
        let divisor = bytes[data + 32 + 4 * j..][..4].try_into().map(f32::from_le_bytes).unwrap();
        let found = 10_000_f64.powf(-(j as f64) / 4.0) / f64::from(divisor);
        assert!((found - expected).abs() < 1e-7 * expected, "{j}: {found} {expected}");
    }
    put(&longer, &files(&gguf)).refuses(1, &["longer.gguf", "exists already"]);
    let again = dir.path().join("again.gguf");
    let rest = format!("--gguf {} --out {}", out.display(), again.display());
    let said = put(&longer, &rest).stdout;
    assert!(said.contains("replaced with 4 divisors, rope.freq_base 10000"), "{said}");
    assert_eq!(std::fs::read(&again).unwrap(), bytes);
}

/// A page of text with some structure to learn.
fn document(seed: usize, words: usize) -> String {
    let word = |i: usize| ["red", "fox", "sea", "old", "tin"][(i * (seed + 2) + i / 7) % 5];
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_run_trains_at_the_new_length_and_leaves_the_new_basis() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    set(&model, "config.json", "max_position_embeddings", json!(64));
    let rows = (0..6).map(|i| json!({"text": document(i, 60)}));
    let data = write(dir.path(), "documents.jsonl", json_lines(rows));
    for (name, section, sets) in [
        ("lora", "method = \"linear\"\nfactor = 4.0\ntrain_length = 96", "[lora]\nr = 4"),
        ("drawn", "method = \"randomized\"\nfactor = 2.0", ""),
    ] {
        let run = dir.path().join(name);
        let settings = format!(
            "[model]\npath = {:?}\n[data]\ntrain = {data:?}\neval_fraction = 0.3\n[output]\n\
             dir = {:?}\n[train]\nmax_steps = 12\nlearning_rate = 1e-2\neval_on_start = true\n\
             gradient_checkpointing = true\n[extend]\n{section}\n{sets}\n",
            text(&model),
            text(&run),
        );
        let settings = write(dir.path(), "run.toml", settings);
        let done = bestof(["extend", "--json", "--config", &settings]).json();
        let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let losses: Vec<f64> = metrics
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["eval_loss"].as_f64())
            .collect();
        assert!(losses.last().unwrap() < losses.first().unwrap(), "{name}: {losses:?}");
        let exported = run.join("final");
        assert_eq!(done["model"], json!(exported));
        let written = config(&exported);
        assert_eq!(written["max_position_embeddings"], if name == "lora" { 256 } else { 128 });
        assert!(written["bestof"]["rope_frequencies"].is_string());
        assert!((inv_freq(&exported)[0] - if name == "lora" { 0.25 } else { 0.5 }).abs() < 1e-12);
        assert!(!run.join("adapter").exists(), "an adapter alone has the old basis");
        let resolved = std::fs::read_to_string(run.join("config.toml")).unwrap();
        let (length, stride) = if name == "lora" { (96, 48) } else { (128, 64) };
        assert!(resolved.contains(&format!("train_length = {length}")), "{resolved}");
        assert!(resolved.contains(&format!("stride = {stride}")), "{resolved}");
        bestof(["extend", "--config", &settings]).refuses(1, &["already holds a run"]);
        let again = bestof(["extend", "--json", "--resume", "--config", &settings]).json();
        assert_eq!(again["results"]["global_step"], done["results"]["global_step"]);
    }
}

#[test]
fn flags_stand_above_the_configuration() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let data = write(dir.path(), "book.txt", document(1, 400));
    let settings = format!(
        "[model]\npath = \"nowhere\"\n[data]\ntrain = {data:?}\n[output]\ndir = \"nowhere\"\n\
         [train]\nmax_steps = 1\n[extend]\nmethod = \"yarn\"\nfactor = 2.0\ntrain_length = 200\n"
    );
    let settings = write(dir.path(), "run.toml", settings);
    let run = dir.path().join("run");
    let flags = format!("--method linear --factor 8 --config {settings}");
    assert_eq!(extend(&model, &run, &flags).code, 0);
    let written = config(&run.join("final"));
    assert_eq!(written["max_position_embeddings"], 8192);
    assert!((inv_freq(&run.join("final"))[0] - 0.125).abs() < 1e-12);

    let other = dir.path().join("other");
    extend(&model, &other, &format!("--length 500 --config {settings}"))
        .refuses(1, &["length 500", "shorter"]);
    let flags = format!("--config {settings} --set extend.train_length=5000");
    extend(&model, &other, &flags).refuses(1, &["extend.train_length", "5000", "extend.length"]);
    let flags = format!("--config {settings} --set extend.facto=2");
    extend(&model, &other, &flags).refuses(1, &["extend.facto", "extend.factor"]);
    bestof(["sft", "--config", &settings]).refuses(1, &["`extend`", "absent"]);
}

const COMPARE: &str = r#"
import json, sys
try:
    import torch, transformers
except ImportError:
    print("absent"); sys.exit()
ids, found = json.loads(sys.argv[1]), []
for path in sys.argv[2:]:
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    with torch.no_grad():
        rows = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), -1)
    logprob = sum(rows[i, token].item() for i, token in enumerate(ids[1:]))
    found.append({"inv_freq": model.model.rotary_emb.inv_freq.double().tolist(), "logprob": logprob})
print(json.dumps(found))
"#;

/// What transformers computes from folders; `None` where Python does not have it.
fn in_transformers(dirs: &[PathBuf], ids: &[u64]) -> Option<Vec<Value>> {
    let python = std::env::var("BESTOF_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python)
        .args(["-c", COMPARE, &json!(ids).to_string()])
        .args(dirs)
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .ok()?;
    let stdout = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    if stdout == "absent" { None } else { Some(serde_json::from_str(&stdout).unwrap()) }
}

/// Every written form, in transformers: the same inverse frequencies, and the same
/// log-probability of a text of the new length.
#[test]
fn transformers_computes_the_same_from_every_written_form() {
    let dir = tempdir().unwrap();
    let factors = |scale: f64| {
        (0..4).map(|j| (1.0 + scale * f64::from(j)).to_string()).collect::<Vec<_>>().join(",")
    };
    let longrope = format!(
        "--method longrope --factor 4 --short-factor {} --long-factor {}",
        factors(0.0),
        factors(0.7)
    );
    let model = tiny_from("llama-gqa-untied", dir.path());
    set(&model, "config.json", "max_position_embeddings", json!(64));
    let text: String = (0..240).map(|i| char::from(33 + (i * i % 89) as u8)).collect();
    let row = write(dir.path(), "row.jsonl", json_lines([json!({"text": text})]));
    let forms = [
        "--method linear --factor 4",
        "--method power --power 0.5 --factor 4",
        "--method truncated --factor 2 --truncate 64 --length 256",
        "--method power-truncated --power 0.3 --factor 2 --truncate 400 --length 256",
        "--method ntk --factor 4",
        "--method yarn --factor 4",
        "--method nope --length 256",
        "--method drope --factor 4 --logit-slope 0.3",
        &longrope,
    ];
    let made = forms.iter().enumerate().map(|(index, flags)| {
        let out = dir.path().join(format!("form-{index}"));
        let done = extend(&model, &out, &format!("{flags} --json")).json();
        assert_eq!(done["length"], 256, "{flags}");
        out
    });
    let made: Vec<PathBuf> = made.collect();
    let ids: Vec<u64> = std::iter::once(1).chain(support::model::ids(&text)).collect();
    let Some(theirs) = in_transformers(&made, &ids) else { return };
    for ((flags, out), theirs) in forms.iter().zip(&made).zip(&theirs) {
        let score = format!("score --json --model {} --data {row}", out.display());
        let ours = bestof(words(&score)).json()["completion"]["logprob"].as_f64().unwrap();
        let rope = format!("rope --config {} --length 241 --json", out.display());
        let expected = bestof(words(&rope)).json();
        let found = theirs["inv_freq"].as_array().unwrap();
        let mut largest = 0.0_f64;
        for (found, expected) in found.iter().zip(expected["inv_freq"].as_array().unwrap()) {
            let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
            // Frequencies of transformers are f32; a pair that stands still is below 1e-29.
            largest = largest.max((found - expected).abs() / expected.abs().max(1e-9));
        }
        let gap = (ours - theirs["logprob"].as_f64().unwrap()).abs() / ids.len() as f64;
        assert!(largest < 1e-6, "{flags}: inverse frequencies differ by {largest:e}");
        assert!(gap < 1e-5, "{flags}: log-probabilities differ by {gap:e} a token");
    }
}
