//! Minimising a smooth convex function by L-BFGS (Liu and Nocedal 1989), each variable in units of its own
//! curvature.

use std::collections::VecDeque;

/// Last steps from which the curvature is estimated.
const MEMORY: usize = 40;

/// Share of the fall along the slope that a step has to keep (Armijo), and most halvings of a step.
const SHARE: f64 = 1e-4;
const HALVINGS: usize = 40;

/// A step: the change of the variables, that of the gradient, and their product.
struct Step {
    moved: Vec<f64>,
    bent: Vec<f64>,
    product: f64,
}

/// When to stop.
pub(super) struct Limits {
    /// Most steps.
    pub(super) steps: usize,
    /// Largest derivative of any variable at the minimum.
    pub(super) slope: f64,
}

/// The variables, from zeros, at which `function` is least. It returns its value and writes its gradient.
///
/// `curvature` is about the second derivative by each variable, above 0. Where they differ much, as those of rare
/// and frequent words do, a step of equal length in all is far too long for some and too short for others;
/// divided by the curvature, it takes a fraction of the steps.
pub(super) fn minimise(
    curvature: &[f64],
    limits: &Limits,
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Vec<f64> {
    let mut at = vec![0.0; curvature.len()];
    let (mut slope, mut bent) = (at.clone(), at.clone());
    let mut value = function(&at, &mut slope);
    let mut memory: VecDeque<Step> = VecDeque::with_capacity(MEMORY);
    for _ in 0..limits.steps {
        if slope.iter().all(|g| g.abs() < limits.slope) {
            break;
        }
        let along = direction(&slope, curvature, &memory);
        let falls = dot(&along, &slope);
        let mut size = 1.0;
        let mut halvings = 0;
        let there = loop {
            let there: Vec<f64> = at.iter().zip(&along).map(|(x, d)| x + size * d).collect();
            let less = function(&there, &mut bent);
            if less <= value + SHARE * size * falls {
                value = less;
                break there;
            }
            halvings += 1;
            if halvings == HALVINGS {
                // The value is as low as rounding lets it be.
                return at;
            }
            size /= 2.0;
        };
        let moved: Vec<f64> = there.iter().zip(&at).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = bent.iter().zip(&slope).map(|(a, b)| a - b).collect();
        let product = dot(&moved, &change);
        if product > 0.0 {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back(Step { moved, bent: change, product });
        }
        at = there;
        std::mem::swap(&mut slope, &mut bent);
    }
    at
}

/// The direction from a gradient, by the curvature of each variable and along the last steps.
fn direction(slope: &[f64], curvature: &[f64], memory: &VecDeque<Step>) -> Vec<f64> {
    let mut along: Vec<f64> = slope.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for step in memory.iter().rev() {
        let share = dot(&step.moved, &along) / step.product;
        add(&mut along, -share, &step.bent);
        shares.push(share);
    }
    let scale = memory.back().map_or(1.0, |step| {
        let bent = step.bent.iter().zip(curvature).map(|(bent, own)| bent * bent / own);
        step.product / bent.sum::<f64>()
    });
    for (v, own) in along.iter_mut().zip(curvature) {
        *v *= scale / own;
    }
    for (step, share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = dot(&step.bent, &along) / step.product;
        add(&mut along, share - back, &step.moved);
    }
    along
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sum: &mut [f64], share: f64, values: &[f64]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += share * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sum of c_i (x_i - i)^4 + c_i (x_i - i)^2 / 2 + x_0 x_1`, least where the gradient is 0.
    fn bowl(scales: &[f64]) -> impl Fn(&[f64], &mut [f64]) -> f64 {
        let scales = scales.to_vec();
        move |x, slope| {
            let mut value = x[0] * x[1];
            for (i, (&x, &scale)) in x.iter().zip(&scales).enumerate() {
                let off = x - i as f64;
                value += scale * (off.powi(4) + off * off / 2.0);
                slope[i] = scale * (4.0 * off.powi(3) + off);
            }
            slope[0] += x[1];
            slope[1] += x[0];
            value
        }
    }

    fn solved(curvature: &[f64], scales: &[f64]) -> (Vec<f64>, usize) {
        let (function, mut asked) = (bowl(scales), 0);
        let limits = Limits { steps: 500, slope: 1e-5 };
        let found = minimise(curvature, &limits, |x, slope| {
            asked += 1;
            function(x, slope)
        });
        (found, asked)
    }

    #[test]
    fn the_gradient_is_zero_at_the_minimum_and_curvatures_save_steps() {
        let scales: Vec<f64> = (0..12).map(|i| 3.0_f64.powi(i) + 2.0).collect();
        let (found, asked) = solved(&scales, &scales);
        let mut slope = vec![0.0; 12];
        bowl(&scales)(&found, &mut slope);
        assert!(slope.iter().all(|g| g.abs() < 1e-5), "{slope:?}");
        let (plain, without) = solved(&[1.0; 12], &scales);
        for (a, b) in found.iter().zip(&plain) {
            assert!((a - b).abs() < 1e-6, "{found:?} {plain:?}");
        }
        assert!(2 * asked < without, "{asked} {without}");
    }

    #[test]
    fn steps_are_limited() {
        let function = bowl(&[2.0, 50.0]);
        let mut asked = 0;
        let found = minimise(&[1.0; 2], &Limits { steps: 0, slope: 0.0 }, |x, slope| {
            asked += 1;
            function(x, slope)
        });
        assert_eq!((found, asked), (vec![0.0; 2], 1));
    }
}
