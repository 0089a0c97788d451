//! Documents cut into windows, from rows and from plain text.

use bestof_tasks::rows::ReadOptions;
use serde_json::json;

use super::byte_level;
use crate::data::{DataError, EncodeOptions, TextWindows, load_windows};

const WINDOWS: TextWindows = TextWindows { length: 8, stride: 4 };

#[test]
fn texts_are_cut_and_completions_are_not() {
    let model = byte_level(true, None);
    let encoder =
        model.encoder(EncodeOptions { max_length: Some(40), ..EncodeOptions::training() });
    let dir = tempfile::tempdir().unwrap();
    let text = "abcdefghijklmnopqrstu";
    let rows = [
        json!({"text": text}),
        json!({"prompt": "one two three", "completion": " four"}),
        json!({"text": "x"}),
        json!({"text": "yz"}),
    ];
    let file = dir.path().join("rows.jsonl");
    std::fs::write(&file, rows.map(|row| row.to_string()).join("\n")).unwrap();
    let loaded = load_windows(&file, &encoder, WINDOWS, &ReadOptions::default()).unwrap();
    let spelled: Vec<(String, usize)> = loaded
        .items
        .iter()
        .map(|item| (model.text(&item.sequence()), item.prompt_ids.len()))
        .collect();
    let expected = [
        ("abcdefgh", 1),
        ("efghijkl", 1),
        ("ijklmnop", 1),
        ("mnopqrst", 1),
        ("qrstu", 1),
        ("<s>one two three four</s>", 1 + model.ids("one two three").len()),
        ("yz", 1),
    ];
    assert_eq!(spelled, expected.map(|(text, start)| (text.to_owned(), start)));
    assert_eq!(loaded.lines, [1, 1, 1, 1, 1, 2, 4]);
    assert_eq!(
        (loaded.report.kept, loaded.report.dropped()),
        (3, 1),
        "one letter predicts nothing"
    );

    let book = dir.path().join("book.txt");
    std::fs::write(&book, text).unwrap();
    let whole = load_windows(&book, &encoder, WINDOWS, &ReadOptions::default()).unwrap();
    assert_eq!(whole.items, loaded.items[..5]);
}

#[test]
fn files_without_a_window_are_errors() {
    let model = byte_level(false, None);
    let encoder = model.encoder(EncodeOptions::training());
    let dir = tempfile::tempdir().unwrap();
    let load = |name: &str, contents: &[u8]| {
        let file = dir.path().join(name);
        std::fs::write(&file, contents).unwrap();
        load_windows(&file, &encoder, WINDOWS, &ReadOptions::default()).unwrap_err()
    };
    let empty = load("empty.txt", b"");
    assert!(empty.to_string().contains("empty.txt: it is an empty file"), "{empty}");
    assert!(matches!(empty, DataError::Rows(_)));
    assert!(load("latin.txt", b"caf\xe9").to_string().contains("latin.txt"));
    assert!(load("rows.jsonl", b"{\"txt\": 1}").to_string().contains("rows.jsonl"));
    let absent = dir.path().join("absent.txt");
    let error = load_windows(&absent, &encoder, WINDOWS, &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("absent.txt"), "{error}");
}
