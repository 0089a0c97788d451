//! Subsets with a sample and subsets without it, for all samples at once.
//!
//! A pass down the ranks carries what is still open: `open[m]` is the part of the value whose subsets
//! have their maximum and some members above rank `j` and need `m` more from the `j` lowest. Closing it
//! takes the products of the lower ranks, which a first pass has kept.

use alloc::vec::Vec;

use super::products::{LANES, Lanes, Row, Scale, sizes, smaller};

/// The two parts of a sum over all `k`-subsets, for one sample, without its own ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Split {
    /// Over the subsets with the sample: products of its partners times the maximum.
    pub(super) inside: f64,
    /// Over the subsets without it: products of all members times the maximum.
    pub(super) outside: f64,
}

/// Products of the lower ranks, and the sums of one pass over them.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// Row `j` holds `X_m` of the `j` lowest ranks, for `m` below the degree, as a [`Row`] does.
    rows: Vec<Lanes>,
    unused: usize,
    stride: usize,
    /// `U` of the `j` lowest ranks alone, for each number that stands for a reward.
    below: Vec<f64>,
    open: Vec<Lanes>,
}

impl Table {
    pub(super) fn with_capacity(samples: usize, degree: usize) -> Self {
        let chunks = degree.div_ceil(LANES);
        Self {
            rows: Vec::with_capacity(samples * chunks),
            below: Vec::with_capacity(2 * samples),
            open: Vec::with_capacity(2 * chunks),
            ..Self::default()
        }
    }

    /// Keeps the rows for products of up to `degree` ratios.
    pub(super) fn set<S: Scale>(&mut self, ratios: &[f64], degree: usize, row: &mut Row) {
        row.start(degree);
        (self.unused, self.stride) = (row.unused, row.chunks.len());
        self.rows.resize(ratios.len() * self.stride, [0.0; LANES]);
        let mut rows = self.rows.iter_mut();
        for (i, &ratio) in ratios.iter().enumerate() {
            row.extend::<S>(i + 1, ratio, |lanes| {
                if let Some(slot) = rows.next() {
                    *slot = lanes;
                }
            });
        }
    }

    /// Hands out, for each rank from the highest down, the splits of `k`-subsets for each of `N` numbers
    /// that rank `j` leads with, `led_j = lead_j g_(j)`; `k` is at most the degree.
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
        let (top, lane) = ((self.unused + k - 1) / LANES, (self.unused + k - 1) % LANES);
        // Whole chunks are stored and read again, which no processor has to wait for.
        let largest: Lanes = core::array::from_fn(|l| f64::from(u8::from(l == lane)));
        let row = |i: usize| &self.rows[i * self.stride..=i * self.stride + top];
        self.below.resize(N * ratios.len(), 0.0);
        let mut below = [0.0; N];
        let slots = self.below.as_chunks_mut::<N>().0;
        for (i, (&ratio, slot)) in ratios.iter().zip(slots).enumerate() {
            *slot = below;
            let product = ratio * row(i)[top][lane];
            for (below, led) in below.iter_mut().zip(led(i)) {
                *below += product * led;
            }
        }
        let below = self.below.as_chunks::<N>().0;
        self.open.clear();
        self.open.resize(N * (top + 1), [0.0; LANES]);
        let open = self.open.as_chunks_mut::<N>().0;
        for (i, &ratio) in ratios.iter().enumerate().rev() {
            let j = (i + 1) as f64;
            let (mut inside, mut outside) = ([[0.0; LANES]; N], [[0.0; LANES]; N]);
            let mut carry = 0.0;
            for (chunk, lanes) in row(i).iter().enumerate() {
                let (m, fewer) = (sizes(chunk, self.unused), smaller(&mut carry, lanes));
                let next = open.get(chunk + 1).map_or([0.0; N], |next| next.map(|of| of[0]));
                for (x, open) in open[chunk].iter_mut().enumerate() {
                    let more = [open[1], open[2], open[3], next[x]];
                    for l in 0..LANES {
                        let (kept, joined) = S::factors(j, m[l]);
                        inside[x][l] += joined * fewer[l] * open[l];
                        outside[x][l] += kept * lanes[l] * open[l];
                        let (_, joined) = S::factors(j, m[l] + 1.0);
                        open[l] = kept * open[l] + joined * ratio * more[l];
                    }
                }
            }
            if self.unused > 0 {
                // Nothing needs fewer than no members.
                open[0].iter_mut().for_each(|open| open[..self.unused].fill(0.0));
            }
            let (led, product) = (led(i), row(i)[top][lane]);
            give(
                i,
                core::array::from_fn(|x| Split {
                    inside: led[x] * product + sum(inside[x]),
                    outside: below[i][x] + sum(outside[x]),
                }),
            );
            for (open, led) in open[top].iter_mut().zip(led) {
                for l in 0..LANES {
                    open[l] += largest[l] * (led * ratio);
                }
            }
        }
    }
}

fn sum(lanes: Lanes) -> f64 {
    (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])
}
