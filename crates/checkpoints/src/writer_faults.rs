//! Weights written to a disk that fails: the older weights stay as they were.

use std::fs;
use std::path::Path;

use bestof_files::{Disk, Fault, FaultyDisk, FileLayer};

use crate::CheckpointError;
use crate::layout::SINGLE;
use crate::stored::{StoredType, TensorInfo};
use crate::weights::Weights;
use crate::writer::WeightsWriter;

fn write(
    layer: &dyn FileLayer,
    dir: &Path,
    value: f32,
    limit: Option<u64>,
) -> Result<(), CheckpointError> {
    let info =
        |name: &str| TensorInfo { name: name.into(), dtype: StoredType::F32, shape: vec![64] };
    let mut writer =
        WeightsWriter::create_on(layer, dir, SINGLE, vec![info("a"), info("b")], limit)?;
    writer.push("a", &[value; 64])?;
    writer.push("b", &[value; 64])?;
    writer.finish().map(|_| ())
}

fn value(dir: &Path) -> f32 {
    let weights = Weights::open(dir).unwrap();
    let (a, b) = (weights.read_f32("a", &[64]).unwrap(), weights.read_f32("b", &[64]).unwrap());
    assert!(a.iter().chain(&b).all(|v| *v == a[0]), "weights of two writings are mixed");
    a[0]
}

#[test]
fn a_full_disk_leaves_the_old_weights() {
    let dir = tempfile::tempdir().unwrap();
    write(&Disk, dir.path(), 1.0, None).unwrap();
    let whole = fs::metadata(dir.path().join(SINGLE)).unwrap().len() as usize;
    for bytes in 0..whole {
        let error = write(&FaultyDisk::with_room(bytes), dir.path(), 2.0, None).unwrap_err();
        assert!(matches!(error, CheckpointError::Io { action: "write", .. }), "{error}");
        assert_eq!(value(dir.path()), 1.0, "after {bytes} bytes");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside");
    }
    write(&FaultyDisk::with_room(whole), dir.path(), 2.0, None).unwrap();
    assert_eq!(value(dir.path()), 2.0);
}

#[test]
fn a_disk_that_fills_up_between_shards_leaves_no_new_shard() {
    let dir = tempfile::tempdir().unwrap();
    write(&Disk, dir.path(), 1.0, None).unwrap();
    let other = tempfile::tempdir().unwrap();
    write(&Disk, other.path(), 2.0, Some(256)).unwrap();
    let sizes =
        fs::read_dir(other.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    for bytes in (0..sizes.sum::<u64>() as usize).step_by(5) {
        write(&FaultyDisk::with_room(bytes), dir.path(), 2.0, Some(256)).unwrap_err();
        assert_eq!(value(dir.path()), 1.0, "after {bytes} bytes");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside");
    }
}

#[test]
fn every_operation_may_fail() {
    let dir = tempfile::tempdir().unwrap();
    for fault in [Fault::FullDisk, Fault::PowerCut] {
        let mut seen = Vec::new();
        for operations in 0.. {
            write(&Disk, dir.path(), 1.0, None).unwrap();
            let outcome = write(&FaultyDisk::new(fault, operations), dir.path(), 2.0, None);
            // Old before the rename, new after it.
            seen.push(value(dir.path()));
            if outcome.is_ok() {
                break;
            }
        }
        assert!(seen.is_sorted() && seen.len() > 4, "{fault:?}: {seen:?}");
        assert_eq!((seen[0], seen[seen.len() - 1]), (1.0, 2.0));
    }
}
