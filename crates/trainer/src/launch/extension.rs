//! Context extension: a new basis, then training at the new length.

use std::collections::BTreeMap;
use std::path::Path;

use bestof_checkpoints::ModelFolder;
use bestof_models::{ModelError, RandomPositions};
use bestof_positional::hf::{Extended, with_factor};
use bestof_positional::{RopeError, RopeParams, RopeScaling};
use bestof_report::RunMetadata;
use bestof_tasks::rng::SeededRng;
use bestof_tasks::rows::ReadOptions;
use serde_json::Value;

use super::{Base, Finished, finish};
use crate::config::{ConfigError, ExtendSection, RunConfig, RunKind, ValueProblem};
use crate::data::{EncodedCompletion, Encoder, TextWindows, load_windows};
use crate::error::TrainError;
use crate::progress::Progress;
use crate::rows::{RowName, RowSet};
use crate::run::{TrainOptions, TrainingRun, train};
use crate::sft::SupervisedRun;

/// Stream of the draw that holds documents out.
const HOLD_OUT_STREAM: u64 = u64::MAX - 1;

/// A context-extension run (`extend` with a configuration) from start, or from its newest whole
/// checkpoint, to its report. `final/` has the new basis in words that stock loaders know.
///
/// # Errors
/// Every variant of [`TrainError`] that names something wrong with basis, model, rows, settings or
/// disk.
pub fn extension(
    config: &RunConfig,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    options.ranks.agree(extension_here(config, options, progress))
}

fn extension_here(
    config: &RunConfig,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    config.validate_kind(RunKind::EXTENSION)?;
    let mut folder = ModelFolder::open(&config.model.path)?;
    let Plan { extended, trained_as, config, windows } = Plan::of(config, &folder.config)?;
    if !extended.no_rope_is_portable {
        tracing::warn!(
            layers = ?extended.no_rope,
            "other loaders pass over `bestof.no_rope_layers` of config.json and rotate every layer"
        );
    }
    folder.config = trained_as;
    let config = &config;
    let mut base = Base::of(folder, config, options.ranks)?;
    // The adapter alone would be put on the configuration in the folder.
    base.model.check_mergeable()?;
    let load = |path: &Path, encoder: &Encoder<'_>, read: &ReadOptions| {
        load_windows(path, encoder, windows, read)
    };
    let hold_out = |all, share, seed| hold_out_documents(all, share, seed, windows);
    let rows = base.load_with(config, load, "windows", hold_out)?;
    let train_settings = rows.settings(config, base.hash);
    let options = &options.claimed(&train_settings.dir)?;
    let mut data = rows.metadata;
    data.extend(describe(&extended, windows));
    let settings = config.forward_settings();
    let mut run = SupervisedRun::new(base.model, base.files, rows.train, rows.eval, settings);
    if let Some(section) = config.extend.as_ref().filter(|section| section.draws_positions()) {
        run = run.with_random_positions(RandomPositions {
            seed: config.train.seed,
            smallest_step: section.smallest_step(),
            length: windows.length,
        });
    }
    let summary = train(&mut run, &train_settings, options, progress)?;
    let metadata = RunMetadata { data, ..RunMetadata::default() };
    base.folder.config = extended.config;
    finish(config, options, &base.folder, run.model(), &metadata, summary, rows.reports)
}

/// What an extension run follows from its settings and the model's `config.json`.
struct Plan {
    extended: Extended,
    trained_as: Value,
    config: RunConfig,
    windows: TextWindows,
}

impl Plan {
    fn of(config: &RunConfig, model: &Value) -> Result<Self, TrainError> {
        let section = config.extend.clone().unwrap_or_else(|| ExtendSection::new("default"));
        let extended = section
            .extension()
            .and_then(|extension| extension.apply(model))
            .map_err(ModelError::from)?;
        let trained_as = trained_as(&extended).map_err(ModelError::from)?;
        let (config, windows) = resolve(config, section, &extended)?;
        Ok(Self { extended, trained_as, config, windows })
    }
}

/// The settings of an extension run with the lengths that follow from the model (`data.max_length` is that
/// of a training window), and the `config.json` that the model is trained under.
///
/// # Errors
/// A basis that the model cannot have, or lengths that do not fit it.
pub fn resolve_extension(
    config: &RunConfig,
    model: &Value,
) -> Result<(RunConfig, Value), TrainError> {
    Plan::of(config, model).map(|plan| (plan.config, plan.trained_as))
}

/// The configuration that weights are trained under. `DroPE` recalibrates at the length before, where
/// attention scores are not scaled.
fn trained_as(extended: &Extended) -> Result<Value, RopeError> {
    match &extended.rope.scaling {
        RopeScaling::DroPe(rule) if rule.factor != 1.0 => with_factor(&extended.config, 1.0),
        _ => Ok(extended.config.clone()),
    }
}

/// The configuration with the lengths that follow from the model.
fn resolve(
    config: &RunConfig,
    section: ExtendSection,
    extended: &Extended,
) -> Result<(RunConfig, TextWindows), TrainError> {
    let recalibrates = matches!(extended.rope.scaling, RopeScaling::DroPe(_));
    let longest = if recalibrates { extended.trained } else { extended.length };
    let length = section.train_length.unwrap_or(longest);
    let stride = section.stride.unwrap_or((length / 2).max(1));
    let problem = |key, found: usize, expected| {
        let problems = vec![ValueProblem { key, found: found.to_string(), expected }];
        TrainError::Config(ConfigError::Values { problems })
    };
    if length > longest {
        let expected = if recalibrates {
            "at most the length before: `drope` recalibrates there, and goes further without training"
        } else {
            "at most the extended model's length, `extend.length`"
        };
        return Err(problem("extend.train_length", length, expected));
    }
    if stride > length {
        let expected = "at most the length of a window, `extend.train_length`";
        return Err(problem("extend.stride", stride, expected));
    }
    let mut config = config.clone();
    config.data.max_length = length;
    let smallest_step = Some(section.smallest_step());
    config.extend = Some(ExtendSection {
        params: RopeParams { smallest_step, ..section.params },
        length: Some(extended.length),
        train_length: Some(length),
        stride: Some(stride),
        ..section
    });
    Ok((config, TextWindows { length, stride }))
}

fn describe(extended: &Extended, windows: TextWindows) -> Vec<(String, String)> {
    let say = |name: &str, value: String| (name.to_owned(), value);
    let mut facts = vec![
        say("basis", extended.rope.scaling.describe()),
        say("context before", format!("{} tokens", extended.trained)),
        say("context now", format!("{} tokens", extended.length)),
        say("training windows", format!("{} tokens, every {}", windows.length, windows.stride)),
        say("frequency hash", extended.hash.clone()),
    ];
    if !extended.no_rope.is_empty() {
        facts.push(say("layers without RoPE", format!("{:?} (from 0)", extended.no_rope)));
    }
    facts
}

/// Holds out a share of the documents, with all their windows: windows of one document overlap. Of
/// a single document the last windows are held out, and those that overlap them are left out.
fn hold_out_documents(
    all: RowSet<EncodedCompletion>,
    share: f64,
    seed: u64,
    windows: TextWindows,
) -> (RowSet<EncodedCompletion>, RowSet<EncodedCompletion>) {
    if share <= 0.0 {
        return (all, RowSet::empty());
    }
    let mut documents: BTreeMap<RowName, usize> = BTreeMap::new();
    for name in &all.names {
        let next = documents.len();
        documents.entry(name.clone()).or_insert(next);
    }
    let (mut kept, mut held) = (RowSet::empty(), RowSet::empty());
    let count = |n: usize| ((share * n as f64).round() as usize).clamp(1, n.max(2) - 1);
    if documents.len() > 1 {
        let mut order: Vec<usize> = (0..documents.len()).collect();
        SeededRng::new(seed, HOLD_OUT_STREAM).shuffle(&mut order);
        let out = &order[..count(documents.len())];
        for (item, name) in all.items.into_iter().zip(all.names) {
            let side = if out.contains(&documents[&name]) { &mut held } else { &mut kept };
            side.items.push(item);
            side.names.push(name);
        }
        return (kept, held);
    }
    let total = all.len();
    let first_held = total - count(total).min(total);
    let overlapping = windows.length.div_ceil(windows.stride.max(1)) - 1;
    if first_held <= overlapping {
        // Nothing would be left to train on; the report says that nothing is held out.
        return (all, held);
    }
    for (number, (item, name)) in all.items.into_iter().zip(all.names).enumerate() {
        let side = if number >= first_held {
            &mut held
        } else if number + overlapping < first_held {
            &mut kept
        } else {
            continue;
        };
        side.items.push(item);
        side.names.push(name);
    }
    (kept, held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Boundary;

    fn windows_of(documents: &[usize]) -> RowSet<EncodedCompletion> {
        let mut set = RowSet::empty();
        for (document, &count) in documents.iter().enumerate() {
            for number in 0..count as u32 {
                set.items.push(EncodedCompletion {
                    prompt_ids: vec![document as u32],
                    completion_ids: vec![number],
                    boundary: Boundary::Joint,
                    skipped: Vec::new(),
                    truncated: false,
                });
                set.names.push(format!("f:{document}").into());
            }
        }
        set
    }

    const HALF: TextWindows = TextWindows { length: 8, stride: 4 };

    #[test]
    fn a_document_is_held_out_with_all_its_windows() {
        let all = windows_of(&[3, 1, 4, 2]);
        let (kept, held) = hold_out_documents(all.clone(), 0.5, 7, HALF);
        assert_eq!(kept.len() + held.len(), 10);
        assert!(!kept.is_empty() && !held.is_empty());
        assert!(held.names.iter().all(|name| !kept.names.contains(name)));
        assert_eq!(hold_out_documents(all.clone(), 0.5, 7, HALF).1, held, "the seed decides");
        assert!(hold_out_documents(all, 0.0, 7, HALF).1.is_empty());
    }

    #[test]
    fn of_one_document_the_end_is_held_out_and_nothing_overlaps_it() {
        let (kept, held) = hold_out_documents(windows_of(&[10]), 0.2, 7, HALF);
        let numbers = |set: &RowSet<EncodedCompletion>| -> Vec<u32> {
            set.items.iter().map(|item| item.completion_ids[0]).collect()
        };
        // Windows move by half their length: window 7 overlaps window 8.
        assert_eq!(numbers(&kept), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(numbers(&held), [8, 9]);
        assert!(hold_out_documents(windows_of(&[2]), 0.5, 7, HALF).1.is_empty());
    }
}
