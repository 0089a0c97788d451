//! Learning curves: gradient ascent on the toy's parameter with estimated gradients.

use bestof_estimators::{
    Estimator, EstimatorError, KSchedule, RewardTransform, Schedule, Workspace,
};

use super::policy::Batch;
use super::quadrature::Quadrature;
use crate::noise::Noise;
use crate::{Measured, Progress, ReproduceError};

/// Samples a step.
pub(crate) const NS: [usize; 2] = [8, 16];
/// The k that is optimised, and each k that is measured.
pub(crate) const KS: [usize; 4] = [1, 2, 4, 8];
/// Where all runs begin: far from the optimum, with little reward.
const START: f64 = 0.0;
const STEPS: u64 = 6000;
/// From here on the learning rate falls in a straight line to 0, and the annealed run has k = 1.
const HALF: u64 = STEPS / 2;
const LEARNING_RATE: f64 = 1e-3;
/// A curve has a point each so many steps.
const STRIDE: u64 = 50;
const STREAM: u64 = 2 << 32;

/// What a run optimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Objective {
    Fixed(usize),
    /// 8, then 1.
    Annealed,
}

impl Objective {
    pub(crate) const ALL: [Self; 5] =
        [Self::Fixed(1), Self::Fixed(2), Self::Fixed(4), Self::Fixed(8), Self::Annealed];

    pub(crate) fn name(self) -> String {
        match self {
            Self::Fixed(k) => format!("k = {k}"),
            Self::Annealed => "k = 8, then 1".into(),
        }
    }

    /// The k whose optimum the run should reach.
    pub(crate) fn last_k(self) -> usize {
        match self {
            Self::Fixed(k) => k,
            Self::Annealed => 1,
        }
    }

    fn schedule(self) -> Result<Schedule, EstimatorError> {
        match self {
            Self::Fixed(k) => Schedule::constant(k),
            Self::Annealed => Schedule::step(8, 1, HALF),
        }
    }
}

/// Runs of one objective with one number of samples, a number a seed.
#[derive(Debug, Clone)]
pub(crate) struct Runs {
    pub(crate) n: usize,
    pub(crate) objective: Objective,
    /// `theta` after the last step.
    pub(crate) last: Vec<f64>,
    /// max@k of the last policy, exactly: for each of [`KS`] a number a seed.
    pub(crate) scores: Vec<Vec<f64>>,
    /// Step, and `theta` over the seeds.
    pub(crate) curve: Vec<(u64, Measured)>,
}

pub(crate) fn measure(
    quadrature: &Quadrature,
    seed: u64,
    seeds: usize,
    progress: &mut dyn Progress,
) -> Result<Vec<Runs>, ReproduceError> {
    let total = NS.len() * Objective::ALL.len();
    let mut all = Vec::with_capacity(total);
    for n in NS {
        for objective in Objective::ALL {
            progress.rows("learning", all.len(), total);
            all.push(runs(quadrature, n, objective, seed, seeds)?);
        }
    }
    progress.rows("learning", total, total);
    Ok(all)
}

fn runs(
    quadrature: &Quadrature,
    n: usize,
    objective: Objective,
    seed: u64,
    seeds: usize,
) -> Result<Runs, ReproduceError> {
    let mut paths = Vec::with_capacity(seeds);
    for run in 0..seeds {
        // Objectives share their noise, seed by seed, so that they differ in k alone.
        let mut source = Noise::new(seed, STREAM + ((n as u64) << 16) + run as u64);
        paths.push(ascend(n, objective, STEPS, &mut source)?);
    }
    let last: Vec<f64> = paths.iter().filter_map(|path| path.last().copied()).collect();
    let scores = KS.map(|k| last.iter().map(|&theta| quadrature.objective(theta, k)).collect());
    let points = paths.first().map_or(0, Vec::len);
    let curve = (0..points)
        .map(|point| {
            let thetas: Vec<f64> = paths.iter().map(|path| path[point]).collect();
            (point as u64 * STRIDE, Measured::of_seeds(&thetas))
        })
        .collect();
    Ok(Runs { n, objective, last, scores: scores.to_vec(), curve })
}

/// `theta` before the first step and after every [`STRIDE`] steps.
fn ascend(
    n: usize,
    objective: Objective,
    steps: u64,
    source: &mut Noise,
) -> Result<Vec<f64>, ReproduceError> {
    let schedule = objective.schedule()?;
    let mut workspace = Workspace::with_capacity(n);
    let mut batch = Batch::new(n);
    let mut theta = START;
    let mut path = vec![theta];
    let mut transform: Option<(usize, Box<dyn RewardTransform>)> = None;
    for step in 0..steps {
        let k = schedule.k(step);
        if transform.as_ref().is_none_or(|(built, _)| *built != k) {
            transform = Some((k, Estimator::LooMinusOne.build_annealed(k)?));
        }
        batch.draw(theta, source);
        if let Some((_, transform)) = &transform {
            transform.transform_into(&batch.rewards, &mut batch.weights, &mut workspace)?;
        }
        let left = (steps - step) as f64 / (steps - HALF.min(steps)).max(1) as f64;
        theta += LEARNING_RATE * left.min(1.0) * batch.gradient();
        if (step + 1) % STRIDE == 0 {
            path.push(theta);
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_climbs_to_its_own_optimum_and_repeats() {
        let quadrature = Quadrature::new();
        let run = |objective| ascend(16, objective, STEPS, &mut Noise::new(1, 9)).unwrap();
        for objective in Objective::ALL {
            let path = run(objective);
            assert_eq!(path.len() as u64, STEPS / STRIDE + 1);
            let (first, last) = (path[0], path[path.len() - 1]);
            assert_eq!(first, START);
            let optimum = quadrature.optimum(objective.last_k());
            assert!((last - optimum).abs() < 0.02, "{objective:?}: {last}, optimum {optimum}");
            assert_eq!(path, run(objective));
        }
        // Until the switch the annealed run is the one with k = 8.
        let half = (HALF / STRIDE) as usize;
        let (annealed, fixed) = (run(Objective::Annealed), run(Objective::Fixed(8)));
        assert_eq!(annealed[..=half], fixed[..=half]);
        assert_ne!(annealed[half + 1], fixed[half + 1]);
    }
}
