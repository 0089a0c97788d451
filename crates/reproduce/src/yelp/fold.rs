//! The rows of one seed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bestof_checkpoints::ModelFolder;
use bestof_sentiment::dataset::{Dataset, Part, Prepared};
use bestof_sentiment::generate::{GenerateOptions, Likeness, generate};
use bestof_sentiment::prepare::{PrepareOptions, ReviewSource, prepare};
use bestof_tasks::rng::{SeededRng, stable_hash};
use bestof_trainer::TrainError;

use super::settings::{Encoder, Settings};
use crate::jobs::fresh;
use crate::{Options, Progress, ReproduceError};

/// Stream of the samples of training and validation rows.
const SAMPLED: u64 = 0x7961_6c70;

/// The model that BERT starts from.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) path: PathBuf,
    /// Of its configuration, tokenizer and weights.
    pub(super) hash: String,
}

impl Start {
    /// # Errors
    /// A folder that holds no model.
    pub(super) fn open(path: &Path) -> Result<Self, ReproduceError> {
        let hash = ModelFolder::open(path).and_then(|folder| folder.files_hash());
        Ok(Self { path: path.to_owned(), hash: hash.map_err(TrainError::from)? })
    }
}

/// The rows of one seed at one strength of the meta effects, and the encoder that BERT starts from.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) seed: u64,
    /// Factor of the planted meta effects; 1 with the user's own reviews.
    pub(super) strength: f64,
    pub(super) folder: PathBuf,
    pub(super) start: Start,
    pub(super) train: Dataset,
    pub(super) validation: Dataset,
    pub(super) test: Dataset,
    /// Training reviews of each test row's restaurant.
    pub(super) known: Vec<u64>,
    /// Of made-up reviews.
    pub(super) likeness: Vec<Likeness>,
    /// Tells these rows from others.
    pub(super) fingerprint: u64,
}

/// Makes or reads the rows of a seed. Scores of earlier runs in its folder stay.
pub(super) fn fold(
    settings: &Settings,
    options: &Options,
    pretrained: Option<&Start>,
    (seed, strength): (u64, f64),
    progress: &mut dyn Progress,
) -> Result<Fold, ReproduceError> {
    let name = if strength == 1.0 {
        format!("seed{seed}")
    } else {
        format!("meta-effects{strength}/seed{seed}")
    };
    let folder = options.out.join(name);
    let mut likeness = Vec::new();
    let (source, limit) = match &options.data {
        Some(path) if path.is_file() => (ReviewSource::Csv(path.clone()), Some(settings.limit)),
        Some(path) => (ReviewSource::Folder(path.clone()), Some(settings.limit)),
        None => {
            let files = folder.join("data");
            fresh(&files)?;
            let mut reviews = GenerateOptions::new(settings.reviews);
            reviews.businesses = settings.businesses;
            reviews.seed = seed;
            reviews.meta_effects = strength;
            likeness = generate(&reviews, &files, &mut |_| {})?.likeness;
            (ReviewSource::Folder(files), None)
        }
    };
    let prepared = folder.join("prepared");
    fresh(&prepared)?;
    let mut how = PrepareOptions::new(source);
    how.seed = seed;
    how.limit = limit;
    let summary = prepare(&how, &prepared, &mut |_| {})?;
    for (file, left_out) in &summary.left_out {
        if !left_out.is_empty() {
            progress.notice(&format!("{file}: {left_out}"));
        }
    }
    let prepared = Prepared::open(&prepared)?;
    let [train, validation, test] =
        [Part::Train, Part::Validation, Part::Test].map(|part| prepared.part(part));
    let train = sample(train?, settings.train, seed, 0);
    let validation = sample(validation?, settings.validation, seed, 1);
    let test = test?;
    let of_restaurant =
        |business| train.examples.iter().filter(|row| row.business == business).count() as u64;
    let known = test.examples.iter().map(|row| of_restaurant(row.business)).collect();
    let start = match (pretrained, &settings.encoder) {
        (Some(start), _) => start.clone(),
        (None, Encoder::Pretrained(path)) => Start::open(path)?,
        (None, Encoder::Small(shape)) => {
            let path = folder.join("bert");
            let texts = train.examples.iter().map(|example| example.text.as_str());
            shape.write(&path, texts, seed)?;
            Start::open(&path)?
        }
    };
    let fingerprint = rows_hash([&train, &validation, &test]);
    Ok(Fold {
        seed,
        strength,
        folder,
        start,
        train,
        validation,
        test,
        known,
        likeness,
        fingerprint,
    })
}

/// At most this many rows, drawn by the seed, in their order.
fn sample(mut rows: Dataset, most: usize, seed: u64, part: u64) -> Dataset {
    if rows.len() > most {
        let mut chosen = SeededRng::new(seed, SAMPLED + part).sample(rows.len(), most);
        chosen.sort_unstable();
        rows.examples = chosen.into_iter().map(|row| rows.examples[row].clone()).collect();
    }
    rows
}

/// A hash of everything that models are trained on and tested with.
fn rows_hash(parts: [&Dataset; 3]) -> u64 {
    let mut all = String::new();
    for row in parts.into_iter().flat_map(|part| &part.examples) {
        let bits: Vec<u32> = row.meta.iter().map(|value| value.to_bits()).collect();
        let hash = stable_hash(&format!("{} {} {bits:?} {}", row.stars, row.business, row.text));
        // Writing to a string does not fail.
        let _ = write!(all, "{hash:x} ");
    }
    stable_hash(&all)
}
