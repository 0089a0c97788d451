//! What decides how a run is made, and changes none of its numbers.

use std::path::Path;
use std::sync::Arc;

use bestof_files::{Disk, FileLayer};

use super::claim::Claim;
use crate::communicator::Ranks;
use crate::error::TrainError;

/// What a run can be given besides its settings.
#[derive(Debug, Clone)]
pub struct TrainOptions<'a> {
    /// Go on from the newest whole checkpoint, if there is one.
    pub resume: bool,
    /// The ranks that train together.
    pub ranks: Ranks<'a>,
    /// What checkpoints are written through.
    pub file_layer: Arc<dyn FileLayer>,
    /// The run's folder, if the caller holds it for longer than the loop runs.
    pub claim: Option<Arc<Claim>>,
}

impl Default for TrainOptions<'_> {
    /// A new run, one rank, the real disk.
    fn default() -> Self {
        Self { resume: false, ranks: Ranks::default(), file_layer: Arc::new(Disk), claim: None }
    }
}

impl TrainOptions<'_> {
    /// The same with the run's folder held, if this rank writes to it: before anything that takes long, and
    /// until the options are dropped.
    ///
    /// # Errors
    /// Those of [`Claim::take`].
    pub fn claimed(&self, dir: &Path) -> Result<Self, TrainError> {
        let mut options = self.clone();
        if self.claim.is_none() && self.ranks.is_first() {
            options.claim = Some(Arc::new(Claim::take(dir, self.resume)?));
        }
        Ok(options)
    }
}
