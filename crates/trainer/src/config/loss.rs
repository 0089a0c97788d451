//! From the `[loss]` section to the loss itself.

use bestof_losses::{
    Divergence, LossName, LossParameters, PreferenceLoss, WeightedLoss, WeightedSum,
};

use super::error::{ConfigError, ValueProblem};
use super::sections::LossSection;
use crate::error::TrainError;

impl LossSection {
    /// The loss, each absent parameter at the loss's published default; a sum where there are more.
    ///
    /// # Errors
    /// An unknown name, a value out of range, or a parameter that the loss does not read.
    pub fn build(&self) -> Result<Box<dyn PreferenceLoss>, TrainError> {
        self.check_sum()?;
        let first = self.part()?;
        if self.more.is_empty() {
            return Ok(first.name.build(&first.parameters)?);
        }
        let more: Result<Vec<WeightedLoss>, TrainError> =
            self.more.iter().map(Self::part).collect();
        let parts: Vec<WeightedLoss> = std::iter::once(first).chain(more?).collect();
        Ok(Box::new(WeightedSum::build(&parts)?))
    }

    /// What tokens beyond the length of the shorter answer count.
    ///
    /// # Errors
    /// A value outside 0 to 1.
    pub fn length_factor(&self) -> Result<f64, TrainError> {
        let factor = self.ld_alpha.unwrap_or(1.0);
        // The library's own range.
        bestof_losses::length_desensitised(0, 0, factor)?;
        Ok(factor)
    }

    /// What belongs to the whole loss, or to none but a sum, stands where it is read.
    fn check_sum(&self) -> Result<(), TrainError> {
        let mut problems = Vec::new();
        let mut need = |holds: bool, key, found: String, expected| {
            if !holds {
                problems.push(ValueProblem { key, found, expected });
            }
        };
        need(
            self.weight == 1.0 || !self.more.is_empty(),
            "loss.weight",
            self.weight.to_string(),
            "absent: it is read where `loss.more` adds other losses",
        );
        for part in &self.more {
            need(
                part.more.is_empty(),
                "loss.more.more",
                "present".to_owned(),
                "absent: a sum has one level",
            );
            need(
                part.ld_alpha.is_none(),
                "loss.more.ld_alpha",
                part.ld_alpha.unwrap_or_default().to_string(),
                "absent: `loss.ld_alpha` holds for all losses of the sum",
            );
        }
        let sft = std::iter::once(self).chain(&self.more).any(|part| part.sft_alpha.is_some());
        need(
            self.ld_alpha.is_none() || !sft,
            "loss.sft_alpha",
            "present".to_owned(),
            "absent with `loss.ld_alpha`, whose sums it would read in place of the likelihood",
        );
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Values { problems }.into()) }
    }

    /// One loss with its parameters.
    fn part(&self) -> Result<WeightedLoss, TrainError> {
        let name: LossName = self.name.parse()?;
        let mut parameters = LossParameters::of(name);
        let given = [
            ("beta", "loss.beta", self.beta, &mut parameters.beta),
            ("lambda", "loss.lambda", self.lambda, &mut parameters.lambda),
            ("gamma", "loss.gamma", self.gamma, &mut parameters.gamma),
            (
                "label_smoothing",
                "loss.label_smoothing",
                self.label_smoothing,
                &mut parameters.label_smoothing,
            ),
            ("kto_z0", "loss.kto_z0", self.kto_z0, &mut parameters.kto_z0),
            ("sft_alpha", "loss.sft_alpha", self.sft_alpha, &mut parameters.sft_alpha),
        ];
        let mut problems = Vec::new();
        let mut unread = |field: &str, key, found: String| {
            if !name.parameters().contains(&field) {
                problems.push(ValueProblem {
                    key,
                    found,
                    expected: "absent: this loss does not read it (`--set KEY=` takes a key out)",
                });
            }
        };
        for (field, key, value, parameter) in given {
            let Some(value) = value else { continue };
            *parameter = value;
            unread(field, key, value.to_string());
        }
        if let Some(divergence) = &self.divergence {
            unread("divergence", "loss.divergence", divergence.clone());
            parameters.divergence = Divergence::named(divergence, self.divergence_alpha)?;
        } else if let Some(alpha) = self.divergence_alpha {
            problems.push(ValueProblem {
                key: "loss.divergence_alpha",
                found: alpha.to_string(),
                expected: "absent, or `loss.divergence = \"alpha\"`",
            });
        }
        if !problems.is_empty() {
            return Err(ConfigError::Values { problems }.into());
        }
        Ok(WeightedLoss { name, weight: self.weight, parameters })
    }
}

#[cfg(test)]
mod tests {
    use bestof_losses::PairLogps;

    use super::*;

    fn section(text: &str) -> LossSection {
        toml::from_str(text).unwrap()
    }

    fn pair() -> PairLogps {
        PairLogps {
            chosen: -11.0,
            rejected: -9.5,
            ref_chosen: -10.0,
            ref_rejected: -9.0,
            chosen_len: 5,
            rejected_len: 7,
        }
    }

    #[test]
    fn sums_add_the_losses_of_their_parts_by_weight() {
        let loss = |text: &str| section(text).build().unwrap().terms(&pair()).unwrap();
        let sum = loss("name='dpo'\nweight=2.0\n[[more]]\nname='ipo'\nweight=0.5\nbeta=0.2");
        let (dpo, ipo) = (loss("name='dpo'"), loss("name='ipo'\nbeta=0.2"));
        bestof_closeness::assert_close(sum.loss, 2.0 * dpo.loss + 0.5 * ipo.loss, 1e-12);
        let gradient = 2.0 * dpo.grad_chosen + 0.5 * ipo.grad_chosen;
        bestof_closeness::assert_close(sum.grad_chosen, gradient, 1e-12);
    }

    #[test]
    fn likelihoods_and_divergences_reach_the_loss() {
        let loss = |text: &str| section(text).build().unwrap().terms(&pair()).unwrap();
        let mixed = loss("name='dpo'\nsft_alpha=0.5");
        // 11 nats over 5 tokens.
        bestof_closeness::assert_close(
            mixed.loss,
            loss("name='dpo'").loss + 0.5 * 11.0 / 5.0,
            1e-12,
        );
        assert_ne!(loss("divergence='jensen-shannon'").loss, loss("name='dpo'").loss);
        assert_ne!(
            loss("divergence='alpha'\ndivergence_alpha=0.3").loss,
            loss("divergence='alpha'").loss
        );
    }

    #[test]
    fn what_is_not_read_is_refused_by_name() {
        for (text, key) in [
            ("name='ipo'\ndivergence='forward-kl'", "loss.divergence"),
            ("divergence_alpha=0.3", "loss.divergence_alpha"),
            ("name='orpo'\nsft_alpha=1.0", "loss.sft_alpha"),
            ("weight=2.0", "loss.weight"),
            ("ld_alpha=0.5\nsft_alpha=1.0", "loss.sft_alpha"),
            ("[[more]]\nld_alpha=0.5", "loss.more.ld_alpha"),
            ("[[more]]\n[[more.more]]", "loss.more.more"),
        ] {
            let message = section(text).build().unwrap_err().to_string();
            assert!(message.contains(key), "{text}: {message}");
        }
        assert!(section("ld_alpha=1.5").length_factor().is_err());
        assert_eq!(section("").length_factor().unwrap(), 1.0);
    }
}
