//! Files of rows: what is kept, dropped, refused, and what the messages say.

use std::path::Path;

use bestof_tasks::rows::{OnBadRow, ReadOptions};

use super::super::{
    DataError, DropReason, EncodeOptions, EncodedCompletion, EncodedPair, EncodedRow, Loaded,
    Truncation, load_pairs, load_pairs_from, load_rows_from, load_supervised_from,
};
use super::{CHAT, byte_level};

const GOOD: &str = r#"{"prompt": "2 + 2 =", "chosen": " 4", "rejected": " 5"}"#;

fn read(bytes: &[u8], options: &ReadOptions) -> Result<Loaded<EncodedPair>, DataError> {
    let model = byte_level(true, Some(CHAT));
    let encoder = model.encoder(EncodeOptions::training());
    load_pairs_from(bytes, Path::new("pairs.jsonl"), &encoder, options)
}

fn skipping() -> ReadOptions {
    ReadOptions::default().on_bad_row(OnBadRow::Skip)
}

#[test]
fn marks_line_ends_and_blank_lines_do_not_count() {
    let file = format!("\u{feff}{GOOD}\r\n\r\n   \n{GOOD}\r\n{GOOD}");
    let loaded = read(file.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!(loaded.lines, [1, 4, 5]);
    assert_eq!(loaded.items[0], loaded.items[2]);
    assert_eq!((loaded.report.rows, loaded.report.kept), (3, 3));
    assert_eq!(loaded.report.to_string(), "3 of 3 rows kept");
}

#[test]
fn bad_rows_are_all_named() {
    let mut file =
        format!("{GOOD}\n{{\"prompt\": \"a\", \"choosen\": \"b\", \"rejected\": \"c\"}}\n");
    file.push_str("{\"prompt\": 3, \"chosen\": \"b\", \"rejected\": \"c\"}\nnot json\n");
    for _ in 0..30 {
        file.push_str("[]\n");
    }
    let message = read(file.as_bytes(), &ReadOptions::default()).unwrap_err().to_string();
    for part in [
        "pairs.jsonl: 33 of 34 rows",
        "pairs.jsonl:2: field `chosen` is missing",
        "fields present: choosen, prompt, rejected; did you mean `choosen`?",
        "pairs.jsonl:3: field `prompt`: found the number 3, expected text or a list",
        "pairs.jsonl:4: not valid JSON",
        "and 13 more",
    ] {
        assert!(message.contains(part), "no `{part}` in\n{message}");
    }
    let loaded = read(file.as_bytes(), &skipping()).unwrap();
    assert_eq!((loaded.items.len(), loaded.report.bad.count), (1, 33));
    assert!(loaded.report.to_string().contains("and 13 more"));
}

#[test]
fn a_template_that_cannot_render_a_row_makes_it_a_bad_row() {
    let bad = r#"{"prompt": [{"role": "user", "content": "q"}], "chosen": [], "rejected": "a"}"#;
    let message = read(bad.as_bytes(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("field `chosen` is empty"), "{message}");

    let model = byte_level(
        true,
        Some("{% if messages | length > 1 %}{{ raise_exception('no') }}{% endif %}x"),
    );
    let row = r#"{"prompt": [{"role": "user", "content": "q"}], "chosen": "a", "rejected": "b"}"#;
    let encoder = model.encoder(EncodeOptions::training());
    let error = load_pairs_from(row.as_bytes(), Path::new("f"), &encoder, &ReadOptions::default());
    assert!(error.unwrap_err().to_string().contains("f:1: field `chosen`: found messages"));

    let plain = byte_level(true, None);
    let encoder = plain.encoder(EncodeOptions::training());
    let error = load_pairs_from(row.as_bytes(), Path::new("f"), &encoder, &skipping());
    assert!(matches!(error, Err(DataError::NoChatTemplate { line: 1, .. })));
}

#[test]
fn broken_files_say_how_they_are_broken() {
    for (bytes, part) in [
        (b"".as_slice(), "holds no rows"),
        (b"\n \n", "holds no rows"),
        (b"\xff\xfe{\0", "UTF-16"),
        (b"{\"prompt\": \"\xc3\"}", "not valid UTF-8"),
    ] {
        let message = read(bytes, &ReadOptions::default()).unwrap_err().to_string();
        assert!(message.contains(part) && message.contains("pairs.jsonl"), "{message}");
    }
    let short = ReadOptions::default().max_line_bytes(20);
    let message = read(GOOD.as_bytes(), &short).unwrap_err().to_string();
    assert!(message.contains("more than 20 bytes"), "{message}");
    let nowhere = tempfile::tempdir().unwrap();
    let model = byte_level(true, None);
    let encoder = model.encoder(EncodeOptions::training());
    for (path, part) in [
        (nowhere.path().join("none.jsonl"), "cannot open"),
        (nowhere.path().to_owned(), "without a file of rows"),
    ] {
        let message = load_pairs(&path, &encoder, &ReadOptions::default()).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn dropped_rows_are_counted_by_reason() {
    let file = [
        GOOD,
        r#"{"prompt": "a", "chosen": "b", "rejected": "b"}"#,
        r#"{"prompt": "a", "chosen": "", "rejected": "b"}"#,
        r#"{"prompt": "a", "chosen": "b", "rejected": "b"}"#,
        r#"{"prompt": "2 + 2 = ", "chosen": "4", "rejected": "5"}"#,
    ]
    .join("\n");
    let loaded = read(file.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!(loaded.lines, [1, 5]);
    let identical = &loaded.report.drops[&DropReason::Identical];
    assert_eq!((identical.count, identical.first_lines.as_slice()), (2, [2, 4].as_slice()));
    assert_eq!((loaded.report.dropped(), loaded.report.boundary_rows), (3, 1));
    let text = loaded.report.to_string();
    assert!(text.contains("2 of 5 rows kept"), "{text}");
    assert!(
        text.contains("2 dropped: chosen and rejected are the same tokens (line 2, 4)"),
        "{text}"
    );

    let nothing = r#"{"prompt": "a", "chosen": "b", "rejected": "b"}"#;
    let error = read(nothing.as_bytes(), &ReadOptions::default()).unwrap_err();
    assert!(matches!(error, DataError::NothingLeft { .. }));
    assert!(error.to_string().contains("1 dropped: chosen and rejected"), "{error}");
}

#[test]
fn cut_rows_are_counted() {
    let model = byte_level(true, None);
    let encoder = model.encoder(EncodeOptions {
        max_length: Some(8),
        truncation: Truncation::KeepEnd,
        ..EncodeOptions::training()
    });
    let loaded =
        load_pairs_from(GOOD.as_bytes(), Path::new("f"), &encoder, &ReadOptions::default())
            .unwrap();
    assert_eq!(loaded.report.truncated_rows, 1);
    assert_eq!(loaded.items[0].chosen_sequence().len(), 7);
    assert_eq!(loaded.items[0].rejected_sequence().len(), 8);
    assert!(loaded.report.to_string().contains("1 cut to the maximum length"));
}

#[test]
fn supervised_rows_of_every_form() {
    let model = byte_level(true, Some(CHAT));
    let encoder = model.encoder(EncodeOptions::training());
    let file = [
        r#"{"prompt": "a", "completion": "b"}"#,
        r#"{"text": "ab"}"#,
        r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#,
        r#"{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}"#,
    ]
    .join("\n");
    let options = ReadOptions::default();
    let loaded = load_supervised_from(file.as_bytes(), Path::new("f"), &encoder, &options).unwrap();
    let texts: Vec<String> = loaded.items.iter().map(|item| model.text(&item.sequence())).collect();
    let chat = "<|user|>a<|end|>\n<|assistant|>b<|end|>\n";
    assert_eq!(texts, ["<s>ab</s>", "<s>ab</s>", chat, chat]);
    let starts: Vec<usize> = loaded.items.iter().map(EncodedCompletion::completion_start).collect();
    assert_eq!(starts, [2, 1, 1, model.ids("<|user|>a<|end|>\n<|assistant|>").len()]);
}

#[test]
fn reading_stops_at_the_limit() {
    let file = format!("{GOOD}\n").repeat(5);
    let options = ReadOptions::default().limit(Some(2));
    assert_eq!(read(file.as_bytes(), &options).unwrap().items.len(), 2);
    let none = ReadOptions::default().limit(Some(0));
    assert!(read(file.as_bytes(), &none).unwrap().items.is_empty());
}

#[test]
fn rows_to_score_may_be_mixed_and_equal() {
    let model = byte_level(true, None);
    let encoder = model.encoder(EncodeOptions::scoring());
    let file = [
        r#"{"prompt": "a", "chosen": "b", "rejected": "b"}"#,
        r#"{"prompt": "a", "completion": "b"}"#,
        r#"{"text": "ab"}"#,
    ];
    let joined = file.join("\n");
    let name = Path::new("f");
    let options = ReadOptions::default();
    let loaded = load_rows_from(joined.as_bytes(), name, &encoder, &options).unwrap();
    let lengths: Vec<usize> = loaded
        .items
        .iter()
        .map(|row| match row {
            EncodedRow::Pair(pair) => pair.chosen_ids.len() + pair.rejected_ids.len(),
            EncodedRow::Completion(item) => item.completion_ids.len(),
        })
        .collect();
    assert_eq!(lengths, [2, 1, 2]);
    let answer = r#"{"prompt": "a", "answer": "b"}"#;
    let error = load_rows_from(answer.as_bytes(), name, &encoder, &options).unwrap_err();
    assert!(error.to_string().contains("expected a completion to score"), "{error}");
}
