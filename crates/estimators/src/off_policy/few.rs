//! The table of sums of few products, whose loops all have the same length.
//!
//! In sums, what a rank has no subsets for is 0, so that a loop may run over it. Rows have a number of lanes that the compiler
//! knows, with `X_{k-1}` in the last: the first lanes of a row stay 0, and what is open there, of subsets of more than `k`,
//! is multiplied by that 0.

use super::products::{LANES, Row, Sums};
use super::table::{Split, Splits, Table, plus};

impl Splits for Sums {
    fn splits<const N: usize>(
        table: &mut Table,
        ratios: &[f64],
        k: usize,
        led: impl Fn(usize) -> [f64; N],
        give: impl FnMut(usize, [Split; N]),
    ) {
        match Self::lanes(k) / LANES {
            1 => splits::<LANES, N>(table, ratios, k, led, give),
            2 => splits::<{ 2 * LANES }, N>(table, ratios, k, led, give),
            3 => splits::<{ 3 * LANES }, N>(table, ratios, k, led, give),
            _ => splits::<{ Self::DEGREE }, N>(table, ratios, k, led, give),
        }
    }
}

fn splits<const L: usize, const N: usize>(
    table: &mut Table,
    ratios: &[f64],
    k: usize,
    led: impl Fn(usize) -> [f64; N],
    give: impl FnMut(usize, [Split; N]),
) {
    table.rows.resize(L * ratios.len(), 0.0);
    table.below.resize(N * ratios.len(), 0.0);
    let (rows, below) = (table.rows.as_chunks_mut::<L>().0, table.below.as_chunks_mut::<N>().0);
    up(rows, below, ratios, k, &led);
    down(rows, below, ratios, led, give);
}

/// As [`Table::set`].
fn up<const L: usize, const N: usize>(
    rows: &mut [[f64; L]],
    below: &mut [[f64; N]],
    ratios: &[f64],
    k: usize,
    led: impl Fn(usize) -> [f64; N],
) {
    let mut row = Row::<L>::start(k);
    let mut sums = [0.0; N];
    for (i, ((slots, below), &ratio)) in rows.iter_mut().zip(below).zip(ratios).enumerate() {
        *below = sums;
        sums = plus(sums, ratio * row.0[L - 1], led(i));
        *slots = row.0;
        row.extend(ratio);
    }
}

/// As [`Table::split`].
fn down<const L: usize, const N: usize>(
    rows: &[[f64; L]],
    below: &[[f64; N]],
    ratios: &[f64],
    led: impl Fn(usize) -> [f64; N],
    mut give: impl FnMut(usize, [Split; N]),
) {
    let mut open = [[0.0; N]; L];
    for (i, ((row, &below), &ratio)) in rows.iter().zip(below).zip(ratios).enumerate().rev() {
        let led = led(i);
        let (mut inside, mut outside) = ([0.0; N], below);
        for m in 0..L {
            let more = if m + 1 < L { open[m + 1] } else { led };
            inside = plus(inside, row[m], more);
            outside = plus(outside, row[m], open[m]);
            open[m] = plus(open[m], ratio, more);
        }
        give(i, core::array::from_fn(|x| Split { inside: inside[x], outside: outside[x] }));
    }
}
