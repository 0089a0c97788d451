//! Reading and writing of row files: what is accepted, what is refused, and in which words.

use std::path::Path;

use bestof_tasks::rows::{
    AnswerRow, ChatMessage, CompletionRow, Content, OnBadRow, PreferenceRow, ReadOptions, Row,
    RowProblem, Rows, RowsError, TextRow, read_rows, read_rows_from, write_beside, write_rows,
};
use proptest::prelude::*;

fn read<R: Row>(bytes: &[u8], options: &ReadOptions) -> Result<Rows<R>, RowsError> {
    read_rows_from(bytes, Path::new("rows.jsonl"), options)
}

fn first_problem<R: Row + std::fmt::Debug>(bytes: &[u8]) -> RowProblem {
    match read::<R>(bytes, &ReadOptions::default()) {
        Err(RowsError::Bad(bad)) => bad.listed[0].problem.clone(),
        other => panic!("expected a bad row, got {other:?}"),
    }
}

#[test]
fn both_forms_of_content_are_read_and_written_back() {
    let lines = concat!(
        r#"{"prompt":"2+2","chosen":" 4","rejected":" 5","source":{"page":3}}"#,
        "\n",
        r#"{"prompt":[{"role":"user","content":"2+2"}],"chosen":[{"role":"assistant","content":"4"}],"rejected":[{"role":"assistant","content":"5"}]}"#,
        "\n"
    );
    let rows = read::<PreferenceRow>(lines.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!(rows.lines, [1, 2]);
    assert_eq!(rows.rows[0].prompt, Content::from("2+2"));
    assert_eq!(rows.rows[0].extra["source"]["page"], 3);
    assert_eq!(rows.rows[1].prompt, Content::Messages(vec![ChatMessage::user("2+2")]));
    assert_eq!(rows.rows[1].rejected.last_text(), "5");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    assert_eq!(write_rows(&path, &rows.rows).unwrap(), 2);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), lines);
    let again = read_rows::<PreferenceRow>(&path, &ReadOptions::default()).unwrap();
    assert_eq!(again.rows, rows.rows);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_other_shapes_are_read() {
    let options = ReadOptions::default();
    let row =
        &read::<CompletionRow>(br#"{"prompt":"","completion":"x"}"#, &options).unwrap().rows[0];
    assert_eq!(row.completion, Content::from("x"));
    let row = &read::<TextRow>(br#"{"text":"x","id":1}"#, &options).unwrap().rows[0];
    assert_eq!((&row.text, &row.extra["id"]), (&"x".into(), &1.into()));
    let numbers = br#"{"prompt":"p","answer":12.50,"numbers":[1,2]}"#;
    assert_eq!(read::<AnswerRow>(numbers, &options).unwrap().rows[0].answer, "12.5");
}

#[test]
fn byte_order_mark_carriage_returns_and_blank_lines_are_passed_over() {
    let bytes =
        b"\xef\xbb\xbf{\"text\":\"a\"}\r\n\r\n   \n{\"text\":\"b\\r\\n\"}\r\n\n{\"text\":\"c\"}";
    let rows = read::<TextRow>(bytes, &ReadOptions::default()).unwrap();
    assert_eq!(rows.lines, [1, 4, 6]);
    assert_eq!(rows.rows[1].text, "b\r\n".into());
}

#[test]
fn a_missing_field_lists_the_present_ones_and_the_nearest() {
    let problem = first_problem::<PreferenceRow>(br#"{"prompt":"p","choosen":"a","rejected":"b"}"#);
    assert_eq!(
        problem.to_string(),
        "field `chosen` is missing, expected text or a list of chat messages; \
         fields present: choosen, prompt, rejected; did you mean `choosen`?"
    );
    let problem = first_problem::<PreferenceRow>(b"{}");
    assert!(problem.to_string().ends_with("fields present: none"), "{problem}");
    let RowProblem::MissingField { nearest, .. } = first_problem::<TextRow>(br#"{"label":1}"#)
    else {
        panic!("expected a missing field");
    };
    assert_eq!(nearest, None);
}

#[test]
fn every_kind_of_bad_line_is_named() {
    for (line, expected) in [
        (&br#"{"prompt":1,"chosen":"a","rejected":"b"}"#[..], "field `prompt`: found the number 1, expected text or a list of chat messages"),
        (br#"{"prompt":null,"chosen":"a","rejected":"b"}"#, "field `chosen`: found no prompt, and answers that begin differently, expected a field `prompt`, or answers that begin with the same prompt"),
        (br#"{"prompt":"p","chosen":[],"rejected":"b"}"#, "field `chosen` is empty; give it text or remove the row"),
        (br#"{"prompt":[{"role":"user","content":"x"},{"role":"user"}],"chosen":"a","rejected":"b"}"#, "field `prompt[1].content` is missing, expected text; fields present: role"),
        (br#"{"prompt":["x"],"chosen":"a","rejected":"b"}"#, r#"field `prompt[0]`: found the text "x", expected a message {"role", "content"}"#),
        (br#"{"prompt":[{"role":"user","content":[1]}],"chosen":"a","rejected":"b"}"#, r#"field `prompt[0].content[0]`: found the number 1, expected {"type": "text", "text"}"#),
        (b"1", r#"found the number 1, expected an object {"prompt", "chosen", "rejected"} on a line of its own"#),
        (br#"{"prompt":"p""#, "not valid JSON at column 13: EOF while parsing an object"),
        (br#"{"prompt":"p"} x"#, "not valid JSON at column 16: trailing characters"),
        (b"{\"prompt\":\"\xff\"}", "byte 12 is not valid UTF-8; save the file as UTF-8"),
    ] {
        assert_eq!(first_problem::<PreferenceRow>(line).to_string(), expected);
    }
}

#[test]
fn long_lines_are_refused_without_being_held() {
    let mut bytes = br#"{"text":"a"}"#.to_vec();
    bytes.push(b'\n');
    bytes.extend(std::iter::repeat_n(b'x', 1 << 20));
    bytes.extend_from_slice(b"\n{\"text\":\"b\"}\n");
    let options = ReadOptions::default().max_line_bytes(100).on_bad_row(OnBadRow::Skip);
    let rows = read::<TextRow>(&bytes, &options).unwrap();
    assert_eq!(rows.lines, [1, 3]);
    assert_eq!(rows.skipped.listed[0].line, 2);
    assert_eq!(rows.skipped.listed[0].problem, RowProblem::TooLong { limit: 100 });
    let exact = ReadOptions::default().max_line_bytes(12);
    assert_eq!(read::<TextRow>(b"{\"text\":\"a\"}\n", &exact).unwrap().rows.len(), 1);
    let one_less = ReadOptions::default().max_line_bytes(11);
    assert!(read::<TextRow>(b"{\"text\":\"a\"}\n", &one_less).is_err());
}

#[test]
fn all_bad_rows_are_counted_and_the_first_twenty_listed() {
    let mut text = String::new();
    for line in 0..50 {
        text += if line % 2 == 0 { "{\"text\":\"good\"}\n" } else { "{\"txt\":\"bad\"}\n" };
    }
    let error = read::<TextRow>(text.as_bytes(), &ReadOptions::default()).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("rows.jsonl: 25 of 50 rows cannot be used\n  rows.jsonl:2: field"));
    assert_eq!(message.matches("did you mean `txt`?").count(), 20);
    assert!(message.contains("\n  and 5 more\n"), "{message}");

    let options = ReadOptions::default().on_bad_row(OnBadRow::Skip);
    let rows = read::<TextRow>(text.as_bytes(), &options).unwrap();
    assert_eq!((rows.rows.len(), rows.skipped.count, rows.skipped.total), (25, 25, 50));
}

#[test]
fn empty_files_and_missing_files_are_errors() {
    for bytes in [&b""[..], b"\n\n", b"\xef\xbb\xbf"] {
        let error = read::<TextRow>(bytes, &ReadOptions::default()).unwrap_err();
        assert!(matches!(error, RowsError::NoRows { .. }), "{error}");
    }
    let error = read_rows::<TextRow>(Path::new("no/such/file.jsonl"), &ReadOptions::default());
    assert!(error.unwrap_err().to_string().starts_with("cannot open no/such/file.jsonl:"));
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    std::fs::write(&path, "old").unwrap();
    let error = write_beside(&path, |_| Err(std::io::Error::other("disk full"))).unwrap_err();
    assert!(error.to_string().contains("disk full"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(write_rows::<TextRow>(&folder.path().join("no/folder.jsonl"), &[]).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn devices_are_written_to_and_stay_devices() {
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    let error = write_beside(&full, |out| out.write_all(b"row")).unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.contains("No space left"), "{error}");
    assert!(!std::fs::metadata(&full).unwrap().is_file());
}

#[test]
fn deep_nesting_is_an_error_and_not_a_stack_overflow() {
    let line = format!("{}{}", "{\"text\":".repeat(100_000), "1");
    assert!(matches!(first_problem::<TextRow>(line.as_bytes()), RowProblem::NotJson { .. }));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read::<PreferenceRow>(&bytes, &ReadOptions::default());
    }

    #[test]
    fn no_json_makes_it_panic(text in r#"(\{|\}|\[|\]|"prompt"|"chosen"|"role"|:|,|1|null|\n){0,30}"#) {
        let _ = read::<PreferenceRow>(text.as_bytes(), &ReadOptions::default());
        let _ = read::<AnswerRow>(text.as_bytes(), &ReadOptions::default());
    }

    #[test]
    fn written_rows_are_read_back(texts in proptest::collection::vec("\\PC{1,20}|[\\n\\r\\t\"]{1,4}", 1..8)) {
        let rows: Vec<TextRow> =
            texts.into_iter().map(TextRow::new).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        write_rows(&path, &rows).unwrap();
        prop_assert_eq!(read_rows::<TextRow>(&path, &ReadOptions::default()).unwrap().rows, rows);
    }
}
