//! Every operation fails once: afterwards the old contents or the new ones are whole.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use bestof_files::{
    Disk, Fault, FaultyDisk, FileError, FileLayer, StagedFile, StagedFolder, Step, recover_folder,
    write_file_on,
};

const FILES: [&str; 2] = ["config.json", "inner/deeper.txt"];

/// A folder whose every file holds `text`.
fn put_folder(layer: &dyn FileLayer, target: &Path, text: &str) -> Result<(), FileError> {
    let folder = StagedFolder::replace_on(layer, target)?;
    for name in FILES {
        let path = folder.path().join(name);
        let parent = path.parent().unwrap();
        if !parent.exists() {
            let failed = |source| FileError::Io { step: Step::Create, path: parent.into(), source };
            layer.create_dir(parent).map_err(failed)?;
        }
        write_file_on(layer, &path, text.as_bytes())?;
    }
    folder.commit()
}

/// What the folder holds, if it is there; all its files have to be there and hold the same.
fn folder_text(target: &Path) -> Option<String> {
    target.exists().then(|| {
        let texts = FILES.map(|name| fs::read_to_string(target.join(name)).unwrap());
        assert!(texts.iter().all(|text| *text == texts[0]), "two writings are mixed: {texts:?}");
        texts[0].clone()
    })
}

fn put_file(layer: &dyn FileLayer, target: &Path, text: &str) -> Result<(), FileError> {
    write_file_on(layer, target, text.as_bytes())
}

fn file_text(target: &Path) -> Option<String> {
    target.exists().then(|| fs::read_to_string(target).unwrap())
}

type Put = fn(&dyn FileLayer, &Path, &str) -> Result<(), FileError>;
type Get = fn(&Path) -> Option<String>;

/// Cuts the writing at every operation and returns at how many.
fn cut_everywhere(
    put: Put,
    get: Get,
    old: Option<&str>,
    disk: impl Fn(usize) -> FaultyDisk,
) -> usize {
    let old_text = old.map(str::to_owned);
    for operations in 0.. {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("target");
        if let Some(old) = old {
            put(&Disk, &target, old).unwrap();
        }
        let disk = disk(operations);
        let outcome = put(&disk, &target, "the new text");
        recover_folder(&target).unwrap();
        let found = get(&target);
        if outcome.is_ok() {
            assert_eq!(found.as_deref(), Some("the new text"), "{disk:?}");
            return operations;
        }
        assert!(
            found == old_text || found.as_deref() == Some("the new text"),
            "{disk:?}: {found:?}"
        );
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("target") && error.contains("no space left"), "{error}");
        // Whatever was left behind, the next writing works and tidies up.
        put(&Disk, &target, "a later text").unwrap();
        assert_eq!(get(&target).as_deref(), Some("a later text"));
        assert_eq!(names(home.path()), ["target"], "{disk:?}");
    }
    unreachable!()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_is_old_or_new_after_every_fault() {
    for fault in [Fault::FullDisk, Fault::PowerCut] {
        for old in [None, Some("the old text")] {
            let disk = |operations| FaultyDisk::new(fault, operations).pieces_of(5);
            let cuts = cut_everywhere(put_file, file_text, old, disk);
            // Creation, three pieces, sync, rename, sync of the folder.
            assert_eq!(cuts, 7, "{fault:?} {old:?}");
        }
    }
}

#[test]
fn a_folder_is_old_or_new_after_every_fault() {
    let old = Some("the old text");
    let power = |operations| FaultyDisk::new(Fault::PowerCut, operations).pieces_of(8);
    let full = |operations| FaultyDisk::new(Fault::FullDisk, operations).pieces_of(8);
    let cuts = cut_everywhere(put_folder, folder_text, old, power);
    assert!(cuts > 15, "only {cuts} cuts");
    // One rename more takes the place of the exchange.
    let power_without = |operations| power(operations).without_exchange();
    let without = cut_everywhere(put_folder, folder_text, old, power_without);
    assert_eq!(without, cuts + usize::from(cfg!(target_os = "linux")));
    cut_everywhere(put_folder, folder_text, old, |operations| full(operations).without_exchange());
    cut_everywhere(put_folder, folder_text, None, full);
}

#[test]
fn a_full_disk_leaves_nothing_beside() {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("target");
    for bytes in 0..30 {
        put_folder(&FaultyDisk::with_room(bytes), &target, "sixteen bytes ok").unwrap_err();
        assert_eq!(names(home.path()), [""; 0]);
    }
    put_folder(&FaultyDisk::with_room(32), &target, "sixteen bytes ok").unwrap();
}

/// The state between the two renames of a replacement without exchange.
#[cfg(unix)]
#[test]
fn a_folder_caught_between_two_names_is_put_back() {
    let between = || {
        for operations in 0.. {
            let home = tempfile::tempdir().unwrap();
            let target = home.path().join("final");
            put_folder(&Disk, &target, "old").unwrap();
            let disk = FaultyDisk::new(Fault::PowerCut, operations).without_exchange();
            put_folder(&disk, &target, "new").unwrap_err();
            if !target.exists() {
                return (home, target);
            }
        }
        unreachable!()
    };
    let (home, target) = between();
    recover_folder(&target).unwrap();
    assert_eq!(folder_text(&target).as_deref(), Some("old"));
    recover_folder(&target).unwrap();
    assert_eq!(folder_text(&target).as_deref(), Some("old"), "recovering twice changes nothing");

    // A writer that is stopped again right away has put it back too.
    let (_home, again) = between();
    drop(StagedFolder::replace(&again).unwrap());
    assert_eq!(folder_text(&again).as_deref(), Some("old"));

    put_folder(&Disk, &target, "newer").unwrap();
    assert_eq!(names(home.path()), ["final"]);
    assert!(recover_folder(&home.path().join("never there")).is_ok());
}

#[test]
fn what_another_writer_is_working_on_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let (file, folder) = (home.path().join("file"), home.path().join("folder"));
    let (mut one, mut two) =
        (StagedFile::create(&file).unwrap(), StagedFile::create(&file).unwrap());
    one.push(b"one").unwrap();
    two.push(b"two").unwrap();
    two.persist().unwrap();
    one.persist().unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"one");

    let one = StagedFolder::replace(&folder).unwrap();
    let two = StagedFolder::replace(&folder).unwrap();
    for (staged, text) in [(one, "one"), (two, "two")] {
        fs::write(staged.path().join("text"), text).unwrap();
        staged.commit().unwrap();
        assert_eq!(fs::read_to_string(folder.join("text")).unwrap(), text);
    }
    assert_eq!(names(home.path()), ["file", "folder"]);
}

#[test]
fn writers_side_by_side_never_mix() {
    let home = tempfile::tempdir().unwrap();
    let target: PathBuf = home.path().join("shared");
    put_folder(&Disk, &target, "0").unwrap();
    put_file(&Disk, &home.path().join("file"), "0").unwrap();
    std::thread::scope(|scope| {
        for writer in 1..=3 {
            let (target, file) = (&target, home.path().join("file"));
            scope.spawn(move || {
                for round in 0..8 {
                    let text = format!("{writer}-{round}");
                    put_folder(&Disk, target, &text).unwrap();
                    put_file(&Disk, &file, &text.repeat(5000)).unwrap();
                }
            });
        }
    });
    assert!(folder_text(&target).is_some());
    let text = fs::read_to_string(home.path().join("file")).unwrap();
    assert_eq!(text, text[..text.len() / 5000].repeat(5000));
    assert_eq!(names(home.path()), ["file", "shared"]);
}

#[test]
fn a_new_folder_takes_nobodys_place() {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("a/b");
    fs::create_dir_all(&target).unwrap();
    let folder = StagedFolder::new(&target).unwrap();
    fs::write(folder.path().join("x"), "x").unwrap();
    folder.commit().unwrap();
    assert_eq!(names(&target), ["x"], "an empty folder is no obstacle");
    assert!(matches!(StagedFolder::new(&target), Err(FileError::Occupied { .. })));

    let other = home.path().join("other");
    let late = StagedFolder::new(&other).unwrap();
    put_folder(&Disk, &other, "first").unwrap();
    assert!(matches!(late.commit(), Err(FileError::Occupied { .. })));
    assert_eq!(folder_text(&other).as_deref(), Some("first"));

    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(StagedFolder::replace(&file), Err(FileError::Occupied { .. })));
}

#[cfg(unix)]
#[test]
fn links_and_devices_stay_what_they_are() {
    let home = tempfile::tempdir().unwrap();
    let (elsewhere, link) = (home.path().join("elsewhere"), home.path().join("link"));
    put_folder(&Disk, &elsewhere, "old").unwrap();
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    put_folder(&Disk, &link, "new").unwrap();
    assert_eq!(folder_text(&link).as_deref(), Some("new"));
    assert_eq!(folder_text(&elsewhere).as_deref(), Some("old"));

    if cfg!(target_os = "linux") {
        let full = home.path().join("full");
        std::os::unix::fs::symlink("/dev/full", &full).unwrap();
        let error = bestof_files::write_file(&full, b"page").unwrap_err().to_string();
        assert!(error.contains("full") && error.contains("No space left"), "{error}");
        assert!(!fs::metadata(&full).unwrap().is_file());
    }
}

#[test]
fn a_file_is_shortened_whole() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("rows");
    put_file(&Disk, &path, "one\ntwo\n").unwrap();
    bestof_files::keep_prefix(&path, 4).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one\n");
    assert_eq!(names(home.path()), ["rows"]);
}

#[test]
fn errors_name_the_path_and_the_step() {
    let home = tempfile::tempdir().unwrap();
    let missing = home.path().join("missing/file");
    let error = StagedFile::create(&missing).unwrap_err();
    assert!(matches!(error, FileError::Io { step: Step::Create, .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("cannot create {}: ", missing.display())));
    assert!(!error.to_string().contains("partial"), "{error}");
    assert!(StagedFile::create(Path::new("/")).unwrap_err().to_string().contains("names no file"));
}

#[test]
fn a_staged_folder_appears_whole_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("deep").join("model");
    let staged = StagedFolder::new(&target).unwrap();
    fs::write(staged.path().join("config.json"), "{}").unwrap();
    assert!(!target.exists());
    drop(staged);
    assert_eq!(names(&root.path().join("deep")), [""; 0]);

    let staged = StagedFolder::new(&target).unwrap();
    fs::write(staged.path().join("config.json"), "{}").unwrap();
    staged.commit().unwrap();
    assert_eq!(names(&target), ["config.json"]);
    assert!(matches!(StagedFolder::new(&target), Err(FileError::Occupied { .. })));

    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    StagedFolder::new(&empty).unwrap().commit().unwrap();
}
