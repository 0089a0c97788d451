//! Without the feature `parquet` a Parquet file is refused by name, compressed or not.
#![cfg(not(feature = "parquet"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::io::Write;
use std::path::Path;

use bestof_tasks::rows::{ReadOptions, TextRow, read_rows, read_rows_from};

#[test]
fn a_parquet_file_is_refused_with_what_reads_it() {
    let bytes = include_bytes!("fixtures/messages.parquet");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.parquet");
    std::fs::write(&file, bytes).unwrap();
    let options = ReadOptions::default();
    let packed = Path::new("rows.parquet.gz");
    for refused in [
        read_rows::<TextRow>(&file, &options),
        read_rows_from::<TextRow>(&gzip.finish().unwrap()[..], packed, &options),
    ] {
        let message = refused.unwrap_err().to_string();
        for part in ["rows.parquet", "built without Parquet", "feature `parquet`", "to_json("] {
            assert!(message.contains(part), "{message}");
        }
    }
}
