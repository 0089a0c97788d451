//! Subsets with a sample and subsets without it, for all samples at once.
//!
//! A pass down the ranks carries what is still open: `open[m]` is the part of the value whose subsets
//! have their maximum and some members above rank `j` and need `m` more from the `j` lowest. Closing it
//! takes the products of the lower ranks, which a first pass has kept.

use alloc::vec::Vec;

use super::products::{Means, Scale, Sums, extend, start};

/// The two parts of a sum over all `k`-subsets, for one sample, without its own ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Split {
    /// Over the subsets with the sample: products of its partners times the maximum.
    pub(super) inside: f64,
    /// Over the subsets without it: products of all members times the maximum.
    pub(super) outside: f64,
}

/// A scale in which the splits of all samples are found for one `k`.
pub(super) trait Splits: Scale + Sized {
    /// Hands out, for each rank from the highest down, the splits of `k`-subsets for each of `N` numbers that rank
    /// `j` leads with, `led_j = lead_j g_(j)`.
    fn splits<const N: usize>(
        table: &mut Table,
        ratios: &[f64],
        k: usize,
        led: impl Fn(usize) -> [f64; N],
        give: impl FnMut(usize, [Split; N]),
    ) {
        table.set::<Self, N>(ratios, k, &led);
        table.split::<Self, N>(ratios, k, led, give);
    }
}

impl Splits for Means {}

/// Products of the lower ranks, and the sums of one pass over them.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    degree: usize,
    /// Row `j` holds `X_m` of the `j` lowest ranks, for `m` below the degree.
    pub(super) rows: Vec<f64>,
    /// `U` of the `j` lowest ranks alone, for each number that a rank leads with.
    pub(super) below: Vec<f64>,
    row: Vec<f64>,
    open: Vec<f64>,
}

impl Table {
    pub(super) fn with_capacity(samples: usize, degree: usize) -> Self {
        Self {
            degree: 0,
            rows: Vec::with_capacity(samples * Sums::lanes(degree)),
            below: Vec::with_capacity(2 * samples),
            row: Vec::with_capacity(degree),
            open: Vec::with_capacity(2 * (degree + 1)),
        }
    }

    /// Keeps the rows for products of up to `degree` ratios, and `U` for `k = degree` of what rank `j` leads with.
    #[inline]
    pub(super) fn set<S: Scale, const N: usize>(
        &mut self,
        ratios: &[f64],
        degree: usize,
        led: impl Fn(usize) -> [f64; N],
    ) {
        self.degree = degree;
        self.rows.resize(ratios.len() * degree, 0.0);
        self.below.resize(N * ratios.len(), 0.0);
        start(&mut self.row, degree);
        let mut sums = [0.0; N];
        let kept = self.rows.chunks_exact_mut(degree).zip(self.below.as_chunks_mut::<N>().0);
        for (i, ((slots, below), &ratio)) in kept.zip(ratios).enumerate() {
            *below = sums;
            sums = plus(sums, ratio * self.row[degree - 1], led(i));
            let mut slots = slots.iter_mut();
            extend::<S>(&mut self.row, i + 1, ratio, |x| {
                if let Some(slot) = slots.next() {
                    *slot = x;
                }
            });
        }
    }

    /// `U` for fewer than the degree, from the rows that are kept.
    #[inline]
    pub(super) fn narrow<const N: usize>(
        &mut self,
        ratios: &[f64],
        k: usize,
        led: impl Fn(usize) -> [f64; N],
    ) {
        let mut sums = [0.0; N];
        let rows = self.rows.chunks_exact(self.degree).zip(self.below.as_chunks_mut::<N>().0);
        for (i, ((row, below), &ratio)) in rows.zip(ratios).enumerate() {
            *below = sums;
            sums = plus(sums, ratio * row[k - 1], led(i));
        }
    }

    /// As [`Splits::splits`], of the numbers that [`set`](Self::set) took for the degree, or [`narrow`](Self::narrow) for
    /// fewer.
    ///
    /// ```text
    /// inside_j  = led_j X_{k-1}(j-1) + sum_m open[m] joined X_{m-1}(j-1)
    /// outside_j = U(j-1) + sum_m open[m] kept X_m(j-1)
    /// open[m]  <- kept open[m] + joined r_(j) open[m+1],   open[k-1] += led_j r_(j)
    /// ```
    #[inline]
    pub(super) fn split<S: Scale, const N: usize>(
        &mut self,
        ratios: &[f64],
        k: usize,
        led: impl Fn(usize) -> [f64; N],
        mut give: impl FnMut(usize, [Split; N]),
    ) {
        let n = ratios.len();
        // None needs as many as k, so that the last one stays 0.
        self.open.clear();
        self.open.resize(N * (k + 1), 0.0);
        let open = &mut self.open.as_chunks_mut::<N>().0[..=k];
        let rows = self.rows.chunks_exact(self.degree).zip(ratios);
        let below = self.below.as_chunks::<N>().0;
        for (i, ((row, &ratio), &below)) in rows.zip(below).enumerate().rev() {
            let (row, led) = (&row[..k], led(i));
            // The ranks above do not fill the rest of a subset, or the lower ones do not suffice.
            let (least, most) = (k.saturating_sub(n - i), k.min(i + 2));
            let mut fewer = if least > 0 { row[least - 1] } else { 0.0 };
            let (mut inside, mut outside, mut here) = ([0.0; N], below, open[least]);
            let (j, mut size) = ((i + 1) as f64, least as f64);
            // Their lengths are known to reach, so that nothing is asked in the loop.
            let (lower, part) = (&row[..most], &mut open[..=most]);
            for m in least..most {
                let (kept, joined) = S::factors(j, size);
                let (x, more) = (lower[m], part[m + 1]);
                inside = plus(inside, joined * fewer, here);
                outside = plus(outside, kept * x, here);
                let (_, joined) = S::factors(j, size + 1.0);
                part[m] = plus(here.map(|of| kept * of), joined * ratio, more);
                (size, fewer, here) = (size + 1.0, x, more);
            }
            inside = plus(inside, row[k - 1], led);
            open[k - 1] = plus(open[k - 1], ratio, led);
            give(i, core::array::from_fn(|x| Split { inside: inside[x], outside: outside[x] }));
        }
    }
}

/// `sums + factor * others`.
pub(super) fn plus<const N: usize>(sums: [f64; N], factor: f64, others: [f64; N]) -> [f64; N] {
    core::array::from_fn(|x| sums[x] + factor * others[x])
}
