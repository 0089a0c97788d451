//! The numbers that the rules compare: pass@k of every policy in every seed, and nothing else.

use super::arm::Arm;
use super::runs::Outcome;
use super::settings::Settings;
use super::solves::{Passed, Solves};
use crate::ReproduceError;

/// The `k` that are measured.
pub(super) const KS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// pass@k for each of [`KS`].
pub(super) type Passes = [f64; KS.len()];

/// What is compared of one policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scores {
    pub(super) validation: Passes,
    /// Held-out puzzles of both kinds.
    pub(super) held_out: Passes,
    /// Held-out puzzles of the first kind.
    pub(super) easy: Passes,
    /// Held-out puzzles of the second kind.
    pub(super) hard: Passes,
    /// Nats a token over the last tenth of training; NaN of a policy that was not trained.
    pub(super) entropy: f64,
}

impl Scores {
    pub(super) fn of(solves: &Solves, entropy: f64) -> Result<Self, ReproduceError> {
        let Solves { validation, held_out: [easy, hard] } = solves;
        let passes = |set: &Passed| -> Result<Passes, ReproduceError> {
            let mut passes = [f64::NAN; KS.len()];
            for (pass, k) in passes.iter_mut().zip(KS) {
                *pass = set.pass_at(k)?;
            }
            Ok(passes)
        };
        Ok(Self {
            validation: passes(&validation[0].and(&validation[1]))?,
            held_out: passes(&easy.and(hard))?,
            easy: passes(easy)?,
            hard: passes(hard)?,
            entropy,
        })
    }
}

/// A set of puzzles, by where its pass@k stand.
pub(super) type Set = fn(&Scores) -> &Passes;

/// An arm at one learning rate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trained {
    pub(super) arm: Arm,
    pub(super) rate: f64,
    /// One of each seed.
    pub(super) seeds: Vec<Scores>,
}

impl Trained {
    /// pass@k on a set in each seed.
    pub(super) fn pass(&self, set: Set, k: usize) -> Vec<f64> {
        pass(&self.seeds, set, k)
    }

    /// The mean over seeds of pass@k on the validation puzzles.
    fn validated(&self, k: usize) -> f64 {
        let passes = self.pass(|scores| &scores.validation, k);
        passes.iter().sum::<f64>() / passes.len() as f64
    }
}

/// NaN for a `k` that is not measured.
fn pass(seeds: &[Scores], set: Set, k: usize) -> Vec<f64> {
    let place = KS.iter().position(|other| *other == k);
    seeds.iter().map(|scores| place.map_or(f64::NAN, |at| set(scores)[at])).collect()
}

/// Every policy, to be compared seed by seed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Compared {
    /// The base models, one of each seed.
    pub(super) before: Vec<Scores>,
    pub(super) runs: Vec<Trained>,
}

impl Compared {
    /// `outcomes` in the order of seeds.
    pub(super) fn of(
        settings: &Settings,
        before: &[Solves],
        outcomes: &[Outcome],
    ) -> Result<Self, ReproduceError> {
        let mut runs = Vec::new();
        for &arm in settings.arms {
            for rate in arm.rates(settings) {
                let of_it =
                    outcomes.iter().filter(|o| o.arm == arm && o.rate.to_bits() == rate.to_bits());
                let seeds: Result<Vec<Scores>, ReproduceError> =
                    of_it.map(|o| Scores::of(&o.solves, o.late("entropy"))).collect();
                runs.push(Trained { arm, rate, seeds: seeds? });
            }
        }
        let before: Result<Vec<Scores>, ReproduceError> =
            before.iter().map(|solves| Scores::of(solves, f64::NAN)).collect();
        Ok(Self { before: before?, runs })
    }

    /// Every arm once, in the order of its runs.
    pub(super) fn arms(&self) -> Vec<Arm> {
        let mut arms: Vec<Arm> = self.runs.iter().map(|run| run.arm).collect();
        arms.dedup();
        arms
    }

    /// The arm at the learning rate with the highest pass@k on the validation puzzles, at the lowest
    /// of several that are equal.
    pub(super) fn chosen(&self, arm: Arm, k: usize) -> Option<&Trained> {
        let mut best: Option<&Trained> = None;
        for run in self.runs.iter().filter(|run| run.arm == arm) {
            if best.is_none_or(|best| run.validated(k) > best.validated(k)) {
                best = Some(run);
            }
        }
        best
    }

    /// pass@k on a set in each seed, of the arm at the learning rate chosen for this k.
    pub(super) fn pass(&self, arm: Arm, set: Set, k: usize) -> Vec<f64> {
        self.chosen(arm, k).map_or_else(Vec::new, |run| run.pass(set, k))
    }

    /// The same of the base models.
    pub(super) fn pass_before(&self, set: Set, k: usize) -> Vec<f64> {
        pass(&self.before, set, k)
    }

    /// Entropy a token in each seed, of the arm at the learning rate chosen for this k.
    pub(super) fn entropy(&self, arm: Arm, k: usize) -> Vec<f64> {
        let seeds = self.chosen(arm, k).map_or(&[][..], |run| &run.seeds);
        seeds.iter().map(|scores| scores.entropy).collect()
    }
}

/// By how much `these` exceed `those`, seed by seed.
pub(super) fn less(these: &[f64], those: &[f64]) -> Vec<f64> {
    these.iter().zip(those).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(validation: f64, held_out: f64) -> Scores {
        let all = |value: f64| [value; KS.len()];
        Scores {
            validation: all(validation),
            held_out: all(held_out),
            easy: all(held_out),
            hard: all(held_out),
            entropy: 1.0,
        }
    }

    #[test]
    fn the_rate_is_chosen_on_validation_puzzles_alone() {
        let run = |rate: f64, validation: [f64; 2], held_out: f64| Trained {
            arm: Arm::One,
            rate,
            seeds: validation.map(|v| scores(v, held_out)).to_vec(),
        };
        // The mean over seeds counts, not the best seed, and held-out puzzles do not.
        let runs =
            vec![run(1.0, [0.1, 0.9], 0.9), run(2.0, [0.6, 0.6], 0.1), run(3.0, [0.6, 0.6], 0.8)];
        let compared = Compared { before: Vec::new(), runs };
        assert_eq!(compared.chosen(Arm::One, 8).unwrap().rate, 2.0);
        assert_eq!(compared.pass(Arm::One, |scores| &scores.held_out, 8), [0.1, 0.1]);
        assert!(compared.chosen(Arm::Centred, 8).is_none());
    }

    #[test]
    fn the_rate_may_differ_with_k() {
        let mut greedy = scores(0.5, 0.5);
        greedy.validation[0] = 0.9;
        let run = |rate, scores| Trained { arm: Arm::One, rate, seeds: vec![scores; 2] };
        let runs = vec![run(1.0, scores(0.6, 0.6)), run(2.0, greedy)];
        let compared = Compared { before: Vec::new(), runs };
        assert_eq!(compared.chosen(Arm::One, 1).unwrap().rate, 2.0);
        assert_eq!(compared.chosen(Arm::One, 8).unwrap().rate, 1.0);
    }
}
