//! Votes of a review: few, all three at once, and with a lean by the stars.

use bestof_tasks::rng::SeededRng;

use super::draws::normal;

/// Log of the usual number of votes for useful, funny and cool: with it useful has the published mean. Of funny and
/// cool no mean was found; both have fewer.
const USUAL: [f64; 3] = [-0.8, -1.5, -1.2];
/// Deviations of that logarithm by attention, which all three share, and of each by itself; what a deviation of
/// length adds; and what a deviation of opinion does. With them votes have the published deviation and
/// correlations (`targets`).
const ATTENTION: f64 = 1.22;
const OWN: [f64; 3] = [0.2, 0.4, 0.3];
const LENGTH: f64 = 0.65;
const LEAN: [f64; 3] = [0.02, -0.03, 0.45];
/// Most expected votes.
const MOST: f64 = 1000.0;

/// Votes for useful, funny and cool of a review with this opinion and length, in deviations. The lean by opinion
/// is scaled by `effect`.
pub(super) fn votes(draw: &mut SeededRng, opinion: f64, length: f64, effect: f64) -> [i64; 3] {
    let attention = ATTENTION * normal(draw) + LENGTH * length;
    let mut votes = [0; 3];
    for (kind, votes) in votes.iter_mut().enumerate() {
        let log =
            USUAL[kind] + attention + OWN[kind] * normal(draw) + effect * LEAN[kind] * opinion;
        *votes = poisson(draw, log.exp().min(MOST));
    }
    // The published files have reviews with -1 votes.
    if draw.one_in(200) {
        votes[draw.index(3)] = -1;
    }
    votes
}

/// A count of events of which `expected` are usual (Knuth 1969; by the normal distribution where they are many).
fn poisson(draw: &mut SeededRng, expected: f64) -> i64 {
    if expected > 50.0 {
        return (expected + expected.sqrt() * normal(draw)).round().max(0.0) as i64;
    }
    let (limit, mut left, mut count) = ((-expected).exp(), draw.share(), 0);
    while left > limit {
        left *= draw.share();
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_the_mean_that_is_asked_for() {
        for expected in [0.2, 3.0, 80.0_f64] {
            let mut draw = SeededRng::new(1, 0);
            let count = 20_000;
            let mean = (0..count).map(|_| poisson(&mut draw, expected)).sum::<i64>() as f64
                / f64::from(count);
            assert!((mean - expected).abs() < 4.0 * (expected / f64::from(count)).sqrt(), "{mean}");
        }
    }
}
