//! A whole run on preferences from a configuration.

use bestof_report::RunMetadata;

use super::unpaired::unpaired;
use super::{Base, Finished, finish, reference_folder, write_report};
use crate::config::{RunConfig, RunKind};
use crate::data::load_pairs;
use crate::displacement::DisplacementDetector;
use crate::error::TrainError;
use crate::preference::{PreferenceParts, PreferenceRun};
use crate::progress::Progress;
use crate::reference::ReferenceCache;
use crate::run::{TrainOptions, TrainingRun, train};

/// How many displaced pairs a report shows.
const SHOWN_PAIRS: usize = 10;

/// A preference run (`prefer`), on pairs or with `kto` on labelled completions, from start, or from its
/// newest whole checkpoint, to its report.
///
/// # Errors
/// Every variant of [`TrainError`] that names something wrong with model, rows, settings or disk.
pub fn preference(
    config: &RunConfig,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    options.ranks.agree(preference_here(config, options, progress))
}

fn preference_here(
    config: &RunConfig,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    config.validate_kind(RunKind::PREFERENCE)?;
    let section = config.loss.clone().unwrap_or_default();
    if section.is_unpaired() {
        return unpaired(config, &section, options, progress);
    }
    let (loss, length_factor) = (section.build()?, section.length_factor()?);
    let base = Base::open(config, options.ranks)?;
    let rows = base.load(config, load_pairs, "pairs")?;
    let settings = rows.settings(config, base.hash.clone());
    let options = &options.claimed(&settings.dir)?;
    let tokenizer = base.tokenizer()?.clone();
    let decode = move |ids: &[u32]| tokenizer.decode(ids, false).unwrap_or_default();
    let cache = ReferenceCache::new(reference_folder(config), base.fingerprint(config)?);
    let parts = PreferenceParts {
        model: base.model,
        files: base.files,
        loss,
        train: rows.train,
        eval: rows.eval,
        length_factor,
        settings: config.forward_settings(),
        detector: DisplacementDetector::new(
            config.displacement.as_ref().map(Into::into).unwrap_or_default(),
        ),
        decode: Box::new(decode),
    };
    let mut run = PreferenceRun::new(parts, &cache, options.ranks, progress)?;
    let outcome = train(&mut run, &settings, options, progress);
    let metadata = RunMetadata {
        data: rows.metadata,
        displaced: run.displaced_pairs(SHOWN_PAIRS),
        edit_distances: run.edit_distances(),
        ..RunMetadata::default()
    };
    let summary = match outcome {
        Ok(summary) => summary,
        Err(error) => {
            // A run that fails because of displacement is the one whose report matters most.
            if matches!(error, TrainError::Displaced(_)) {
                let written = if options.ranks.is_first() {
                    write_report(&config.output.dir, &metadata).map(drop)
                } else {
                    Ok(())
                };
                options.ranks.agree(written)?;
            }
            return Err(error);
        }
    };
    finish(config, options, &base.folder, run.model(), &metadata, summary, rows.reports)
}
