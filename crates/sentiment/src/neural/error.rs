//! What can go wrong with a neural model.

use std::path::PathBuf;

use bestof_checkpoints::CheckpointError;
use bestof_models::bert::BertError;
use bestof_models::{DeviceError, ModelError};
use bestof_trainer::TrainError;
use bestof_trainer::config::ConfigError;

/// Why a neural model could not be made, trained, opened or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NeuralError {
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The encoder could not be built or run.
    #[error(transparent)]
    Encoder(#[from] BertError),
    /// A part of the model could not be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The device is not there.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A model or tokenizer file could not be read or written.
    #[error(transparent)]
    Files(#[from] CheckpointError),
    /// The features could not be read or written.
    #[error(transparent)]
    Data(#[from] crate::SentimentError),
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of a model folder does not hold what it should.
    #[error("{}: {reason}; it is written by `sentiment train`, train the model again", .path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting is outside its range.
    #[error("`sentiment.{key}` is {found}, expected {expected}")]
    Setting {
        /// The key.
        key: &'static str,
        /// The value given.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// A row's features are not as many as the model takes.
    #[error(
        "row {row} has {found} meta features, the model takes {expected}; \
         prepare the data with the `features.json` of the model"
    )]
    FeatureCount {
        /// The row, as [`crate::Example::row`].
        row: u64,
        /// Features of the row.
        found: usize,
        /// Features the model takes.
        expected: usize,
    },
    /// A row's stars are no class.
    #[error("row {row} has {stars} stars, expected 1 to 5")]
    Stars {
        /// The row, as [`crate::Example::row`].
        row: u64,
        /// The stars found.
        stars: u8,
    },
    /// A feature or target is no number.
    #[error("row {row}: {what} is {value}, expected a finite number")]
    NotFinite {
        /// The row, as [`crate::Example::row`].
        row: u64,
        /// What is not finite.
        what: &'static str,
        /// Its value.
        value: f32,
    },
    /// The tokenizer hands capitals to a vocabulary without any.
    #[error(
        "the tokenizer of {} keeps capitals, but the vocabulary has none: `The` would be unknown; \
         give `tokenizer.json` a normalizer that lower-cases", .dir.display()
    )]
    Cased {
        /// The model folder.
        dir: PathBuf,
    },
    /// The model has no such answer.
    #[error("the model has no head for {asked}; it has {}", .has.join(", "))]
    NoHead {
        /// What was asked for.
        asked: String,
        /// The heads it has.
        has: Vec<&'static str>,
    },
    /// The text is longer than the encoder can read.
    #[error("`sentiment.max_length` is {found}, but the encoder reads at most {max} tokens")]
    TooLong {
        /// The setting.
        found: usize,
        /// Positions of the encoder.
        max: usize,
    },
}

impl NeuralError {
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
