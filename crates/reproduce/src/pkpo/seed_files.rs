//! Where a seed's files are.

use std::path::{Path, PathBuf};

use bestof_trainer::export::FINAL;

/// The files the runs of a seed read.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// The seed's folder.
    pub(super) dir: PathBuf,
    /// The base model.
    pub(super) model: PathBuf,
    pub(super) demonstrations: PathBuf,
    pub(super) train: PathBuf,
    /// Of each kind.
    pub(super) validation: [PathBuf; 2],
    /// Of each kind.
    pub(super) held_out: [PathBuf; 2],
}

impl Files {
    pub(super) fn of(out: &Path, seed: u64) -> Self {
        let dir = out.join(format!("seed{seed}"));
        let rows = |name: &str| dir.join(format!("{name}.jsonl"));
        Self {
            model: dir.join("base").join(FINAL),
            demonstrations: rows("demonstrations"),
            train: rows("train"),
            validation: ["validation-easy", "validation-hard"].map(rows),
            held_out: ["held-out-easy", "held-out-hard"].map(rows),
            dir,
        }
    }
}
