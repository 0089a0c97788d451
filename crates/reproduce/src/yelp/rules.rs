//! The rules: from differences by test row and by seed to a verdict.
//!
//! Three seeds bound a mean loosely, so that a difference is judged by its test rows, which are paired: every model
//! answers the same ones. That says nothing of other reviews, splits and weights; for these the difference has to have
//! its sign with every seed.

use bestof_report::{Verdict, format_number, format_percent};

use crate::judge::shown;
use crate::paired::{holm, p_above, weakest};
use crate::{Claim, Measured};

/// Chance of even one false claim among all that are judged together; one-sided.
const ALPHA: f64 = 0.025;
/// Fewest seeds of which the sign says something.
const FEWEST: usize = 2;

/// A difference, in points, that has to lie above a bound.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Effect {
    pub(super) name: String,
    pub(super) by_seed: Vec<f64>,
    /// Of the test rows of all seeds.
    pub(super) by_row: Vec<f64>,
    pub(super) bound: f64,
    /// The difference in the paper.
    pub(super) paper: Option<f64>,
}

impl Effect {
    /// The paired t test over rows; of two models it is McNemar's but for rounding.
    pub(super) fn p(&self) -> f64 {
        p_above(&self.by_row, self.bound)
    }

    pub(super) fn over_rows(&self) -> Measured {
        Measured::of_seeds(&self.by_row)
    }

    pub(super) fn over_seeds(&self) -> Measured {
        Measured::of_seeds(&self.by_seed)
    }

    fn in_every_seed(&self) -> bool {
        self.by_seed.len() >= FEWEST && self.by_seed.iter().all(|gap| *gap > self.bound)
    }

    fn shown(&self) -> String {
        let seeds: Vec<String> = self.by_seed.iter().map(|gap| format!("{gap:.1}")).collect();
        let (rows, over) = (self.over_rows(), self.over_seeds());
        let paper = self.paper.map_or_else(String::new, |paper| {
            format!("; the paper {}", format_number((10.0 * paper).round() / 10.0))
        });
        format!(
            "{} {:.1} points, over rows [{:.1}, {:.1}], by seed {} (over seeds [{:.1}, {:.1}]{paper})",
            self.name,
            rows.value,
            rows.low,
            rows.high,
            seeds.join(", "),
            over.low,
            over.high,
        )
    }
}

/// A claim and the effects it asks for, all of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stated {
    pub(super) claim: String,
    /// What is compared, in words.
    pub(super) of: String,
    pub(super) effects: Vec<Effect>,
}

impl Stated {
    fn p(&self) -> f64 {
        weakest(self.effects.iter().map(Effect::p))
    }

    fn verdict(&self, corrected: f64) -> Verdict {
        let all = !self.effects.is_empty() && self.effects.iter().all(Effect::in_every_seed);
        if corrected <= ALPHA && all {
            return Verdict::Holds;
        }
        let is_not =
            |effect: &Effect| effect.over_rows().is_above(effect.bound) == Verdict::DoesNot;
        if self.effects.iter().any(is_not) { Verdict::DoesNot } else { Verdict::Unclear }
    }
}

/// Judges claims, which are all corrected for each other.
pub(super) fn judge(stated: &[Stated]) -> Vec<Claim> {
    let p_values: Vec<f64> = stated.iter().map(Stated::p).collect();
    stated
        .iter()
        .zip(p_values.iter().zip(holm(&p_values)))
        .map(|(stated, (p, corrected))| {
            let effects: Vec<String> = stated.effects.iter().map(Effect::shown).collect();
            Claim::new(
                &stated.claim,
                format!(
                    "{}; it holds if each lies above its bound by the paired t test over the test rows of all seeds, the \
                     largest of the p-values at most {} after Holm's correction for {} claims, and with every seed by \
                     itself; it does not if the 95 % interval over rows of one lies below its bound",
                    stated.of,
                    format_percent(ALPHA),
                    p_values.len(),
                ),
                format!("{}; p = {}, corrected {}", effects.join("; "), shown(*p), shown(corrected)),
                stated.verdict(corrected),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{DoesNot, Holds, Unclear};

    fn effect(by_seed: &[f64], by_row: Vec<f64>) -> Effect {
        Effect { name: "x".into(), by_seed: by_seed.to_vec(), by_row, bound: 0.0, paper: None }
    }

    /// A hundred rows in turn right where the other is wrong and wrong where it is right, as told.
    fn rows(more: usize, less: usize) -> Vec<f64> {
        let of = |at: usize| match at % 100 {
            at if at < more => 100.0,
            at if at < more + less => -100.0,
            _ => 0.0,
        };
        (0..1000).map(of).collect()
    }

    fn stated(effects: &[Effect]) -> Stated {
        Stated { claim: "c".into(), of: "o".into(), effects: effects.to_vec() }
    }

    fn verdicts(stated: &[Stated]) -> Vec<Verdict> {
        judge(stated).into_iter().map(|claim| claim.verdict).collect()
    }

    #[test]
    fn a_claim_needs_rows_and_every_seed_and_the_correction() {
        let gain = effect(&[4.0, 3.0, 5.0], rows(8, 4));
        assert_eq!(verdicts(&[stated(std::slice::from_ref(&gain))]), [Holds]);
        let turned = effect(&[4.0, 9.0, -1.0], rows(8, 4));
        assert_eq!(verdicts(&[stated(std::slice::from_ref(&turned))]), [Unclear]);
        assert_eq!(verdicts(&[stated(&[gain.clone(), turned])]), [Unclear]);
        let one_seed = effect(&[4.0], rows(8, 4));
        assert_eq!(verdicts(&[stated(&[one_seed])]), [Unclear]);
        // p = 0.005: enough beside one more, too much beside seven.
        let weak = effect(&[2.0; 3], rows(4, 2));
        assert!(weak.p() < 0.0125 && weak.p() > 0.025 / 8.0, "{}", weak.p());
        let many = |count: usize| vec![stated(std::slice::from_ref(&weak)); count];
        assert_eq!(verdicts(&many(2)), [Holds; 2]);
        assert_eq!(verdicts(&many(8)), [Unclear; 8]);
        assert_eq!(verdicts(&[stated(&[])]), [Unclear]);
        let unknown = effect(&[4.0; 3], vec![f64::NAN; 9]);
        assert_eq!(verdicts(&[stated(&[gain, unknown])]), [Unclear]);
    }

    #[test]
    fn nothing_and_the_wrong_sign_do_not_hold() {
        assert_eq!(verdicts(&[stated(&[effect(&[0.0; 3], vec![0.0; 50])])]), [DoesNot]);
        assert_eq!(verdicts(&[stated(&[effect(&[0.1; 3], rows(6, 6))])]), [Unclear]);
        assert_eq!(verdicts(&[stated(&[effect(&[-4.0; 3], rows(4, 8))])]), [DoesNot]);
        let (good, bad) = (effect(&[4.0; 3], rows(8, 4)), effect(&[-4.0; 3], rows(4, 8)));
        assert_eq!(verdicts(&[stated(&[good, bad])]), [DoesNot]);
    }

    #[test]
    fn a_bound_may_lie_below_zero() {
        let kept = Effect { bound: -7.7, ..effect(&[0.5, -0.4, 0.1], rows(6, 6)) };
        assert_eq!(verdicts(&[stated(std::slice::from_ref(&kept))]), [Holds]);
        assert_eq!(verdicts(&[stated(&[Effect { bound: 7.7, ..kept }])]), [DoesNot]);
    }
}
