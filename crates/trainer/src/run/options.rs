//! What decides how a run is made, and changes none of its numbers.

use std::sync::Arc;

use bestof_files::{Disk, FileLayer};

use crate::communicator::Ranks;

/// What a run can be given besides its settings.
#[derive(Debug, Clone)]
pub struct TrainOptions<'a> {
    /// Go on from the newest whole checkpoint, if there is one.
    pub resume: bool,
    /// The ranks that train together.
    pub ranks: Ranks<'a>,
    /// What checkpoints are written through.
    pub file_layer: Arc<dyn FileLayer>,
}

impl Default for TrainOptions<'_> {
    /// A new run, one rank, the real disk.
    fn default() -> Self {
        Self { resume: false, ranks: Ranks::default(), file_layer: Arc::new(Disk) }
    }
}
