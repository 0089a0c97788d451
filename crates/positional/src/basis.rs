//! The interface between a published rule and a model: shape and length in, frequencies out.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use crate::decay::XPos;
use crate::error::RopeError;
use crate::random_positions::Randomized;
use crate::shape::RotaryShape;

pub(crate) mod default;
pub(crate) mod drope;
pub(crate) mod dynamic_ntk;
pub(crate) mod linear;
pub(crate) mod llama3;
pub(crate) mod longrope;
pub(crate) mod nope;
pub(crate) mod ntk;
pub(crate) mod power;
pub(crate) mod power_truncated;
pub(crate) mod proportional;
pub(crate) mod randomized;
pub(crate) mod truncated;
pub(crate) mod xpos;
pub(crate) mod yarn;

/// Frequencies below it, in radians per position, count as 0; an exported frequency of 0 is
/// `1 / STANDSTILL_DIVISOR` at most.
pub const STANDSTILL: f64 = 2e-30;

/// A rule that turns head shape and sequence length into inverse frequencies.
///
/// Two of the published rules depend on the length of the current sequence (`dynamic` and
/// `longrope`); [`RopeBasis::length_key`] tells when a table, and keys cached with it, stay valid.
pub trait RopeBasis: Debug + Send + Sync {
    /// The rule's name, as in Hugging Face's `rope_type` where it has one.
    fn rope_type(&self) -> &'static str;

    /// Whether the parameters make sense for this head; [`Rope::new`] asks once.
    ///
    /// # Errors
    /// The [`RopeError`] that names the parameter at fault.
    fn check(&self, shape: &RotaryShape) -> Result<(), RopeError>;

    /// Inverse frequencies in radians per position, one per pair.
    ///
    /// `seq_len` is the number of positions in use, largest position + 1; 0 where it is not known.
    /// The result is meaningless where [`RopeBasis::check`] fails.
    fn inv_freq(&self, shape: &RotaryShape, seq_len: usize) -> Vec<f64>;

    /// What cosine and sine are multiplied by; attention scores get its square.
    fn attention_factor(&self) -> f64 {
        1.0
    }

    /// A number that stays the same as long as the table does: lengths with equal keys share one
    /// table, and cached keys must be rebuilt when it changes.
    fn length_key(&self, _seq_len: usize) -> usize {
        0
    }

    /// Lengths whose tables together identify the basis; more than one if it depends on length.
    fn probe_lengths(&self) -> Vec<usize> {
        vec![0]
    }

    /// The amplitudes that decay with distance, where the rule has them (xPos).
    fn decay(&self) -> Option<&XPos> {
        None
    }

    /// How positions are drawn in training, where they are (randomised positions).
    fn training_positions(&self) -> Option<&Randomized> {
        None
    }
}

/// Inverse frequencies and attention factor at one sequence length.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeTable {
    /// Radians per position, one per pair.
    pub inv_freq: Vec<f64>,
    /// What cosine and sine are multiplied by.
    pub attention_factor: f64,
}

impl RopeTable {
    /// Cosines and sines, `[positions, pairs]` row by row, times the attention factor.
    ///
    /// # Numerics
    /// Angles are formed and reduced in f64; only the results are rounded to f32.
    pub fn cos_sin(&self, positions: impl IntoIterator<Item = f64>) -> (Vec<f32>, Vec<f32>) {
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for position in positions {
            for frequency in &self.inv_freq {
                let (s, c) = libm::sincos(position * frequency);
                cos.push((c * self.attention_factor) as f32);
                sin.push((s * self.attention_factor) as f32);
            }
        }
        (cos, sin)
    }
}

/// A checked basis on a shape: what a model holds and asks for tables.
///
/// ```
/// use std::sync::Arc;
/// use bestof_positional::{DynamicNtk, Rope, RotaryShape};
/// let basis = DynamicNtk { factor: 4.0, original_max_position_embeddings: 2048 };
/// let rope = Rope::new(RotaryShape::new(128, 10_000.0)?, Arc::new(basis))?;
/// assert_eq!(rope.table(100), rope.table(2048));          // nothing changes up to 2048
/// assert!(rope.table(8192).inv_freq[1] < rope.table(2048).inv_freq[1]);
/// assert_ne!(rope.length_key(8192), rope.length_key(8193)); // cached keys go stale
/// # Ok::<(), bestof_positional::RopeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rope {
    shape: RotaryShape,
    basis: Arc<dyn RopeBasis>,
}

impl Rope {
    /// A basis on a shape, checked.
    ///
    /// # Errors
    /// Those of [`RopeBasis::check`].
    pub fn new(shape: RotaryShape, basis: Arc<dyn RopeBasis>) -> Result<Self, RopeError> {
        basis.check(&shape)?;
        Ok(Self { shape, basis })
    }

    /// Head dimension, rotated part and base.
    pub fn shape(&self) -> &RotaryShape {
        &self.shape
    }

    /// The rule that gives the frequencies.
    pub fn basis(&self) -> &dyn RopeBasis {
        &*self.basis
    }

    /// Frequencies and attention factor for a sequence of `seq_len` positions (0: not known).
    pub fn table(&self, seq_len: usize) -> RopeTable {
        RopeTable {
            inv_freq: self.basis.inv_freq(&self.shape, seq_len),
            attention_factor: self.basis.attention_factor(),
        }
    }

    /// Equal keys mean equal tables; see [`RopeBasis::length_key`].
    pub fn length_key(&self, seq_len: usize) -> usize {
        self.basis.length_key(seq_len)
    }

    /// Whether anything rotates at all: false for `nope` and `drope`, and for their export.
    ///
    /// ```
    /// use bestof_positional::{NoPe, RopeConfig, RopeScaling};
    /// let plain = RopeConfig::new(8, 10_000.0);
    /// let dropped = RopeConfig { scaling: RopeScaling::NoPe(NoPe), ..plain.clone() };
    /// assert!(plain.build()?.rotates() && !dropped.build()?.rotates());
    /// # Ok::<(), bestof_positional::RopeError>(())
    /// ```
    pub fn rotates(&self) -> bool {
        let moves = |length| self.table(length).inv_freq.iter().any(|f| f.abs() >= STANDSTILL);
        self.basis.probe_lengths().into_iter().any(moves)
    }

    /// Whether tables differ between lengths.
    pub fn depends_on_length(&self) -> bool {
        self.basis.probe_lengths().len() > 1
    }
}
