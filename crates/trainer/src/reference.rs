//! Log-probabilities under the reference, computed once before training and kept on disk.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bestof_files::{sha256_hex, write_file};
use bestof_models::{CausalLm, ForwardOptions};
use serde::{Deserialize, Serialize};

use crate::data::{EncodedCompletion, EncodedPair};
use crate::error::TrainError;
use crate::progress::Progress;
use crate::rows::{RowName, RowSet, TokenRow, fingerprint};
use crate::score::{PairScore, ScoreSettings, score_pairs, score_sums};

/// Version of the cache's layout and of what is computed.
const VERSION: u32 = 3;
/// Longest cache file that is read: some ten million rows.
const MAX_BYTES: u64 = 1 << 30;

/// A row that a reference gives log-probabilities.
pub trait ReferenceRow: TokenRow + Sized {
    /// What it gives.
    type Score: Copy;

    /// What such rows are called in the key of a cache.
    const KIND: &'static str;

    /// The scores of all rows, in their order.
    ///
    /// # Errors
    /// What the model says.
    fn score_all<M: CausalLm + ?Sized>(
        model: &M,
        rows: &[Self],
        options: &ForwardOptions,
        settings: ScoreSettings<'_>,
        what: &str,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Self::Score>, TrainError>;

    /// The numbers that a cache keeps of a score.
    fn numbers(score: &Self::Score) -> Vec<f64>;

    /// The row's score from these numbers; `None` if there are too few or too many.
    fn score_of(&self, numbers: &[f64]) -> Option<Self::Score>;
}

impl ReferenceRow for EncodedPair {
    type Score = PairScore;

    const KIND: &'static str = "pairs";

    fn score_all<M: CausalLm + ?Sized>(
        model: &M,
        rows: &[Self],
        options: &ForwardOptions,
        settings: ScoreSettings<'_>,
        what: &str,
        progress: &mut dyn Progress,
    ) -> Result<Vec<PairScore>, TrainError> {
        score_pairs(model, rows, options, settings, what, progress)
    }

    fn numbers(score: &PairScore) -> Vec<f64> {
        vec![score.chosen, score.rejected, score.tail]
    }

    fn score_of(&self, numbers: &[f64]) -> Option<PairScore> {
        let &[chosen, rejected, tail] = numbers else { return None };
        let (chosen_len, rejected_len) = (self.chosen_ids.len(), self.rejected_ids.len());
        Some(PairScore { chosen, rejected, chosen_len, rejected_len, tail })
    }
}

impl ReferenceRow for EncodedCompletion {
    /// The summed log-probability of the completion.
    type Score = f64;

    const KIND: &'static str = "completions";

    fn score_all<M: CausalLm + ?Sized>(
        model: &M,
        rows: &[Self],
        options: &ForwardOptions,
        settings: ScoreSettings<'_>,
        what: &str,
        progress: &mut dyn Progress,
    ) -> Result<Vec<f64>, TrainError> {
        score_sums(model, rows, options, settings, what, progress)
    }

    fn numbers(score: &f64) -> Vec<f64> {
        vec![*score]
    }

    fn score_of(&self, numbers: &[f64]) -> Option<f64> {
        let &[score] = numbers else { return None };
        Some(score)
    }
}

/// The distance of policy and reference before the first update, where they are the same model.
///
/// # Errors
/// [`TrainError::ReferenceMismatch`] if it is far above rounding, far below what another model gives, or
/// NaN.
pub(crate) fn checked_gap(
    policy: f64,
    reference: f64,
    row: &RowName,
    cache: &Path,
) -> Result<f64, TrainError> {
    let gap = (policy - reference).abs();
    let is_rounding = gap <= 1e-2 + 1e-4 * reference.abs();
    if !is_rounding {
        let (row, cache) = (row.to_string(), cache.to_owned());
        return Err(TrainError::ReferenceMismatch { row, gap, cache });
    }
    Ok(gap)
}

/// Where reference log-probabilities are kept, and of which model they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceCache {
    dir: PathBuf,
    model_hash: String,
}

/// First line of a cache file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    version: u32,
    key: String,
    rows: usize,
    sha256: String,
}

impl ReferenceCache {
    /// A cache in `dir` for the model of this hash (`ModelFolder::files_hash`).
    pub fn new(dir: impl Into<PathBuf>, model_hash: impl Into<String>) -> Self {
        Self { dir: dir.into(), model_hash: model_hash.into() }
    }

    /// File of the log-probabilities of these rows.
    ///
    /// Its name is a hash of the model's files, tokenizer included, and of the tokens of every row: any
    /// change of model, data, tokenizer or encoding gives another file.
    pub fn file<T: ReferenceRow>(&self, rows: &[T]) -> PathBuf {
        self.dir.join(format!("{}.jsonl", self.key(rows)))
    }

    fn key<T: ReferenceRow>(&self, rows: &[T]) -> String {
        sha256_hex(format!("{VERSION} {} {} {}", T::KIND, self.model_hash, fingerprint([rows])))
    }

    /// The reference's scores of all rows, from the cache, or computed with the adapters off and then kept.
    ///
    /// A cache file that is damaged is computed anew, with a notice.
    ///
    /// # Errors
    /// [`TrainError::LossNotFinite`] if the reference itself gives a row no finite log-probability, what
    /// the model says. A cache file that cannot be written is a notice.
    pub fn scores<M: CausalLm + ?Sized, T: ReferenceRow>(
        &self,
        model: &M,
        set: &RowSet<T>,
        settings: ScoreSettings<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Vec<T::Score>, TrainError> {
        let ranks = settings.ranks;
        // Rank 0 alone reads and writes: others may be on machines that do not see its disk.
        let kept = if ranks.is_first() { self.kept(set, progress) } else { None };
        let numbers = |scores: Vec<T::Score>| scores.iter().map(T::numbers).collect::<Vec<_>>();
        if ranks.is_alone() {
            if let Some(scores) = kept {
                return Ok(scores);
            }
        } else {
            let (keys, mut all): (Vec<String>, Vec<_>) =
                ranks.gather((self.key(&set.items), kept.map(numbers)))?.into_iter().unzip();
            if let Some(rank) = keys.iter().position(|key| *key != keys[0]) {
                let reason = "its reference or its rows are not those of rank 0".to_owned();
                return Err(TrainError::RanksDiffer { rank, reason });
            }
            if let Some(rows) = all.swap_remove(0) {
                let score = |(row, numbers): (&T, &Vec<f64>)| row.score_of(numbers);
                let scores: Option<Vec<_>> = set.items.iter().zip(&rows).map(score).collect();
                let reason = "scores of rank 0 cannot be read".to_owned();
                return scores.ok_or(TrainError::Communication { reason });
            }
        }
        let options = ForwardOptions::reference();
        let scores = T::score_all(model, &set.items, &options, settings, "reference", progress)?;
        check_finite::<T>(&scores, &set.names)?;
        if ranks.is_first()
            && let Err(error) = self.write(&self.file(&set.items), &set.items, &scores)
        {
            // The next run computes them again.
            progress.notice(&format!("the reference cache is not kept: {error}"));
        }
        Ok(scores)
    }

    /// What the cache has of these rows.
    fn kept<T: ReferenceRow>(
        &self,
        set: &RowSet<T>,
        progress: &mut dyn Progress,
    ) -> Option<Vec<T::Score>> {
        let path = self.file(&set.items);
        if !path.exists() {
            return None;
        }
        match read(&path, &self.key(&set.items), &set.items) {
            Ok(scores) => Some(scores),
            Err(reason) => {
                let text = format!(
                    "the reference cache {} is damaged ({reason}) and is computed anew",
                    path.display()
                );
                tracing::warn!("{text}");
                progress.notice(&text);
                None
            }
        }
    }

    fn write<T: ReferenceRow>(
        &self,
        path: &Path,
        rows: &[T],
        scores: &[T::Score],
    ) -> Result<(), TrainError> {
        let failed =
            |source| TrainError::Io { action: "cannot write", path: path.to_owned(), source };
        let mut body = Vec::new();
        for score in scores {
            serde_json::to_writer(&mut body, &T::numbers(score))
                .map_err(|error| failed(error.into()))?;
            body.push(b'\n');
        }
        let header = Header {
            version: VERSION,
            key: self.key(rows),
            rows: scores.len(),
            sha256: sha256_hex(&body),
        };
        let mut text = serde_json::to_vec(&header).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        text.write_all(&body).map_err(failed)?;
        std::fs::create_dir_all(&self.dir).map_err(failed)?;
        Ok(write_file(path, &text)?)
    }
}

fn check_finite<T: ReferenceRow>(scores: &[T::Score], names: &[RowName]) -> Result<(), TrainError> {
    let bad: Vec<String> = scores
        .iter()
        .zip(names)
        .filter(|(score, _)| !T::numbers(score).iter().all(|number| number.is_finite()))
        .map(|(_, name)| name.to_string())
        .collect();
    if bad.is_empty() {
        Ok(())
    } else {
        Err(TrainError::LossNotFinite { step: 0, loss: f64::NAN, rows: bad })
    }
}

/// The scores of a cache file, or why it cannot be used.
fn read<T: ReferenceRow>(path: &Path, key: &str, rows: &[T]) -> Result<Vec<T::Score>, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_BYTES {
        return Err(format!("{length} bytes"));
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let end = text.iter().position(|byte| *byte == b'\n').ok_or("no header")?;
    let (header, body) = (&text[..end], &text[end + 1..]);
    let header: Header = serde_json::from_slice(header).map_err(|error| error.to_string())?;
    if (header.version, header.key.as_str(), header.rows) != (VERSION, key, rows.len()) {
        return Err("it belongs to something else".to_owned());
    }
    if header.sha256 != sha256_hex(body) {
        return Err("its contents do not have their hash".to_owned());
    }
    let values: Vec<Vec<f64>> = serde_json::Deserializer::from_slice(body)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    if values.len() != rows.len() {
        return Err(format!("{} rows, expected {}", values.len(), rows.len()));
    }
    let score = |(numbers, row): (&Vec<f64>, &T)| row.score_of(numbers);
    let scores: Option<Vec<T::Score>> = values.iter().zip(rows).map(score).collect();
    scores.ok_or_else(|| format!("rows that are no scores of {}", T::KIND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_is_no_number_is_no_rounding() {
        let gap = |policy| checked_gap(policy, -20.0, &"row".into(), Path::new("cache"));
        assert_eq!(gap(-20.0).unwrap(), 0.0);
        assert!(gap(-20.1).is_err() && gap(f64::NAN).is_err());
    }
}
