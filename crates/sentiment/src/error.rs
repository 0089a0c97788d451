//! What can go wrong between files, features and models.

use std::io;
use std::path::PathBuf;

use bestof_files::FileError;

use crate::neural::NeuralError;

/// Why reviews could not be read, prepared, learned from or judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SentimentError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "open", "read", "write", ...
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// A JSON file is not what it should be.
    #[error("{}: {source}; it is written by `sentiment prepare` and `sentiment train`, make it again", path.display())]
    BadJson {
        /// The file.
        path: PathBuf,
        /// What the JSON reader met.
        source: serde_json::Error,
    },
    /// A file of another version of this program.
    #[error("{} has version {found}, and this program reads version {expected}; make it again with this program", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version this program writes.
        expected: u32,
    },
    /// A Parquet file that cannot be read or written.
    #[error("cannot {action} {}: {source}; it is written by `sentiment prepare`, make it again", path.display())]
    Parquet {
        /// "read" or "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the Parquet library met.
        source: parquet::errors::ParquetError,
    },
    /// A file without a column that is needed.
    #[error("{} has no column `{column}`; its columns are {found}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The columns it has.
        found: String,
    },
    /// A file that is no UTF-8 text.
    #[error("{} is {found}; {mend}", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// How to mend it.
        mend: &'static str,
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
        /// The first names it holds.
        found: String,
    },
    /// Too few rows to make three parts of.
    #[error("{rows} rows can be used, which is too few for training, validation and test by {split}{}", if left_out.is_empty() { String::new() } else { format!("; {left_out}") })]
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
        "cannot generate reviews of {businesses} businesses by {users} users with a share of word order of {word_order}; ask for at least one of each and a share from 0 to 1"
    )]
    NothingToGenerate {
        /// Businesses asked for.
        businesses: u32,
        /// Authors asked for.
        users: u32,
        /// Share of sentences asked for.
        word_order: f64,
    },
    /// A model and rows of two preparations.
    #[error(
        "{model} was trained on another preparation of the data: its columns or scalers differ; evaluate it on the folder it was trained on"
    )]
    OtherFeatures {
        /// The model.
        model: String,
    },
    /// A name that no kind of model has.
    #[error("no model is called `{name}`; known are {known}")]
    UnknownModel {
        /// The name.
        name: String,
        /// All names.
        known: String,
    },
    /// A kind that is asked of the classical models and is none.
    #[error("`{kind}` is no classical model; `bestof_sentiment::neural` trains it")]
    NotClassical {
        /// The kind.
        kind: &'static str,
    },
    /// A folder that `sentiment train` did not write.
    #[error("{} is no model of reviews: it has no sentiment.json; name the folder given to `sentiment train --out`", path.display())]
    NotAModel {
        /// The folder.
        path: PathBuf,
    },
    /// A library could not fit a model.
    #[error("the {what} could not be fitted: {message}")]
    Fit {
        /// Which model.
        what: &'static str,
        /// The library's words.
        message: String,
    },
    /// A saved model that contradicts itself.
    #[error("the {what} of the saved model is damaged; train it again")]
    DamagedModel {
        /// Which part.
        what: &'static str,
    },
    /// Rows of another width than the model's.
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
        "{rows} rows of {width} columns are more than the {largest} numbers that are held at once; lower --terms, or prepare fewer rows with --limit"
    )]
    TooLarge {
        /// Rows.
        rows: usize,
        /// Columns.
        width: usize,
        /// Most numbers.
        largest: usize,
    },
    /// Nothing to fit a model to.
    #[error(
        "there are no rows with columns to fit a model to; check the prepared folder, or choose other inputs"
    )]
    NoRows,
    /// A class number beyond the classes.
    #[error("a row has class {found}, and there are {classes} classes from 0")]
    Class {
        /// The number.
        found: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A neural model failed.
    #[error(transparent)]
    Neural(Box<NeuralError>),
    /// A page could not be written.
    #[error(transparent)]
    Report(#[from] bestof_report::ReportError),
    /// An input that contains the answer.
    #[error("`{name}` may not be an input: {why}")]
    RefusedFeature {
        /// The column.
        name: String,
        /// In what way it contains the answer.
        why: &'static str,
    },
    /// An input that does not exist.
    #[error("no feature is called `{name}`; known are {known}")]
    UnknownFeature {
        /// The name asked for.
        name: String,
        /// All names.
        known: String,
    },
}

impl SentimentError {
    pub(crate) fn parquet(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: parquet::errors::ParquetError,
    ) -> Self {
        Self::Parquet { action, path: path.into(), source }
    }

    /// A closure that wraps an I/O error with what was tried on which path.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

impl From<FileError> for SentimentError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io { step, path, source } => {
                Self::Io { action: step.as_str(), path, source }
            }
            FileError::Occupied { ref path } => {
                let (action, path) = ("write", path.clone());
                Self::Io { action, path, source: error.into_io() }
            }
        }
    }
}

impl From<NeuralError> for SentimentError {
    fn from(error: NeuralError) -> Self {
        match error {
            NeuralError::Data(error) => error,
            other => Self::Neural(Box::new(other)),
        }
    }
}
