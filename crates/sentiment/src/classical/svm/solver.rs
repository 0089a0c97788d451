//! The quadratic program of a support vector machine.
//!
//! Sequential minimal optimisation with the second-order choice of pairs (Fan, Chen and Lin 2005,
//! the solver of LIBSVM). Rows of the kernel are cached, and only non-zero columns are touched.

use super::super::matrix::Matrix;
use super::super::sparse::SparseRows;

/// Violation of the optimality conditions at which the solver stops; LIBSVM's.
const TOLERANCE: f64 = 1e-3;

/// Most kernel values in the cache: half a gibibyte.
const CACHE_VALUES: usize = 1 << 27;

/// Most steps per row.
const STEPS: usize = 100;

/// Values `exp(-gamma |x_i - x_j|^2)`, cached row by row.
pub(super) struct Kernel {
    rows: SparseRows,
    squares: Vec<f32>,
    gamma: f64,
    cached: Vec<Vec<f32>>,
    count: usize,
}

impl Kernel {
    pub(super) fn new(x: &Matrix, gamma: f64) -> Self {
        let rows = SparseRows::of(x);
        let square = |row: &[(u32, f32)]| row.iter().map(|(_, value)| value * value).sum();
        let squares = rows.iter().map(square).collect();
        let cached = vec![Vec::new(); rows.len()];
        Self { rows, squares, gamma, cached, count: 0 }
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Computes row `i` unless it is cached; a full cache is emptied except for row `keep`.
    fn load(&mut self, i: usize, keep: usize) {
        if !self.cached[i].is_empty() {
            return;
        }
        if (self.count + 1) * self.len() > CACHE_VALUES && self.count > 1 {
            for (row, cached) in self.cached.iter_mut().enumerate() {
                if row != keep {
                    *cached = Vec::new();
                }
            }
            self.count = usize::from(!self.cached[keep].is_empty());
        }
        let mut dense = vec![0.0_f32; self.rows.width()];
        for &(column, value) in self.rows.row(i) {
            dense[column as usize] = value;
        }
        let value = |(row, square): (&[(u32, f32)], &f32)| {
            let product: f32 =
                row.iter().map(|&(column, value)| value * dense[column as usize]).sum();
            let distance = (self.squares[i] + square - 2.0 * product).max(0.0);
            (-self.gamma * f64::from(distance)).exp() as f32
        };
        self.cached[i] = self.rows.iter().zip(&self.squares).map(value).collect();
        self.count += 1;
    }
}

/// The solution for some rows: the decision of a row `z` is `sum_i weights_i k(x_i, z) + bias`.
pub(super) struct Solved {
    /// A weight for each of the rows, 0 for most.
    pub(super) weights: Vec<f64>,
    pub(super) bias: f64,
}

impl Solved {
    /// The decisions of the rows `asked`, for a solution for `rows`; both are rows of `kernel`.
    pub(super) fn decisions(
        &self,
        kernel: &mut Kernel,
        rows: &[usize],
        asked: &[usize],
    ) -> Vec<f64> {
        let mut decisions = vec![self.bias; asked.len()];
        for (&row, &weight) in rows.iter().zip(&self.weights) {
            if weight != 0.0 {
                kernel.load(row, row);
                let values = &kernel.cached[row];
                for (decision, &other) in decisions.iter_mut().zip(asked) {
                    *decision += weight * f64::from(values[other]);
                }
            }
        }
        decisions
    }
}

/// Minimises `1/2 a^T Q a - sum a` with `0 <= a <= cost` and `sum y a = 0` over `rows` of the kernel,
/// each of which is `positive` or not.
pub(super) fn solve(kernel: &mut Kernel, rows: &[usize], positive: &[bool], cost: f64) -> Solved {
    let n = rows.len();
    let sign: Vec<f64> = positive.iter().map(|&p| if p { 1.0 } else { -1.0 }).collect();
    let mut alpha = vec![0.0_f64; n];
    // The gradient `Q a - 1`.
    let mut slope = vec![-1.0_f64; n];
    for _ in 0..STEPS * n {
        let may_grow = |t: usize, alpha: &[f64]| {
            if positive[t] { alpha[t] < cost } else { alpha[t] > 0.0 }
        };
        let may_shrink = |t: usize, alpha: &[f64]| {
            if positive[t] { alpha[t] > 0.0 } else { alpha[t] < cost }
        };
        let growing = (0..n).filter(|&t| may_grow(t, &alpha));
        let Some(i) =
            growing.max_by(|&a, &b| (-sign[a] * slope[a]).total_cmp(&(-sign[b] * slope[b])))
        else {
            break;
        };
        let most = -sign[i] * slope[i];
        kernel.load(rows[i], rows[i]);
        let row = &kernel.cached[rows[i]];
        let mut least = f64::INFINITY;
        let mut chosen: Option<(usize, f64)> = None;
        for t in (0..n).filter(|&t| may_shrink(t, &alpha)) {
            let here = -sign[t] * slope[t];
            least = least.min(here);
            let gap = most - here;
            if gap > 0.0 {
                // The kernel of a row with itself is 1.
                let curve = (2.0 - 2.0 * f64::from(row[rows[t]])).max(1e-12);
                let gain = gap * gap / curve;
                if chosen.is_none_or(|(_, best)| gain > best) {
                    chosen = Some((t, gain));
                }
            }
        }
        let Some((j, _)) = chosen.filter(|_| most - least > TOLERANCE) else { break };
        kernel.load(rows[j], rows[i]);
        let (row_i, row_j) = (&kernel.cached[rows[i]], &kernel.cached[rows[j]]);
        let curve = (2.0 - 2.0 * f64::from(row_i[rows[j]])).max(1e-12);
        let room_i = if positive[i] { cost - alpha[i] } else { alpha[i] };
        let room_j = if positive[j] { alpha[j] } else { cost - alpha[j] };
        let step = ((most + sign[j] * slope[j]) / curve).min(room_i).min(room_j);
        alpha[i] = (alpha[i] + sign[i] * step).clamp(0.0, cost);
        alpha[j] = (alpha[j] - sign[j] * step).clamp(0.0, cost);
        for (t, &row) in rows.iter().enumerate() {
            slope[t] += sign[t] * step * (f64::from(row_i[row]) - f64::from(row_j[row]));
        }
    }
    let bias = bias(&alpha, &slope, &sign, cost);
    let weights = alpha.iter().zip(&sign).map(|(alpha, sign)| alpha * sign).collect();
    Solved { weights, bias }
}

/// Mean of `-y (Q a - 1)` over weights strictly inside their bounds, or the middle of what the
/// others allow.
fn bias(alpha: &[f64], slope: &[f64], sign: &[f64], cost: f64) -> f64 {
    let (mut sum, mut free) = (0.0, 0.0);
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    for ((&alpha, &slope), &sign) in alpha.iter().zip(slope).zip(sign) {
        let here = -sign * slope;
        if alpha > 0.0 && alpha < cost {
            sum += here;
            free += 1.0;
        } else if (alpha == 0.0) == (sign > 0.0) {
            low = low.max(here);
        } else {
            high = high.min(here);
        }
    }
    if free > 0.0 {
        sum / free
    } else {
        let middle = f64::midpoint(low, high);
        if middle.is_finite() { middle } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use bestof_tasks::rng::SeededRng;

    use super::*;

    fn problem(n: usize) -> (Matrix, Vec<bool>) {
        let mut draw = SeededRng::new(5, 0);
        let mut unit = || draw.index(1000) as f32 / 500.0 - 1.0;
        let rows: Vec<Vec<f32>> = (0..n).map(|_| vec![unit(), unit()]).collect();
        let label = |row: &Vec<f32>| row[0] * row[1] + 0.3 * unit() > 0.0;
        let labels = rows.iter().map(label).collect();
        (Matrix::from_rows(&rows).unwrap(), labels)
    }

    #[test]
    fn two_rows_by_hand() {
        // k = exp(-1): a (1 - k) = 1 for both weights; C = 10 does not bind, and the bias is 0.
        let x = Matrix::from_rows(&[vec![0.0], vec![1.0]]).unwrap();
        let mut kernel = Kernel::new(&x, 1.0);
        let solved = solve(&mut kernel, &[0, 1], &[true, false], 10.0);
        let expected = 1.0 / (1.0 - (-1.0_f64).exp());
        assert!(
            (solved.weights[0] - expected).abs() < 1e-6
                && (solved.weights[1] + expected).abs() < 1e-6
        );
        assert!(solved.bias.abs() < 1e-6);
        let decisions = solved.decisions(&mut kernel, &[0, 1], &[0, 1]);
        assert!((decisions[0] - 1.0).abs() < 1e-6 && (decisions[1] + 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_optimality_conditions_hold() {
        let (x, labels) = problem(300);
        let cost = 1.0;
        let mut kernel = Kernel::new(&x, 2.0);
        let all: Vec<usize> = (0..300).collect();
        let solved = solve(&mut kernel, &all, &labels, cost);
        let decisions = solved.decisions(&mut kernel, &all, &all);
        assert!(solved.weights.iter().sum::<f64>().abs() < 1e-9);
        let mut bounded = 0;
        for (row, &label) in labels.iter().enumerate() {
            let sign = if label { 1.0 } else { -1.0 };
            let apart = |other: usize| -> f64 {
                x.row(row).iter().zip(x.row(other)).map(|(a, b)| f64::from(a - b).powi(2)).sum()
            };
            let decision =
                (0..300).map(|o| solved.weights[o] * (-2.0 * apart(o)).exp()).sum::<f64>()
                    + solved.bias;
            assert!((decision - decisions[row]).abs() < 1e-4);
            let (alpha, margin) = (solved.weights[row] * sign, sign * decision);
            if alpha == 0.0 {
                assert!(margin > 1.0 - 2e-3, "{margin}");
            } else if alpha >= cost {
                bounded += 1;
                assert!(margin < 1.0 + 2e-3, "{margin}");
            } else {
                assert!((margin - 1.0).abs() < 2e-3, "{margin}");
            }
        }
        assert!(bounded > 10 && bounded < 290, "{bounded}");
    }

    #[test]
    fn some_rows_are_solved_as_if_there_were_no_others() {
        let (x, labels) = problem(60);
        let some: Vec<usize> = (0..60).filter(|row| row % 3 != 1).collect();
        let own: Vec<bool> = some.iter().map(|&row| labels[row]).collect();
        let found = solve(&mut Kernel::new(&x, 2.0), &some, &own, 1.0);
        let all: Vec<usize> = (0..some.len()).collect();
        let alone = solve(&mut Kernel::new(&x.select(&some), 2.0), &all, &own, 1.0);
        assert_eq!((found.weights, found.bias), (alone.weights, alone.bias));
    }
}
