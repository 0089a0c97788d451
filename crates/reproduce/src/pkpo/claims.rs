//! What the papers claim of language models, as effects on these runs.

use super::arm::{Arm, K, N};
use super::compared::{Compared, KS, Scores, Set, less};
use crate::Claim;
use crate::judge::{Effect, Stated, alone, gains};

/// Loss of pass@1 that still counts as keeping it.
const KEPT: f64 = 0.02;
/// The largest `k` that is measured.
const MOST: usize = KS[KS.len() - 1];

pub(super) const HELD_OUT: Set = |scores: &Scores| &scores.held_out;
const HARD: Set = |scores: &Scores| &scores.hard;

/// Every claim: the gains, then what they cost and where they come from.
pub(super) fn claims(runs: &Compared) -> Vec<Claim> {
    let family = [
        raises(runs, Arm::Fixed(4), 4),
        raises(runs, Arm::Fixed(K), K),
        raises(runs, Arm::Fixed(N), N),
        annealing(runs),
        raises(runs, Arm::Harmonic, K),
        raises(runs, Arm::Centred, K),
        beats_entropy(runs),
        solves_harder(runs),
    ];
    let others = [diagonal(runs), explores(runs), costs(runs), not_all(runs)];
    gains(&family).into_iter().chain(others.iter().map(alone)).collect()
}

pub(super) fn over_before(runs: &Compared, arm: Arm, set: Set, k: usize) -> Effect {
    let gap = less(&runs.pass(arm, set, k), &runs.pass_before(set, k));
    Effect::above_zero(format!("pass@{k} of {} less before", arm.label()), gap)
}

pub(super) fn over(runs: &Compared, arm: Arm, other: Arm, set: Set, k: usize) -> Effect {
    let gap = less(&runs.pass(arm, set, k), &runs.pass(other, set, k));
    Effect::above_zero(format!("pass@{k} of {} less {}", arm.label(), other.label()), gap)
}

fn raises(runs: &Compared, arm: Arm, k: usize) -> Stated {
    Stated {
        claim: match arm {
            Arm::Fixed(_) => format!("Training for the best of {k} raises pass@{k}"),
            arm => format!("Training with {} weights raises pass@{k}", arm.label()),
        },
        of: format!("held-out pass@{k} over that before training, and over that after k = 1"),
        effects: vec![over_before(runs, arm, HELD_OUT, k), over(runs, arm, Arm::One, HELD_OUT, k)],
    }
}

fn annealing(runs: &Compared) -> Stated {
    Stated {
        claim: "Annealing k to 1 raises pass@k and keeps pass@1".to_owned(),
        of: format!(
            "held-out pass@{K} over that before training and after k = 1, and pass@1 less that after k = 1 over -{KEPT}"
        ),
        effects: vec![
            over_before(runs, Arm::Annealed, HELD_OUT, K),
            over(runs, Arm::Annealed, Arm::One, HELD_OUT, K),
            over(runs, Arm::Annealed, Arm::One, HELD_OUT, 1).above(-KEPT),
        ],
    }
}

fn beats_entropy(runs: &Compared) -> Stated {
    Stated {
        claim: format!(
            "Training for the best of {K} raises pass@{K} more than an entropy bonus does"
        ),
        of: format!(
            "held-out pass@{K} over that before training, and over that after k = 1 with the bonus"
        ),
        effects: vec![
            over_before(runs, Arm::Fixed(K), HELD_OUT, K),
            over(runs, Arm::Fixed(K), Arm::Entropy, HELD_OUT, K),
        ],
    }
}

fn solves_harder(runs: &Compared) -> Stated {
    Stated {
        claim: "Higher k solves more of the hard problems".to_owned(),
        of: format!(
            "pass@{MOST} on held-out puzzles of four numbers over that before training, and over that after k = 1"
        ),
        effects: vec![
            over_before(runs, Arm::Fixed(K), HARD, MOST),
            over(runs, Arm::Fixed(K), Arm::One, HARD, MOST),
        ],
    }
}

fn diagonal(runs: &Compared) -> Stated {
    let fixed = [(Arm::One, 1), (Arm::Fixed(4), 4), (Arm::Fixed(K), K), (Arm::Fixed(N), N)];
    let mut effects = Vec::new();
    for (arm, k) in fixed {
        effects.push(over_before(runs, arm, HELD_OUT, k));
        let others = fixed.iter().filter(|(other, _)| *other != arm);
        effects.extend(others.map(|(other, _)| over(runs, arm, *other, HELD_OUT, k)));
    }
    Stated {
        claim: "The best k to train for is the one that is measured".to_owned(),
        of: "for each k that is trained for, held-out pass@k over that before training and after every other k".to_owned(),
        effects,
    }
}

/// The claims below are met by a policy that has not moved unless they also ask for a gain.
fn explores(runs: &Compared) -> Stated {
    let gap = less(&runs.entropy(Arm::Fixed(K), K), &runs.entropy(Arm::One, 1));
    Stated {
        claim: "Higher k learns and keeps more entropy".to_owned(),
        of: format!(
            "held-out pass@{K} of k = {K} over that before training, and its entropy over the last tenth of the steps \
             over that of k = 1"
        ),
        effects: vec![
            over_before(runs, Arm::Fixed(K), HELD_OUT, K),
            Effect::above_zero(format!("nats a token of k = {K} less k = 1"), gap),
        ],
    }
}

fn costs(runs: &Compared) -> Stated {
    let gap = less(&runs.pass(Arm::One, HELD_OUT, 1), &runs.pass(Arm::Fixed(K), HELD_OUT, 1));
    Stated {
        claim: format!("What k = {K} gains costs some pass@1 (1 to 4 points in the paper)"),
        of: format!(
            "held-out pass@{K} of k = {K} over that before training, and pass@1 of k = 1 over that of k = {K}"
        ),
        effects: vec![
            over_before(runs, Arm::Fixed(K), HELD_OUT, K),
            Effect::above_zero(format!("pass@1 of k = 1 less k = {K}"), gap),
        ],
    }
}

fn not_all(runs: &Compared) -> Stated {
    Stated {
        claim: format!("k = {K} is better than k = n = {N} even at pass@{N}"),
        of: format!(
            "held-out pass@{N} of k = {K} over that before training, and over that of k = {N}"
        ),
        effects: vec![
            over_before(runs, Arm::Fixed(K), HELD_OUT, N),
            over(runs, Arm::Fixed(K), Arm::Fixed(N), HELD_OUT, N),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;
    use crate::noise::Noise;
    use crate::pkpo::compared::Trained;

    /// Base models that differ from each other, as they do.
    fn before() -> Vec<Scores> {
        [0.06_f64, 0.08, 0.07, 0.05, 0.09]
            .map(|first| {
                let passes = KS.map(|k| 1.0 - (1.0 - first).powf(k as f64));
                Scores {
                    validation: passes,
                    held_out: passes,
                    easy: passes,
                    hard: passes,
                    entropy: 0.9,
                }
            })
            .to_vec()
    }

    /// The scores with `by(seed, k)` added everywhere.
    fn moved(scores: &[Scores], mut by: impl FnMut(usize, usize) -> f64) -> Vec<Scores> {
        let mut moved = scores.to_vec();
        for (seed, scores) in moved.iter_mut().enumerate() {
            for (at, k) in KS.into_iter().enumerate() {
                let by = by(seed, k);
                for set in [&mut scores.held_out, &mut scores.easy, &mut scores.hard] {
                    set[at] += by;
                }
            }
        }
        moved
    }

    /// What k = 1 becomes when it narrows: better at one sample, worse at many, little entropy.
    fn narrowed() -> Vec<Scores> {
        let mut seeds = moved(&before(), |seed, k| {
            let noise = 1e-3 * seed as f64;
            if k == 1 { 0.08 + noise } else { -0.01 * k as f64 - noise }
        });
        for scores in &mut seeds {
            scores.entropy = 0.1;
        }
        seeds
    }

    fn study(mut of: impl FnMut(Arm) -> Vec<Scores>) -> Compared {
        let runs =
            Arm::WAYS.into_iter().map(|arm| Trained { arm, rate: 0.1, seeds: of(arm) }).collect();
        Compared { before: before(), runs }
    }

    fn held(runs: &Compared) -> Vec<String> {
        let held = claims(runs).into_iter().filter(|claim| claim.verdict == Verdict::Holds);
        held.map(|claim| claim.claim).collect()
    }

    #[test]
    fn a_policy_that_never_moves_gains_nothing() {
        let nothing: [String; 0] = [];
        assert_eq!(held(&study(|_| before())), nothing);
        // Nor does it beside a k = 1 that has lost its entropy and its pass@k.
        let beside = |arm| if arm == Arm::One { narrowed() } else { before() };
        assert_eq!(held(&study(beside)), nothing);
        // Nor measured with noise that averages 0, by this arm or by the base.
        let noise = [0.02, -0.02, 0.01, -0.01, 0.0];
        let noisy = |arm| match arm {
            Arm::One => narrowed(),
            _ => moved(&before(), |seed, _| noise[seed]),
        };
        assert_eq!(held(&study(noisy)), nothing);
    }

    #[test]
    fn of_many_studies_without_an_effect_few_find_a_gain() {
        let mut noise = Noise::new(5, 0);
        let (studies, mut wrong) = (2000, 0);
        for _ in 0..studies {
            let runs = study(|_| moved(&before(), |_, _| 0.02 * noise.normal()));
            wrong += i32::from(claims(&runs)[..8].iter().any(|c| c.verdict == Verdict::Holds));
        }
        // At most 2.5 % in the long run; four standard errors of 50 of 2,000 are 28.
        assert!(wrong <= 78, "{wrong} of {studies}");
    }

    #[test]
    fn a_gain_is_found_and_its_opposite_is_denied() {
        let effect = |arm: Arm, sign: f64| {
            let of = |aim: usize| {
                moved(&before(), |seed, k| {
                    let noise = 1e-3 * seed as f64;
                    let off = (k as f64 / aim as f64).ln().abs();
                    sign * (0.1 - 0.02 * off + noise)
                })
            };
            match arm {
                Arm::One if sign > 0.0 => narrowed(),
                Arm::One | Arm::Frozen => before(),
                Arm::Entropy => narrowed(),
                Arm::Fixed(k) => of(k),
                Arm::Annealed => moved(&of(K), |_, k| if k == 1 { 0.1 } else { 0.0 }),
                Arm::Harmonic | Arm::Centred | Arm::Several(_) => of(K),
            }
        };
        let found = claims(&study(|arm| effect(arm, 1.0)));
        let verdicts: Vec<Verdict> = found.iter().map(|claim| claim.verdict).collect();
        assert_eq!(verdicts[..8], [Verdict::Holds; 8]);
        assert_eq!(verdicts[9], Verdict::Holds);
        let opposite = claims(&study(|arm| effect(arm, -1.0)));
        assert!(opposite.iter().all(|claim| claim.verdict == Verdict::DoesNot));
    }

    #[test]
    fn a_number_that_is_none_decides_nothing() {
        let broken = |arm| {
            let mut seeds = if arm == Arm::One { narrowed() } else { moved(&before(), |_, _| 0.1) };
            let nan = [f64::NAN; KS.len()];
            seeds[2] = Scores { held_out: nan, hard: nan, ..seeds[2] };
            seeds
        };
        let found = claims(&study(broken));
        assert!(found.iter().all(|claim| claim.verdict == Verdict::Unclear));
        assert!(found[0].measured.contains("p = unknown"), "{}", found[0].measured);
        // Runs that are missing do not either.
        let none = Compared { before: before(), runs: Vec::new() };
        assert!(claims(&none).iter().all(|claim| claim.verdict == Verdict::Unclear));
    }
}
