//! What the paper claims of the losses, judged on the runs.

use bestof_report::{format_number, format_percent};

use super::outcome::Outcome;
use super::recipe::{DPO, DPO_BETAS, DPOP, DPOP_LAMBDAS, HINGE, IPO, Recipe};
use super::study::{Kind, OnPairs};
use crate::{Claim, Measured, Verdict, all_hold};

/// Share of what DPO loses that DPOP may lose and still count as keeping the chosen answers.
const KEPT: f64 = 0.1;
/// Share of the distance between DPO and DPOP within which DPOP's lambdas must lie to count as
/// making little difference.
const LITTLE: f64 = 0.25;
/// Claims that are judged together.
pub(crate) const JUDGED: usize = 11;
const OVER_SEEDS: &str = "the interval over seeds";

type Part = fn(&Outcome) -> f64;

/// The outcomes of a loss, a seed each.
fn outcomes<'a>(on: &'a OnPairs, recipe: &Recipe) -> &'a [Outcome] {
    let found = on.after.iter().find(|(other, _)| other == recipe);
    found.map_or(&[], |(_, outcomes)| outcomes)
}

fn seed_by_seed(these: &[Outcome], those: &[Outcome], part: Part) -> Measured {
    let gaps = these.iter().zip(those).map(|(a, b)| part(a) - part(b));
    Measured::of_seeds_among(&gaps.collect::<Vec<_>>(), JUDGED)
}

/// How much a part of the outcome changed from before training, seed by seed.
fn change(on: &OnPairs, recipe: &Recipe, part: Part) -> Measured {
    seed_by_seed(outcomes(on, recipe), &on.before, part)
}

/// By how much one loss leads above another, seed by seed.
fn gap(on: &OnPairs, recipe: &Recipe, over: &Recipe, part: Part) -> Measured {
    seed_by_seed(outcomes(on, recipe), outcomes(on, over), part)
}

fn mean(outcomes: &[Outcome], part: Part) -> f64 {
    outcomes.iter().map(part).sum::<f64>() / outcomes.len() as f64
}

fn of(on: &OnPairs, recipe: &Recipe, part: Part) -> f64 {
    mean(outcomes(on, recipe), part)
}

fn chosen(outcome: &Outcome) -> f64 {
    outcome.chosen
}

fn solved(outcome: &Outcome) -> f64 {
    outcome.solved
}

/// Each recipe with its change, as text.
fn listed(on: &OnPairs, recipes: &[Recipe], part: Part) -> String {
    let changes: Vec<String> = recipes
        .iter()
        .map(|recipe| format!("{} {}", recipe.name(), change(on, recipe, part)))
        .collect();
    changes.join("; ")
}

pub(crate) fn claims(all: &[OnPairs]) -> Vec<Claim> {
    let mut claims = Vec::new();
    for on in all {
        match on.kind {
            Kind::LowDistance => claims.extend([
                falls(on),
                keeps(on),
                no_beta(on),
                little_lambda(on),
                later_tokens_fall(on),
                later_tokens_gain(on),
                collapse(on),
                no_better(on),
                better(on),
            ]),
            Kind::HighDistance => claims.extend([accuracy(on), most(on)]),
        }
    }
    claims
}

/// A verdict that says something only where an effect is there to compare with.
fn where_there_is(effect: Verdict, verdict: Verdict) -> Verdict {
    if effect == Verdict::Holds { verdict } else { Verdict::Unclear }
}

fn falls(on: &OnPairs) -> Claim {
    let measured = change(on, &DPO, chosen);
    Claim::new(
        "On pairs of low edit distance DPO makes the chosen answers less likely",
        format!("{OVER_SEEDS} of the change of their log-probability lies below 0, held-out pairs"),
        format!(
            "{measured} nats from {}, edit distance {}",
            format_number(mean(&on.before, chosen)),
            format_percent(on.edit_distance)
        ),
        measured.is_below(0.0),
    )
}

fn keeps(on: &OnPairs) -> Claim {
    let (dpo, dpop) = (change(on, &DPO, chosen), change(on, &DPOP, chosen));
    Claim::new(
        "DPOP does not make them less likely",
        format!(
            "{OVER_SEEDS} of the change lies above minus {} of the mean fall under DPO; unclear \
             unless DPO makes them less likely",
            format_percent(KEPT)
        ),
        format!("{dpop} nats; under DPO {dpo}"),
        where_there_is(dpo.is_below(0.0), dpop.is_above(-KEPT * dpo.value.abs())),
    )
}

fn no_beta(on: &OnPairs) -> Claim {
    Claim::new(
        "No beta rescues DPO there",
        format!("for each beta {OVER_SEEDS} of the change lies below 0"),
        format!("nats: {}", listed(on, &DPO_BETAS, chosen)),
        all_hold(DPO_BETAS.iter().map(|recipe| change(on, recipe, chosen).is_below(0.0))),
    )
}

fn little_lambda(on: &OnPairs) -> Claim {
    let whole = (of(on, &DPOP, chosen) - of(on, &DPO, chosen)).abs();
    let others = DPOP_LAMBDAS.iter().filter(|recipe| **recipe != DPOP);
    let verdicts = others.map(|recipe| gap(on, recipe, &DPOP, chosen).is_near(0.0, LITTLE * whole));
    // Losses that do nothing lie close together too.
    let verdict = where_there_is(gap(on, &DPOP, &DPO, chosen).is_above(0.0), all_hold(verdicts));
    Claim::new(
        "DPOP's lambda, from 5 to 500, makes little difference",
        format!(
            "for lambda 5 and 500 {OVER_SEEDS} of the distance to lambda 50 lies within {} of what \
             lies between DPO and DPOP; unclear unless DPOP leads",
            format_percent(LITTLE)
        ),
        format!(
            "nats: {}; between DPO and DPOP {}",
            listed(on, &DPOP_LAMBDAS, chosen),
            format_number(whole)
        ),
        verdict,
    )
}

fn later_tokens_fall(on: &OnPairs) -> Claim {
    let part: Part = |outcome| outcome.after;
    let dpo = change(on, &DPO, part);
    Claim::new(
        "After the first token that differs, the chosen answer's tokens lose probability under DPO",
        format!("{OVER_SEEDS} of the change a token lies below 0"),
        format!(
            "{} nats a token, before {}, change {dpo} (the paper: -1.82, before -0.37)",
            format_number(of(on, &DPO, part)),
            format_number(mean(&on.before, part)),
        ),
        dpo.is_below(0.0),
    )
}

fn later_tokens_gain(on: &OnPairs) -> Claim {
    let part: Part = |outcome| outcome.after;
    let dpop = change(on, &DPOP, part);
    Claim::new(
        "Those tokens gain probability under DPOP",
        format!("{OVER_SEEDS} of the change a token lies above 0"),
        format!(
            "{} nats a token, before {}, change {dpop} (the paper: -0.26, before -0.37)",
            format_number(of(on, &DPOP, part)),
            format_number(mean(&on.before, part)),
        ),
        dpop.is_above(0.0),
    )
}

/// Share of problems solved before and by each of these losses, as text.
fn solved_by(on: &OnPairs, recipes: &[Recipe]) -> String {
    let before = format_percent(mean(&on.before, solved));
    let shown: Vec<String> = recipes
        .iter()
        .map(|recipe| {
            let now = format_percent(of(on, recipe, solved));
            format!("{} {now} (change {})", recipe.name(), change(on, recipe, solved))
        })
        .collect();
    format!("before {before}; {}", shown.join("; "))
}

fn collapse(on: &OnPairs) -> Claim {
    let recipes = [DPO, HINGE];
    Claim::new(
        "On pairs of low edit distance DPO and the hinge loss solve fewer problems than before",
        format!("for both {OVER_SEEDS} of the change of the share solved greedily lies below 0"),
        solved_by(on, &recipes),
        all_hold(recipes.iter().map(|recipe| change(on, recipe, solved).is_below(0.0))),
    )
}

fn no_better(on: &OnPairs) -> Claim {
    Claim::new(
        "IPO does not solve more there",
        format!("{OVER_SEEDS} of the change of the share solved greedily lies below 0"),
        solved_by(on, &[IPO]),
        change(on, &IPO, solved).is_below(0.0),
    )
}

fn better(on: &OnPairs) -> Claim {
    Claim::new(
        "DPOP solves more there",
        format!("{OVER_SEEDS} of the change of the share solved greedily lies above 0"),
        solved_by(on, &[DPOP]),
        change(on, &DPOP, solved).is_above(0.0),
    )
}

fn likelier(outcome: &Outcome) -> f64 {
    outcome.accuracy
}

fn accuracy(on: &OnPairs) -> Claim {
    let recipes = on.kind.recipes();
    let shown: Vec<String> = recipes
        .iter()
        .map(|recipe| {
            let now = format_percent(of(on, recipe, likelier));
            format!("{} {now} (change {})", recipe.name(), change(on, recipe, likelier))
        })
        .collect();
    Claim::new(
        "On pairs of high edit distance every loss improves the accuracy",
        format!(
            "for each loss {OVER_SEEDS} of the change of the share of held-out pairs whose right \
             option is likelier lies above 0"
        ),
        format!(
            "edit distance {}, before {}; {}",
            format_percent(on.edit_distance),
            format_percent(mean(&on.before, likelier)),
            shown.join("; ")
        ),
        all_hold(recipes.iter().map(|recipe| change(on, recipe, likelier).is_above(0.0))),
    )
}

fn most(on: &OnPairs) -> Claim {
    let others = [DPO, IPO, HINGE];
    let shown: Vec<String> = others
        .iter()
        .map(|other| format!("over {} {}", other.name(), gap(on, &DPOP, other, likelier)))
        .collect();
    Claim::new(
        "DPOP improves it most",
        format!("{OVER_SEEDS} of its lead over each other loss lies above 0"),
        shown.join("; "),
        all_hold(others.iter().map(|other| gap(on, &DPOP, other, likelier).is_above(0.0))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(by: f64, seed: usize) -> Outcome {
        let noise = 1e-3 * seed as f64;
        Outcome {
            chosen: -5.0 + by + noise,
            rejected: -9.0,
            after: -0.4 + 0.1 * by + noise,
            accuracy: 0.7 + 0.02 * by + noise,
            solved: 0.7 + 0.02 * by + noise,
        }
    }

    /// Three seeds in which each loss changes everything by `by`.
    fn runs(kind: Kind, by: impl Fn(&Recipe) -> f64) -> OnPairs {
        let seeds = |by: f64, factor: usize| (0..3).map(|s| outcome(by, factor * s)).collect();
        OnPairs {
            kind,
            edit_distance: 0.05,
            before: seeds(0.0, 1),
            after: kind.recipes().into_iter().map(|r| (r, seeds(by(&r), 2))).collect(),
        }
    }

    fn verdicts(on: OnPairs) -> Vec<Verdict> {
        claims(&[on]).into_iter().map(|claim| claim.verdict).collect()
    }

    #[test]
    fn the_papers_picture_holds_and_its_opposite_does_not() {
        use Verdict::{DoesNot, Holds, Unclear};
        let as_stated = |recipe: &Recipe| match recipe.name() {
            name if name.starts_with("DPOP") => 1.0,
            name if name.starts_with("IPO") => -0.5,
            _ => -4.0,
        };
        assert_eq!(verdicts(runs(Kind::LowDistance, as_stated)), [Holds; 9]);
        let opposite = verdicts(runs(Kind::LowDistance, |recipe| -as_stated(recipe)));
        // Where DPO keeps the chosen answers, nothing can be said of keeping them better.
        assert_eq!(opposite[..4], [DoesNot, Unclear, DoesNot, Unclear]);
        assert_eq!(opposite[4..], [DoesNot; 5]);
        let both_fall = verdicts(runs(Kind::LowDistance, |_| -4.0));
        assert_eq!(both_fall[1], DoesNot);
        let lambda =
            |recipe: &Recipe| if *recipe == DPOP_LAMBDAS[0] { -4.0 } else { as_stated(recipe) };
        assert_eq!(verdicts(runs(Kind::LowDistance, lambda))[3], DoesNot);
        let first = |recipe: &Recipe| if *recipe == DPOP { 4.0 } else { 2.0 };
        assert_eq!(verdicts(runs(Kind::HighDistance, first)), [Holds; 2]);
        let last = |recipe: &Recipe| -first(recipe);
        assert_eq!(verdicts(runs(Kind::HighDistance, last)), [DoesNot; 2]);
        let one_fails = |recipe: &Recipe| if *recipe == IPO { -2.0 } else { first(recipe) };
        assert_eq!(verdicts(runs(Kind::HighDistance, one_fails)), [DoesNot, Holds]);
    }

    #[test]
    fn a_change_on_both_sides_of_nothing_is_unclear() {
        let mut on = runs(Kind::LowDistance, |_| 0.0);
        for (_, outcomes) in &mut on.after {
            for (outcome, change) in outcomes.iter_mut().zip([-0.06, -0.08, 0.04]) {
                outcome.solved = 0.7 + change;
            }
        }
        let shares = claims(&[on]).split_off(6);
        assert!(shares.iter().all(|claim| claim.verdict == Verdict::Unclear), "{shares:?}");
    }

    #[test]
    fn losses_that_do_nothing_make_nothing_hold() {
        for kind in Kind::ALL {
            let mut on = runs(kind, |_| 0.0);
            assert!(!verdicts(on.clone()).contains(&Verdict::Holds), "{kind:?}");
            // With noise of mean 0, different for each loss.
            for (at, (_, outcomes)) in on.after.iter_mut().enumerate() {
                let noise = [0.02, -0.02, 0.0].map(|by| by * (1.0 + 0.1 * at as f64));
                for ((outcome, before), by) in outcomes.iter_mut().zip(&on.before).zip(noise) {
                    outcome.chosen = before.chosen + by;
                    outcome.after = before.after + by;
                    outcome.accuracy = before.accuracy + by;
                    outcome.solved = before.solved + by;
                }
            }
            assert!(!verdicts(on).contains(&Verdict::Holds), "{kind:?} with noise");
            let nothing = runs(kind, |_| f64::NAN);
            assert!(!verdicts(nothing).contains(&Verdict::Holds), "{kind:?} with NaN");
        }
    }

    #[test]
    fn the_claims_judged_are_those_corrected_for() {
        let all = Kind::ALL.map(|kind| runs(kind, |_| 1.0));
        assert_eq!(claims(&all).len(), JUDGED);
    }

    #[test]
    fn one_seed_is_not_enough() {
        let mut on = runs(Kind::LowDistance, |_| -1.0);
        on.before.truncate(1);
        on.after.iter_mut().for_each(|(_, outcomes)| outcomes.truncate(1));
        assert!(verdicts(on).iter().all(|verdict| *verdict == Verdict::Unclear));
    }
}
