//! The run folder: made for a new run, recognised for a resumed one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bestof_files::{FileLayer, write_file_on};
use bestof_report::{MetricsWriter, SAMPLES_FILE, Sample, SamplesWriter};

use super::claim::{CHECKPOINTS, CONFIG_FILE, Claim};
use super::settings::TrainSettings;
use crate::checkpoint::{CheckpointStore, WholeCheckpoint};
use crate::error::TrainError;
use crate::progress::Progress;
use crate::record::differences;

const BEST: &str = "best";

/// A run folder ready for the loop.
#[derive(Debug)]
pub(super) struct RunFolder {
    dir: PathBuf,
    pub(super) store: CheckpointStore,
    /// Weights of the best evaluation.
    pub(super) best: CheckpointStore,
    pub(super) metrics: Option<MetricsWriter>,
    /// Made when the first samples come; until then, and on ranks that do not write, absent.
    pub(super) samples: Option<SamplesWriter>,
    pub(super) resume_from: Option<WholeCheckpoint>,
    pub(super) damaged: Vec<String>,
    claim: Option<Arc<Claim>>,
}

impl RunFolder {
    /// Makes or recognises the folder, in which a checkpoint is whole with the files `required`. Only the rank
    /// that holds a `claim` touches anything in it.
    pub(super) fn prepare(
        settings: &TrainSettings,
        claim: Option<Arc<Claim>>,
        required: &[&str],
        layer: &Arc<dyn FileLayer>,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let dir = &settings.dir;
        let recorded = dir.join(CONFIG_FILE);
        let store =
            CheckpointStore::new(dir.join(CHECKPOINTS), settings.save_total_limit, layer.clone());
        let best = CheckpointStore::new(dir.join(BEST), Some(1), layer.clone());
        let text = settings.recorded();
        check_unchanged(&recorded, &text, settings.complete)?;
        let found = store.newest_whole(required)?;
        let damaged: Vec<String> = found
            .damaged
            .iter()
            .map(|damaged| format!("{} passed over: {}", damaged.path.display(), damaged.reason))
            .collect();
        for text in &damaged {
            progress.notice(text);
        }
        let mut folder = Self {
            dir: dir.clone(),
            store,
            best,
            metrics: None,
            samples: None,
            resume_from: found.newest,
            damaged,
            claim,
        };
        if folder.claim.is_some() {
            folder.open_for_writing(&text, &recorded, layer.as_ref())?;
        }
        Ok(folder)
    }

    fn open_for_writing(
        &mut self,
        settings: &str,
        recorded: &Path,
        layer: &dyn FileLayer,
    ) -> Result<(), TrainError> {
        let dir = &self.dir;
        self.store.tidy(self.resume_from.as_ref().map(|checkpoint| checkpoint.step));
        self.best.tidy(None);
        if !recorded.exists() {
            write_file_on(layer, recorded, settings.as_bytes())?;
        }
        self.metrics = Some(if let Some(checkpoint) = &self.resume_from {
            if dir.join(SAMPLES_FILE).exists() {
                self.samples = Some(SamplesWriter::resume(dir, checkpoint.step)?);
            }
            MetricsWriter::resume(dir, checkpoint.step)?
        } else {
            clear_metrics(dir)?;
            MetricsWriter::create(dir)?
        });
        Ok(())
    }

    /// What was last written of training and of an evaluation up to a step, for a run that goes on from
    /// there and may have nothing left to do.
    pub(super) fn last_rows(&self, step: u64) -> Result<(Measured, Measured), TrainError> {
        if self.metrics.is_none() {
            return Ok((Vec::new(), Vec::new()));
        }
        let rows = bestof_report::RunFolder::open(&self.dir)?.rows;
        let (mut train, mut eval) = (Vec::new(), Vec::new());
        for row in rows.iter().filter(|row| row.step() <= step) {
            let named = |name: &str, value| (name.to_owned(), value);
            if row.get("loss").is_some() {
                let kept = |name: &&str| !bestof_report::TIMING_METRICS.contains(name);
                train = row
                    .iter()
                    .filter(|(name, _)| kept(name))
                    .map(|(name, value)| named(name, value))
                    .collect();
            } else {
                let evaluated = |(name, value): (&str, f64)| {
                    name.strip_prefix("eval_").map(|name| named(name, value))
                };
                eval = row.iter().filter_map(evaluated).collect();
            }
        }
        Ok((train, eval))
    }

    /// Appends to `samples.jsonl`, which the first samples make.
    pub(super) fn write_samples(&mut self, samples: &[Sample]) -> Result<(), TrainError> {
        if samples.is_empty() || self.metrics.is_none() {
            return Ok(());
        }
        let writer = match &mut self.samples {
            Some(writer) => writer,
            None => self.samples.insert(SamplesWriter::create(&self.dir)?),
        };
        for sample in samples {
            writer.write(sample)?;
        }
        Ok(())
    }
}

/// Metrics by name.
type Measured = Vec<(String, f64)>;

/// Checks that a resumed run has the settings it was started with, which `recorded` holds.
///
/// Those of a new run are compared with themselves, so that what is no TOML is refused before it is
/// written.
fn check_unchanged(
    recorded: &Path,
    now: &str,
    complete: fn(&str) -> Option<String>,
) -> Result<(), TrainError> {
    let before = if recorded.exists() {
        let text = bestof_files::read_text(recorded)
            .map_err(TrainError::io("cannot read the configuration", recorded))?;
        complete(&text).unwrap_or(text)
    } else {
        now.to_owned()
    };
    let differences = differences(&before, now).map_err(|source| TrainError::Settings {
        path: recorded.to_owned(),
        source: Box::new(source),
    })?;
    if differences.is_empty() {
        return Ok(());
    }
    Err(TrainError::ChangedOnResume { differences })
}

/// Removes metrics and samples of a run that stopped before its first checkpoint: it starts again.
fn clear_metrics(dir: &Path) -> Result<(), TrainError> {
    let listed = fs::read_dir(dir).map_err(TrainError::io("cannot list", dir))?;
    for entry in listed {
        let entry = entry.map_err(TrainError::io("cannot list", dir))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let written = [bestof_report::METRICS_FILE, SAMPLES_FILE].contains(&name.as_ref());
        if written || name.starts_with("events.out.tfevents") {
            fs::remove_file(entry.path()).map_err(TrainError::io("cannot remove", entry.path()))?;
        }
    }
    Ok(())
}
