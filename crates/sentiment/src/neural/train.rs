//! A whole run: configuration and rows in, run folder with model and report out.

use std::path::PathBuf;

use bestof_checkpoints::ModelFolder;
use bestof_files::StagedFolder;
use bestof_models::bert::{Bert, BertConfig, Loader};
use bestof_models::open_device;
use bestof_report::RunMetadata;
use bestof_trainer::TrainError;
use bestof_trainer::export::{FINAL, write_results};
use bestof_trainer::launch::{REPORT_FILE, write_report};
use bestof_trainer::model_files::ModelFiles;
use bestof_trainer::progress::Progress;
use bestof_trainer::run::{TrainOptions, TrainSummary, train as train_run};
use burn::module::Module;
use burn::tensor::Device;

use super::classifier::{Classifier, config_json};
use super::error::NeuralError;
use super::model::{NeuralModel, Shape, Start};
use super::reader::TextReader;
use super::rows::Row;
use super::run::NeuralRun;
use super::settings::NeuralConfig;
use super::vocabulary::Vocabulary;
use crate::model::{Architecture, ModelCard};
use crate::{Dataset, Example};

/// What a finished run left.
#[derive(Debug)]
pub struct Trained {
    /// Its numbers.
    pub summary: TrainSummary,
    /// The folder of the trained model, for [`crate::model::open`].
    pub model: PathBuf,
    /// The report.
    pub report: PathBuf,
    /// The trained model, ready to be asked.
    pub classifier: Classifier,
}

/// Trains a neural model on `data`, from the start or from the run's newest whole checkpoint, and
/// watches it on `validation`, which may be empty.
///
/// The words of CNN and HAN are those of `data`. With `train.early_stopping_patience` the run ends
/// when the validation loss no longer falls, with `train.load_best_model_at_end` it ends with the
/// weights that had the lowest.
///
/// # Errors
/// An encoder that cannot be opened, rows that do not fit, or what the loop says.
pub fn train(
    config: &NeuralConfig,
    data: &Dataset,
    validation: &Dataset,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Trained, NeuralError> {
    let device = open_device(&config.run.model.device)?;
    let fresh = Fresh::open(config, data, &device.clone().autodiff())?;
    let shape = fresh.model.shape().clone();
    let encode = |examples: &[Example]| {
        examples
            .iter()
            .map(|example| Row::labelled(example, &fresh.reader, &shape))
            .collect::<Result<Vec<_>, _>>()
    };
    let rows = encode(&data.examples)?;
    let held_out = encode(&validation.examples)?;
    let tokens: usize = rows.iter().map(Row::tokens).sum();
    let metadata = metadata(config, &fresh, rows.len(), held_out.len(), tokens);
    let names = data.examples.iter().map(|example| format!("training row {}", example.row));
    let files = ModelFiles::Full { config: config_json(&fresh.model) };
    let train_section = &config.run.train;
    let mut run =
        NeuralRun::new(fresh.model, files, (rows, names.collect()), held_out, train_section);
    let summary = train_run(&mut run, &config.run, options, progress)?;

    let dir = &config.run.output.dir;
    let model = run.into_model().valid();
    let card = card(config, data);
    let classifier = Classifier::new(model, fresh.reader, card, data.features.clone(), device);
    let (folder, mut report) = (dir.join(FINAL), dir.join(REPORT_FILE));
    if options.communicator.rank() == 0 {
        let staged = StagedFolder::replace(&folder).map_err(TrainError::from)?;
        classifier.save(staged.path(), fresh.encoder.as_ref())?;
        staged.commit().map_err(TrainError::from)?;
        write_results(&summary, dir)?;
        report = write_report(dir, &metadata)?;
    }
    Ok(Trained { summary, model: folder, report, classifier })
}

/// What the folder says of the model.
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

/// A model as training starts from it.
struct Fresh {
    model: NeuralModel,
    reader: TextReader,
    encoder: Option<ModelFolder>,
}

impl Fresh {
    fn open(config: &NeuralConfig, data: &Dataset, device: &Device) -> Result<Self, NeuralError> {
        let settings = config.sentiment.clone();
        let meta_features = data.features.width();
        let start = Start::Drawn(config.run.train.seed);
        if settings.kind.architecture() == Some(Architecture::Bert) {
            let folder = ModelFolder::open(&config.run.model.path)?;
            let reader = TextReader::pieces(&folder.dir, &settings)?;
            let weights = folder.weights()?;
            let mut loader = Loader::reading(&weights, device);
            let bert = BertConfig::from_hf(&folder.config).map_err(NeuralError::Model)?;
            let bert = Bert::load(&mut loader, &bert)?;
            let shape = Shape { settings, meta_features, words: 0 };
            let model = NeuralModel::load(&mut loader, start, &shape, Some(bert))?;
            return Ok(Self { model, reader, encoder: Some(folder) });
        }
        let texts = data.examples.iter().map(|example| &example.text);
        let words = Vocabulary::fit(texts, settings.vocabulary, settings.min_rows);
        let shape = Shape { settings, meta_features, words: words.len() };
        let mut loader = Loader::drawing(config.run.train.seed, 1.0, device);
        let model = NeuralModel::load(&mut loader, start, &shape, None)?;
        let reader = TextReader::words(words, &shape.settings);
        Ok(Self { model, reader, encoder: None })
    }
}

/// What the report says of model and data.
fn metadata(
    config: &NeuralConfig,
    fresh: &Fresh,
    rows: usize,
    held_out: usize,
    tokens: usize,
) -> RunMetadata {
    let mut data = vec![("model".to_owned(), config.sentiment.kind.to_string())];
    match (&fresh.encoder, fresh.reader.vocabulary()) {
        (Some(folder), _) => data.push(("encoder".to_owned(), folder.dir.display().to_string())),
        (None, Some(words)) => data.push(("words known".to_owned(), words.len().to_string())),
        (None, None) => {}
    }
    let mean = tokens as f64 / rows.max(1) as f64;
    data.extend([
        ("prepared data".to_owned(), config.run.data.train.display().to_string()),
        ("training reviews".to_owned(), rows.to_string()),
        ("validation reviews".to_owned(), held_out.to_string()),
        ("tokens of a review, mean".to_owned(), format!("{mean:.1}")),
    ]);
    RunMetadata { data, ..RunMetadata::default() }
}
