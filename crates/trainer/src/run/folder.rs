//! The run folder: made for a new run, recognised for a resumed one.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bestof_report::MetricsWriter;

use crate::checkpoint::{CheckpointStore, WholeCheckpoint};
use crate::config::RunConfig;
use crate::error::TrainError;
use crate::file_layer::{FileLayer, write_whole};
use crate::progress::Progress;

const CONFIG_FILE: &str = "config.toml";
const CHECKPOINTS: &str = "checkpoints";
const BEST: &str = "best";

/// A run folder ready for the loop.
#[derive(Debug)]
pub(super) struct RunFolder {
    pub(super) store: CheckpointStore,
    /// Weights of the best evaluation.
    pub(super) best: CheckpointStore,
    pub(super) metrics: Option<MetricsWriter>,
    pub(super) resume_from: Option<WholeCheckpoint>,
    pub(super) damaged: Vec<String>,
}

impl RunFolder {
    /// Makes or recognises the folder. Only the rank that `writes` touches anything in it.
    pub(super) fn prepare(
        config: &RunConfig,
        resume: bool,
        writes: bool,
        layer: &Arc<dyn FileLayer>,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let dir = &config.output.dir;
        let recorded = dir.join(CONFIG_FILE);
        let store = CheckpointStore::with_layer(
            dir.join(CHECKPOINTS),
            config.train.save_total_limit,
            layer.clone(),
        );
        let best = CheckpointStore::with_layer(dir.join(BEST), Some(1), layer.clone());
        let is_run = recorded.exists() || dir.join(CHECKPOINTS).exists();
        if is_run && !resume {
            return Err(TrainError::FolderInUse { path: dir.clone() });
        }
        if recorded.exists() {
            config.check_resume(&RunConfig::from_file(&recorded, &[])?)?;
        }
        let found = store.newest_whole()?;
        let damaged: Vec<String> = found
            .damaged
            .iter()
            .map(|damaged| format!("{} passed over: {}", damaged.path.display(), damaged.reason))
            .collect();
        for text in &damaged {
            progress.notice(text);
        }
        let mut folder = Self { store, best, metrics: None, resume_from: found.newest, damaged };
        if writes {
            folder.open_for_writing(config, &recorded, layer.as_ref())?;
        }
        Ok(folder)
    }

    fn open_for_writing(
        &mut self,
        config: &RunConfig,
        recorded: &Path,
        layer: &dyn FileLayer,
    ) -> Result<(), TrainError> {
        let dir = &config.output.dir;
        layer.create_dir_all(dir).map_err(TrainError::io("cannot make", dir))?;
        if !recorded.exists() {
            write_whole(layer, recorded, config.to_toml().as_bytes())
                .map_err(TrainError::io("cannot write", recorded))?;
        }
        self.metrics = Some(if let Some(checkpoint) = &self.resume_from {
            MetricsWriter::resume(dir, checkpoint.step)?
        } else {
            clear_metrics(dir)?;
            MetricsWriter::create(dir)?
        });
        Ok(())
    }
}

/// Removes the metrics of a run that stopped before its first checkpoint: it starts again.
fn clear_metrics(dir: &Path) -> Result<(), TrainError> {
    let listed = fs::read_dir(dir).map_err(TrainError::io("cannot list", dir))?;
    for entry in listed {
        let entry = entry.map_err(TrainError::io("cannot list", dir))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name == bestof_report::METRICS_FILE || name.starts_with("events.out.tfevents") {
            fs::remove_file(entry.path()).map_err(TrainError::io("cannot remove", entry.path()))?;
        }
    }
    Ok(())
}
