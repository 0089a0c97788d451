//! The crate's error.

mod make;

use std::io;
use std::path::PathBuf;

use bestof_checkpoints::CheckpointError;
use bestof_files::FileKind;
use bestof_models::encoder::EncoderError;
use bestof_models::{DeviceError, ModelError};
use bestof_trainer::TrainError;
use bestof_trainer::config::ConfigError;

/// Why reviews could not be read or prepared, or a model not trained, opened or evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SentimentError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "open", "read", "write", ...
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A JSON file that is damaged or of another form.
    #[error("{}: {source}; it is written by `sentiment prepare` or `sentiment train`: run that again", path.display())]
    BadJson {
        /// The file.
        path: PathBuf,
        /// The JSON reader's error.
        source: serde_json::Error,
    },
    /// A file of another version of this program.
    #[error("{} has version {found}, and this program reads version {expected}; write it again with this program", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version this program reads.
        expected: u32,
    },
    /// A Parquet file that cannot be read or written.
    #[error("cannot {action} {}: {source}; it is written by `sentiment prepare`: run that again", path.display())]
    Parquet {
        /// "read" or "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The Parquet library's error.
        source: parquet::errors::ParquetError,
    },
    /// A file without a required column.
    #[error("{} has no column `{column}`; its columns are {found}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The columns it has.
        found: String,
    },
    /// A table with two columns that could be one.
    #[error("{} has `{found}`, of which each could be `{column}`; rename the one that is meant to `{column}`", path.display())]
    AmbiguousColumn {
        /// The file.
        path: PathBuf,
        /// What both could be.
        column: &'static str,
        /// The columns.
        found: String,
    },
    /// A table whose first line is a row, of more columns than a class and a text.
    #[error("{} has no header: it begins with {start:?}; put a line with the names of the columns first, such as `stars,text`", path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
        /// How it begins.
        start: String,
    },
    /// A column of classes that are not stars.
    #[error("column `{column}` of {} holds {found}: {why}; write the stars, 1 to 5, into a column `stars`", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// The column, or its number if the file has no header.
        column: String,
        /// The numbers in it.
        found: String,
        /// What is wrong with them.
        why: &'static str,
    },
    /// A Parquet file of reviews that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// The Parquet library's error.
        source: parquet::errors::ParquetError,
    },
    /// Reviews of one class, from which nothing can be learned.
    #[error(
        "all {rows} reviews {class}: a model needs at least two classes; give reviews of several stars"
    )]
    OneClass {
        /// How many reviews there are.
        rows: u64,
        /// What they are, such as "have 5 stars".
        class: String,
    },
    /// A table of two classes, and a model of stars.
    #[error(
        "the rows have two classes and no stars, and the labels to learn are `{labels}`; train with `--labels binary` (`sentiment.labels`)"
    )]
    NoStars {
        /// The labels to learn.
        labels: &'static str,
    },
    /// A row of a table that is in no part of the given split.
    #[error("{} line {line}: column `part` is {found:?}, expected train, validation or test in every row", path.display())]
    UnknownPart {
        /// The table.
        path: PathBuf,
        /// The line of the row, counted from 1.
        line: u64,
        /// What the column says, empty if nothing.
        found: String,
    },
    /// A given split of files that have no place for it.
    #[error(
        "the files of the data set say nothing of parts: `--split part` reads a table with a column `part`, given with --csv"
    )]
    PartsOfAFolder,
    /// A file that is not UTF-8 text.
    #[error("{} is {found}", path.display())]
    NoText {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: FileKind,
    },
    /// A folder without a file of the data set.
    #[error(
        "{} has no {file}; give the folder of the unpacked data set, which holds yelp_academic_dataset_business.json, _review.json and _user.json{}",
        path.display(),
        if found.is_empty() { "; it is empty".to_owned() } else { format!("; it holds {found}") }
    )]
    MissingFile {
        /// The folder.
        path: PathBuf,
        /// The file.
        file: String,
        /// The first file names in it.
        found: String,
    },
    /// Too few rows for training, validation and test.
    #[error("{rows} rows can be used, too few for training, validation and test by {split}{}", if left_out.is_empty() { String::new() } else { format!("; {left_out}") })]
    TooFewRows {
        /// How many rows there are.
        rows: u64,
        /// The rule of the split.
        split: &'static str,
        /// What was left out, in words.
        left_out: String,
    },
    /// A folder that `sentiment prepare` did not write.
    #[error(
        "{} is no prepared folder: it has no {file}; name the folder given to `sentiment prepare --out`",
        path.display()
    )]
    NotPrepared {
        /// The folder.
        path: PathBuf,
        /// The file that is missing.
        file: String,
    },
    /// A generator without businesses, without authors, or with a share outside 0 to 1.
    #[error(
        "cannot generate reviews of {businesses} businesses by {users} users; ask for at least one of each"
    )]
    NothingToGenerate {
        /// Businesses asked for.
        businesses: u32,
        /// Authors asked for.
        users: u32,
    },
    /// A planted effect that cannot be generated.
    #[error("cannot generate reviews with a {what} of {found}; it lies from 0 to {most}")]
    Strength {
        /// Which effect.
        what: &'static str,
        /// What was asked for.
        found: f64,
        /// The most.
        most: f64,
    },
    /// A model and rows from two preparations.
    #[error(
        "{model} was trained on another preparation of the data: its columns or scalers differ; evaluate it on the folder it was trained on"
    )]
    OtherFeatures {
        /// The model.
        model: String,
    },
    /// An unknown kind of model.
    #[error("no model is called `{name}`; known are {known}")]
    UnknownModel {
        /// The name.
        name: String,
        /// All names.
        known: String,
    },
    /// A neural kind where a classical one is needed.
    #[error("`{kind}` is a neural model: train it with `bestof_sentiment::neural`")]
    NotClassical {
        /// The kind.
        kind: &'static str,
    },
    /// A neural model where the columns of a classical one are asked for.
    #[error(
        "`{kind}` is a neural model, which reads texts and not columns of numbers; name the folder of a classical one"
    )]
    NoColumns {
        /// The kind.
        kind: &'static str,
    },
    /// A folder that `sentiment train` did not write.
    #[error("{} is not a model of reviews: it has no sentiment.json; name the folder given to `sentiment train --out`", path.display())]
    NotAModel {
        /// The folder.
        path: PathBuf,
    },
    /// A saved classical model that contradicts itself.
    #[error("the {what} of the saved model is damaged; train it again")]
    DamagedModel {
        /// Which part.
        what: &'static str,
    },
    /// A row with another number of columns than the model takes.
    #[error(
        "a row has {found} columns, and the model takes {expected}; prepare the rows with the model's own features.json"
    )]
    Width {
        /// Columns of the row.
        found: usize,
        /// Columns of the model.
        expected: usize,
    },
    /// Rows that would need too much memory.
    #[error(
        "{rows} rows of {width} columns are more than the {largest} numbers that fit into memory; lower --terms, or prepare fewer rows with --limit"
    )]
    TooLarge {
        /// Rows.
        rows: usize,
        /// Columns.
        width: usize,
        /// Most numbers.
        largest: usize,
    },
    /// No rows, or rows without columns.
    #[error(
        "there are no rows with columns to fit a model on; check the prepared folder, or choose other inputs"
    )]
    NoRows,
    /// A class outside `0..classes`.
    #[error("a row has class {found}, and there are {classes} classes from 0")]
    Class {
        /// The number.
        found: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The encoder could not be built or run.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// A part of the model could not be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The device is not there.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A model or tokenizer file could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file of a model folder that contradicts another, or that is too large.
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
    /// A row with another number of features than the model takes.
    #[error(
        "row {row} has {found} meta features, the model takes {expected}; \
         prepare the data with the `features.json` of the model"
    )]
    FeatureCount {
        /// [`crate::Example::row`].
        row: u64,
        /// Features of the row.
        found: usize,
        /// Features the model takes.
        expected: usize,
    },
    /// Stars outside 1 to 5.
    #[error("row {row} has {stars} stars, expected 1 to 5")]
    Stars {
        /// [`crate::Example::row`].
        row: u64,
        /// The stars found.
        stars: u8,
    },
    /// A feature, a target or a contribution that is not finite.
    #[error("row {row}: {what} is {value}, expected a finite number")]
    NotFinite {
        /// [`crate::Example::row`].
        row: u64,
        /// What is not finite.
        what: &'static str,
        /// Its value.
        value: f32,
    },
    /// A tokenizer that keeps capitals, with a vocabulary that has none.
    #[error(
        "the tokenizer of {} keeps capitals, but the vocabulary has none: `The` would be unknown; \
         give `tokenizer.json` a normalizer that lower-cases", .dir.display()
    )]
    Cased {
        /// The model folder.
        dir: PathBuf,
    },
    /// An answer that the model has no head for.
    #[error("the model has no head for {asked}; it has {}", .has.join(", "))]
    NoHead {
        /// What was asked for.
        asked: String,
        /// The heads it has.
        has: Vec<&'static str>,
    },
    /// A longest text beyond the positions of the encoder.
    #[error("`sentiment.max_length` is {found}, but the encoder reads at most {max} tokens")]
    TooLong {
        /// The setting.
        found: usize,
        /// Positions of the encoder.
        max: usize,
    },
    /// A report could not be written.
    #[error(transparent)]
    Report(#[from] bestof_report::ReportError),
    /// An input that contains the answer.
    #[error("`{name}` may not be an input: {why}")]
    RefusedFeature {
        /// The column.
        name: String,
        /// How it contains the answer.
        why: &'static str,
    },
    /// An unknown feature.
    #[error("no feature is called `{name}`; known are {known}")]
    UnknownFeature {
        /// The name.
        name: String,
        /// All names.
        known: String,
    },
}
