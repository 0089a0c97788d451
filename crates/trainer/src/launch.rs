//! Whole runs from a configuration: model and rows in, run folder with model and report out.

mod extension;
mod preference;
mod reinforce;
mod unpaired;

use std::path::{Path, PathBuf};

use bestof_checkpoints::{ModelFolder, Tokenizer};
use bestof_models::{CausalLm, Decoder, Dtype, Precision};
use bestof_report::{Report, RunFolder, RunMetadata};
use bestof_tasks::rows::ReadOptions;

use crate::communicator::Ranks;
use crate::config::{DataFiles, RunConfig, RunKind};
use crate::data::{DataError, DataReport, Encoder, Loaded, Mix, load_supervised};
use crate::error::TrainError;
use crate::export::{export, write_results};
use crate::model_files::ModelFiles;
use crate::progress::Progress;
use crate::rows::RowSet;
use crate::run::{TrainOptions, TrainSettings, TrainSummary, TrainingRun, train};
use crate::sft::SupervisedRun;

pub use extension::{extension, resolve_extension};
pub use preference::preference;
pub use reinforce::{find_program, reinforce, sampler_of};

/// Name of the report in a run's folder.
pub const REPORT_FILE: &str = "report.html";
/// Name of the folder, beside the run's, that keeps reference log-probabilities for later runs.
pub const REFERENCE_FOLDER: &str = "reference-logps";

/// What a finished run left.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Its numbers.
    pub summary: TrainSummary,
    /// The trained model.
    pub model: PathBuf,
    /// The report.
    pub report: PathBuf,
    /// What became of the lines of the training and evaluation files.
    pub data: Vec<DataReport>,
}

/// A supervised run (`sft`) from start, or from its newest whole checkpoint, to its report.
///
/// # Errors
/// Every variant of [`TrainError`] that names something wrong with model, rows, settings or disk.
pub fn supervised(
    config: &RunConfig,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    options.ranks.agree(supervised_here(config, options, progress))
}

fn supervised_here(
    config: &RunConfig,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    config.validate_kind(RunKind::SUPERVISED)?;
    let base = Base::open(config, options.ranks)?;
    let rows = base.load(config, load_supervised, "rows")?;
    let (settings, forward) = (rows.settings(config, base.hash), config.forward_settings());
    let options = &options.claimed(&settings.dir)?;
    let mut run = SupervisedRun::new(base.model, base.files, rows.train, rows.eval, forward);
    let summary = train(&mut run, &settings, options, progress)?;
    let metadata = RunMetadata { data: rows.metadata, ..RunMetadata::default() };
    finish(config, options, &base.folder, run.model(), &metadata, summary, rows.reports)
}

fn reference_folder(config: &RunConfig) -> PathBuf {
    config.output.dir.with_file_name(REFERENCE_FOLDER)
}

/// The model folder, and the model as training starts from it.
struct Base {
    folder: ModelFolder,
    /// SHA-256 of the folder's files.
    hash: String,
    model: Decoder,
    files: ModelFiles,
}

/// Rows of a run.
struct RunRows<T> {
    train: RowSet<T>,
    eval: RowSet<T>,
    reports: Vec<DataReport>,
    metadata: Vec<(String, String)>,
    /// Shares of the training files, where they have some.
    mix: Option<Mix>,
}

impl<T> RunRows<T> {
    /// The settings of a run on these rows.
    fn settings(&self, config: &RunConfig, base: String) -> TrainSettings {
        TrainSettings { mix: self.mix.clone(), base: Some(base), ..config.train_settings() }
    }
}

impl Base {
    fn open(config: &RunConfig, ranks: Ranks<'_>) -> Result<Self, TrainError> {
        Self::of(ModelFolder::open(&config.model.path)?, config, ranks)
    }

    /// The model of a folder whose configuration may have been changed since it was read.
    fn of(folder: ModelFolder, config: &RunConfig, ranks: Ranks<'_>) -> Result<Self, TrainError> {
        let hash = folder.files_hash()?;
        // What is not trained is never sent.
        if !ranks.is_alone() {
            let all = ranks.gather(hash.clone())?;
            if let Some(rank) = all.iter().position(|hash| *hash != all[0]) {
                let reason = format!("{} is not the model of rank 0", folder.dir.display());
                return Err(TrainError::RanksDiffer { rank, reason });
            }
        }
        let device = ranks.open_device(&config.model.device)?.autodiff();
        let mut model = Decoder::open_in(&folder, config.precision()?, &device)?;
        folder.tokenizer()?.check_fits(model.vocab_size())?;
        let files = match &config.lora {
            Some(lora) => {
                let adapters = lora.adapters(config.train.seed);
                let config = adapters.to_peft(&folder.dir.display().to_string());
                model.attach_lora(&adapters)?;
                ModelFiles::Adapter { config, names: model.adapter_tensors() }
            }
            None => ModelFiles::Full { config: folder.config.clone() },
        };
        Ok(Self { folder, hash, model, files })
    }

    /// What tells this base from others: its files, and how it lies in memory.
    fn fingerprint(&self, config: &RunConfig) -> Result<String, TrainError> {
        let hash = self.hash.clone();
        let Precision { dtype, quantize, .. } = config.precision()?;
        Ok(match (dtype, quantize) {
            (Dtype::F32, None) => hash,
            (dtype, None) => format!("{hash} in {dtype}"),
            (dtype, Some(blocks)) => format!("{hash} in {blocks} and {dtype}"),
        })
    }

    fn tokenizer(&self) -> Result<&Tokenizer, TrainError> {
        Ok(self.folder.tokenizer()?)
    }

    /// The longest sequence of a run, in tokens.
    fn max_length(&self, config: &RunConfig) -> usize {
        config.data.max_length.min(self.model.max_positions())
    }

    fn load<T>(
        &self,
        config: &RunConfig,
        load: impl Fn(&Path, &Encoder<'_>, &ReadOptions) -> Result<Loaded<T>, DataError>,
        unit: &str,
    ) -> Result<RunRows<T>, TrainError> {
        self.load_with(config, load, unit, RowSet::hold_out)
    }

    /// The rows that `load` reads; `hold_out` splits off a share of them by a seed.
    fn load_with<T>(
        &self,
        config: &RunConfig,
        load: impl Fn(&Path, &Encoder<'_>, &ReadOptions) -> Result<Loaded<T>, DataError>,
        unit: &str,
        hold_out: impl Fn(RowSet<T>, f64, u64) -> (RowSet<T>, RowSet<T>),
    ) -> Result<RunRows<T>, TrainError> {
        let options = config.encode_options(self.max_length(config), self.model.vocab_size());
        let encoder = Encoder::new(self.tokenizer()?, self.folder.chat_template.as_ref(), options)?;
        let read = config.read_options();
        let mut reports = Vec::new();
        let mut rows_of = |path: &Path| -> Result<RowSet<T>, DataError> {
            let loaded = load(path, &encoder, &read)?;
            reports.push(loaded.report.clone());
            Ok(RowSet::from(loaded))
        };
        let (mut train, mut eval, mut counts) = (RowSet::empty(), RowSet::empty(), Vec::new());
        for path in config.data.train.paths() {
            let (kept, held) =
                hold_out(rows_of(path)?, config.data.eval_fraction, config.train.seed);
            counts.push(kept.len());
            train.append(kept);
            eval.append(held);
        }
        for path in config.data.eval.iter().flat_map(DataFiles::paths) {
            eval.append(rows_of(path)?);
        }
        let mix = config.data.weights.as_ref().map(|weights| Mix::new(&counts, weights));
        let mut metadata = vec![
            ("model".to_owned(), self.folder.dir.display().to_string()),
            (format!("training {unit}"), train.len().to_string()),
            (format!("held-out {unit}"), eval.len().to_string()),
        ];
        if let Some(mix) = &mix {
            let draws: Vec<String> = mix.draws().iter().map(ToString::to_string).collect();
            metadata.push((format!("{unit} of each file in an epoch"), draws.join(", ")));
        }
        for report in &reports {
            metadata.push((report.file.display().to_string(), report.to_string()));
        }
        Ok(RunRows { train, eval, reports, metadata, mix })
    }
}

/// Writes model, results, facts and report; other ranks than the first write nothing.
fn finish(
    config: &RunConfig,
    options: &TrainOptions<'_>,
    base: &ModelFolder,
    model: &Decoder,
    metadata: &RunMetadata,
    summary: TrainSummary,
    data: Vec<DataReport>,
) -> Result<Finished, TrainError> {
    let dir = &config.output.dir;
    let (mut exported, mut report) = (dir.join(crate::export::FINAL), dir.join(REPORT_FILE));
    if options.ranks.is_first() {
        exported = export(model, base, dir, config.output_format()?)?;
        write_results(&summary, dir)?;
        report = write_report(dir, metadata)?;
    }
    Ok(Finished { summary, model: exported, report, data })
}

/// Writes the metadata of a run and its report; returns the report's path.
///
/// # Errors
/// What the disk says.
pub fn write_report(dir: &Path, metadata: &RunMetadata) -> Result<PathBuf, TrainError> {
    metadata.write(dir)?;
    let path = dir.join(REPORT_FILE);
    Report::from_runs(&[RunFolder::open(dir)?]).write(&path)?;
    Ok(path)
}
