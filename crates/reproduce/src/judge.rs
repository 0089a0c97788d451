//! The rules: from effects in each seed to a verdict.
//!
//! Every rule asks for an effect above its bound, so that a policy that has not moved, whose
//! effects against the base model are 0, meets none that compares with the base model.

use bestof_report::{Verdict, format_percent};

use crate::paired::{holm, p_above, weakest};
use crate::{Claim, Measured, all_hold};

/// Chance of even one false gain among all that are claimed. One-sided, so that a gain by itself
/// has to have its 95 % interval above the bound.
const ALPHA: f64 = 0.025;

/// An effect in each seed that has to lie above a bound.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effect {
    name: String,
    by_seed: Vec<f64>,
    bound: f64,
}

impl Effect {
    pub(crate) fn above_zero(name: impl Into<String>, by_seed: Vec<f64>) -> Self {
        Self { name: name.into(), by_seed, bound: 0.0 }
    }

    pub(crate) fn above(self, bound: f64) -> Self {
        Self { bound, ..self }
    }

    fn measured(&self) -> Measured {
        Measured::of_seeds(&self.by_seed)
    }

    /// The mean with its 95 % interval.
    fn shown(&self) -> String {
        format!("{} {}", self.name, self.measured())
    }

    fn p(&self) -> f64 {
        p_above(&self.by_seed, self.bound)
    }
}

/// A claim and the effects it asks for, all of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stated {
    pub(crate) claim: String,
    /// What is compared, in words.
    pub(crate) of: String,
    pub(crate) effects: Vec<Effect>,
}

impl Stated {
    fn p(&self) -> f64 {
        weakest(self.effects.iter().map(Effect::p))
    }

    fn shown(&self) -> String {
        self.effects.iter().map(Effect::shown).collect::<Vec<_>>().join("; ")
    }

    /// By the 95 % intervals alone.
    fn by_intervals(&self) -> Verdict {
        all_hold(self.effects.iter().map(|effect| effect.measured().is_above(effect.bound)))
    }
}

/// Judges gains, which are all corrected for each other.
///
/// A gain holds if the weakest of its effects is significant after the correction; it does not if
/// the whole interval of one lies below its bound.
pub(crate) fn gains(stated: &[Stated]) -> Vec<Claim> {
    let p_values: Vec<f64> = stated.iter().map(Stated::p).collect();
    let family = stated.len();
    stated
        .iter()
        .zip(p_values.iter().zip(holm(&p_values)))
        .map(|(stated, (p, corrected))| {
            let verdict = match stated.by_intervals() {
                _ if corrected <= ALPHA => Verdict::Holds,
                Verdict::DoesNot => Verdict::DoesNot,
                _ => Verdict::Unclear,
            };
            Claim::new(
                &stated.claim,
                format!(
                    "{}; each above its bound by the paired t test over seeds, the largest of the p-values at most {} \
                     after Holm's correction for the {family} gains claimed",
                    stated.of,
                    format_percent(ALPHA)
                ),
                format!("{}; p = {}, corrected {}", stated.shown(), shown(*p), shown(corrected)),
                verdict,
            )
        })
        .collect()
}

/// Judges by the 95 % intervals, each claim for itself.
pub(crate) fn alone(stated: &Stated) -> Claim {
    let rule = format!("{}; each 95 % interval over seeds lies above 0", stated.of);
    Claim::new(&stated.claim, rule, stated.shown(), stated.by_intervals())
}

/// A p-value to two digits.
pub(crate) fn shown(p: f64) -> String {
    if p.is_nan() {
        "unknown".to_owned()
    } else if p >= 0.001 {
        format!("{p:.3}")
    } else {
        format!("{p:.1e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{DoesNot, Holds, Unclear};

    fn gain(effects: &[&[f64]]) -> Stated {
        let effects = effects.iter().map(|e| Effect::above_zero("x", e.to_vec())).collect();
        Stated { claim: "c".into(), of: "o".into(), effects }
    }

    fn verdicts(stated: &[Stated]) -> Vec<Verdict> {
        gains(stated).into_iter().map(|claim| claim.verdict).collect()
    }

    #[test]
    fn a_gain_needs_every_effect_and_the_correction() {
        let strong = [0.10, 0.11, 0.09, 0.10, 0.12];
        let weak = [0.10, 0.02, 0.15, 0.06, 0.09];
        let worse = strong.map(|gap| -gap);
        assert_eq!(verdicts(&[gain(&[&strong, &weak])]), [Holds]);
        assert_eq!(verdicts(&[gain(&[&strong, &worse])]), [DoesNot]);
        assert_eq!(verdicts(&[gain(&[&strong, &[0.0; 5]])]), [DoesNot]);
        assert_eq!(verdicts(&[gain(&[&strong, &[f64::NAN; 5]])]), [Unclear]);
        assert_eq!(verdicts(&[gain(&[&strong[..1]])]), [Unclear]);
        assert_eq!(verdicts(&[gain(&[])]), [Unclear]);
        // p of `weak` is 0.009: enough alone and beside one more, too much beside seven.
        let many = |count: usize| vec![gain(&[&weak]); count];
        assert_eq!(verdicts(&many(2)), [Holds; 2]);
        assert_eq!(verdicts(&many(8)), [Unclear; 8]);
        assert_eq!(alone(&many(1)[0]).verdict, Holds);
    }

    #[test]
    fn a_bound_may_lie_below_zero() {
        let kept = Effect::above_zero("x", vec![-0.001, 0.001, 0.0, 0.002, -0.002]);
        let stated =
            |effect| Stated { claim: String::new(), of: String::new(), effects: vec![effect] };
        assert_eq!(verdicts(&[stated(kept.clone().above(-0.02))]), [Holds]);
        assert_eq!(verdicts(&[stated(kept)]), [Unclear]);
    }
}
