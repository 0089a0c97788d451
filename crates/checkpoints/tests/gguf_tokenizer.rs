//! Tokenizers rebuilt from GGUF vocabularies, small enough to merge by hand.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use bestof_checkpoints::gguf::{ConvertOptions, convert};
use bestof_checkpoints::{Message, ModelFolder, Tokenizer};
use serde_json::Value;
use support::*;
use tempfile::tempdir;

fn folder(builder: &GgufBuilder) -> (ModelFolder, Value) {
    let dir = tempdir().unwrap();
    let out = dir.path().join("out");
    convert(&builder.write(dir.path()), &out, &ConvertOptions::default(), &mut |_| {}).unwrap();
    let json = serde_json::from_slice(&std::fs::read(out.join("tokenizer.json")).unwrap()).unwrap();
    (ModelFolder::open(&out).unwrap(), json)
}

fn pieces(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
    tokenizer.pieces(&tokenizer.encode(text, true).unwrap())
}

#[test]
fn byte_level_merges_as_listed() {
    let mut builder = model("llama");
    builder.set("tokenizer.chat_template", Meta::Text("{{ eos_token }}".into()));
    let (folder, _) = folder(&builder);
    let tokenizer = folder.tokenizer().unwrap();
    assert_eq!(pieces(tokenizer, "ab ab ba"), ["ab", "Ġab", "Ġ", "b", "a"]);
    assert_eq!(pieces(tokenizer, "a<|end|>b"), ["a", "<|end|>", "b"]);
    let ids = tokenizer.encode("ab ab<|end|><tool>", true).unwrap();
    assert_eq!(ids, [6, 7, 0, 9]);
    assert_eq!(tokenizer.decode(&ids, false).unwrap(), "ab ab<|end|><tool>");
    assert_eq!(
        tokenizer.decode(&ids, true).unwrap(),
        "ab ab<tool>",
        "user-defined tokens are text"
    );
    assert_eq!(
        (tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.pad_id()),
        (Some(0), Some(0), None)
    );
    assert_eq!(tokenizer.vocab_size(), 10);
    assert!(tokenizer.is_special(0) && !tokenizer.is_special(9) && !tokenizer.is_special(6));
    assert_eq!(folder.chat_template.unwrap().render::<Message>(&[], true).unwrap(), "<|end|>");
    assert_eq!(folder.generation.eos_token_ids, [0]);
}

#[test]
fn the_pre_tokenizer_decides_what_may_merge() {
    // "12" is a token, reached by a merge unless digits are cut one by one.
    let mut builder = model("llama");
    builder
        .set(
            "tokenizer.ggml.tokens",
            texts(&["<|end|>", "1", "2", "12", "Ġ", "Ġ1", "a", "A", "aA", "ĊĊ", "Ċ", "121"]),
        )
        .set("tokenizer.ggml.token_type", Meta::I32s(vec![3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]))
        .set("tokenizer.ggml.merges", texts(&["1 2", "Ġ 1", "a A", "Ċ Ċ", "12 1"]));
    for (pre, expected) in [
        ("gpt-2", ["121", "12"].as_slice()),
        ("default", &["121", "12"]),
        ("smollm", &["1", "2", "1", "1", "2"]),
        ("qwen2", &["1", "2", "1", "1", "2"]),
        ("llama-bpe", &["<|end|>", "121", "12"]),
        ("smaug-bpe", &["121", "12"]),
        ("tekken", &["<|end|>", "1", "2", "1", "1", "2"]),
    ] {
        builder.set("tokenizer.ggml.pre", Meta::Text(pre.into()));
        let (folder, json) = folder(&builder);
        assert_eq!(pieces(folder.tokenizer().unwrap(), "12112"), expected, "{pre}");
        assert_eq!(json["model"]["ignore_merges"], matches!(pre, "llama-bpe" | "tekken"), "{pre}");
    }
    // Three digits at most; two line ends stay together; small letters part from capitals with tekken.
    builder.set("tokenizer.ggml.pre", Meta::Text("llama-bpe".into()));
    builder.set("tokenizer.ggml.add_bos_token", Meta::Bool(false));
    let (llama3, _) = folder(&builder);
    let llama3 = llama3.tokenizer().unwrap();
    assert_eq!(pieces(llama3, "1211 1"), ["121", "1", "Ġ", "1"]);
    assert_eq!(pieces(llama3, "aA\n\n"), ["aA", "ĊĊ"]);
    builder.set("tokenizer.ggml.pre", Meta::Text("tekken".into()));
    let (tekken, _) = folder(&builder);
    assert_eq!(pieces(tekken.tokenizer().unwrap(), "aA"), ["a", "A"]);
    builder.set("tokenizer.ggml.pre", Meta::Text("gpt-2".into()));
    let (gpt2, _) = folder(&builder);
    assert_eq!(pieces(gpt2.tokenizer().unwrap(), "1 1"), ["1", "Ġ1"]);
}

/// A SentencePiece vocabulary: `bab` may be made of `ba b` or of `b ab`; `ab` has the better score.
fn sentencepiece() -> GgufBuilder {
    let mut tokens: Vec<String> =
        ["<unk>", "<s>", "</s>", "\u{2581}", "a", "b", "ab", "ba", "bab", "\u{2581}ba", "  "]
            .map(str::to_owned)
            .to_vec();
    let mut scores = vec![0.0, 0.0, 0.0, -5.0, -6.0, -7.0, -1.0, -2.0, -3.0, -1.5, -1000.0];
    let mut kinds = vec![2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 4];
    for byte in 0..=255 {
        tokens.push(format!("<0x{byte:02X}>"));
        scores.push(0.0);
        kinds.push(6);
    }
    let mut builder = model("llama");
    builder.remove_tensor("token_embd.weight");
    let rows = tokens.len();
    builder.tensor("token_embd.weight", &[rows, HIDDEN], Stored::F32, &vec![0.5; rows * HIDDEN]);
    builder
        .remove("tokenizer.ggml.pre")
        .remove("tokenizer.ggml.merges")
        .set("tokenizer.ggml.model", Meta::Text("llama".into()))
        .set("tokenizer.ggml.tokens", Meta::Texts(tokens))
        .set("tokenizer.ggml.scores", Meta::F32s(scores))
        .set("tokenizer.ggml.token_type", Meta::I32s(kinds))
        .set("tokenizer.ggml.bos_token_id", Meta::U32(1))
        .set("tokenizer.ggml.eos_token_id", Meta::U32(2))
        .set("tokenizer.ggml.unknown_token_id", Meta::U32(0));
    builder
}

#[test]
fn sentencepiece_merges_by_score() {
    let (folder, json) = folder(&sentencepiece());
    let tokenizer = folder.tokenizer().unwrap();
    // The user-defined run of spaces first; then by score; of one token the longer left part first.
    let merges: Vec<String> = json["model"]["merges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| format!("{}+{}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .collect();
    assert_eq!(merges, ["▁+▁", "a+b", "▁+ba", "b+a", "ba+b", "b+ab"]);
    assert_eq!(pieces(tokenizer, "bab"), ["<s>", "▁", "bab"], "b ab, then bab");
    assert_eq!(pieces(tokenizer, "ba"), ["<s>", "▁ba"]);
    assert_eq!(pieces(tokenizer, "é"), ["<s>", "▁", "<0xC3>", "<0xA9>"]);
    let ids = tokenizer.encode("ba é", true).unwrap();
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "ba é");
    assert_eq!(tokenizer.unk_id(), Some(0));
}

#[test]
fn sentencepiece_without_a_space_in_front() {
    let mut builder = sentencepiece();
    builder
        .set("tokenizer.ggml.add_space_prefix", Meta::Bool(false))
        .set("tokenizer.ggml.add_eos_token", Meta::Bool(true));
    let (folder, json) = folder(&builder);
    let tokenizer = folder.tokenizer().unwrap();
    assert_eq!(pieces(tokenizer, "ba  a"), ["<s>", "ba", "▁▁", "a", "</s>"]);
    assert_eq!(json["model"]["vocab"]["▁▁"], 10, "llama.cpp stores it with spaces");
    let ids = tokenizer.encode(" ba  a", true).unwrap();
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), " ba  a");
    let (ids, segments) = tokenizer.encode_pair("a", "b").unwrap();
    assert_eq!(tokenizer.pieces(&ids), ["<s>", "a", "</s>", "<s>", "b", "</s>"]);
    assert_eq!(segments, [0, 0, 0, 1, 1, 1]);
    assert_eq!(tokenizer.encode("a", false).unwrap(), [4]);
}

#[test]
fn scores_are_needed_one_a_token() {
    let mut builder = sentencepiece();
    builder.set("tokenizer.ggml.scores", Meta::F32s(vec![0.0]));
    let dir = tempdir().unwrap();
    let error = convert(
        &builder.write(dir.path()),
        &dir.path().join("out"),
        &ConvertOptions::default(),
        &mut |_| {},
    )
    .unwrap_err();
    assert!(
        error.to_string().ends_with(
            "tokenizer.ggml.scores is a list of 1, expected a list of 267 numbers, one per token"
        ),
        "{error}"
    );
}

#[test]
fn a_turn_may_end_with_another_token_than_the_text() {
    let mut builder = model("llama");
    builder.set("tokenizer.ggml.eot_token_id", Meta::U32(9));
    let (folder, _) = folder(&builder);
    assert_eq!(folder.generation.eos_token_ids, [0, 9]);
    assert_eq!(folder.config["eos_token_id"], 0);
    assert!(folder.tokenizer().unwrap().is_special(9));
}

/// A byte-level vocabulary whose only merges are within the pieces to look for.
fn cuts(pre: Option<&str>, text: &str) -> Vec<String> {
    let mut builder = model("llama");
    let mut tokens: Vec<String> = vec!["<|end|>".into()];
    let letters = "abA129!$.Ġ'Ċ";
    tokens.extend(letters.chars().map(String::from));
    let merges = [
        "a b", "1 2", "12 9", "129 1", "! a", "Ġ a", "Ġ $", "$ .", ". Ċ", "Ċ Ċ", "Ġ 1", "a A",
        "! !", "b !", "Ġ Ċ",
    ];
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    builder.remove_tensor("token_embd.weight");
    let rows = tokens.len();
    builder.tensor("token_embd.weight", &[rows, HIDDEN], Stored::F32, &vec![0.5; rows * HIDDEN]);
    builder
        .set("tokenizer.ggml.tokens", Meta::Texts(tokens))
        .set("tokenizer.ggml.merges", texts(&merges))
        .set("tokenizer.ggml.add_bos_token", Meta::Bool(false))
        .remove("tokenizer.ggml.token_type")
        .remove("tokenizer.ggml.pre");
    if let Some(pre) = pre {
        builder.set("tokenizer.ggml.pre", Meta::Text(pre.into()));
    }
    let (folder, _) = folder(&builder);
    pieces(folder.tokenizer().unwrap(), text)
}

/// Expected: the regular expressions of llama.cpp's `llama-vocab.cpp` applied by hand, and the merges
/// above within each piece.
#[test]
fn cuts_of_other_pre_tokenizers() {
    let text = "ab! a\n\n1291 $.\n";
    for (pre, expected) in [
        // GPT-2 leaves the last white space before a word alone. Symbols and threes of digits apart; `.` leaves the line end, ` ` the `$`.
        (None, vec!["ab", "!", "Ġa", "Ċ", "Ċ", "129", "1", "Ġ", "$.", "Ċ"]),
        (Some("default"), vec!["ab", "!", "Ġa", "Ċ", "Ċ", "129", "1", "Ġ", "$.", "Ċ"]),
        (Some("gpt-2"), vec!["ab", "!", "Ġa", "Ċ", "Ċ", "1291", "Ġ$", ".", "Ċ"]),
        (Some("smaug-bpe"), vec!["ab", "!", "Ġa", "ĊĊ", "129", "1", "Ġ$", ".Ċ"]),
        // Each line end alone; `$` is no punctuation by Unicode, but in the range `!` to `/`.
        (Some("deepseek-llm"), vec!["ab", "!", "Ġa", "Ċ", "Ċ", "1291", "Ġ$", ".", "Ċ"]),
        (
            Some("deepseek-coder"),
            vec!["ab", "!", "Ġa", "Ċ", "Ċ", "1", "2", "9", "1", "Ġ$", ".", "Ċ"],
        ),
        (Some("deepseek-v3"), vec!["ab", "!", "Ġa", "ĊĊ", "129", "1", "Ġ$", ".Ċ"]),
        (Some("seed-coder"), vec!["ab", "!", "Ġa", "ĊĊ", "1", "2", "9", "1", "Ġ$", ".", "Ċ"]),
        (Some("gpt-4o"), vec!["ab", "!", "Ġa", "ĊĊ", "129", "1", "Ġ$", ".Ċ"]),
    ] {
        assert_eq!(cuts(pre, text), expected, "{pre:?}");
    }
    assert_eq!(cuts(Some("deepseek-v3"), "!a!!"), ["!a", "!!"]);
    assert_eq!(cuts(Some("llama-bpe"), "!a!!"), ["!a", "!!"]);
    assert_eq!(cuts(Some("gpt-2"), "!a!!"), ["!", "a", "!!"]);
    assert_eq!(cuts(Some("gpt-4o"), "aAb"), ["a", "A", "b"]);
    assert_eq!(cuts(Some("deepseek-v3"), "aAb"), ["aA", "b"]);
}

#[test]
fn what_is_guessed_or_left_out_is_said() {
    let warnings = |change: &dyn Fn(&mut GgufBuilder)| {
        let mut builder = model("llama");
        change(&mut builder);
        let dir = tempdir().unwrap();
        let out = dir.path().join("out");
        let options = ConvertOptions::default();
        let done = convert(&builder.write(dir.path()), &out, &options, &mut |_| {}).unwrap();
        let tokenizer = ModelFolder::open(&out).unwrap();
        let tokenizer = tokenizer.tokenizer().unwrap();
        (done.warnings, tokenizer.pad_id(), tokenizer.bos_id())
    };
    assert_eq!(warnings(&|_| {}), (vec![], None, Some(0)));
    let (said, ..) = warnings(&|b| _ = b.remove("tokenizer.ggml.pre"));
    assert!(said.len() == 1 && said[0].contains("tokenizer.ggml.pre is missing"), "{said:?}");
    // -1 is written as a signed number by some tools and as the largest unsigned one by others.
    for (value, shown) in [
        (Meta::U32(u32::MAX), "4294967295"),
        (Meta::Raw(5, (-1_i32).to_le_bytes().to_vec()), "-1"),
        (Meta::U32(10), "10"),
    ] {
        let (said, pad, _) = warnings(&|b| {
            b.set("tokenizer.ggml.padding_token_id", value.clone());
        });
        assert_eq!(pad, None);
        assert_eq!(
            said,
            [format!(
                "metadata tokenizer.ggml.padding_token_id is {shown}, not one of the 10 tokens; \
                 the model gets no such token"
            )]
        );
    }
    let (said, _, bos) = warnings(&|b| _ = b.set("tokenizer.ggml.bos_token_id", Meta::U32(99)));
    assert_eq!((said.len(), bos), (1, None));
}
