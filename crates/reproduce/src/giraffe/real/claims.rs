//! What the paper claims, judged on this model.

use bestof_report::Verdict;

use super::arm::Arm;
use super::settings::Settings;
use super::shares::{Paired, measured};
use super::study::Study;
use crate::paired::holm;
use crate::{Claim, all_hold};

/// Share of values found up to which nothing was found: one in ten is found by guessing.
const NOTHING: f64 = 0.2;
/// A gain that is surely smaller than this is none.
const LEAST: f64 = 0.1;

/// Places of the lengths.
const OWN: usize = 0;
const BEYOND: [usize; 2] = [1, 2];
const ALL: [usize; 3] = [OWN, BEYOND[0], BEYOND[1]];

/// One comparison of two arms on the same questions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Comparison {
    pub(super) first: Arm,
    pub(super) second: Arm,
    pub(super) places: &'static [usize],
}

/// Every comparison that a claim needs, to be corrected for each other.
pub(super) const COMPARISONS: [Comparison; 6] = [
    Comparison { first: Arm::Linear, second: Arm::Plain, places: &[BEYOND[0]] },
    Comparison { first: Arm::Linear, second: Arm::Plain, places: &[BEYOND[1]] },
    Comparison { first: Arm::Linear, second: Arm::Yarn, places: &ALL },
    Comparison { first: Arm::Linear, second: Arm::Truncated, places: &ALL },
    Comparison { first: Arm::LinearLarger, second: Arm::Linear, places: &BEYOND },
    Comparison { first: Arm::Trained, second: Arm::Linear, places: &BEYOND },
];

/// The comparisons with their p-values after Holm's correction.
pub(super) fn compared(study: &Study) -> Vec<(Comparison, Paired, f64)> {
    let paired: Vec<Paired> = COMPARISONS
        .iter()
        .map(|Comparison { first, second, places }| {
            let of = |arm: &Arm| study.answers(*arm, places);
            Paired::of(&of(first), &of(second), study.spread)
        })
        .collect();
    let corrected = holm(&paired.iter().map(|paired| paired.p).collect::<Vec<_>>());
    COMPARISONS.into_iter().zip(paired).zip(corrected).map(|((a, b), c)| (a, b, c)).collect()
}

/// Every claim; all but the first are unclear where the model finds nothing at a length of its own.
pub(super) fn claims(study: &Study, settings: &Settings) -> Vec<Claim> {
    let judge = Judge { study, lengths: settings.lengths, compared: compared(study) };
    let finds = judge.finds_lines();
    let readable = finds.verdict == Verdict::Holds;
    let judged = [
        judge.plain_fails(),
        judge.linear_reaches(),
        judge.linear_is_best(),
        judge.larger_factor(),
        judge.training_gains(),
    ];
    let judged = judged.map(|claim| Claim {
        verdict: if readable { claim.verdict } else { Verdict::Unclear },
        ..claim
    });
    std::iter::once(finds).chain(judged).collect()
}

struct Judge<'a> {
    study: &'a Study,
    lengths: [usize; 3],
    compared: Vec<(Comparison, Paired, f64)>,
}

impl Judge<'_> {
    fn share(&self, arm: Arm, place: usize) -> crate::Measured {
        measured(&self.study.answers(arm, &[place]), self.study.spread)
    }

    fn listed(&self, arm: Arm, places: &[usize]) -> String {
        let one = |place: &usize| {
            format!("{} at {} tokens", self.share(arm, *place), self.lengths[*place])
        };
        places.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// The verdict of a comparison, and what it found in words.
    fn gain(&self, first: Arm, second: Arm, places: &[usize]) -> (Verdict, String) {
        let of = |(comparison, ..): &&(Comparison, Paired, f64)| {
            (comparison.first, comparison.second, comparison.places) == (first, second, places)
        };
        let Some((_, paired, corrected)) = self.compared.iter().find(of) else {
            return (Verdict::Unclear, "not compared".to_owned());
        };
        let [more, fewer] = paired.only;
        let said = format!(
            "{} ({more} questions against {fewer}, corrected p {corrected:.2})",
            paired.gain
        );
        (paired.finds_more(*corrected, LEAST), said)
    }

    fn finds_lines(&self) -> Claim {
        Claim::new(
            "The model to be extended finds values in records of a length it was trained for",
            format!(
                "the 95 % interval of the share of values it finds lies above {NOTHING}; otherwise nothing else can be told"
            ),
            self.listed(Arm::Plain, &[OWN]),
            self.share(Arm::Plain, OWN).is_above(NOTHING),
        )
    }

    fn plain_fails(&self) -> Claim {
        Claim::new(
            "Plain RoPE finds nothing beyond the length it was trained for",
            format!("the 95 % intervals at both lengths beyond lie below {NOTHING}"),
            self.listed(Arm::Plain, &BEYOND),
            all_hold(BEYOND.map(|place| self.share(Arm::Plain, place).is_below(NOTHING))),
        )
    }

    fn linear_reaches(&self) -> Claim {
        let gains = [[BEYOND[0]], [BEYOND[1]]].map(|at| self.gain(Arm::Linear, Arm::Plain, &at));
        let above = BEYOND.map(|place| self.share(Arm::Linear, place).is_above(NOTHING));
        let said: Vec<&str> = gains.iter().map(|(_, said)| said.as_str()).collect();
        Claim::new(
            "Without any training, linear scaling by 2 reaches twice the length",
            format!(
                "the 95 % intervals at both lengths beyond lie above {NOTHING}, and more is found there than by plain RoPE, \
                 {TESTED}"
            ),
            format!(
                "{}; more than plain RoPE {}",
                self.listed(Arm::Linear, &BEYOND),
                said.join(" and ")
            ),
            all_hold(above.into_iter().chain(gains.iter().map(|(verdict, _)| *verdict))),
        )
    }

    fn linear_is_best(&self) -> Claim {
        let rivals = [Arm::Yarn, Arm::Truncated];
        let gains = rivals.map(|rival| (rival, self.gain(Arm::Linear, rival, &ALL)));
        let said: Vec<String> =
            gains.iter().map(|(rival, (_, said))| format!("{} {said}", rival.label())).collect();
        Claim::new(
            "Linear scaling finds more than YaRN and truncation, here without training",
            format!("over all lengths together it finds more than each of them, {TESTED}"),
            format!("linear scaling's lead over {}", said.join(", over ")),
            all_hold(gains.iter().map(|(_, (verdict, _))| *verdict)),
        )
    }

    fn larger_factor(&self) -> Claim {
        let (verdict, said) = self.gain(Arm::LinearLarger, Arm::Linear, &BEYOND);
        Claim::new(
            "A larger factor in evaluation finds more in texts beyond the model's own length",
            format!("factor 3 finds more than factor 2 at both lengths beyond together, {TESTED}"),
            format!(
                "{} with factor 3; gain over factor 2 {said}",
                self.listed(Arm::LinearLarger, &BEYOND)
            ),
            verdict,
        )
    }

    fn training_gains(&self) -> Claim {
        let (verdict, said) = self.gain(Arm::Trained, Arm::Linear, &BEYOND);
        Claim::new(
            "Training on the new basis finds more beyond the model's own length",
            format!(
                "trained, linear scaling finds more than untrained at both lengths beyond together, {TESTED}"
            ),
            format!("{} after training; gain {said}", self.listed(Arm::Trained, &BEYOND)),
            verdict,
        )
    }
}

/// How gains are judged.
const TESTED: &str = "by McNemar's exact test after Holm's correction; it does not if the contrary is found, or if the \
                      whole interval of the gain lies below 0.1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::giraffe::real::reading::Answered;
    use crate::giraffe::real::settings::RECORDS;
    use crate::giraffe::real::study::{Cell, Pass};
    use crate::giraffe::real::training::Trained;

    /// A study in which each arm has so many of 30 right in each record, at each length.
    fn study(right: impl Fn(Arm) -> [usize; 3]) -> Study {
        let mut cells = Vec::new();
        for arm in Arm::ALL {
            for (place, right) in right(arm).into_iter().enumerate() {
                let answered: Vec<Answered> = (0..30)
                    .map(|at| Answered { found: at < right, said: false, nats: 1.0 })
                    .collect();
                let pass = Pass { answered, tokens: 100, seconds: 1.0 };
                cells.push(Cell { arm, place, passes: vec![pass; RECORDS] });
            }
        }
        Study::new(cells, Trained { tokens: 1, losses: vec![1.0], seconds: 1.0 })
    }

    fn verdicts(right: impl Fn(Arm) -> [usize; 3]) -> Vec<Verdict> {
        let claims = claims(&study(right), &Settings::smollm2());
        claims.into_iter().map(|claim| claim.verdict).collect()
    }

    /// As the paper has it.
    fn as_claimed(arm: Arm) -> [usize; 3] {
        match arm {
            Arm::Plain => [20, 3, 3],
            Arm::Linear => [18, 14, 12],
            Arm::LinearLarger => [12, 20, 18],
            Arm::Yarn => [12, 6, 4],
            Arm::Truncated => [10, 4, 3],
            Arm::Trained => [25, 22, 20],
        }
    }

    #[test]
    fn what_the_paper_found_holds() {
        assert_eq!(verdicts(as_claimed), [Verdict::Holds; 6]);
    }

    #[test]
    fn no_effect_holds_nowhere() {
        // All arms alike: plain RoPE finds something beyond, and nobody anything more.
        let found = verdicts(|_| [20, 14, 12]);
        assert_eq!(found[0], Verdict::Holds);
        assert!(found[1..].iter().all(|verdict| *verdict != Verdict::Holds), "{found:?}");
        assert_eq!(found[1], Verdict::DoesNot);
        // Nobody finds anything beyond: no gain is one.
        let found = verdicts(|_| [20, 0, 0]);
        assert_eq!(found[1], Verdict::Holds);
        assert_eq!(
            (found[2], found[4], found[5]),
            (Verdict::DoesNot, Verdict::DoesNot, Verdict::DoesNot)
        );
        assert_ne!(found[3], Verdict::Holds);
    }

    #[test]
    fn the_contrary_does_not_hold() {
        let contrary = |arm| match arm {
            Arm::Plain => [20, 25, 25],
            Arm::Linear => [10, 10, 10],
            Arm::LinearLarger | Arm::Trained => [10, 1, 1],
            Arm::Yarn | Arm::Truncated => [20, 20, 20],
        };
        assert_eq!(verdicts(contrary)[1..], [Verdict::DoesNot; 5]);
        assert_eq!(verdicts(|_| [2, 2, 2])[0], Verdict::DoesNot);
    }

    #[test]
    fn one_rule_broken_breaks_its_claim_alone() {
        for (at, arm, right) in [
            (1, Arm::Plain, [20, 3, 9]),
            (2, Arm::Linear, [25, 20, 3]),
            (3, Arm::Truncated, [18, 14, 12]),
            (4, Arm::LinearLarger, [12, 14, 12]),
            (5, Arm::Trained, [18, 14, 12]),
        ] {
            let broken = |of| if of == arm { right } else { as_claimed(of) };
            let found = verdicts(broken);
            assert_ne!(found[at], Verdict::Holds, "{arm:?}");
        }
    }

    #[test]
    fn nothing_is_told_of_a_model_that_finds_nothing_at_its_own_length() {
        let found = verdicts(|arm| if arm == Arm::Plain { [4, 3, 3] } else { as_claimed(arm) });
        assert_ne!(found[0], Verdict::Holds);
        assert_eq!(found[1..], [Verdict::Unclear; 5]);
    }

    #[test]
    fn every_comparison_of_a_claim_is_made() {
        for claim in claims(&study(as_claimed), &Settings::smollm2()) {
            assert!(!claim.measured.contains("not compared"), "{claim:?}");
        }
    }
}
