//! Writing, finding and deleting checkpoint folders.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bestof_files::{FileError, FileLayer, HashingWriter, Sha256Hasher, StagedFolder};

use super::{Damage, Damaged, Found, MANIFEST, Manifest, ManifestFile, WholeCheckpoint};
use crate::error::TrainError;

/// Longest manifest that is read.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// The checkpoint folders of one run.
#[derive(Debug, Clone)]
pub(crate) struct CheckpointStore {
    root: PathBuf,
    layer: Arc<dyn FileLayer>,
    limit: Option<usize>,
}

impl CheckpointStore {
    /// The checkpoints under `root`, of which at most `limit` are kept.
    pub(crate) fn new(
        root: impl Into<PathBuf>,
        limit: Option<usize>,
        layer: Arc<dyn FileLayer>,
    ) -> Self {
        Self { root: root.into(), layer, limit }
    }

    /// Folder of the checkpoint of a step.
    pub(crate) fn folder(&self, step: u64) -> PathBuf {
        self.root.join(format!("step-{step:06}"))
    }

    /// Writes a checkpoint: `write` adds its files, the manifest comes last, then the folder gets its name.
    ///
    /// Nothing is written if the checkpoint of this step is there and whole. Older checkpoints beyond the
    /// limit are deleted only after the new one is whole.
    ///
    /// # Errors
    /// [`TrainError::SaveFailed`]; earlier checkpoints are untouched then.
    pub(crate) fn save(
        &self,
        step: u64,
        write: impl FnOnce(&mut CheckpointWriter<'_>) -> io::Result<()>,
    ) -> Result<PathBuf, TrainError> {
        let path = self.folder(step);
        if path.exists() && verify(&path, &[]).is_ok() {
            return Ok(path);
        }
        // A save that fails takes its unfinished folder with it, which on a full disk is what fills it.
        self.write_folder(step, &path, write).map_err(|source| TrainError::SaveFailed {
            step,
            path: path.clone(),
            source,
        })?;
        if let Err(error) = self.prune(step) {
            tracing::warn!(%error, "old checkpoints could not be deleted");
        }
        Ok(path)
    }

    fn write_folder(
        &self,
        step: u64,
        path: &Path,
        write: impl FnOnce(&mut CheckpointWriter<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let layer = self.layer.as_ref();
        let folder = StagedFolder::replace_on(layer, path).map_err(FileError::into_io)?;
        let mut writer = CheckpointWriter { folder: folder.path(), layer, files: Vec::new() };
        write(&mut writer)?;
        let manifest = Manifest { version: 1, step, files: std::mem::take(&mut writer.files) };
        writer.json(MANIFEST, &manifest)?;
        folder.commit().map_err(FileError::into_io)
    }

    /// Deletes the oldest checkpoints beyond the limit, counted back from the one just written.
    ///
    /// A later step than that can only be a damaged one that the run was not resumed from: it goes too.
    fn prune(&self, written: u64) -> io::Result<()> {
        let Some(limit) = self.limit else { return Ok(()) };
        let later = self.folders()?.into_iter().filter(|f| !f.partial && f.step > written);
        for path in self.beyond(limit, written)?.into_iter().chain(later.map(|f| f.path)) {
            self.layer.remove_dir_all(&path)?;
        }
        Ok(())
    }

    /// The checkpoints that are too many, counted back from a step.
    fn beyond(&self, limit: usize, newest: u64) -> io::Result<Vec<PathBuf>> {
        let mut folders = self.folders()?;
        folders.retain(|folder| !folder.partial && folder.step <= newest);
        folders.sort_unstable_by_key(|folder| std::cmp::Reverse(folder.step));
        Ok(folders.into_iter().skip(limit.max(1)).map(|folder| folder.path).collect())
    }

    /// Removes what killed processes left: saves that never finished, and checkpoints beyond the limit, counted
    /// back from the one that is `resumed`, which may be half deleted. Nothing depends on whether it succeeds.
    pub(crate) fn tidy(&self, resumed: Option<u64>) {
        let Ok(folders) = self.folders() else { return };
        let mut left: Vec<PathBuf> =
            folders.into_iter().filter(|f| f.partial).map(|f| f.path).collect();
        if let (Some(limit), Some(resumed)) = (self.limit, resumed) {
            left.extend(self.beyond(limit, resumed).unwrap_or_default());
        }
        for path in left {
            if let Err(error) = self.layer.remove_dir_all(&path) {
                tracing::warn!(path = %path.display(), %error, "a left-over cannot be deleted");
            }
        }
    }

    /// The folder of a step's checkpoint, if it is whole with the files `required`.
    pub(crate) fn checked(&self, step: u64, required: &[&str]) -> Result<PathBuf, Damage> {
        let path = self.folder(step);
        verify(&path, required)?;
        Ok(path)
    }

    /// The newest whole checkpoint, found by reading and hashing every file, and the damaged ones passed over.
    /// One that lacks a file of those `required` is damaged.
    ///
    /// # Errors
    /// [`TrainError::Io`] if the folder of checkpoints cannot be listed.
    pub(crate) fn newest_whole(&self, required: &[&str]) -> Result<Found, TrainError> {
        let mut found = Found::default();
        if !self.root.exists() {
            return Ok(found);
        }
        let mut folders =
            self.folders().map_err(TrainError::io("cannot list", self.root.clone()))?;
        folders.sort_unstable_by_key(|folder| std::cmp::Reverse((folder.step, folder.partial)));
        for folder in folders {
            if folder.partial {
                found.damaged.push(Damaged { path: folder.path, reason: Damage::Unfinished });
                continue;
            }
            match verify(&folder.path, required) {
                Ok(manifest) if manifest.step == folder.step => {
                    found.newest = Some(WholeCheckpoint { path: folder.path, step: manifest.step });
                    break;
                }
                Ok(manifest) => found.damaged.push(Damaged {
                    path: folder.path,
                    reason: Damage::Manifest(format!("it is of step {}", manifest.step)),
                }),
                Err(reason) => found.damaged.push(Damaged { path: folder.path, reason }),
            }
        }
        Ok(found)
    }

    fn folders(&self) -> io::Result<Vec<Folder>> {
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some((digits, partial)) = name.to_str().and_then(step_of) else { continue };
            if let Ok(step) = digits.parse() {
                folders.push(Folder { path: entry.path(), step, partial });
            }
        }
        Ok(folders)
    }
}

struct Folder {
    path: PathBuf,
    step: u64,
    partial: bool,
}

/// The digits of the step in a folder's name, and whether its save never finished: it is called
/// `.step-000200.XXXXXX.partial` then, or `step-000200.partial` if an older version wrote it.
fn step_of(name: &str) -> Option<(&str, bool)> {
    match name.strip_suffix(".partial") {
        Some(name) => {
            let name = name.strip_prefix(".").unwrap_or(name).strip_prefix("step-")?;
            Some((name.split('.').next()?, true))
        }
        None => Some((name.strip_prefix("step-")?, false)),
    }
}

/// Takes the files of one checkpoint, hashing what goes through.
#[derive(Debug)]
pub(crate) struct CheckpointWriter<'a> {
    folder: &'a Path,
    layer: &'a dyn FileLayer,
    files: Vec<ManifestFile>,
}

impl CheckpointWriter<'_> {
    /// Adds a file whose contents `write` produces.
    ///
    /// # Errors
    /// What the system, or `write`, says.
    pub(crate) fn file(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let file = self.layer.create_new(&self.folder.join(name))?;
        let mut out = BufWriter::with_capacity(1 << 20, HashingWriter::new(file));
        write(&mut out)?;
        let hashed = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let (mut file, bytes, sha256) = hashed.finish();
        file.sync()?;
        self.files.push(ManifestFile { name: name.to_owned(), bytes, sha256 });
        Ok(())
    }

    /// Adds a file that serialises as JSON.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn json(&mut self, name: &str, value: &impl serde::Serialize) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(value)?;
        self.file(name, |out| out.write_all(&text))
    }
}

/// The manifest of a folder whose every file is as it says, those `required` among them.
fn verify(folder: &Path, required: &[&str]) -> Result<Manifest, Damage> {
    let manifest = read_manifest(&folder.join(MANIFEST))?;
    for &name in required {
        if !manifest.files.iter().any(|file| file.name == name) {
            return Err(Damage::Missing { name: name.to_owned() });
        }
    }
    for file in &manifest.files {
        verify_file(folder, file)?;
    }
    Ok(manifest)
}

fn read_manifest(path: &Path) -> Result<Manifest, Damage> {
    let unreadable = |error: io::Error| Damage::Manifest(error.to_string());
    let file = File::open(path).map_err(unreadable)?;
    let mut text = Vec::new();
    file.take(MAX_MANIFEST_BYTES).read_to_end(&mut text).map_err(unreadable)?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| Damage::Manifest(error.to_string()))?;
    if manifest.version == 1 {
        Ok(manifest)
    } else {
        Err(Damage::Manifest(format!("version {} is not known here", manifest.version)))
    }
}

fn verify_file(folder: &Path, file: &ManifestFile) -> Result<(), Damage> {
    let unreadable = |error: io::Error| Damage::Unreadable {
        name: file.name.clone(),
        reason: error.to_string(),
    };
    if Path::new(&file.name).components().count() != 1 || file.name.starts_with('.') {
        return Err(Damage::Manifest(format!("`{}` is no plain file name", file.name)));
    }
    let path = folder.join(&file.name);
    let found = std::fs::metadata(&path).map_err(unreadable)?.len();
    if found != file.bytes {
        return Err(Damage::Length { name: file.name.clone(), found, expected: file.bytes });
    }
    let mut hasher = Sha256Hasher::new();
    hasher.update_from_file(&path).map_err(|error| unreadable(error.into_io()))?;
    if hasher.hex() == file.sha256 {
        Ok(())
    } else {
        Err(Damage::Contents { name: file.name.clone() })
    }
}
