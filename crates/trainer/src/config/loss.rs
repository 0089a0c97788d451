//! From the `[loss]` section to the loss itself.

use bestof_losses::{
    Divergence, Kto, LossName, LossParameters, PreferenceLoss, WeightedLoss, WeightedSum,
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

    /// Whether this is the loss of labelled completions, `kto`, in place of one of pairs.
    pub fn is_unpaired(&self) -> bool {
        self.name.trim().eq_ignore_ascii_case("kto")
    }

    /// The loss of labelled completions.
    ///
    /// # Errors
    /// A value out of range, or a parameter that only losses of pairs read.
    pub fn build_unpaired(&self) -> Result<Kto, TrainError> {
        let number = |value: Option<f64>| value.map(|value| value.to_string());
        let present = |given: bool| given.then(|| "present".to_owned());
        let problems: Vec<ValueProblem> = [
            ("loss.lambda", number(self.lambda)),
            ("loss.gamma", number(self.gamma)),
            ("loss.label_smoothing", number(self.label_smoothing)),
            ("loss.kto_z0", number(self.kto_z0)),
            ("loss.divergence", self.divergence.clone()),
            ("loss.divergence_alpha", number(self.divergence_alpha)),
            ("loss.sft_alpha", number(self.sft_alpha)),
            ("loss.ld_alpha", number(self.ld_alpha)),
            ("loss.weight", number((self.weight != 1.0).then_some(self.weight))),
            ("loss.more", present(!self.more.is_empty())),
        ]
        .into_iter()
        .filter_map(|(key, found)| {
            let expected =
                "absent: `kto` reads `beta`, `desirable_weight` and `undesirable_weight`";
            Some(ValueProblem { key, found: found?, expected })
        })
        .collect();
        if !problems.is_empty() {
            return Err(ConfigError::Values { problems }.into());
        }
        let weights = [self.desirable_weight, self.undesirable_weight].map(|w| w.unwrap_or(1.0));
        Ok(Kto::new(self.beta.unwrap_or(Kto::DEFAULT_BETA))?
            .with_weights(weights[0], weights[1])?)
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
                !part.is_unpaired(),
                "loss.more.name",
                part.name.clone(),
                "a loss of pairs: `kto` reads labelled completions and stands alone",
            );
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
        for (field, key, value) in [
            ("desirable_weight", "loss.desirable_weight", self.desirable_weight),
            ("undesirable_weight", "loss.undesirable_weight", self.undesirable_weight),
        ] {
            if let Some(value) = value {
                unread(field, key, value.to_string());
            }
        }
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
    fn kto_has_its_defaults_and_takes_class_weights() {
        let build = |text: &str| section(text).build_unpaired().unwrap();
        assert!(section("name='KTO'").is_unpaired() && !section("name='kto-pair'").is_unpaired());
        assert_eq!(build("name='kto'"), Kto::new(0.1).unwrap());
        assert_eq!(
            build("name='kto'\nbeta=0.3\ndesirable_weight=2.0\nundesirable_weight=0.5"),
            Kto::new(0.3).unwrap().with_weights(2.0, 0.5).unwrap()
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
            ("[[more]]\nname='kto'", "loss.more.name"),
            ("name='kto-pair'\ndesirable_weight=2.0", "loss.desirable_weight"),
            ("undesirable_weight=2.0", "loss.undesirable_weight"),
            ("[[more]]\n[[more.more]]", "loss.more.more"),
        ] {
            let message = section(text).build().unwrap_err().to_string();
            assert!(message.contains(key), "{text}: {message}");
        }
        for (text, key) in [
            ("kto_z0=0.1", "loss.kto_z0"),
            ("lambda=5.0", "loss.lambda"),
            ("divergence='forward-kl'", "loss.divergence"),
            ("ld_alpha=0.5", "loss.ld_alpha"),
            ("weight=2.0", "loss.weight"),
            ("[[more]]", "loss.more"),
            ("undesirable_weight=-1.0", "undesirable_weight"),
            ("beta=0.0", "beta"),
        ] {
            let error = section(&format!("name='kto'\n{text}")).build_unpaired().unwrap_err();
            assert!(error.to_string().contains(key), "{text}: {error}");
        }
        assert!(section("ld_alpha=1.5").length_factor().is_err());
        assert_eq!(section("").length_factor().unwrap(), 1.0);
    }
}
