//! `pairs build`, `inspect` and `convert`: what they write and how they describe it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::model::{json_lines, pairs, take_apart, tiny};
use support::{Done, bestof, close, has_keys, text, words, write};
use tempfile::tempdir;

fn build(out: &Path, flags: &str) -> Done {
    bestof(words(&format!("pairs build --out {} --json {flags}", out.display())))
}

fn rows(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn arithmetic_pairs_differ_in_little_and_depend_on_the_seed_alone() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let built = build(&path("a"), "--task arithmetic --count 12 --seed 3").json();
    has_keys(
        &built,
        &[
            "out",
            "pairs",
            "rows",
            "mean_edit_distance_words",
            "mean_edit_distance_characters",
            "unusable",
        ],
    );
    assert_eq!((&built["rows"], &built["pairs"]), (&json!(12), &json!(12)));
    assert!(built["mean_edit_distance_words"].as_f64().unwrap() < 0.2);
    let made = rows(&path("a"));
    assert_eq!(made.len(), 12);
    for row in &made {
        assert_ne!(row["chosen"], row["rejected"]);
        assert!(row["prompt"].is_string(), "{row}");
        let distance = row.as_object().unwrap().iter().find(|(name, _)| name.contains("distance"));
        assert!(distance.is_some(), "each pair carries its edit distance: {row}");
    }
    build(&path("b"), "--task arithmetic --count 12 --seed 3");
    build(&path("c"), "--task arithmetic --count 12 --seed 4");
    build(&path("d"), "--task arithmetic --count 12 --seed 3 --held-out");
    let bytes = |name: &str| fs::read(path(name)).unwrap();
    assert_eq!(bytes("a"), bytes("b"));
    assert_ne!(bytes("a"), bytes("c"));
    assert_ne!(bytes("a"), bytes("d"));
}

#[test]
fn gsm8k_lines_are_corrupted_in_one_result() {
    let dir = tempdir().unwrap();
    let lines = [
        json!({"question": "Ann has 3 bags of 4 pears and eats 2. How many are left?",
               "answer": "She has 3 * 4 = <<3*4=12>>12 pears.\nThen 12 - 2 = <<12-2=10>>10 are left.\n#### 10"}),
        json!({"question": "Bo buys 5 pens at 6 each and 1 pad at 7. What does he pay?",
               "answer": "Pens cost 5 * 6 = <<5*6=30>>30.\nTogether 30 + 7 = <<30+7=37>>37.\n#### 37"}),
        json!({"question": "How many?", "answer": "No working at all."}),
    ];
    let file: String = json_lines(lines);
    let from = write(dir.path(), "train.jsonl", file);
    let out = dir.path().join("pairs.jsonl");
    let built = build(&out, &format!("--task gsm8k --from {from}")).json();
    assert_eq!((&built["rows"], &built["pairs"]), (&json!(3), &json!(2)));
    let reasons = built["unusable"].as_object().unwrap();
    assert_eq!(reasons.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 1);
    for row in rows(&out) {
        assert!(!row["chosen"].as_str().unwrap().contains("<<"), "{row}");
        assert_ne!(row["chosen"], row["rejected"]);
    }
    build(&out, &format!("--task gsm8k --from {from} --keep-annotations --chat --shots 1")).json();
    let row = &rows(&out)[0];
    assert!(row["prompt"].is_array() && row["chosen"].to_string().contains("<<"), "{row}");
    assert!(row["prompt"].to_string().contains("Bo buys"), "the other row is the worked example");
}

#[test]
fn multiple_choice_pairs_the_right_option_with_each_wrong_one() {
    let dir = tempdir().unwrap();
    let arc = [
        json!({"id": "q1", "question": {"stem": "What melts?", "choices": [
            {"text": "ice", "label": "A"}, {"text": "stone", "label": "B"}, {"text": "air", "label": "C"}]},
            "answerKey": "A"}),
        json!({"id": "q2", "question": "What flies?", "choices":
            {"text": ["a brick", "a bird"], "label": ["1", "2"]}, "answerKey": "2"}),
    ];
    let swag = json!({"ind": 7, "ctx": "She opens the door and", "label": "1",
                      "endings": ["eats it.", "walks in.", "melts."]});
    let file: String = json_lines(arc);
    let arc = write(dir.path(), "arc.jsonl", file);
    let swag = write(dir.path(), "swag.jsonl", format!("{swag}\n"));
    let out = dir.path().join("pairs.jsonl");
    let built = build(&out, &format!("--task multiple-choice --from {arc}")).json();
    assert_eq!(built["pairs"], 3);
    let made = rows(&out);
    assert!(made.iter().all(|row| {
        let chosen = row["chosen"].as_str().unwrap();
        chosen.contains("ice") || chosen.contains("a bird")
    }));
    let built = build(&out, &format!("--task multiple-choice --from {swag}")).json();
    assert_eq!(built["pairs"], 2);
    for row in rows(&out) {
        assert!(row["chosen"].as_str().unwrap().contains("walks in."), "{row}");
        assert!(row["prompt"].as_str().unwrap().contains("She opens the door and"), "{row}");
    }
}

#[test]
fn pairs_that_cannot_be_built_say_why() {
    let dir = tempdir().unwrap();
    let out = dir.path().join("pairs.jsonl");
    build(&out, "--task arithmetic --from x.jsonl").refuses(2, &["reads no file", "x.jsonl"]);
    build(&out, "--task gsm8k").refuses(2, &["name it with --from"]);
    build(&out, "--task gsm8k --from absent.jsonl").refuses(1, &["absent.jsonl"]);
    build(&out, "--task multiple-choice --from absent.jsonl").refuses(1, &["absent.jsonl"]);
    assert_eq!(build(&out, "--task gsm9k").code, 2);
    assert_eq!(build(&out, "--task arithmetic --steps four").code, 2);
    for (flags, unread) in [
        ("--task gsm8k --from x.jsonl --steps 3", "--steps"),
        ("--task metamath --from x.jsonl --size small", "--size"),
        ("--task multiple-choice --from x.jsonl --held-out", "--held-out"),
        ("--task metamath --from x.jsonl --keep-annotations", "--keep-annotations"),
        ("--task arithmetic --skip-bad-rows", "--skip-bad-rows"),
    ] {
        build(&out, flags).refuses(2, &[unread, "leave it out"]);
    }
    let bad = write(dir.path(), "bad.jsonl", "{\"question\": \"q\", \"anwser\": \"a\"}\n");
    build(&out, &format!("--task gsm8k --from {bad}")).refuses(
        1,
        &[
            &format!("{bad}:1"),
            "field `answer` is missing",
            "did you mean `anwser`",
            "--skip-bad-rows",
        ],
    );
    let key =
        json!({"question": "q", "choices": {"text": ["a"], "label": ["A"]}, "answerKey": "B"});
    let bad = write(dir.path(), "key.jsonl", key.to_string());
    build(&out, &format!("--task multiple-choice --from {bad}"))
        .refuses(1, &[&bad, "answerKey", "found \"B\"", "one of the labels A"]);
    let none = write(dir.path(), "none.jsonl", "{\"question\": \"q\", \"answer\": \"no sums\"}\n");
    build(&out, &format!("--task gsm8k --from {none}")).refuses(1, &["no pair could be built"]);
    build(&out, "--task arithmetic --count 1000000000000")
        .refuses(2, &["--count", "a whole number from 1 to 10000000"]);
    assert!(!out.exists(), "nothing is left behind");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let dir = tempdir().unwrap();
    let out = dir.path().join("full");
    std::os::unix::fs::symlink("/dev/full", &out).unwrap();
    build(&out, "--task arithmetic --count 3").refuses(1, &["cannot write", "full: No space left"]);
    // A full stdout is an error too, never a silent success.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = support::command(words("rope --method default --head-dim 8 --theta 10000"))
        .stdout(full)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("No space left"), "{message}");
}

#[test]
fn inspect_shows_tokens_masks_drops_and_duplicates() {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let long = json!({"prompt": "x".repeat(80), "chosen": "a", "rejected": "b"});
    let same = json!({"prompt": "p", "chosen": " a", "rejected": " a"});
    let empty = json!({"prompt": "p", "chosen": "", "rejected": " a"});
    let twice = pairs(1);
    let file = format!("{}{twice}{long}\n{same}\n{empty}\n{{\"prompt\": 3}}\n", pairs(4));
    let data = write(dir.path(), "pairs.jsonl", file);
    let flags = format!("inspect --model {model} --data {data} --max-length 64 --examples 1");
    let found = bestof(words(&format!("{flags} --json"))).json();
    has_keys(
        &found,
        &[
            "file",
            "rows",
            "lengths",
            "tokens",
            "duplicates",
            "edit_distances",
            "sharing",
            "examples",
            "warnings",
        ],
    );
    let counts = &found["rows"];
    assert_eq!(
        (&counts["total"], &counts["kept"], &counts["bad"]),
        (&json!(9), &json!(5), &json!(1))
    );
    assert_eq!(counts["shapes"]["pairs"], 5);
    assert_eq!(counts["drops"].as_array().unwrap().len(), 3, "{counts}");
    assert_eq!(counts["bad_rows"][0]["line"], 9);
    assert_eq!(found["examples"].as_array().unwrap().len(), 1);
    let shown = bestof(words(&flags));
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(!shown.stdout.contains('\u{1b}'), "no colours where nobody sees them");
    assert!(shown.stdout.contains("<s>|0| |p|l|u|s|"), "{}", shown.stdout);
    // The context is 4 tokens, counted with the scaling, and no row fits.
    let config = Path::new(&model).join("config.json");
    let mut fields: Value = serde_json::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    fields["max_position_embeddings"] = json!(2);
    fields["rope_scaling"] = json!({"type": "linear", "factor": 2.0});
    fs::write(&config, fields.to_string()).unwrap();
    assert_eq!(bestof(words(&format!("{flags} --json"))).json()["rows"]["kept"], 0);
    fields["rope_scaling"] = json!({"type": "liner", "factor": 2.0});
    fs::write(&config, fields.to_string()).unwrap();
    bestof(words(&flags)).refuses(1, &["config.json cannot be used", "`liner`"]);
}

#[test]
fn convert_writes_the_same_model_in_another_number_format() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let (half, back) = (dir.path().join("half"), dir.path().join("back"));
    let flags = |from: &Path, to: &Path, more: &str| {
        words(&format!("convert {} {} --json {more}", from.display(), to.display()))
    };
    let done = bestof(flags(&model, &half, "--dtype bf16")).json();
    let keys = ["dir", "model_type", "parameters", "tensors", "type", "source_types", "warnings"];
    has_keys(&done, &keys);
    assert_eq!(
        (&done["model_type"], &done["type"], &done["source_types"]["F32"]),
        (&json!("llama"), &json!("BF16"), &done["tensors"])
    );
    let (header, _) = take_apart(&half.join("model.safetensors"));
    assert_eq!(header["model.norm.weight"]["dtype"], "BF16");
    bestof(flags(&half, &back, "--dtype f32 --max-shard-mb 1")).json();
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"]
    {
        assert!(half.join(file).exists() && back.join(file).exists(), "{file}");
    }
    let data = write(dir.path(), "rows.jsonl", "{\"prompt\": \"ab\", \"completion\": \" cd\"}\n");
    let score = |dir: &Path| {
        let flags = format!("score --model {} --data {data} --json", dir.display());
        bestof(words(&flags)).json()["completion"]["logprob"].clone()
    };
    assert_eq!(score(&half), score(&back));
    let gap = score(&model).as_f64().unwrap() - score(&half).as_f64().unwrap();
    assert!(gap.abs() < 0.1, "{gap}");
    close(&score(&model), score(&model).as_f64().unwrap());

    bestof(flags(&model, &half, "")).refuses(1, &["exists already", "half"]);
    bestof(flags(&dir.path().join("absent.gguf"), &dir.path().join("new"), ""))
        .refuses(1, &["absent.gguf"]);
    let junk = write(dir.path(), "junk.gguf", "not a model");
    bestof(flags(Path::new(&junk), &dir.path().join("new"), "")).refuses(1, &["junk.gguf"]);
    assert_eq!(bestof(flags(&model, &dir.path().join("new"), "--dtype q4")).code, 2);
}

#[test]
fn rows_of_every_format_score_alike() {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let folder = dir.path().join("rows");
    fs::create_dir(&folder).unwrap();
    let row = json!({"prompt": "a", "chosen": " b", "rejected": " c"});
    write(&folder, "a.json", format!("[\n{row},\n{row}]"));
    write(&folder, "b.csv", "prompt,chosen,rejected\r\na, b, c\r\n");
    write(&folder, "c.jsonl", format!("{row}\n"));
    // One row a pass, since sums of several in one are rounded otherwise.
    let flags = ["score", "--json", "--batch", "1", "--model", &model, "--data"];
    let score = |data: &str| bestof(flags.into_iter().chain([data]));
    let alone = score(&text(&folder.join("c.jsonl"))).json();
    assert_eq!(alone["row"], 0);
    let all = score(&text(&folder)).lines();
    let places: Vec<(String, u64)> = all
        .iter()
        .map(|answer| {
            close(&answer["chosen"]["logprob"], alone["chosen"]["logprob"].as_f64().unwrap());
            let file = answer["file"].as_str().unwrap().rsplit('/').next().unwrap();
            (file.to_owned(), answer["row"].as_u64().unwrap())
        })
        .collect();
    // A row is numbered by its line, from 0: the table's first line is its header.
    let expected = [("a.json", 1), ("a.json", 2), ("b.csv", 1), ("c.jsonl", 0)];
    assert_eq!(places, expected.map(|(file, row)| (file.to_owned(), row)));
    let inspected = bestof(["inspect", "--model", &model, "--data", &text(&folder), "--json"]);
    assert_eq!(inspected.json()["rows"]["shapes"]["pairs"], 4);
    let table = text(&folder.join("b.csv"));
    write(&folder, "b.csv", "frage,chosen,rejected\na, b, c\n");
    score(&table).refuses(1, &["b.csv:2", "no prompt"]);
    write(&folder, "b.csv", b"\x89PNG\r\n\x1a\n\0");
    score(&table).refuses(1, &["b.csv", "an image"]);
    score(&text(&folder.join("*.parquet"))).refuses(1, &["*.parquet", "without a file of rows"]);
}
