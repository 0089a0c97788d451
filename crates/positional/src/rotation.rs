//! The rotation itself, on plain slices: what tensor code is tested against.

use crate::{RopeError, RopeTable};

/// Which two entries of a head make a pair.
///
/// Frequencies are the same in both layouts; weights of the query and key projections are not, and
/// must be permuted when a checkpoint moves from one to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum RotaryLayout {
    /// Entries `j` and `j + pairs`: Hugging Face checkpoints, GPT-NeoX.
    #[default]
    HalfSplit,
    /// Entries `2j` and `2j + 1`: Meta's checkpoints, GPT-J, GGUF's llama models, xPos as printed.
    Interleaved,
}

impl RotaryLayout {
    /// The two entries that form pair `j` of `pairs`.
    pub fn pair(self, j: usize, pairs: usize) -> (usize, usize) {
        match self {
            Self::HalfSplit => (j, j + pairs),
            Self::Interleaved => (2 * j, 2 * j + 1),
        }
    }
}

/// Rotates a query or key in place, as at `position`.
///
/// ```text
/// (x, y) -> a (x cos - y sin, x sin + y cos)   at angle position * f_j,  a = attention factor
/// ```
///
/// Entries beyond the rotated part stay as they are. Source: Su et al. 2021, arXiv:2104.09864,
/// section 3.2.2.
///
/// ```
/// use bestof_positional::{rotate, RopeConfig, RotaryLayout};
/// let table = RopeConfig::new(4, 10_000.0).build()?.table(0);
/// let mut head = [1.0, 2.0, 3.0, 4.0];
/// rotate(RotaryLayout::HalfSplit, &mut head, &table, 0.0)?;
/// assert_eq!(head, [1.0, 2.0, 3.0, 4.0]); // position 0 turns nothing
/// rotate(RotaryLayout::HalfSplit, &mut head, &table, 1.0)?;
/// assert!((head[0] - (1_f64.cos() - 3.0 * 1_f64.sin())).abs() < 1e-15);
/// # Ok::<(), bestof_positional::RopeError>(())
/// ```
///
/// # Errors
/// [`RopeError::SliceLength`] if `head` is shorter than the rotated part.
pub fn rotate(
    layout: RotaryLayout,
    head: &mut [f64],
    table: &RopeTable,
    position: f64,
) -> Result<(), RopeError> {
    let pairs = table.inv_freq.len();
    check_len(head, 2 * pairs)?;
    for (j, frequency) in table.inv_freq.iter().enumerate() {
        let (first, second) = layout.pair(j, pairs);
        let (sin, cos) = libm::sincos(position * frequency);
        let (x, y) = (head[first], head[second]);
        head[first] = table.attention_factor * (x * cos - y * sin);
        head[second] = table.attention_factor * (x * sin + y * cos);
    }
    Ok(())
}

/// Multiplies each pair of a head by its scale, in place: the amplitudes of [`crate::XPos`].
///
/// # Errors
/// [`RopeError::SliceLength`] if `head` has fewer than two entries a scale.
pub fn scale_pairs(
    layout: RotaryLayout,
    head: &mut [f64],
    scales: &[f64],
) -> Result<(), RopeError> {
    check_len(head, 2 * scales.len())?;
    for (j, scale) in scales.iter().enumerate() {
        let (first, second) = layout.pair(j, scales.len());
        head[first] *= scale;
        head[second] *= scale;
    }
    Ok(())
}

fn check_len(head: &[f64], expected: usize) -> Result<(), RopeError> {
    if head.len() < expected {
        return Err(RopeError::SliceLength { found: head.len(), expected });
    }
    Ok(())
}
