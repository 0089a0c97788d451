//! A whole run: configuration and rows in, run folder with model and report out.

use std::path::PathBuf;

use bestof_checkpoints::ModelFolder;
use bestof_files::StagedFolder;
use bestof_models::encoder::{Encoder, EncoderConfig, Loader};
use bestof_report::RunMetadata;
use bestof_trainer::export::{FINAL, write_results};
use bestof_trainer::launch::{REPORT_FILE, write_report};
use bestof_trainer::model_files::ModelFiles;
use bestof_trainer::progress::Progress;
use bestof_trainer::run::{TrainOptions, TrainSummary, train as train_run};
use burn::module::Module;
use burn::tensor::Device;

use super::classifier::NeuralClassifier;
use super::config::NeuralConfig;
use super::encoded::EncodedReview;
use super::encoder::TextEncoder;
use super::init::Init;
use super::model::NeuralModel;
use super::run::{NeuralRun, in_training};
use super::shape::ModelShape;
use super::tokenizer::ReviewTokenizer;
use super::vocabulary::Vocabulary;
use crate::dataset::{Dataset, Example};
use crate::error::SentimentError;
use crate::model::{Architecture, ModelCard};

/// A finished run.
#[derive(Debug)]
pub struct Trained {
    /// Final metrics, number of steps and time.
    pub summary: TrainSummary,
    /// The folder of the trained model, for [`crate::model::open`].
    pub model: PathBuf,
    /// The file of the report.
    pub report: PathBuf,
    /// The trained model.
    pub classifier: NeuralClassifier,
}

/// Trains a neural model on `data`, from the start or from the run's newest intact checkpoint, and
/// evaluates it on `validation`, which may be empty.
///
/// The vocabulary of CNN and HAN is fitted on `data`. With `train.early_stopping_patience` the run
/// stops when the validation loss no longer falls; with `train.load_best_model_at_end` the model is the
/// one with the lowest validation loss.
///
/// # Errors
/// An encoder that cannot be opened, rows that do not fit, or an error of the training loop.
pub fn train(
    config: &NeuralConfig,
    data: &Dataset,
    validation: &Dataset,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Trained, SentimentError> {
    let ranks = options.ranks;
    let outcome = train_here(config, data, validation, options, progress);
    if ranks.is_alone() {
        return outcome;
    }
    Ok(ranks.agree(outcome.map_err(in_training))?)
}

fn train_here(
    config: &NeuralConfig,
    data: &Dataset,
    validation: &Dataset,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Trained, SentimentError> {
    config.sentiment.labels.expect_in(data)?;
    let device = options.ranks.open_device(&config.run.model.device)?;
    let fresh = Untrained::new(config, data, &device.autodiff())?;
    let shape = fresh.model.shape().clone();
    let encode = |examples: &[Example]| {
        examples
            .iter()
            .map(|example| EncodedReview::labelled(example, &fresh.tokenizer, &shape))
            .collect::<Result<Vec<_>, _>>()
    };
    let rows = encode(&data.examples)?;
    let held_out = encode(&validation.examples)?;
    let tokens: usize = rows.iter().map(EncodedReview::tokens).sum();
    let metadata = metadata(config, &fresh, rows.len(), held_out.len(), tokens);
    let names = data.examples.iter().map(|example| format!("training row {}", example.row));
    let files = ModelFiles::Full { config: fresh.model.config_json() };
    let settings = config.run.forward_settings();
    let mut loop_settings = config.run.train_settings();
    loop_settings.complete = NeuralConfig::completed;
    let mut run = NeuralRun::new(fresh.model, files, (rows, names.collect()), held_out, settings);
    let options = &options.claimed(&loop_settings.dir)?;
    let summary = train_run(&mut run, &loop_settings, options, progress)?;

    let dir = &config.run.output.dir;
    let model = run.into_model().valid();
    let card = card(config, data);
    let classifier = NeuralClassifier::new(model, fresh.tokenizer, card, data.features.clone());
    let (folder, mut report) = (dir.join(FINAL), dir.join(REPORT_FILE));
    if options.ranks.is_first() {
        let staged = StagedFolder::replace(&folder)?;
        classifier.save(staged.path(), fresh.encoder.as_ref())?;
        staged.commit()?;
        write_results(&summary, dir)?;
        report = write_report(dir, &metadata)?;
    }
    Ok(Trained { summary, model: folder, report, classifier })
}

/// The description in the model's folder.
fn card(config: &NeuralConfig, data: &Dataset) -> ModelCard {
    let kind = config.sentiment.kind;
    let inputs = if kind.is_joint() { "joint" } else { "text" };
    let rows = data.len() as u64;
    ModelCard {
        trained_on: rows,
        available: rows,
        restaurants: data.training_counts(),
        ..ModelCard::new(kind, inputs, config.run.train.seed)
    }
}

/// The model before the first step.
struct Untrained {
    model: NeuralModel,
    tokenizer: ReviewTokenizer,
    /// The folder of the pretrained encoder.
    encoder: Option<ModelFolder>,
}

impl Untrained {
    fn new(config: &NeuralConfig, data: &Dataset, device: &Device) -> Result<Self, SentimentError> {
        let settings = config.sentiment.clone();
        let meta_features = data.features.width();
        let seed = config.run.train.seed;
        let init = Init::Random(seed);
        let architecture = settings.architecture()?;
        if architecture == Architecture::Bert {
            let folder = ModelFolder::open(&config.run.model.path)?;
            let tokenizer = ReviewTokenizer::pieces(&folder.dir, &settings)?;
            let weights = folder.weights()?;
            let mut loader = Loader::reading(&weights, device);
            let encoder = Encoder::load(&mut loader, &EncoderConfig::from_hf(&folder.config)?)?;
            tokenizer.check_fits(encoder.config().vocab_size)?;
            let encoder = TextEncoder::pretrained(encoder, &mut loader, init, &settings)?;
            let shape = ModelShape { settings, meta_features, words: 0 };
            let model = NeuralModel::load(&mut loader, init, shape, encoder)?;
            return Ok(Self { model, tokenizer, encoder: Some(folder) });
        }
        let texts = data.examples.iter().map(|example| &example.text);
        let vocabulary = Vocabulary::fit(texts, settings.vocabulary, settings.min_rows);
        let words = vocabulary.len();
        let tokenizer = ReviewTokenizer::words(vocabulary, &settings);
        let mut loader = Loader::drawing(seed, 1.0, device);
        let encoder = if architecture == Architecture::Cnn {
            TextEncoder::cnn(&mut loader, init, words, &settings)?
        } else {
            TextEncoder::han(&mut loader, init, words, &settings)?
        };
        let shape = ModelShape { settings, meta_features, words };
        let model = NeuralModel::load(&mut loader, init, shape, (encoder, None))?;
        Ok(Self { model, tokenizer, encoder: None })
    }
}

/// What the report says of model and data.
fn metadata(
    config: &NeuralConfig,
    fresh: &Untrained,
    rows: usize,
    held_out: usize,
    tokens: usize,
) -> RunMetadata {
    let mut data = vec![("model".to_owned(), config.sentiment.kind.to_string())];
    match (&fresh.encoder, fresh.tokenizer.vocabulary()) {
        (Some(folder), _) => {
            let family = folder.model_type().unwrap_or_default();
            data.push(("encoder".to_owned(), format!("{} ({family})", folder.dir.display())));
        }
        (None, Some(words)) => data.push(("words known".to_owned(), words.len().to_string())),
        (None, None) => {}
    }
    let mean = tokens as f64 / rows.max(1) as f64;
    data.extend([
        ("prepared data".to_owned(), config.run.data.train.to_string()),
        ("training reviews".to_owned(), rows.to_string()),
        ("validation reviews".to_owned(), held_out.to_string()),
        ("tokens of a review, mean".to_owned(), format!("{mean:.1}")),
    ]);
    RunMetadata { data, ..RunMetadata::default() }
}
