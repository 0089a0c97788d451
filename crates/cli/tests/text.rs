//! `tokenize`, `score` and `generate` on a tiny model: the shape of what they print.

mod support;

use serde_json::{Value, json};
use support::model::{EOS, ids, json_lines, tiny};
use support::{bestof, fed, has_keys, text, words, write};
use tempfile::tempdir;

#[test]
fn tokenize_gives_ids_pieces_and_text() {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let flags = words(&format!("tokenize --model {model} --json"));
    let rows = fed(&flags, "\"a b\"\n\"\"\n").lines();
    assert_eq!(rows.len(), 2);
    has_keys(&rows[0], &["ids", "pieces", "text"]);
    let mut expected = vec![1];
    expected.extend(ids("a b"));
    assert_eq!(rows[0], json!({"ids": expected, "pieces": ["<s>", "a", " ", "b"], "text": "a b"}));
    assert_eq!(rows[1]["ids"], json!([1]));
    let bare = words(&format!("tokenize --model {model} --json --no-special-tokens"));
    assert_eq!(fed(bare, "\"a b\"").json()["ids"], json!(ids("a b")));
    let shown = fed(words(&format!("tokenize --model {model}")), "\"a\"");
    assert_eq!(shown.stdout, "1:<s> 69:a\n");
}

#[test]
fn tokenize_renders_conversations() {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let talk = r#"[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}]"#;
    let flags = format!("tokenize --model {model} --chat --json");
    let row = fed(words(&flags), talk).json();
    let turns = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYo<|im_end|>\n";
    assert_eq!(row["text"], json!(format!("{turns}<|im_start|>assistant\n")));
    assert_eq!(row["ids"][0], 99, "marks are single tokens, and nothing is put in front");
    let closed = fed(words(&format!("{flags} --no-generation-prompt")), talk).json();
    assert_eq!(closed["text"], json!(turns));
}

#[test]
fn tokenize_names_the_bad_line() {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let flags = words(&format!("tokenize --model {model} --json"));
    fed(&flags, "a b").refuses(1, &["stdin, line 1", "expected a JSON string", "found `a b`"]);
    let chat = words(&format!("tokenize --model {model} --json --chat"));
    for (message, missing) in [
        (r#"{"role":"user"}"#, "message 1 has no `content`"),
        (r#"{"role":"user","content":null}"#, "message 1 has no `content`"),
        (r#"{"content":"a"}"#, "message 1 has no `role`"),
    ] {
        fed(&chat, &format!("[{message}]")).refuses(1, &["stdin, line 1", missing]);
    }
    let unknown = r#"{"messages": [{"role": "user", "content": "a"}], "tolls": []}"#;
    fed(&chat, unknown).refuses(1, &["stdin, line 1", "unknown field `tolls`", "`tools`"]);
    fed(&chat, "\"a\"").refuses(1, &["stdin, line 1", "an array of messages"]);
    let alone = words(&format!("tokenize --model {model} --no-generation-prompt"));
    assert_eq!(fed(alone, "\"a\"").code, 2);
}

#[test]
fn score_answers_pairs_completions_and_texts_in_the_files_order() {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let rows = [
        json!({"prompt": "ab", "chosen": " cd", "rejected": " c"}),
        json!({"prompt": "ab", "completion": " cd"}),
        json!({"prompt": [{"role": "user", "content": "ab"}],
               "completion": [{"role": "assistant", "content": "cd"}]}),
        json!({"text": "abcd"}),
    ];
    let file: String = json_lines(rows);
    let data = write(dir.path(), "rows.jsonl", file);
    let score = |more: &str| {
        bestof(words(&format!("score --model {model} --data {data} --json {more}"))).lines()
    };
    let answers = score("");
    assert_eq!(answers.len(), 4);
    has_keys(&answers[0], &["row", "chosen", "rejected"]);
    has_keys(&answers[0]["chosen"], &["logprob", "tokens"]);
    has_keys(&answers[1], &["row", "completion"]);
    for (row, answer) in answers.iter().enumerate() {
        assert_eq!(answer["row"], row);
    }
    assert_eq!(answers[0]["chosen"]["tokens"], 3);
    assert_eq!(answers[0]["rejected"]["tokens"], 2);
    assert!(answers[0]["chosen"]["logprob"].as_f64().unwrap() < 0.0);
    let apart = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs();
    // The same continuation, once beside another answer and once alone.
    assert!(apart(&answers[0]["chosen"]["logprob"], &answers[1]["completion"]["logprob"]) < 1e-4);
    for (one, other) in score("--batch 1").iter().zip(&answers) {
        let side = if one["chosen"].is_null() { "completion" } else { "chosen" };
        assert!(apart(&one[side]["logprob"], &other[side]["logprob"]) < 1e-4);
    }
    let shown = bestof(words(&format!("score --model {model} --data {data}")));
    assert!(shown.stdout.starts_with("row 0  chosen -"), "{}", shown.stdout);
}

#[test]
fn greedy_text_is_the_same_each_time_and_ends_as_asked() {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let flags = format!("generate --model {model} --prompt ab --max-new-tokens 6 --json");
    let first = bestof(words(&flags)).json();
    has_keys(&first, &["prompt_ids", "ids", "text", "logprob", "finish"]);
    let mut prompt = vec![1];
    prompt.extend(ids("ab"));
    assert_eq!(first["prompt_ids"], json!(prompt));
    let new = first["ids"].as_array().unwrap();
    if first["finish"] == "length" {
        assert_eq!(new.len(), 6);
    } else {
        assert_eq!(new.last(), Some(&json!(EOS)));
    }
    assert!(first["logprob"].as_f64().unwrap() < 0.0);
    assert_eq!(bestof(words(&flags)).json(), first);

    let streamed =
        bestof(words(&format!("generate --model {model} --prompt ab --max-new-tokens 6")));
    assert_eq!(streamed.code, 0, "{}", streamed.stderr);
    assert!(streamed.stdout.ends_with('\n'));
}

#[test]
fn samples_depend_on_the_seed_alone() {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let sample = |more: &str| {
        bestof(words(&format!(
            "generate --model {model} --prompt ab --prompt 12 --max-new-tokens 8 --json \
             --temperature 1 --samples 3 {more}"
        )))
        .lines()
    };
    let first = sample("--seed 7");
    assert_eq!(first.len(), 6);
    assert_eq!(sample("--seed 7"), first);
    assert_ne!(sample("--seed 8"), first);
    assert_ne!(first[0]["ids"], first[1]["ids"], "samples of a prompt differ");
    // One token to choose from is greedy, whatever the temperature.
    let narrow = sample("--seed 7 --top-k 1 --top-p 0.9 --min-p 0.1");
    assert_eq!(narrow[0]["ids"], narrow[2]["ids"]);
}

#[test]
fn a_chat_prompt_is_rendered() {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let row = bestof(words(&format!(
        "generate --model {model} --chat --system S --prompt ab --max-new-tokens 1 --json"
    )))
    .json();
    let prompt = row["prompt_ids"].as_array().unwrap();
    assert_eq!(prompt[0], 99);
    assert_eq!(prompt.iter().filter(|id| **id == json!(99)).count(), 3);
}

#[test]
fn sampling_settings_that_cannot_be_meant_are_wrong_usage() {
    let refused = |more: &str, parts: &[&str]| {
        bestof(words(&format!("generate --model absent --prompt ab {more}"))).refuses(2, parts);
    };
    refused("--temperature -1", &["`temperature` is -1"]);
    refused("--temperature 1 --top-p 0", &["`top_p` is 0", "expected"]);
    refused("--top-p 0.9", &["--top-p", "--temperature 0", "leave it out"]);
    refused("--temperature 1 --top-k 0", &["`top_k` is 0"]);
    refused("--temperature 1 --min-p 2", &["`min_p` is 2"]);
    refused("--samples 3", &["--temperature above 0"]);
    refused("--samples 0 --temperature 1", &["--samples is 0"]);
    assert_eq!(bestof(words("generate --model absent")).code, 2);
}
