//! From the decision of a machine to a probability.

/// Most steps of the fit, and the gradient at which it stops.
const STEPS: usize = 100;
const TOLERANCE: f64 = 1e-5;

/// `1 / (1 + exp(-score))`.
pub(super) fn logistic(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

/// Slope and offset of the logistic curve through decisions, by the log-loss of Platt's targets:
/// `(n + 1) / (n + 2)` for each of `n` positive rows, `1 / (m + 2)` for each of `m` others (Platt
/// 1999). By Newton's method with a line search (Lin, Lin and Weng 2007).
pub(super) fn platt(decisions: &[f64], positive: &[bool]) -> (f64, f64) {
    let yes = positive.iter().filter(|&&p| p).count() as f64;
    let no = positive.len() as f64 - yes;
    let target =
        |positive: bool| if positive { (yes + 1.0) / (yes + 2.0) } else { 1.0 / (no + 2.0) };
    let rows = || decisions.iter().zip(positive).map(|(&decision, &p)| (decision, target(p)));
    let loss = |slope: f64, offset: f64| -> f64 {
        let of = |(decision, target): (f64, f64)| {
            let score = slope * decision + offset;
            score.max(0.0) + (-score.abs()).exp().ln_1p() - target * score
        };
        rows().map(of).sum()
    };
    let (mut slope, mut offset) = (0.0, ((yes + 1.0) / (no + 1.0)).ln());
    let mut here = loss(slope, offset);
    for _ in 0..STEPS {
        // A trace of curvature: equal decisions have none along one direction.
        let (mut g, mut h) = ([0.0; 2], [1e-12, 0.0, 1e-12]);
        for (decision, target) in rows() {
            let p = logistic(slope * decision + offset);
            let (error, curve) = (p - target, p * (1.0 - p));
            g = [g[0] + error * decision, g[1] + error];
            h = [h[0] + curve * decision * decision, h[1] + curve * decision, h[2] + curve];
        }
        if g[0].abs() < TOLERANCE && g[1].abs() < TOLERANCE {
            break;
        }
        let determinant = h[0] * h[2] - h[1] * h[1];
        let step =
            [(h[1] * g[1] - h[2] * g[0]) / determinant, (h[1] * g[0] - h[0] * g[1]) / determinant];
        let falls = g[0] * step[0] + g[1] * step[1];
        let shorter = std::iter::successors(Some(1.0), |size| Some(size / 2.0));
        let tried = shorter.take(40).find_map(|size: f64| {
            let (slope, offset) = (slope + size * step[0], offset + size * step[1]);
            let there = loss(slope, offset);
            (there < here + 1e-4 * size * falls).then_some((slope, offset, there))
        });
        let Some(better) = tried else { break };
        (slope, offset, here) = better;
    }
    (slope, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_passes_through_the_mean_targets_at_two_points() {
        // At -1, one of four is positive; at 1, three of four. Targets are 5/6 and 1/6, their means
        // 1/3 and 2/3: slope ln 2 and offset 0.
        let decisions = [-1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0];
        let positive = [true, false, false, false, true, true, true, false];
        let (slope, offset) = platt(&decisions, &positive);
        assert!((slope - 2.0_f64.ln()).abs() < 1e-4 && offset.abs() < 1e-4, "{slope} {offset}");
    }

    #[test]
    fn two_rows_that_are_apart_are_not_certain() {
        // Targets 1/3 and 2/3 at -2 and 2: slope ln 2 / 2.
        let (slope, offset) = platt(&[-2.0, 2.0], &[false, true]);
        assert!((slope - 2.0_f64.ln() / 2.0).abs() < 1e-4 && offset.abs() < 1e-4);
    }

    #[test]
    fn decisions_that_say_nothing_leave_the_mean_target() {
        // Targets 4/5 of three rows and 1/3 of one: mean (12/5 + 1/3) / 4 = 41/60.
        let (slope, offset) = platt(&[0.5; 4], &[true, true, true, false]);
        let p = logistic(slope * 0.5 + offset);
        assert!((p - 41.0 / 60.0).abs() < 1e-4, "{p}");
    }
}
