//! Weights written to a disk that fails: the older weights stay as they were.

use std::cell::Cell;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use crate::CheckpointError;
use crate::storage::{Disk, Storage, SyncWrite};
use crate::stored::StoredType;
use crate::weights::{SINGLE, TensorInfo, Weights};
use crate::writer::WeightsWriter;

/// A disk with room for some bytes and patience for some operations.
struct Failing {
    bytes: Rc<Cell<usize>>,
    operations: Cell<usize>,
}

struct FailingFile {
    inner: Box<dyn SyncWrite>,
    bytes: Rc<Cell<usize>>,
}

impl Failing {
    fn new(bytes: usize, operations: usize) -> Self {
        Self { bytes: Rc::new(Cell::new(bytes)), operations: Cell::new(operations) }
    }

    fn operation(&self) -> io::Result<()> {
        let left = self.operations.get().checked_sub(1).ok_or_else(full)?;
        self.operations.set(left);
        Ok(())
    }
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl Storage for Failing {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SyncWrite>> {
        self.operation()?;
        Ok(Box::new(FailingFile { inner: Disk.create(path)?, bytes: Rc::clone(&self.bytes) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation()?;
        Disk.rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.operation()?;
        Disk.sync_dir(dir)
    }
}

impl Write for FailingFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let room = self.bytes.get().min(data.len());
        if room == 0 && !data.is_empty() {
            return Err(full());
        }
        self.bytes.set(self.bytes.get() - room);
        self.inner.write(&data[..room])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl SyncWrite for FailingFile {
    fn sync(&mut self) -> io::Result<()> {
        self.inner.sync()
    }
}

fn write(
    storage: &dyn Storage,
    dir: &Path,
    value: f32,
    limit: Option<u64>,
) -> Result<(), CheckpointError> {
    let info =
        |name: &str| TensorInfo { name: name.into(), dtype: StoredType::F32, shape: vec![64] };
    let mut writer =
        WeightsWriter::create_on(storage, dir, SINGLE, vec![info("a"), info("b")], limit)?;
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
        let error = write(&Failing::new(bytes, 99), dir.path(), 2.0, None).unwrap_err();
        assert!(matches!(error, CheckpointError::Io { action: "write", .. }), "{error}");
        assert_eq!(value(dir.path()), 1.0, "after {bytes} bytes");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside");
    }
    write(&Failing::new(whole, 99), dir.path(), 2.0, None).unwrap();
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
        write(&Failing::new(bytes, 99), dir.path(), 2.0, Some(256)).unwrap_err();
        assert_eq!(value(dir.path()), 1.0, "after {bytes} bytes");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside");
    }
}

#[test]
fn every_operation_may_fail() {
    let dir = tempfile::tempdir().unwrap();
    write(&Disk, dir.path(), 1.0, None).unwrap();
    // create, rename, sync of the folder: after the rename the new weights are there.
    for (operations, expected) in [(0, 1.0), (1, 1.0), (2, 2.0)] {
        write(&Failing::new(usize::MAX, operations), dir.path(), 2.0, None).unwrap_err();
        assert_eq!(value(dir.path()), expected);
        write(&Disk, dir.path(), 1.0, None).unwrap();
    }
}
