//! Section 2.4 of the paper: where each loss pushes the logits of a pair that differs in one token.
//!
//! A check of the formulas on drawn logits, not a measurement of a model: what it finds follows from
//! the gradients, whatever the draw.
//!
//! The completions have the same length and differ at position m alone. The logits at a position
//! count as one set of free parameters that both contexts share, `s^w` and `s^l` are the softmax
//! after the chosen and after the rejected prefix.

use bestof_losses::{LossName, LossParameters, PairLogps, PreferenceLoss};
use bestof_report::{Section, Table, Verdict};
use serde_json::{Value, json};

use crate::noise::Noise;
use crate::{Claim, ReproduceError};

/// Pairs drawn for the check of the directions.
const PAIRS: usize = 2000;
const VOCAB: usize = 5;
const LENGTH: usize = 6;
/// Where the pairs differ.
const DIFFERS: usize = 2;
const BETA: f64 = 0.3;
const LAMBDA: f64 = 50.0;
const STREAM: u64 = 4 << 32;

/// The logits of both contexts and the tokens of both answers.
#[derive(Debug, Clone)]
pub(crate) struct Contexts {
    pub(crate) chosen_tokens: Vec<usize>,
    pub(crate) rejected_tokens: Vec<usize>,
    /// `[position][token]`
    pub(crate) chosen_logits: Vec<Vec<f64>>,
    pub(crate) rejected_logits: Vec<Vec<f64>>,
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| libm::exp(logit - largest)).collect();
    let total: f64 = powers.iter().sum();
    powers.iter().map(|power| power / total).collect()
}

fn logp(logits: &[Vec<f64>], tokens: &[usize]) -> f64 {
    logits.iter().zip(tokens).map(|(row, &token)| libm::log(softmax(row)[token])).sum()
}

impl Contexts {
    /// The pair's log-probabilities; those of the reference are lower or higher by so many nats.
    fn pair(&self, chosen_above: f64, rejected_above: f64) -> PairLogps {
        let chosen = logp(&self.chosen_logits, &self.chosen_tokens);
        let rejected = logp(&self.rejected_logits, &self.rejected_tokens);
        PairLogps {
            chosen,
            rejected,
            ref_chosen: chosen - chosen_above,
            ref_rejected: rejected - rejected_above,
            chosen_len: self.chosen_tokens.len(),
            rejected_len: self.rejected_tokens.len(),
        }
    }

    /// Minus the derivative of the loss by the logit of each token at each position.
    pub(crate) fn update(
        &self,
        loss: &dyn PreferenceLoss,
        pair: &PairLogps,
    ) -> Result<Vec<Vec<f64>>, ReproduceError> {
        let terms = loss.terms(pair).map_err(bestof_trainer::TrainError::from)?;
        let sides = self.chosen_logits.iter().zip(&self.chosen_tokens);
        let others = self.rejected_logits.iter().zip(&self.rejected_tokens);
        Ok(sides
            .zip(others)
            .map(|((chosen, &w), (rejected, &l))| {
                let (chosen, rejected) = (softmax(chosen), softmax(rejected));
                let hit = |j: usize, token: usize| f64::from(u8::from(j == token));
                (0..chosen.len())
                    .map(|j| {
                        -terms.grad_chosen * (hit(j, w) - chosen[j])
                            - terms.grad_rejected * (hit(j, l) - rejected[j])
                    })
                    .collect()
            })
            .collect())
    }

    /// A pair whose true tokens are likelier after the right prefix, as after supervised training.
    fn draw(noise: &mut Noise) -> Self {
        let row = |noise: &mut Noise| -> Vec<f64> { (0..VOCAB).map(|_| noise.normal()).collect() };
        let chosen_tokens: Vec<usize> = (0..LENGTH)
            .map(|_| ((noise.uniform() * VOCAB as f64) as usize).min(VOCAB - 1))
            .collect();
        let mut rejected_tokens = chosen_tokens.clone();
        rejected_tokens[DIFFERS] = (chosen_tokens[DIFFERS] + 1) % VOCAB;
        let chosen_logits: Vec<Vec<f64>> = (0..LENGTH).map(|_| row(noise)).collect();
        let mut rejected_logits = chosen_logits.clone();
        for position in DIFFERS + 1..LENGTH {
            rejected_logits[position][chosen_tokens[position]] -= 0.1 + 2.0 * noise.uniform();
        }
        Self { chosen_tokens, rejected_tokens, chosen_logits, rejected_logits }
    }
}

/// What the drawn pairs said, and one of them to look at.
#[derive(Debug, Clone)]
pub(crate) struct Directions {
    /// Positions where DPO's update is as the paper says, and all.
    dpo: (usize, usize),
    /// The same of DPOP under an active penalty.
    dpop: (usize, usize),
    /// Mean update of the true token a position: DPO's, DPOP's.
    means: Vec<(f64, f64)>,
}

fn build(name: LossName) -> Result<Box<dyn PreferenceLoss>, ReproduceError> {
    let parameters = LossParameters::of(name).with_beta(BETA).with_lambda(LAMBDA);
    Ok(name.build(&parameters).map_err(bestof_trainer::TrainError::from)?)
}

pub(crate) fn measure(seed: u64) -> Result<Directions, ReproduceError> {
    let (dpo, dpop) = (build(LossName::Dpo)?, build(LossName::Dpop)?);
    let mut noise = Noise::new(seed, STREAM);
    let mut found = Directions { dpo: (0, 0), dpop: (0, 0), means: vec![(0.0, 0.0); LENGTH] };
    for _ in 0..PAIRS {
        let contexts = Contexts::draw(&mut noise);
        // The chosen answer has fallen, so that the penalty is active.
        let pair = contexts.pair(-noise.uniform(), noise.normal());
        let (by_dpo, by_dpop) = (contexts.update(&*dpo, &pair)?, contexts.update(&*dpop, &pair)?);
        for position in 0..LENGTH {
            let token = contexts.chosen_tokens[position];
            let (right, left) = (
                softmax(&contexts.chosen_logits[position])[token],
                softmax(&contexts.rejected_logits[position])[token],
            );
            let (a, b) = (by_dpo[position][token], by_dpop[position][token]);
            let still = by_dpo[position].iter().all(|update| update.abs() < 1e-15);
            let as_stated = match position {
                p if p < DIFFERS => still,
                DIFFERS => a > 0.0 && by_dpo[position][contexts.rejected_tokens[position]] < 0.0,
                _ => a < 0.0,
            };
            // After the difference the penalty wins where lambda is above this bound; before, and
            // at it, always.
            let bound = (right - left) / (1.0 - right);
            let pulled = position <= DIFFERS || LAMBDA > bound;
            found.dpo = (found.dpo.0 + usize::from(as_stated), found.dpo.1 + 1);
            found.dpop = (found.dpop.0 + usize::from((b > 0.0) == pulled), found.dpop.1 + 1);
            let (mean_dpo, mean_dpop) = &mut found.means[position];
            *mean_dpo += a / PAIRS as f64;
            *mean_dpop += b / PAIRS as f64;
        }
    }
    Ok(found)
}

fn every((hits, all): (usize, usize)) -> Verdict {
    if hits == all && all > 0 { Verdict::Holds } else { Verdict::DoesNot }
}

pub(crate) fn claims(found: &Directions) -> [Claim; 2] {
    let share = |(hits, all): (usize, usize)| {
        format!("as the formulas say at {hits} of {all} positions of {PAIRS} pairs of drawn logits")
    };
    [
        Claim::new(
            "Formula check: on a pair that differs in one token, DPO pushes down every later true token that is \
             likelier after the right prefix, and leaves earlier ones alone (section 2.4)",
            "with the gradients of the crate losses and drawn logits: exactly 0 before the \
             difference, up for the chosen and down for the rejected token at it, down for the true \
             token after it, without exception",
            share(found.dpo),
            every(found.dpo),
        ),
        Claim::new(
            "Formula check: DPOP pulls true tokens up where the chosen answer has fallen (section 2.4)",
            format!(
                "up before and at the difference, and after it exactly where lambda = {LAMBDA} is above \
                 (s^w - s^l)/(1 - s^w), without exception"
            ),
            share(found.dpop),
            every(found.dpop),
        ),
    ]
}

pub(crate) fn section(found: &Directions) -> Section {
    let mut table = Table::new(
        "Mean push on the logit of the chosen answer's token",
        ["position", "DPO", "DPOP"],
    );
    for (position, (dpo, dpop)) in found.means.iter().enumerate() {
        let place = match position {
            DIFFERS => format!("{position}, where the answers differ"),
            _ => position.to_string(),
        };
        table.push([
            bestof_report::Cell::text(place),
            bestof_report::Cell::number(*dpo),
            bestof_report::Cell::number(*dpop),
        ]);
    }
    Section::new("Token by token: a check of the formulas").element(table)
}

pub(crate) fn numbers(found: &Directions) -> Value {
    let means: Vec<Value> =
        found.means.iter().map(|(dpo, dpop)| json!({"dpo": dpo, "dpop": dpop})).collect();
    json!({
        "pairs": PAIRS, "beta": BETA, "lambda": LAMBDA, "differs_at": DIFFERS,
        "positions_as_stated": {"dpo": found.dpo.0, "dpop": found.dpop.0, "all": found.dpo.1},
        "mean_update_of_true_token": means,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(value: &Value) -> Vec<Vec<f64>> {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn updates_are_those_of_an_independent_program() {
        let golden: Value =
            serde_json::from_str(include_str!("../../tests/golden/dpop_token_level.json")).unwrap();
        let cases = golden.as_array().unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let contexts = Contexts {
                chosen_tokens: serde_json::from_value(case["chosen_tokens"].clone()).unwrap(),
                rejected_tokens: serde_json::from_value(case["rejected_tokens"].clone()).unwrap(),
                chosen_logits: rows(&case["logits_in_chosen_context"]),
                rejected_logits: rows(&case["logits_in_rejected_context"]),
            };
            let number = |name: &str| case[name].as_f64().unwrap();
            let mut pair = contexts.pair(0.0, 0.0);
            assert!((pair.chosen - number("logp_w")).abs() < 1e-12);
            assert!((pair.rejected - number("logp_l")).abs() < 1e-12);
            (pair.ref_chosen, pair.ref_rejected) = (number("ref_w"), number("ref_l"));
            let (beta, lambda) = (number("beta"), number("lambda"));
            for (loss, name) in [(LossName::Dpo, "update_dpo"), (LossName::Dpop, "update_dpop")] {
                let parameters = LossParameters::of(loss).with_beta(beta).with_lambda(lambda);
                let found = contexts.update(&*loss.build(&parameters).unwrap(), &pair).unwrap();
                for (found, expected) in found.iter().flatten().zip(rows(&case[name]).concat()) {
                    assert!((found - expected).abs() < 1e-12 * expected.abs().max(1.0), "{name}");
                }
            }
        }
    }

    #[test]
    fn the_statement_is_seen_and_its_opposite_is_not() {
        let found = measure(1).unwrap();
        assert_eq!(claims(&found).map(|claim| claim.verdict), [Verdict::Holds; 2]);
        let (dpo, dpop) = found.means[LENGTH - 1];
        assert!(dpo < 0.0 && dpop > 0.0);
        // DPOP's directions are not DPO's.
        let missed = Directions { dpo: (found.dpo.0 - 1, found.dpo.1), ..found };
        assert_eq!(claims(&missed)[0].verdict, Verdict::DoesNot);
    }
}
