//! Folders that are whole or not there, whatever fails in between.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bestof_files::{Disk, Fault, FaultyDisk};

use super::*;
use crate::error::TrainError;

fn contents(step: u64) -> impl FnOnce(&mut CheckpointWriter<'_>) -> io::Result<()> {
    move |writer| {
        writer.file("weights.bin", |out| out.write_all(&[step as u8; 40]))?;
        writer.json("state.json", &serde_json::json!({ "step": step }))
    }
}

fn plain(root: &Path) -> CheckpointStore {
    CheckpointStore::new(root, None, Arc::new(Disk))
}

fn newest(root: &Path) -> Option<u64> {
    plain(root).newest_whole(&[]).unwrap().newest.map(|found| found.step)
}

#[test]
fn a_save_cut_at_any_operation_leaves_a_whole_checkpoint_behind() {
    for fault in [Fault::FullDisk, Fault::PowerCut] {
        let mut survived = 0;
        for operations in 0.. {
            let dir = tempfile::tempdir().unwrap();
            plain(dir.path()).save(1, contents(1)).unwrap();
            let layer = Arc::new(FaultyDisk::new(fault, operations).pieces_of(7));
            let cut = CheckpointStore::new(dir.path(), Some(1), layer);
            let outcome = cut.save(2, contents(2));
            let step = newest(dir.path());
            match outcome {
                Ok(_) => {
                    assert_eq!(step, Some(2), "{fault:?} after {operations}");
                    break;
                }
                Err(TrainError::SaveFailed { step: 2, source, .. }) => {
                    assert!(source.to_string().contains("no space left"), "{source}");
                    // The rename may have happened just before the cut.
                    assert!(matches!(step, Some(1 | 2)), "{fault:?} after {operations}: {step:?}");
                }
                Err(other) => panic!("{other}"),
            }
            // The next save works whatever was left behind.
            plain(dir.path()).save(2, contents(2)).unwrap();
            assert_eq!(newest(dir.path()), Some(2));
            survived += 1;
        }
        assert!(survived > 20, "only {survived} cuts were tried");
    }
}

#[test]
fn a_full_disk_frees_the_unfinished_folder() {
    let dir = tempfile::tempdir().unwrap();
    let layer = Arc::new(FaultyDisk::new(Fault::FullDisk, 6).pieces_of(7));
    let store = CheckpointStore::new(dir.path(), None, layer);
    store.save(3, contents(3)).unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn damaged_checkpoints_are_named_and_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    for step in 1..=6 {
        plain(dir.path()).save(step, contents(step)).unwrap();
    }
    let file = |step: u64, name: &str| plain(dir.path()).folder(step).join(name);
    let mut flipped = std::fs::read(file(6, "weights.bin")).unwrap();
    flipped[17] ^= 1;
    std::fs::write(file(6, "weights.bin"), flipped).unwrap();
    std::fs::write(file(5, "state.json"), "{").unwrap();
    std::fs::remove_file(file(4, "weights.bin")).unwrap();
    std::fs::write(file(3, "manifest.json"), "not json").unwrap();
    std::fs::create_dir(dir.path().join("step-000009.partial")).unwrap();
    std::fs::create_dir(dir.path().join("something else")).unwrap();

    let found = plain(dir.path()).newest_whole(&[]).unwrap();
    assert_eq!(found.newest.unwrap().step, 2);
    let reasons: Vec<_> = found.damaged.iter().map(|damaged| damaged.reason.to_string()).collect();
    assert_eq!(reasons.len(), 5);
    assert_eq!(reasons[0], "the save never finished");
    assert!(reasons[1].contains("contents"), "{reasons:?}");
    assert!(reasons[2].contains("bytes"), "{reasons:?}");
    assert!(reasons[3].starts_with("`weights.bin`"), "{reasons:?}");
    assert!(reasons[4].starts_with("manifest.json"), "{reasons:?}");
}

#[test]
fn a_manifest_cannot_point_outside_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let store = plain(dir.path());
    let path = store.save(1, contents(1)).unwrap();
    let text = std::fs::read_to_string(path.join(MANIFEST)).unwrap();
    std::fs::write(path.join(MANIFEST), text.replace("weights.bin", "../../etc/passwd")).unwrap();
    assert!(matches!(store.newest_whole(&[]).unwrap().damaged[0].reason, Damage::Manifest(_)));
}

#[test]
fn only_the_newest_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = CheckpointStore::new(dir.path(), Some(2), Arc::new(Disk));
    for step in [1, 5, 10] {
        store.save(step, contents(step)).unwrap();
    }
    assert!(!store.folder(1).exists());
    assert!(store.folder(5).exists() && store.folder(10).exists());
}

#[test]
fn a_damaged_checkpoint_of_the_same_step_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let store = plain(dir.path());
    let path = store.save(1, contents(1)).unwrap();
    std::fs::write(path.join("weights.bin"), "x").unwrap();
    store.save(1, contents(1)).unwrap();
    assert_eq!(newest(dir.path()), Some(1));
}

#[test]
fn a_damaged_later_checkpoint_does_not_push_out_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = CheckpointStore::new(dir.path(), Some(1), Arc::new(Disk));
    store.save(12, contents(12)).unwrap();
    std::fs::write(store.folder(12).join("weights.bin"), "torn").unwrap();
    store.save(10, contents(10)).unwrap();
    assert_eq!(newest(dir.path()), Some(10));
    assert!(!store.folder(12).exists());
}
