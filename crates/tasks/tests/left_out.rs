//! Files whose reader was left out of the build are refused by name, compressed or not.
#![cfg(not(any(feature = "parquet", feature = "zstd")))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::io::Write;
use std::path::Path;

use bestof_tasks::rows::{ReadOptions, TextRow, read_rows, read_rows_from};

#[test]
fn a_file_is_refused_with_the_feature_that_reads_it() {
    let parquet = include_bytes!("fixtures/messages.parquet");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(parquet).unwrap();
    let gzip = gzip.finish().unwrap();
    // The magic number of a frame; nothing behind it is looked at.
    let zstd = b"\x28\xb5\x2f\xfd\x04\x00";
    let options = ReadOptions::default();
    for (name, bytes, feature, otherwise) in [
        ("rows.parquet", &parquet[..], "`parquet`", "to_json("),
        ("rows.parquet.gz", &gzip, "`parquet`", "to_json("),
        ("rows.jsonl.zst", zstd, "`zstd`", "unzstd"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        for refused in [
            read_rows::<TextRow>(&file, &options),
            read_rows_from::<TextRow>(bytes, Path::new(name), &options),
        ] {
            let message = refused.unwrap_err().to_string();
            for part in [name, "built without the feature", feature, otherwise] {
                assert!(message.contains(part), "{message}");
            }
        }
    }
}
