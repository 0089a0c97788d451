//! Subsets with a sample and subsets without it, for all samples at once.
//!
//! A pass down the ranks carries what is still open: `open[m]` is the part of the value whose subsets
//! have their maximum and some members above rank `j` and need `m` more from the `j` lowest. Closing it
//! takes the mean products of the lower ranks, which a first pass has kept.

use alloc::vec::Vec;

use super::lower;

/// The two parts of a sum over all `k`-subsets, for one sample, without its own ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Split {
    /// Over the subsets with the sample: products of its partners times the maximum.
    pub(super) inside: f64,
    /// Over the subsets without it: products of all members times the maximum.
    pub(super) outside: f64,
}

/// A number for rewards, and the same for rewards of 1.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    reward: f64,
    one: f64,
}

impl Pair {
    fn plus(self, factor: f64, other: Self) -> Self {
        Self { reward: self.reward + factor * other.reward, one: self.one + factor * other.one }
    }

    fn times(self, factor: f64) -> Self {
        Self { reward: self.reward * factor, one: self.one * factor }
    }
}

/// Mean products of the lower ranks, and the sums of one pass over them.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    degree: usize,
    /// Row `j` holds `M_m` of the `j` lowest ranks, for `m` below the degree.
    rows: Vec<f64>,
    /// `U` of the `j` lowest ranks alone.
    below: Vec<Pair>,
    open: Vec<Pair>,
}

impl Table {
    pub(super) fn with_capacity(samples: usize, degree: usize) -> Self {
        Self {
            degree: 0,
            rows: Vec::with_capacity(samples * degree),
            below: Vec::with_capacity(samples),
            open: Vec::with_capacity(degree),
        }
    }

    /// Keeps the rows for products of up to `degree` ratios.
    pub(super) fn set(&mut self, ratios: &[f64], degree: usize, row: &mut Vec<f64>) {
        self.degree = degree;
        self.rows.clear();
        lower::start(row, degree);
        for (i, &ratio) in ratios.iter().enumerate() {
            self.rows.extend_from_slice(row);
            lower::extend(row, i + 1, ratio);
        }
    }

    /// Hands out, for each rank from the highest down, the split of `k`-subsets for rewards minus
    /// `base` and for rewards of 1; `k` is at most the degree.
    ///
    /// ```text
    /// inside_j  = d_j g_(j) M_{k-1}(j-1) + sum_m open[m] m/j M_{m-1}(j-1)
    /// outside_j = U(j-1) + sum_m open[m] (j-m)/j M_m(j-1)
    /// open[m]  <- open[m] (j-m)/j + open[m+1] (m+1)/j r_(j),   open[k-1] += d_j g_(j) r_(j)
    /// ```
    pub(super) fn split(
        &mut self,
        (rewards, leads): (&[f64], &[f64]),
        ratios: &[f64],
        k: usize,
        base: f64,
        mut give: impl FnMut(usize, Split, Split),
    ) {
        let degree = self.degree;
        let rows = &self.rows;
        let led = |i: usize| Pair { reward: leads[i] * (rewards[i] - base), one: leads[i] };
        self.below.clear();
        let mut below = Pair::default();
        for (i, &ratio) in ratios.iter().enumerate() {
            self.below.push(below);
            below = below.plus(ratio * rows[i * degree + k - 1], led(i));
        }
        let open = &mut self.open;
        open.clear();
        open.resize(k, Pair::default());
        for (i, &ratio) in ratios.iter().enumerate().rev() {
            let row = &rows[i * degree..i * degree + k];
            let inverse = 1.0 / (i + 1) as f64;
            let (mut inside, mut outside) = (Pair::default(), open[0].times((i + 1) as f64));
            // M_m of i ranks is 0 for m above i.
            for m in 1..k.min(i + 2) {
                inside = inside.plus(m as f64 * row[m - 1], open[m]);
                outside = outside.plus((i + 1 - m) as f64 * row[m], open[m]);
            }
            let inside = led(i).times(row[k - 1]).plus(inverse, inside);
            let outside = self.below[i].plus(inverse, outside);
            give(
                i,
                Split { inside: inside.reward, outside: outside.reward },
                Split { inside: inside.one, outside: outside.one },
            );
            for m in 0..k {
                let kept = (i + 1).saturating_sub(m) as f64 * inverse;
                let closed = if m + 1 < k {
                    open[m + 1].times((m + 1) as f64 * ratio * inverse)
                } else {
                    led(i).times(ratio)
                };
                open[m] = closed.plus(kept, open[m]);
            }
        }
    }
}
