//! A whole run on labelled completions from a configuration.

use bestof_losses::Label;
use bestof_report::RunMetadata;

use super::{Base, Finished, finish, reference_folder};
use crate::config::{ConfigError, LossSection, RunConfig, ValueProblem};
use crate::data::{EncodedLabelled, load_labelled};
use crate::error::TrainError;
use crate::progress::Progress;
use crate::reference::ReferenceCache;
use crate::rows::RowSet;
use crate::run::{TrainOptions, TrainingRun, train};
use crate::unpaired::{UnpairedParts, UnpairedRun, check_steps};

/// A `prefer` run whose loss is `kto`.
pub(super) fn unpaired(
    config: &RunConfig,
    section: &LossSection,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    let loss = section.build_unpaired()?;
    if config.displacement.is_some() {
        let problem = ValueProblem {
            key: "displacement",
            found: "present".to_owned(),
            expected: "absent with `loss.name = \"kto\"`: the detector compares the two answers of a pair",
        };
        return Err(ConfigError::Values { problems: vec![problem] }.into());
    }
    let base = Base::open(config, options.ranks)?;
    let mut rows = base.load(config, load_labelled, "rows")?;
    for (name, set) in [("training", &rows.train), ("held-out", &rows.eval)] {
        rows.metadata.push((format!("desirable {name} rows"), desirable(set).to_string()));
    }
    let settings = rows.settings(config, base.hash.clone());
    check_steps(rows.train.len(), &settings)?;
    let options = &options.claimed(&settings.dir)?;
    let cache = ReferenceCache::new(reference_folder(config), base.fingerprint(config)?);
    let parts = UnpairedParts {
        max_length: base.max_length(config),
        model: base.model,
        files: base.files,
        loss,
        train: rows.train,
        eval: rows.eval,
        settings: config.forward_settings(),
    };
    let mut run = UnpairedRun::new(parts, &cache, options.ranks, progress)?;
    let summary = train(&mut run, &settings, options, progress)?;
    let metadata = RunMetadata { data: rows.metadata, ..RunMetadata::default() };
    finish(config, options, &base.folder, run.model(), &metadata, summary, rows.reports)
}

fn desirable(set: &RowSet<EncodedLabelled>) -> usize {
    set.items.iter().filter(|row| row.label == Label::Desirable).count()
}
