//! Tokenizers that would panic, never end or fill the memory: each is refused by name, when it is read or at the text.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use bestof_checkpoints::Tokenizer;
use serde_json::{Value, json};

/// A tokenizer of words of one character, with two special tokens.
fn words() -> Value {
    let mut vocab = serde_json::Map::new();
    for (id, token) in ["<unk>", "<s>"]
        .into_iter()
        .map(str::to_owned)
        .chain(('!'..='~').map(String::from))
        .enumerate()
    {
        vocab.insert(token, json!(id));
    }
    let special = |id: u32, content: &str| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    };
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "decoder": null,
        "added_tokens": [special(0, "<unk>"), special(1, "<s>")],
        "pre_tokenizer": split("[\\s\\S]"),
        "post_processor": around(&json!([{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]), 1),
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    })
}

fn split(pattern: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
}

fn around(single: &Value, id: u32) -> Value {
    let pair =
        json!([{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]);
    json!({
        "type": "TemplateProcessing", "single": single, "pair": pair,
        "special_tokens": {"<s>": {"id": "<s>", "ids": [id], "tokens": ["<s>"]}},
    })
}

fn replace(pattern: &str, content: &str) -> Value {
    json!({"type": "Replace", "pattern": {"String": pattern}, "content": content})
}

/// A tokenizer of pieces with scores.
fn pieces(scores: &[(&str, f64)]) -> Value {
    let mut file = words();
    file["added_tokens"] = json!([]);
    file["post_processor"] = Value::Null;
    file["model"] =
        json!({"type": "Unigram", "unk_id": 0, "vocab": scores, "byte_fallback": false});
    file
}

/// `words` with one field replaced.
fn with(field: &str, value: Value) -> Value {
    let mut file = words();
    *file.pointer_mut(field).unwrap() = value;
    file
}

/// The ids of a text, or the error, by the name of the file alone.
fn encode(file: &Value, text: &str) -> Result<Vec<u32>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    std::fs::write(&path, file.to_string()).unwrap();
    let ids = Tokenizer::from_dir(dir.path()).and_then(|tokenizer| tokenizer.encode(text, true));
    ids.map_err(|error| {
        let said = error.to_string();
        let short = said.replace(&path.display().to_string(), "tokenizer.json");
        assert!(short.starts_with("tokenizer.json: "), "{said}");
        short
    })
}

/// Refused when it is read; the error holds these words.
fn refused(file: &Value, words: &str) {
    let error = encode(file, "").expect_err(words);
    assert!(error.contains(words), "{words}: {error}");
}

/// Refused at a text.
fn refused_at(file: &Value, text: &str, words: &str) {
    encode(file, "!").unwrap();
    let error = encode(file, text).expect_err(words);
    assert!(error.contains(words), "{words}: {error}");
}

#[test]
fn the_honest_one_is_read() {
    assert_eq!(encode(&words(), "ab!").unwrap(), [1, 66, 67, 2]);
    let lower = with(
        "/normalizer",
        json!({"type": "Sequence", "normalizers": [{"type": "NFKC"}, replace(" ", "_")]}),
    );
    assert_eq!(encode(&lower, &"a ".repeat(400_000)).unwrap().len(), 800_001);
}

#[test]
fn ids_are_there_once_and_in_range() {
    refused(
        &with("/model/vocab/b", json!(u32::MAX)),
        "the id of \"b\" is 4294967295, expected at most 16777215",
    );
    refused(&with("/model/vocab/b", json!(5)), "expected an id of its own");
    let mut added = words();
    added["added_tokens"][1]["id"] = json!(40);
    refused(&added, "\"<s>\" is listed with id 40");
}

#[test]
fn tokens_around_a_text_are_few_and_known() {
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    refused(
        &with("/post_processor", around(&json!([text]), 9999)),
        "post_processor: the id of <s> is 9999",
    );
    refused(&with("/post_processor", around(&json!(vec![text.clone(); 50]), 1)), "each text once");
    let token = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
    refused(&with("/post_processor", around(&json!(vec![token; 5000]), 1)), "at most 1000 tokens");
    let roberta = json!({"type": "RobertaProcessing", "sep": ["</s>", 777], "cls": ["<s>", 1], "trim_offsets": true, "add_prefix_space": true});
    refused(&with("/post_processor", roberta), "the id of </s> is 777");
}

#[test]
fn panics_of_the_library_name_the_file() {
    let error = encode(&with("/pre_tokenizer", json!({"type": "FixedLength", "length": 0})), "ab");
    assert!(error.as_ref().is_err_and(|said| said.contains("gave up: chunk size")), "{error:?}");
    let charsmap = json!({"type": "Precompiled", "precompiled_charsmap": "ALQCAACEAAAA"});
    refused(&with("/normalizer", charsmap), "gave up: Precompiled");
    let mut suffix = words();
    suffix["model"] = json!({
        "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": "xxxxxxxx", "end_of_word_suffix": null,
        "fuse_unk": false, "byte_fallback": false, "vocab": {"<unk>": 0, "<s>": 1, "a": 2, "b": 3, "ab": 4}, "merges": [["a", "b"]],
    });
    refused(&suffix, "tokenizer.json: ");
    suffix["model"]["continuing_subword_prefix"] = Value::Null;
    assert_eq!(encode(&suffix, "a").unwrap(), [1, 2]);
    suffix["model"]["merges"] = json!([["a", "z"]]);
    refused(&suffix, "`z` out of vocabulary");
}

#[test]
fn regular_expressions_that_explode_are_refused_when_read() {
    for pattern in ["(a+)+$", "(a|a)*b", "(a*)*(a*)*(a*)*b", "(x+x+)+y", "( +)+\\n"] {
        refused(&with("/pre_tokenizer", split(pattern)), "simplify its regular expressions");
        let mut normalizer = replace("", "x");
        normalizer["pattern"] = json!({"Regex": pattern});
        refused(&with("/normalizer", normalizer), "simplify its regular expressions");
    }
    refused(&with("/pre_tokenizer", split(&"a{100000}".repeat(10))), "counts in braces");
    refused(&with("/pre_tokenizer", split("(((a{1000}){1000}){1000}){1000}")), "counts in braces");
    refused(&with("/pre_tokenizer", split(&"(".repeat(40_000))), "at most 10000 bytes");
    refused(&with("/pre_tokenizer", split(&"(".repeat(9_000))), "parse depth limit");
}

#[test]
fn texts_that_normalizers_blow_up_are_refused() {
    let bomb = |stages: Vec<Value>| {
        with("/normalizer", json!({"type": "Sequence", "normalizers": stages}))
    };
    let thousand = replace("a", &"a".repeat(1000));
    refused_at(
        &bomb(vec![replace("c", "a"), thousand.clone(), thousand.clone(), thousand]),
        "c",
        "the normalizer makes",
    );
    refused_at(
        &with("/normalizer", replace("", &"b".repeat(10_000))),
        &"a".repeat(20_000),
        "the normalizer makes",
    );
    let mut any = replace("", &"b".repeat(10_000));
    any["pattern"] = json!({"Regex": "c|d"});
    refused_at(&with("/normalizer", any), &"c".repeat(20_000), "the normalizer makes");
    let nest = (0..40).fold(
        json!({"type": "NFC"}),
        |inner, _| json!({"type": "Sequence", "normalizers": [inner]}),
    );
    assert!(encode(&with("/normalizer", nest), "a").is_ok());
}

#[test]
fn models_have_usable_numbers() {
    refused(&pieces(&[("<unk>", 0.0), ("a", 1e308), ("b", 1e308)]), "the score of \"a\"");
    refused(&pieces(&[]), "EmptyVocabulary");
    assert_eq!(encode(&pieces(&[("<unk>", 0.0), ("a", -1.0)]), "aa").unwrap(), [1, 1]);
    let mut file = words();
    file["model"] = json!({"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##", "max_input_chars_per_word": 10_000_000, "vocab": {"<unk>": 0, "<s>": 1}});
    refused(&file, "max_input_chars_per_word is 10000000");
    file["model"]["max_input_chars_per_word"] = json!(100);
    assert!(encode(&file, "a").is_ok());
    file["model"] = json!({"type": "BPE", "dropout": 0.5, "unk_token": "<unk>", "vocab": {"<unk>": 0, "<s>": 1}, "merges": []});
    refused(&file, "model.dropout is 0.5");
}
