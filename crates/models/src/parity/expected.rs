//! `expected.safetensors`: inputs, and the outputs to compare with.

use std::collections::BTreeMap;
use std::path::Path;

use bestof_checkpoints::Weights;

use super::{KNOWN_OUTPUTS, ParityError};

const INPUTS: [&str; 3] = ["input_ids", "attention_mask", "token_type_ids"];

/// Inputs that were checked, and outputs still in their file.
#[derive(Debug)]
pub(super) struct Expected {
    file: Weights,
    /// Rows of the batch.
    pub(super) rows: usize,
    /// Tokens in a row.
    pub(super) length: usize,
    /// Token ids, row by row.
    pub(super) ids: Vec<u32>,
    /// Which tokens are seen, row by row.
    pub(super) mask: Vec<bool>,
    /// Token types, row by row.
    pub(super) types: Option<Vec<u32>>,
}

impl Expected {
    pub(super) fn open(dir: &Path) -> Result<Self, ParityError> {
        let path = dir.join("expected.safetensors");
        if !path.is_file() {
            return Err(ParityError::NoExpected { dir: dir.to_path_buf() });
        }
        let file = Weights::open(&path)?;
        let known = |name: &str| INPUTS.contains(&name) || KNOWN_OUTPUTS.contains(&name);
        if let Some(info) = file.infos().iter().find(|info| !known(&info.name)) {
            return Err(ParityError::UnknownKey { path, key: info.name.clone() });
        }
        let (shape, ids) = file.read_i64("input_ids")?;
        let (rows, length) = match shape[..] {
            [rows, length] if rows * length > 0 => (rows, length),
            _ => {
                let (key, found) = ("input_ids".to_owned(), shape);
                return Err(ParityError::Shape { key, found, expected: vec![1, ids.len().max(1)] });
            }
        };
        let mut expected =
            Self { file, rows, length, ids: Vec::new(), mask: Vec::new(), types: None };
        expected.ids = natural("input_ids", &ids, "a token id")?;
        expected.mask = match expected.input("attention_mask")? {
            None => vec![true; ids.len()],
            Some(mask) => natural("attention_mask", &mask, "0 or 1")?
                .into_iter()
                .map(|seen| match seen {
                    0 | 1 => Ok(seen == 1),
                    _ => {
                        let (key, expected) = ("attention_mask", "0 or 1");
                        Err(ParityError::BadInput { key, found: seen.into(), expected })
                    }
                })
                .collect::<Result<_, _>>()?,
        };
        expected.types = match expected.input("token_type_ids")? {
            None => None,
            Some(types) => Some(natural("token_type_ids", &types, "a token type")?),
        };
        if expected.outputs().next().is_none() {
            return Err(ParityError::NothingExpected { path });
        }
        Ok(expected)
    }

    /// An input beside `input_ids`, if there.
    fn input(&self, key: &str) -> Result<Option<Vec<i64>>, ParityError> {
        if !self.file.contains(key) {
            return Ok(None);
        }
        let (shape, values) = self.file.read_i64(key)?;
        check_shape(key, &shape, &[self.rows, self.length])?;
        Ok(Some(values))
    }

    /// The names of the outputs in the file.
    pub(super) fn outputs(&self) -> impl Iterator<Item = &str> {
        let names = self.file.infos().iter().map(|info| info.name.as_str());
        names.filter(|name| KNOWN_OUTPUTS.contains(name))
    }

    /// Refuses outputs that the model does not have.
    pub(super) fn only(&self, outputs: &[&str], model: &str) -> Result<(), ParityError> {
        match self.outputs().find(|name| !outputs.contains(name)) {
            None => Ok(()),
            Some(key) => {
                let (key, model) = (key.to_owned(), model.to_owned());
                Err(ParityError::NotComputed { key, model })
            }
        }
    }

    /// The token ids of a row.
    pub(super) fn row(&self, row: usize) -> &[u32] {
        &self.ids[row * self.length..][..self.length]
    }

    /// The mask of a row.
    pub(super) fn row_mask(&self, row: usize) -> &[bool] {
        &self.mask[row * self.length..][..self.length]
    }

    /// Whether the file asks for this output.
    pub(super) fn wants(&self, key: &str) -> bool {
        self.file.contains(key)
    }

    /// The tokens of `greedy`.
    pub(super) fn greedy(&self) -> Result<Vec<u32>, ParityError> {
        let (shape, tokens) = self.file.read_i64("greedy")?;
        check_shape("greedy", &shape, &[1, tokens.len()])?;
        natural("greedy", &tokens, "a token id")
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Adds the largest difference between `found` and the output `key`, where `seen` is true for
    /// a vector (the last dimension), to `differences`.
    pub(super) fn compare(
        &self,
        key: &str,
        shape: &[usize],
        found: &[f32],
        seen: &[bool],
        differences: &mut BTreeMap<String, f64>,
    ) -> Result<(), ParityError> {
        let (expected_shape, expected) = self.file.read_f32_any(key)?;
        check_shape(key, &expected_shape, shape)?;
        let width = shape.iter().product::<usize>().checked_div(seen.len()).unwrap_or(0).max(1);
        let mut largest = 0.0_f64;
        let vectors = found.chunks(width).zip(expected.chunks(width)).zip(seen);
        for ((found, expected), _) in vectors.filter(|(_, seen)| **seen) {
            for (a, b) in found.iter().zip(expected) {
                let difference = (f64::from(*a) - f64::from(*b)).abs();
                largest = largest.max(if difference.is_nan() { f64::INFINITY } else { difference });
            }
        }
        differences.insert(key.to_owned(), largest);
        Ok(())
    }
}

fn check_shape(key: &str, found: &[usize], expected: &[usize]) -> Result<(), ParityError> {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (found.to_vec(), expected.to_vec());
    Err(ParityError::Shape { key: key.to_owned(), found, expected })
}

/// The values as numbers from 0.
fn natural(
    key: &'static str,
    values: &[i64],
    expected: &'static str,
) -> Result<Vec<u32>, ParityError> {
    let small =
        |&found| u32::try_from(found).map_err(|_| ParityError::BadInput { key, found, expected });
    values.iter().map(small).collect()
}
