//! Rotary positions as tensors: tables of cosines and sines, and the turning of heads.

use std::sync::{Arc, Mutex, PoisonError};

use bestof_kernels::{apply_rotary, host_tensor};
use bestof_positional::{Rope, RopeTable, RotaryLayout};
use burn::tensor::Tensor;

use crate::error::ModelError;

/// The rotation of the rows of a pass.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    /// `[rows, 1, head_dim]`, the attention scale in it
    q_cos: Tensor<3>,
    q_sin: Tensor<3>,
    k_cos: Tensor<3>,
    k_sin: Tensor<3>,
    pairs: usize,
    /// For pairs that do not lie half a head apart: `P` of `x C + (x P) S`, which exchanges the
    /// two entries of each pair and negates one, `[head_dim, head_dim]`.
    exchange: Option<Tensor<2>>,
}

impl Rotation {
    /// The queries `[rows * heads, head_dim]` turned and scaled, `[rows, heads, head_dim]`.
    pub(crate) fn turn_queries(&self, x: Tensor<2>) -> Tensor<3> {
        apply_rotary(x, &self.q_cos, &self.q_sin, self.pairs, self.exchange.as_ref())
    }

    /// The keys `[rows * heads, head_dim]` turned, `[rows, heads, head_dim]`.
    pub(crate) fn turn_keys(&self, x: Tensor<2>) -> Tensor<3> {
        apply_rotary(x, &self.k_cos, &self.k_sin, self.pairs, self.exchange.as_ref())
    }
}

/// The positions that were seen so far, for one table.
#[derive(Debug)]
struct CachedRows {
    rope: usize,
    key: usize,
    table: RopeTable,
    /// `[positions, pairs]`
    cos: Vec<f32>,
    sin: Vec<f32>,
}

/// The rotary bases of a model, with their tables kept between passes.
#[derive(Debug)]
pub(crate) struct Rotary {
    ropes: Vec<Rope>,
    layout: RotaryLayout,
    head_dim: usize,
    scale: f64,
    cache: Mutex<Vec<Arc<CachedRows>>>,
}

/// Tables kept: a basis that depends on the length makes a new one for every length.
const KEPT: usize = 8;

impl Rotary {
    /// Tables for heads of `head_dim`, whose scores are multiplied by `scale`.
    pub(crate) fn new(ropes: Vec<Rope>, layout: RotaryLayout, head_dim: usize, scale: f64) -> Self {
        Self { ropes, layout, head_dim, scale, cache: Mutex::new(Vec::new()) }
    }

    /// One number for the keys of all bases at a length: equal for two lengths if every basis has
    /// equal tables at both.
    pub(crate) fn length_key(&self, length: usize) -> usize {
        let keys = self.ropes.iter().map(|rope| rope.length_key(length));
        // Cantor's pairing: different pairs of keys give different numbers.
        let pair = |a: usize, b: usize| {
            let sum = a.wrapping_add(b);
            (sum.wrapping_mul(sum.wrapping_add(1)) / 2).wrapping_add(b)
        };
        keys.reduce(pair).unwrap_or(0)
    }

    /// Whether sequences of these lengths may share a tree.
    ///
    /// # Errors
    /// [`ModelError::MixedLengths`].
    pub(crate) fn check_lengths(&self, tree: usize, lengths: &[usize]) -> Result<(), ModelError> {
        for rope in &self.ropes {
            let key = |length: &usize| rope.length_key(*length);
            if let Some(pair) = lengths.windows(2).find(|pair| key(&pair[0]) != key(&pair[1])) {
                let (rope_type, lengths) = (rope.basis().rope_type(), [pair[0], pair[1]]);
                return Err(ModelError::MixedLengths { rope_type, tree, lengths });
            }
        }
        Ok(())
    }

    /// The rotations, one a basis, of rows that stand at a position in a sequence of a length:
    /// `(position, length)` each. Like transformers, a basis that depends on the length takes
    /// that of the sequence as it is now. Where positions are `drawn`, they take the place of the
    /// whole ones.
    pub(crate) fn rotations(
        &self,
        rows: &[(usize, usize)],
        drawn: Option<&[f64]>,
        like: &Tensor<2>,
    ) -> Vec<Rotation> {
        (0..self.ropes.len()).map(|rope| self.rotation(rope, rows, drawn, like)).collect()
    }

    fn rotation(
        &self,
        index: usize,
        rows: &[(usize, usize)],
        drawn: Option<&[f64]>,
        like: &Tensor<2>,
    ) -> Rotation {
        let rope = &self.ropes[index];
        let dim = self.head_dim;
        let pairs = rope.shape().pairs();
        let mut cos = vec![1.0; rows.len() * dim];
        let mut sin = vec![0.0; rows.len() * dim];
        let mut current: Option<(usize, Arc<CachedRows>)> = None;
        for (row, &(position, length)) in rows.iter().enumerate() {
            let cached = match &current {
                Some((of, cached)) if *of == length => cached,
                _ => {
                    let cached = self.rows_of(index, length);
                    &current.insert((length, cached)).1
                }
            };
            let from = position * pairs;
            let own = drawn.map(|drawn| cached.table.cos_sin([drawn[row]]));
            let (cosines, sines) = match &own {
                Some((cosines, sines)) => (&cosines[..], &sines[..]),
                None => (&cached.cos[from..], &cached.sin[from..]),
            };
            for pair in 0..pairs {
                let (first, second) = self.layout.pair(pair, pairs);
                let (c, s) = (cosines[pair], sines[pair]);
                cos[row * dim + first] = c;
                cos[row * dim + second] = c;
                sin[row * dim + first] = s;
                sin[row * dim + second] = s;
            }
        }
        let shape = [rows.len(), 1, dim];
        let scaled = |x: &[f32], factors: &dyn Fn(usize) -> f64| -> Vec<f32> {
            x.iter().enumerate().map(|(i, x)| (f64::from(*x) * factors(i)) as f32).collect()
        };
        let position = |row: usize| drawn.map_or(rows[row].0 as f64, |drawn| drawn[row]);
        let positions: Vec<f64> = (0..rows.len()).map(position).collect();
        let query = self.amplitudes(rope, &positions, true);
        let key = self.amplitudes(rope, &positions, false);
        let by =
            |amplitudes: &Option<Vec<f64>>, i: usize| amplitudes.as_ref().map_or(1.0, |a| a[i]);
        let q = |i: usize| self.scale * by(&query, i);
        let k = |i: usize| by(&key, i);
        Rotation {
            q_cos: host_tensor(scaled(&cos, &q), shape, like),
            q_sin: host_tensor(scaled(&sin, &q), shape, like),
            k_cos: host_tensor(scaled(&cos, &k), shape, like),
            k_sin: host_tensor(scaled(&sin, &k), shape, like),
            pairs,
            exchange: (self.layout != RotaryLayout::HalfSplit)
                .then(|| host_tensor(self.exchange(pairs), [dim, dim], like)),
        }
    }

    /// What each entry of each row is multiplied by, for a basis whose amplitudes decay.
    fn amplitudes(&self, rope: &Rope, positions: &[f64], query: bool) -> Option<Vec<f64>> {
        let decay = rope.basis().decay()?;
        let pairs = rope.shape().pairs();
        let mut factors = vec![1.0; positions.len() * self.head_dim];
        for (&position, factors) in positions.iter().zip(factors.chunks_mut(self.head_dim)) {
            let scales = if query {
                decay.query_scale(rope.shape(), position)
            } else {
                decay.key_scale(rope.shape(), position)
            };
            for (pair, scale) in scales.into_iter().enumerate() {
                let (first, second) = self.layout.pair(pair, pairs);
                factors[first] = scale;
                factors[second] = scale;
            }
        }
        Some(factors)
    }

    /// `P` of `x C + (x P) S`: entry `second` goes to `first` with a minus, `first` to `second`.
    fn exchange(&self, pairs: usize) -> Vec<f32> {
        let mut exchange = vec![0.0; self.head_dim * self.head_dim];
        for pair in 0..pairs {
            let (first, second) = self.layout.pair(pair, pairs);
            exchange[second * self.head_dim + first] = -1.0;
            exchange[first * self.head_dim + second] = 1.0;
        }
        exchange
    }

    /// Cosines and sines of at least the first `length` positions of sequences of that length.
    fn rows_of(&self, rope: usize, length: usize) -> Arc<CachedRows> {
        let basis = &self.ropes[rope];
        let key = basis.length_key(length);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let found = cache.iter().position(|rows| rows.rope == rope && rows.key == key);
        let pairs = basis.shape().pairs();
        let mut rows = match found.map(|at| cache.remove(at)) {
            Some(rows) => rows,
            None => Arc::new(CachedRows {
                rope,
                key,
                table: basis.table(length),
                cos: Vec::new(),
                sin: Vec::new(),
            }),
        };
        let have = rows.cos.len() / pairs;
        if have < length {
            // Room for what follows, so that decoding does not come here at every token.
            let positions = (have..length.next_power_of_two().max(64)).map(|p| p as f64);
            let (cos, sin) = rows.table.cos_sin(positions);
            let grown = CachedRows {
                rope,
                key,
                table: rows.table.clone(),
                cos: rows.cos.iter().copied().chain(cos).collect(),
                sin: rows.sin.iter().copied().chain(sin).collect(),
            };
            rows = Arc::new(grown);
        }
        if cache.len() >= KEPT {
            cache.remove(0);
        }
        cache.push(Arc::clone(&rows));
        rows
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bestof_positional::{RotaryShape, XPos, rotate, scale_pairs};
    use burn::tensor::{Device, TensorData};

    use super::*;
    use bestof_kernels::host_values;

    const DIM: usize = 8;
    const ROWS: [(usize, usize); 3] = [(0, 40), (3, 40), (39, 40)];

    fn heads(rows: usize) -> (Vec<f32>, Tensor<2>) {
        let values: Vec<f32> = (0..rows * 2 * DIM).map(|i| (i as f32 * 0.7).sin()).collect();
        let data = TensorData::new(values.clone(), [rows * 2, DIM]);
        (values, Tensor::from_data(data, &Device::flex()))
    }

    /// Turned heads against the rotation of single heads, in either layout, whole or in part.
    fn check(rope: &Rope, layout: RotaryLayout) {
        let scale = 0.25;
        let rotary = Rotary::new(vec![rope.clone()], layout, DIM, scale);
        let (values, x) = heads(ROWS.len());
        let rotation = &rotary.rotations(&ROWS, None, &x)[0];
        let queries = host_values(rotation.turn_queries(x.clone()));
        let keys = host_values(rotation.turn_keys(x));
        for (head, values) in values.chunks(DIM).enumerate() {
            let (position, length) = ROWS[head / 2];
            let table = rope.table(length);
            let turned = |scales: Option<Vec<f64>>| -> Vec<f64> {
                let mut head: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
                rotate(layout, &mut head, &table, position as f64).unwrap();
                if let Some(scales) = scales {
                    scale_pairs(layout, &mut head, &scales).unwrap();
                }
                head
            };
            let decay = rope.basis().decay();
            let shape = rope.shape();
            let q = turned(decay.map(|d| d.query_scale(shape, position as f64)));
            let k = turned(decay.map(|d| d.key_scale(shape, position as f64)));
            for i in 0..DIM {
                let at = head * DIM + i;
                assert!((f64::from(queries[at]) - q[i] * scale).abs() < 1e-6, "{layout:?} {i}");
                assert!((f64::from(keys[at]) - k[i]).abs() < 2e-6 * k[i].abs().max(1.0));
            }
        }
    }

    #[test]
    fn drawn_positions_turn_heads_by_fractions() {
        let rope = Rope::new(
            RotaryShape::new(DIM, 10_000.0).unwrap(),
            Arc::new(bestof_positional::Unscaled),
        )
        .unwrap();
        let rotary = Rotary::new(vec![rope.clone()], RotaryLayout::HalfSplit, DIM, 1.0);
        let (values, x) = heads(ROWS.len());
        let drawn = [0.25, 7.5, 1.0];
        let keys = host_values(rotary.rotations(&ROWS, Some(&drawn), &x)[0].turn_keys(x));
        for (head, values) in values.chunks(DIM).enumerate() {
            let mut expected: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
            let table = rope.table(40);
            rotate(RotaryLayout::HalfSplit, &mut expected, &table, drawn[head / 2]).unwrap();
            for (i, expected) in expected.iter().enumerate() {
                assert!((f64::from(keys[head * DIM + i]) - expected).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn heads_turn_as_single_heads_do_in_both_layouts() {
        let whole = RotaryShape::new(DIM, 10_000.0).unwrap();
        let half = RotaryShape::partial(DIM, 10_000.0, 0.5).unwrap();
        let basis = || Arc::new(bestof_positional::Unscaled);
        for layout in [RotaryLayout::HalfSplit, RotaryLayout::Interleaved] {
            check(&Rope::new(whole, basis()).unwrap(), layout);
            check(&Rope::new(half, basis()).unwrap(), layout);
            check(&Rope::new(whole, Arc::new(XPos::default())).unwrap(), layout);
        }
    }
}
