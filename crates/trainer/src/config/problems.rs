//! Values outside their range, collected so that all are named at once.

use super::error::{ConfigError, ValueProblem};

/// Collects problems; one call per key.
#[derive(Default)]
pub(super) struct Problems(Vec<ValueProblem>);

impl Problems {
    pub(super) fn need(
        &mut self,
        holds: bool,
        key: &'static str,
        found: impl std::fmt::Display,
        expected: &'static str,
    ) {
        if !holds {
            self.0.push(ValueProblem { key, found: found.to_string(), expected });
        }
    }

    /// Adds the problems of a value that could not be read.
    pub(super) fn take<T>(&mut self, read: Result<T, ConfigError>) {
        if let Err(ConfigError::Values { problems }) = read {
            self.0.extend(problems);
        }
    }

    pub(super) fn positive(&mut self, key: &'static str, found: usize) {
        self.need(found > 0, key, found, "at least 1");
    }

    /// A number of rows or the like that others are multiplied with: two of them still make a `usize`.
    pub(super) fn count(&mut self, key: &'static str, found: usize) {
        let fits = (1..=1 << 20).contains(&found);
        self.need(fits, key, found, "at least 1, at most 1048576");
    }

    pub(super) fn finish(self) -> Result<(), ConfigError> {
        if self.0.is_empty() { Ok(()) } else { Err(ConfigError::Values { problems: self.0 }) }
    }
}
