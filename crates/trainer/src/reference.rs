//! Log-probabilities under the reference, computed once before training and kept on disk.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bestof_files::{sha256_hex, write_file};
use bestof_models::{CausalLm, ForwardOptions};
use serde::{Deserialize, Serialize};

use crate::data::EncodedPair;
use crate::error::TrainError;
use crate::progress::Progress;
use crate::rows::{RowSet, fingerprint};
use crate::score::{PairScore, ScoreSettings, score_pairs};

/// Version of the cache's layout and of what is computed.
const VERSION: u32 = 2;
/// Longest cache file that is read: some ten million rows.
const MAX_BYTES: u64 = 1 << 30;

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

    /// File of the log-probabilities of these pairs.
    ///
    /// Its name is a hash of the model's files, tokenizer included, and of the tokens of every row: any
    /// change of model, data, tokenizer or encoding gives another file.
    pub fn file(&self, pairs: &[EncodedPair]) -> PathBuf {
        self.dir.join(format!("{}.jsonl", self.key(pairs)))
    }

    fn key(&self, pairs: &[EncodedPair]) -> String {
        sha256_hex(format!("{VERSION} {} {}", self.model_hash, fingerprint([pairs])))
    }

    /// The reference's scores of all pairs, from the cache, or computed with the adapters off and then kept.
    ///
    /// A cache file that is damaged is computed anew, with a notice.
    ///
    /// # Errors
    /// [`TrainError::LossNotFinite`] if the reference itself gives a row no finite log-probability, what
    /// the model says, or a file that cannot be written.
    pub fn scores<M: CausalLm + ?Sized>(
        &self,
        model: &M,
        set: &RowSet<EncodedPair>,
        settings: ScoreSettings,
        progress: &mut dyn Progress,
    ) -> Result<Vec<PairScore>, TrainError> {
        let path = self.file(&set.items);
        if path.exists() {
            match read(&path, &self.key(&set.items), &set.items) {
                Ok(scores) => return Ok(scores),
                Err(reason) => {
                    let text = format!(
                        "the reference cache {} is damaged ({reason}) and is computed anew",
                        path.display()
                    );
                    tracing::warn!("{text}");
                    progress.notice(&text);
                }
            }
        }
        let options = ForwardOptions::reference();
        let scores = score_pairs(model, &set.items, &options, settings, "reference", progress)?;
        check_finite(&scores, &set.names)?;
        self.write(&path, &set.items, &scores)?;
        Ok(scores)
    }

    fn write(
        &self,
        path: &Path,
        pairs: &[EncodedPair],
        scores: &[PairScore],
    ) -> Result<(), TrainError> {
        let failed =
            |source| TrainError::Io { action: "cannot write", path: path.to_owned(), source };
        let mut body = Vec::new();
        for score in scores {
            serde_json::to_writer(&mut body, &[score.chosen, score.rejected, score.tail])
                .map_err(|error| failed(error.into()))?;
            body.push(b'\n');
        }
        let header = Header {
            version: VERSION,
            key: self.key(pairs),
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

fn check_finite(scores: &[PairScore], names: &[String]) -> Result<(), TrainError> {
    let bad: Vec<String> = scores
        .iter()
        .zip(names)
        .filter(|(score, _)| !(score.chosen.is_finite() && score.rejected.is_finite()))
        .map(|(_, name)| name.clone())
        .collect();
    if bad.is_empty() {
        Ok(())
    } else {
        Err(TrainError::LossNotFinite { step: 0, loss: f64::NAN, rows: bad })
    }
}

/// The scores of a cache file, or why it cannot be used.
fn read(path: &Path, key: &str, pairs: &[EncodedPair]) -> Result<Vec<PairScore>, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_BYTES {
        return Err(format!("{length} bytes"));
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let end = text.iter().position(|byte| *byte == b'\n').ok_or("no header")?;
    let (header, body) = (&text[..end], &text[end + 1..]);
    let header: Header = serde_json::from_slice(header).map_err(|error| error.to_string())?;
    if (header.version, header.key.as_str(), header.rows) != (VERSION, key, pairs.len()) {
        return Err("it belongs to something else".to_owned());
    }
    if header.sha256 != sha256_hex(body) {
        return Err("its contents do not have their hash".to_owned());
    }
    let values: Vec<[f64; 3]> = serde_json::Deserializer::from_slice(body)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    if values.len() != pairs.len() {
        return Err(format!("{} rows, expected {}", values.len(), pairs.len()));
    }
    let score = |([chosen, rejected, tail], pair): ([f64; 3], &EncodedPair)| PairScore {
        chosen,
        rejected,
        chosen_len: pair.chosen_ids.len(),
        rejected_len: pair.rejected_ids.len(),
        tail,
    };
    Ok(values.into_iter().zip(pairs).map(score).collect())
}
