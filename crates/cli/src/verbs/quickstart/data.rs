//! The files of a quickstart.

use std::path::PathBuf;

/// The files that both runs read.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) train: PathBuf,
    pub(super) held_out: PathBuf,
    pub(super) solutions: PathBuf,
    /// Mean edit distance of the training pairs, over words.
    pub(super) edit_distance: f64,
}
