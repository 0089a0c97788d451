//! What the paper claims of its language models, judged on these runs.

use super::arm::Arm;
use super::runs::{Outcome, Passed, Solves};
use super::settings::{K, N};
use crate::{Claim, Measured, ReproduceError, all_hold};

/// Loss of pass@1 that still counts as keeping it.
const KEPT: f64 = 0.02;

/// A set of puzzles, by how to find it.
type Set = fn(&Solves) -> &Passed;

const TRAIN: Set = |solves| &solves.train;
const HELD_OUT: Set = |solves| &solves.held_out;
const HARD: Set = |solves| &solves.hard;

/// All runs, to be compared seed by seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared<'a>(pub(super) &'a [Outcome]);

impl Compared<'_> {
    /// Runs of an arm in the order of seeds.
    pub(super) fn of(&self, arm: Arm) -> impl Iterator<Item = &Outcome> {
        self.0.iter().filter(move |outcome| outcome.arm == arm)
    }

    /// One number of each run of an arm.
    pub(super) fn each(
        &self,
        arm: Arm,
        number: impl Fn(&Outcome) -> Result<f64, ReproduceError>,
    ) -> Result<Vec<f64>, ReproduceError> {
        self.of(arm).map(number).collect()
    }

    /// By how much the number of one arm exceeds that of another, seed by seed.
    fn gain(
        &self,
        arm: Arm,
        over: Arm,
        number: impl Fn(&Outcome) -> Result<f64, ReproduceError>,
    ) -> Result<Measured, ReproduceError> {
        let (mine, theirs) = (self.each(arm, &number)?, self.each(over, &number)?);
        let gains: Vec<f64> = mine.iter().zip(&theirs).map(|(a, b)| a - b).collect();
        Ok(Measured::of_seeds(&gains))
    }

    /// As [`gain`](Self::gain) of pass@k on a set.
    fn pass_gain(
        &self,
        arm: Arm,
        over: Arm,
        set: Set,
        k: usize,
    ) -> Result<Measured, ReproduceError> {
        self.gain(arm, over, |outcome| set(&outcome.solves).pass_at(k))
    }
}

/// Every claim, in the order of the paper.
pub(super) fn claims(outcomes: &[Outcome]) -> Result<Vec<Claim>, ReproduceError> {
    let runs = Compared(outcomes);
    Ok(vec![
        raises(runs)?,
        diagonal(runs)?,
        solves_more(runs)?,
        explores(runs)?,
        costs(runs)?,
        annealing(runs)?,
        goes_on(runs)?,
        not_all(runs)?,
    ])
}

fn raises(runs: Compared<'_>) -> Result<Claim, ReproduceError> {
    let train = runs.pass_gain(Arm::Fixed(K), Arm::One, TRAIN, K)?;
    let held_out = runs.pass_gain(Arm::Fixed(K), Arm::One, HELD_OUT, K)?;
    Ok(Claim::new(
        format!("Training for the best of {K} raises pass@{K} more than training for the mean"),
        format!(
            "the 95 % interval over seeds of pass@{K} after k = {K} less that after k = 1 lies above 0, \
             on training puzzles and on held-out ones"
        ),
        format!("training puzzles {train}, held-out puzzles {held_out}"),
        all_hold([train.is_above(0.0), held_out.is_above(0.0)]),
    ))
}

fn diagonal(runs: Compared<'_>) -> Result<Claim, ReproduceError> {
    let fixed: Vec<(Arm, usize)> =
        Arm::ALL.into_iter().filter_map(|arm| Some((arm, arm.fixed_k()?))).collect();
    let (mut verdicts, mut listed) = (Vec::new(), Vec::new());
    for &(arm, k) in &fixed {
        let mut best: Option<(usize, f64)> = None;
        for &(other, trained) in &fixed {
            let mean = Measured::of_seeds(&runs.each(other, |o| o.solves.train.pass_at(k))?).value;
            if best.is_none_or(|(_, most)| mean > most) {
                best = Some((trained, mean));
            }
            if trained != k {
                verdicts.push(runs.pass_gain(arm, other, TRAIN, k)?.is_above(0.0));
            }
        }
        let (trained, mean) = best.unwrap_or((k, f64::NAN));
        listed.push(format!("pass@{k} is highest after k = {trained} ({mean:.3})"));
    }
    Ok(Claim::new(
        "The best k to train for is the one that is measured",
        "for each measured k, the 95 % interval over seeds of the lead over every other fixed k lies above 0, \
         on training puzzles",
        listed.join(", "),
        all_hold(verdicts),
    ))
}

fn solves_more(runs: Compared<'_>) -> Result<Claim, ReproduceError> {
    let solved =
        runs.gain(Arm::Fixed(K), Arm::One, |outcome| Ok(outcome.last("cumulative_solve_rate")))?;
    let hard = runs.pass_gain(Arm::Fixed(K), Arm::One, HARD, N)?;
    Ok(Claim::new(
        "Higher k solves more of the hard problems",
        format!(
            "the 95 % intervals over seeds of the lead of k = {K} over k = 1 lie above 0, for the share of training \
             puzzles solved at least once and for pass@{N} on the held-out puzzles of four numbers"
        ),
        format!("training puzzles ever solved {solved}, hard held-out puzzles {hard}"),
        all_hold([solved.is_above(0.0), hard.is_above(0.0)]),
    ))
}

fn explores(runs: Compared<'_>) -> Result<Claim, ReproduceError> {
    let gain = runs.gain(Arm::Fixed(K), Arm::One, |outcome| Ok(outcome.late("entropy")))?;
    Ok(Claim::new(
        "Higher k keeps more entropy",
        format!(
            "the 95 % interval over seeds of the entropy a token under k = {K} less that under k = 1 lies above 0, over the last tenth of the steps"
        ),
        format!("{gain} nats"),
        gain.is_above(0.0),
    ))
}

fn costs(runs: Compared<'_>) -> Result<Claim, ReproduceError> {
    let train = runs.pass_gain(Arm::Fixed(K), Arm::One, TRAIN, 1)?;
    let held_out = runs.pass_gain(Arm::Fixed(K), Arm::One, HELD_OUT, 1)?;
    Ok(Claim::new(
        format!("A fixed k = {K} costs some pass@1 (1 to 4 points in the paper)"),
        "the 95 % interval over seeds of the difference to k = 1 lies below 0, on training and held-out puzzles",
        format!("training puzzles {train}, held-out puzzles {held_out}"),
        all_hold([train.is_below(0.0), held_out.is_below(0.0)]),
    ))
}

fn annealing(runs: Compared<'_>) -> Result<Claim, ReproduceError> {
    let (mut verdicts, mut listed) = (Vec::new(), Vec::new());
    for (set, name) in [(TRAIN, "training puzzles"), (HELD_OUT, "held-out puzzles")] {
        let first = runs.pass_gain(Arm::Annealed, Arm::One, set, 1)?;
        let best = runs.pass_gain(Arm::Annealed, Arm::One, set, K)?;
        verdicts.extend([first.is_above(-KEPT), best.is_above(0.0)]);
        listed.push(format!("{name}: pass@1 {first}, pass@{K} {best}"));
    }
    Ok(Claim::new(
        "Annealing k to 1 keeps pass@1 and gains pass@k",
        format!(
            "against k = 1, the 95 % interval over seeds of pass@1 lies above -{KEPT} and that of pass@{K} above 0, \
             on training and held-out puzzles"
        ),
        listed.join("; "),
        all_hold(verdicts),
    ))
}

fn goes_on(runs: Compared<'_>) -> Result<Claim, ReproduceError> {
    let late = |outcome: &Outcome| Ok(outcome.second_half("cumulative_solve_rate"));
    let [one, many] = [Arm::One, Arm::Fixed(K)]
        .map(|arm| runs.each(arm, late).map(|values| Measured::of_seeds(&values)));
    let gain = runs.gain(Arm::Fixed(K), Arm::One, late)?;
    Ok(Claim::new(
        "Where k = 1 stalls, higher k goes on learning",
        format!(
            "the 95 % interval over seeds of what the second half of training adds to the training puzzles ever solved, k = {K} less k = 1, lies above 0"
        ),
        format!("added by k = 1: {}, by k = {K}: {}, difference {gain}", one?, many?),
        gain.is_above(0.0),
    ))
}

fn not_all(runs: Compared<'_>) -> Result<Claim, ReproduceError> {
    let train = runs.pass_gain(Arm::Fixed(K), Arm::Fixed(N), TRAIN, N)?;
    let held_out = runs.pass_gain(Arm::Fixed(K), Arm::Fixed(N), HELD_OUT, N)?;
    Ok(Claim::new(
        format!("k = n = {N} is worse than k = {K} even at pass@{N}"),
        format!(
            "the 95 % interval over seeds of pass@{N} after k = {K} less that after k = {N} lies above 0, on training and held-out puzzles"
        ),
        format!("training puzzles {train}, held-out puzzles {held_out}"),
        all_hold([train.is_above(0.0), held_out.is_above(0.0)]),
    ))
}
