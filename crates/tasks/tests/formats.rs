//! The formats of files of rows: what is read, on which line an error is, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bestof_tasks::rows::{
    DataRow, LabelledRow, OnBadRow, PreferenceRow, ReadOptions, Row, Rows, RowsError,
    SupervisedRow, TextRow, first_row, read_rows, read_rows_from,
};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;

const LINES: &str = "{\"prompt\": \"a\", \"chosen\": \" b\", \"rejected\": \" c\"}\n";
const ARRAY: &str =
    "[\n {\n  \"prompt\": \"a\",\n  \"chosen\": \" b\",\n  \"rejected\": \" c\"\n }\n]\n";
const CSV: &str = "prompt,chosen,rejected\na, b, c\n";
const TSV: &str = "prompt\tchosen\trejected\r\na\t b\t c\r\n";

fn read<R: Row>(bytes: &[u8], name: &str) -> Result<Rows<R>, RowsError> {
    read_rows_from(bytes, Path::new(name), &ReadOptions::default())
}

fn message<R: Row + std::fmt::Debug>(bytes: &[u8], name: &str) -> String {
    read::<R>(bytes, name).expect_err("to be refused").to_string()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// A Parquet file with `prompt`, `chosen` and `rejected`, and with messages that have a null name.
fn parquet() -> Vec<u8> {
    let schema = "message rows { optional binary prompt (UTF8); optional binary chosen (UTF8); \
                  optional binary rejected (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for texts in [["a", "p"], [" b", "x"], [" c", "y"]] {
        let mut column = group.next_column().unwrap().unwrap();
        let texts = texts.map(ByteArray::from);
        column.typed::<ByteArrayType>().write_batch(&texts, Some(&[1, 1]), None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

/// Files that pyarrow 26.0.1 wrote, with `store_schema`, `write_statistics` and `use_dictionary` false:
/// `pa.Table.from_pylist([{"text": "a"}])` with brotli, and with zstd
/// `pa.Table.from_pylist([{"messages": [{"role": "user", "content": "q", "name": None},
/// {"role": "assistant", "content": "a", "name": "x"}]}])`.
#[test]
fn parquet_files_of_other_writers_are_read_or_named() {
    let messages = include_bytes!("fixtures/messages.parquet");
    let rows = read::<TextRow>(messages, "m.parquet").unwrap().rows;
    let found = serde_json::to_string(&rows[0].text).unwrap();
    let expected =
        r#"[{"role":"user","content":"q"},{"role":"assistant","content":"a","name":"x"}]"#;
    assert_eq!(found, expected, "in the order of the schema, without what is null");
    let found = message::<TextRow>(include_bytes!("fixtures/brotli.parquet"), "b.parquet");
    assert!(found.contains("compressed with brotli;") && found.contains("to_parquet"), "{found}");
}

#[test]
fn every_format_gives_the_same_row() {
    let packed = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    for (name, bytes) in [
        ("d.jsonl", LINES.as_bytes().to_vec()),
        ("d.json", ARRAY.as_bytes().to_vec()),
        ("d.jsonl", format!("\u{feff}{ARRAY}").into_bytes()),
        ("d.csv", CSV.as_bytes().to_vec()),
        ("d", CSV.replace(',', ";").into_bytes()),
        ("d.tsv", TSV.as_bytes().to_vec()),
        ("d.parquet", parquet()),
        ("d.jsonl.gz", gzip(LINES.as_bytes())),
        ("d.json.gz", gzip(ARRAY.as_bytes())),
        ("d.csv.gz", gzip(CSV.as_bytes())),
        ("d.parquet.gz", gzip(&parquet())),
        ("d.jsonl.zst", packed(LINES.as_bytes())),
        ("d.tsv.zst", packed(TSV.as_bytes())),
        ("d.parquet.zst", packed(&parquet())),
        // Two members, as parallel writers make them.
        ("d.jsonl.gz", [gzip(&LINES.as_bytes()[..20]), gzip(&LINES.as_bytes()[20..])].concat()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let from_file = read_rows::<PreferenceRow>(&path, &ReadOptions::default()).unwrap();
        let from_bytes = read::<PreferenceRow>(&bytes, name).unwrap();
        assert_eq!(from_file.rows, from_bytes.rows, "{name}");
        assert_eq!(from_file.rows[0], PreferenceRow::new("a", " b", " c"), "{name}");
    }
}

#[test]
fn tables_have_texts_labels_and_messages() {
    let csv = "prompt,completion,label\nq,1,True\nr,2,false\n";
    let rows = read::<LabelledRow>(csv.as_bytes(), "k.csv").unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.label).collect::<Vec<_>>(), [true, false]);
    assert_eq!(rows[0].completion, "1".into());
    let csv = "messages,id\n\"[{\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"hi\"\"}]\",7\n";
    let rows = read::<TextRow>(csv.as_bytes(), "m.csv").unwrap().rows;
    assert_eq!(rows[0].text.last_text(), "hi");
    // Nothing is in a cell that is empty.
    let csv = "instruction,input,output\nSort.,,a\n";
    let rows = read::<SupervisedRow>(csv.as_bytes(), "a.csv").unwrap().rows;
    let SupervisedRow::Completion(row) = &rows[0] else { panic!() };
    assert_eq!(row.prompt.last_text(), "Sort.");
}

#[test]
fn errors_name_the_line_under_quotation_marks_and_every_line_end() {
    let unix = "prompt,chosen,rejected\n\"a\n\nb\",x,y\np,q\n\nc,z,\n";
    for text in [unix.to_owned(), unix.replace('\n', "\r\n"), unix.replace('\n', "\r")] {
        let found = message::<PreferenceRow>(text.as_bytes(), "d.csv");
        assert!(found.contains("d.csv:5: the record has 2 fields, and the header 3"), "{found}");
        assert!(found.contains("1 of 3 rows"), "{found}");
    }
    let array = ARRAY.replace("]\n", ",\n\n {\"prompt\": \"p\",\n  \"chosen\": 3}\n]\n");
    let found = message::<PreferenceRow>(array.as_bytes(), "d.json");
    assert!(found.contains("d.json:9: field `chosen`: found the number 3"), "{found}");
    let array = "[{\"text\": \"a\"},\n {\"text\": b}]";
    let found = message::<TextRow>(array.as_bytes(), "d.json");
    assert!(found.contains("d.json:2: not valid JSON at column 10"), "{found}");
    let latin = b"prompt,completion\na,caf\xe9\n";
    assert!(message::<DataRow>(latin, "d.csv").contains("d.csv:2: byte 4 is not valid UTF-8"));
    let twice = message::<DataRow>(b"text,id,text\na,1,b\n", "d.csv");
    assert!(twice.contains("two columns are called `text`"), "{twice}");
}

#[test]
fn broken_arrays_are_named() {
    for (text, words) in [
        ("[{\"text\": \"a\"}", "the array does not end"),
        ("[{\"text\": \"a\"} {\"text\": \"b\"}]", "trailing characters"),
        ("[{\"text\": \"a\"},]", "found ']'"),
        ("[{\"text\": \"a\"}] x", "found 'x'"),
        ("[1]", "found the number 1, expected an object"),
    ] {
        let found = message::<TextRow>(text.as_bytes(), "d.json");
        assert!(found.contains(words), "{text}: {found}");
    }
    assert!(matches!(read::<TextRow>(b"[ ]", "d.json"), Err(RowsError::NoRows { .. })));
}

#[test]
fn files_of_another_kind_are_named() {
    for (bytes, words) in [
        (&b"\x89PNG\r\n\x1a\n\0\0"[..], "an image"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "`git lfs pull`"),
        (b"PK\x03\x04\0\0", "a zip archive; unpack it"),
        (b"\xff\xfe{\0", "UTF-16 text; convert it"),
        (b"BZh91AY&SY", "a bzip2 file"),
        (b"<!doctype html>", "a web page"),
        (b"PAR1\0\0\0\0PAR1", "begins as a Parquet file"),
    ] {
        let found = message::<TextRow>(bytes, "d.jsonl");
        assert!(found.starts_with("d.jsonl ") && found.contains(words), "{found}");
    }
    let found = message::<TextRow>(&gzip(b"\x89PNG\r\n\x1a\n"), "d.jsonl.gz");
    assert!(found.contains("an image"), "{found}");
    let cut = &gzip(LINES.repeat(50).as_bytes())[..40];
    assert!(message::<PreferenceRow>(cut, "d.gz").starts_with("cannot read d.gz"));
}

#[test]
fn long_elements_and_records_are_refused_without_being_held() {
    let options = ReadOptions::default().max_line_bytes(100).on_bad_row(OnBadRow::Skip);
    let array = format!("[{{\"text\": \"{}\"}},\n{{\"text\": \"b\"}}]", "x".repeat(1 << 20));
    let rows = read_rows_from::<TextRow>(array.as_bytes(), "d.json".as_ref(), &options).unwrap();
    assert_eq!((rows.rows.len(), rows.lines), (1, vec![2]));
    let csv = format!("text,id\n\"{}\n", "x".repeat(1 << 20));
    let error = read_rows_from::<TextRow>(csv.as_bytes(), "d.csv".as_ref(), &options).unwrap_err();
    assert!(error.to_string().contains("is a quotation mark missing?"), "{error}");
}

fn three_files() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    std::fs::create_dir(path.join("part")).unwrap();
    for (name, text) in [
        ("b.jsonl", "{\"text\": \"2\"}\n{\"txt\": \"bad\"}\n"),
        ("a.csv", "text,id\n1,x\n"),
        ("part/c.json", "[{\"text\": \"3\"}]"),
        ("README.md", "no rows"),
        ("dataset_info.json", "{}"),
        (".hidden.jsonl", "{}"),
    ] {
        std::fs::write(path.join(name), text).unwrap();
    }
    (folder, path)
}

#[test]
fn folders_and_patterns_are_read_in_the_order_of_names() {
    let (_kept, path) = three_files();
    let skip = ReadOptions::default().on_bad_row(OnBadRow::Skip);
    let texts = |path: &Path| -> Vec<String> {
        let rows = read_rows::<TextRow>(path, &skip).unwrap().rows;
        rows.iter().map(|row| row.text.last_text().to_owned()).collect()
    };
    assert_eq!(texts(&path), ["1", "2", "3"]);
    assert_eq!(texts(&path.join("*.jsonl")), ["2"]);
    assert_eq!(texts(&path.join("**/*.json*")), ["2", "3"].map(str::to_owned).to_vec());
    let error = read_rows::<TextRow>(&path, &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("b.jsonl:2: field `text` is missing"), "{error}");
    let none = read_rows::<TextRow>(&path.join("*.parquet"), &skip).unwrap_err().to_string();
    assert!(none.contains("without a file of rows"), "{none}");
    assert_eq!(first_row(&path, &skip).unwrap()["id"], "x");
}

#[test]
fn columns_are_renamed_and_left_out() {
    let with = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(name, column)| ((*name).into(), (*column).into()));
        ReadOptions::default().columns(pairs.collect::<Vec<(String, String)>>())
    };
    let line = b"{\"frage\": \"a\", \"prompt\": \"z\", \"gut\": \" b\", \"schlecht\": \" c\", \"label\": 1}\n{\"frage\": \"d\", \"gut\": \" e\", \"schlecht\": \" f\"}\n";
    let read = |pairs: &[(&str, &str)]| {
        read_rows_from::<PreferenceRow>(&line[..], "d.jsonl".as_ref(), &with(pairs))
    };
    let rows =
        read(&[("prompt", "frage"), ("chosen", "gut"), ("rejected", "schlecht"), ("label", "")]);
    assert_eq!(rows.unwrap().rows[0], PreferenceRow::new("a", " b", " c"));
    let error = read(&[("prompt", "question"), ("chosen", "gut"), ("rejected", "schlecht")]);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no row has the column `question`"), "{error}");
    assert!(error.contains("frage, prompt, gut, schlecht, label"), "{error}");
}

#[test]
fn what_is_no_file_is_an_error() {
    let gone = read_rows::<TextRow>(Path::new("no/such.csv"), &ReadOptions::default());
    assert!(gone.unwrap_err().to_string().starts_with("cannot open no/such.csv"));
    let folder = tempfile::tempdir().unwrap();
    let empty = read_rows::<TextRow>(folder.path(), &ReadOptions::default()).unwrap_err();
    assert!(empty.to_string().contains(".parquet"), "{empty}");
    drop(File::create(folder.path().join("e.jsonl")).unwrap());
    let none = read_rows::<TextRow>(folder.path(), &ReadOptions::default()).unwrap_err();
    assert!(matches!(none, RowsError::NoRows { .. }), "{none}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        head in prop::sample::select(vec!["[", "{", "prompt,chosen\n", "\u{1f}\u{8b}", "PAR1", "a"]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        name in prop::sample::select(vec!["d", "d.csv", "d.tsv", "d.parquet"]),
    ) {
        let _ = read::<DataRow>(&[head.as_bytes(), &bytes].concat(), name);
    }

    #[test]
    fn arrays_are_read_as_a_json_reader_reads_them(texts in prop::collection::vec("\\PC{0,12}|[\\[\\]{},\"\\\\\n]{1,6}", 1..6)) {
        let values: Vec<_> = texts.iter().map(|text| serde_json::json!({"text": format!("t{text}")})).collect();
        let pretty = serde_json::to_string_pretty(&values).unwrap();
        let rows = read::<TextRow>(pretty.as_bytes(), "d.json").unwrap().rows;
        let found: Vec<_> = rows.iter().map(|row| row.text.last_text().to_owned()).collect();
        prop_assert_eq!(found, texts.iter().map(|text| format!("t{text}")).collect::<Vec<_>>());
    }
}
