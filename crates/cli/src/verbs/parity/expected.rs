//! `expected.safetensors`: inputs, and the outputs to compare with.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use bestof_checkpoints::Weights;

/// The outputs that an `expected.safetensors` may hold.
///
/// - `logits`: `[batch, seq, vocab]`; `[batch, labels]` for a classifier
/// - `token_logprobs`: `[batch, seq - 1]`, of each next token
/// - `greedy`: `[1, n]`, the greedy continuation of the first 8 tokens of the first row, with or
///   without these tokens in front
/// - `last_hidden_state`: `[batch, seq, hidden]`
/// - `pooler_output`: `[batch, hidden]`
pub(super) const OUTPUTS: [&str; 5] =
    ["greedy", "last_hidden_state", "logits", "pooler_output", "token_logprobs"];

const INPUTS: [&str; 3] = ["input_ids", "attention_mask", "token_type_ids"];

/// Checked inputs, and outputs that are still in their file.
#[derive(Debug)]
pub(super) struct Expected {
    file: Weights,
    /// Rows of the batch.
    pub(super) rows: usize,
    /// Tokens per row, padding included.
    pub(super) length: usize,
    /// Token ids, row by row.
    pub(super) ids: Vec<u32>,
    /// Whether each token is attended to, row by row.
    pub(super) mask: Vec<bool>,
    /// Token types, row by row.
    pub(super) types: Option<Vec<u32>>,
}

impl Expected {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("expected.safetensors");
        ensure!(
            path.is_file(),
            "{} has no expected.safetensors; write one with the reference implementation",
            dir.display()
        );
        let file = Weights::open(&path)?;
        let known = |name: &str| INPUTS.contains(&name) || OUTPUTS.contains(&name);
        if let Some(info) = file.infos().iter().find(|info| !known(&info.name)) {
            let (inputs, outputs) = (INPUTS.join(", "), OUTPUTS.join(", "));
            bail!("{} holds `{}`; known are {inputs}, {outputs}", path.display(), info.name);
        }
        let (shape, ids) = file.read_i64("input_ids")?;
        let (rows, length) = match shape[..] {
            [rows, length] if rows * length > 0 => (rows, length),
            _ => bail!(
                "expected.safetensors: `input_ids` has shape {shape:?}, expected [batch, seq] without a 0"
            ),
        };
        let mut expected =
            Self { file, rows, length, ids: Vec::new(), mask: Vec::new(), types: None };
        expected.ids = natural("input_ids", &ids, "a token id")?;
        expected.mask = match expected.input("attention_mask")? {
            None => vec![true; ids.len()],
            Some(mask) => mask
                .into_iter()
                .map(|value| match value {
                    0 | 1 => Ok(value == 1),
                    _ => bail!(bad_input("attention_mask", value, "0 or 1")),
                })
                .collect::<Result<_>>()?,
        };
        expected.types = match expected.input("token_type_ids")? {
            None => None,
            Some(types) => Some(natural("token_type_ids", &types, "a token type")?),
        };
        if expected.outputs().next().is_none() {
            bail!(expected.nothing_to_compare());
        }
        Ok(expected)
    }

    /// An optional input of the shape of `input_ids`.
    fn input(&self, key: &str) -> Result<Option<Vec<i64>>> {
        if !self.contains(key) {
            return Ok(None);
        }
        let (shape, values) = self.file.read_i64(key)?;
        check_shape(key, &shape, &[self.rows, self.length])?;
        Ok(Some(values))
    }

    /// The names of the outputs in the file.
    fn outputs(&self) -> impl Iterator<Item = &str> {
        let names = self.file.infos().iter().map(|info| info.name.as_str());
        names.filter(|name| OUTPUTS.contains(name))
    }

    /// Refuses outputs that the model does not have.
    pub(super) fn only(&self, outputs: &[&str], model: &str) -> Result<()> {
        match self.outputs().find(|name| !outputs.contains(name)) {
            None => Ok(()),
            Some(key) => bail!("`{key}` is expected, which a {model} does not have"),
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

    /// Whether the file holds this tensor.
    pub(super) fn contains(&self, key: &str) -> bool {
        self.file.contains(key)
    }

    /// The tokens of `greedy`.
    pub(super) fn greedy(&self) -> Result<Vec<u32>> {
        let (shape, tokens) = self.file.read_i64("greedy")?;
        check_shape("greedy", &shape, &[1, tokens.len()])?;
        natural("greedy", &tokens, "a token id")
    }

    /// The message for a file without an output.
    pub(super) fn nothing_to_compare(&self) -> String {
        let (path, known) = (self.file.path().display(), OUTPUTS.join(", "));
        format!("{path} holds no output to compare; known are {known}")
    }

    /// Adds the largest absolute difference between `found` and the output `key` to `differences`.
    ///
    /// `mask` holds one value per vector of the last dimension; where it is false, the vector is
    /// not compared.
    pub(super) fn compare(
        &self,
        key: &str,
        shape: &[usize],
        found: &[f32],
        mask: &[bool],
        differences: &mut BTreeMap<String, f64>,
    ) -> Result<()> {
        let (expected_shape, expected) = self.file.read_f32_any(key)?;
        check_shape(key, &expected_shape, shape)?;
        let width = shape.iter().product::<usize>().checked_div(mask.len()).unwrap_or(0).max(1);
        let mut largest = 0.0_f64;
        let vectors = found.chunks(width).zip(expected.chunks(width)).zip(mask);
        for ((found, expected), _) in vectors.filter(|(_, compared)| **compared) {
            for (a, b) in found.iter().zip(expected) {
                let difference = (f64::from(*a) - f64::from(*b)).abs();
                largest = largest.max(if difference.is_nan() { f64::INFINITY } else { difference });
            }
        }
        differences.insert(key.to_owned(), largest);
        Ok(())
    }
}

fn check_shape(key: &str, found: &[usize], expected: &[usize]) -> Result<()> {
    ensure!(
        found == expected,
        "expected.safetensors: `{key}` has shape {found:?}, the model gives {expected:?}"
    );
    Ok(())
}

/// The values as non-negative integers.
fn natural(key: &str, values: &[i64], expected: &str) -> Result<Vec<u32>> {
    values
        .iter()
        .map(|&value| {
            u32::try_from(value).map_err(|_| anyhow::anyhow!(bad_input(key, value, expected)))
        })
        .collect()
}

fn bad_input(key: &str, found: i64, expected: &str) -> String {
    format!("expected.safetensors: `{key}` holds {found}, expected {expected}")
}
