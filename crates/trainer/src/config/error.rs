//! What can be wrong with a configuration.

use std::path::PathBuf;

use thiserror::Error;

/// What can be wrong with a configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not TOML.
    #[error("the configuration is not valid TOML: {source}")]
    Syntax {
        /// Position and reason.
        source: Box<toml::de::Error>,
    },
    /// An override has no `=`.
    #[error("`--set {found}`: expected `section.key=value`, as in `train.learning_rate=1e-5`")]
    Override {
        /// The text given.
        found: String,
    },
    /// Keys that no section knows.
    #[error("unknown configuration keys: {}", .unknown.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    UnknownKeys {
        /// All of them, sorted.
        unknown: Vec<UnknownKey>,
    },
    /// A value has the wrong type, or a required key is missing.
    #[error("the configuration does not fit: {source}")]
    Shape {
        /// Key and reason.
        source: Box<toml::de::Error>,
    },
    /// Values outside their range.
    #[error("bad configuration values: {}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Values {
        /// All of them.
        problems: Vec<ValueProblem>,
    },
}

/// A key that no section knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// Dotted path as found.
    pub found: String,
    /// The nearest known key, if one is near enough.
    pub nearest: Option<String>,
}

impl std::fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.nearest {
            Some(nearest) => write!(f, "`{}` (did you mean `{nearest}`?)", self.found),
            None => write!(f, "`{}`", self.found),
        }
    }
}

/// A value outside its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueProblem {
    /// Dotted path of the key.
    pub key: &'static str,
    /// The value given.
    pub found: String,
    /// What is allowed.
    pub expected: &'static str,
}

impl std::fmt::Display for ValueProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is {}, expected {}", self.key, self.found, self.expected)
    }
}
