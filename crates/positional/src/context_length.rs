//! A basis at another factor, and the context length a basis reaches.

use crate::{Linear, RopeBasis, RopeConfig, RopeError, RopeScaling};

impl RopeScaling {
    /// The rule with another factor; plain RoPE becomes linear scaling.
    ///
    /// A model may be evaluated at a larger factor than it was trained at, which lengthens its
    /// context without training. Source: Pal et al. 2023 (Giraffe), arXiv:2308.10882, section on
    /// the scale at evaluation.
    ///
    /// ```
    /// use bestof_positional::{Linear, RopeScaling};
    /// let trained = RopeScaling::Linear(Linear { factor: 4.0 });
    /// assert_eq!(trained.with_factor(8.0)?, RopeScaling::Linear(Linear { factor: 8.0 }));
    /// assert_eq!(RopeScaling::Default.with_factor(4.0)?, trained);
    /// # Ok::<(), bestof_positional::RopeError>(())
    /// ```
    ///
    /// # Errors
    /// [`RopeError::NoFactor`] for a rule whose frequencies no single factor scales.
    pub fn with_factor(&self, factor: f64) -> Result<Self, RopeError> {
        let refused = RopeError::NoFactor { rope_type: self.rope_type() };
        match self {
            Self::Default => return Ok(Self::Linear(Linear { factor })),
            Self::LongRope(_) | Self::XPos(_) | Self::NoPe(_) | Self::Composed(_) => {
                return Err(refused);
            }
            _ => {}
        }
        let (method, mut params) = self.to_params().ok_or(refused)?;
        params.factor = Some(factor);
        Self::from_params(method, &params, None)
    }

    /// The longest sequence the rule makes room for, in a model trained at `length`; `None` where
    /// there is no bound, as for truncation, power scaling and models without positions.
    pub fn reach(&self, length: usize) -> Option<usize> {
        let times = |factor: f64| Some(stretched(length, factor));
        match self {
            Self::Default => Some(length),
            Self::Composed(rule) => {
                let first = rule.first.reach(length)?;
                rule.then.factor().map(|factor| stretched(first, factor))
            }
            Self::LongRope(rule) => {
                rule.factor.map(|factor| stretched(rule.original_max_position_embeddings, factor))
            }
            Self::Linear(_)
            | Self::Ntk(_)
            | Self::Yarn(_)
            | Self::Llama3(_)
            | Self::Proportional(_)
            | Self::Randomized(_) => times(self.factor().unwrap_or(1.0)),
            Self::Dynamic(_)
            | Self::Power(_)
            | Self::Truncated(_)
            | Self::PowerTruncated(_)
            | Self::XPos(_)
            | Self::NoPe(_)
            | Self::DroPe(_) => None,
        }
    }
}

/// `length * factor`, rounded; saturating.
fn stretched(length: usize, factor: f64) -> usize {
    libm::round(length as f64 * factor) as usize
}

impl RopeConfig {
    /// The length the weights were trained at before any scaling: the one the rule names, or
    /// `max_position_embeddings` divided by the rule's factor.
    pub fn unscaled_length(&self) -> Option<usize> {
        if let Some(length) = self.scaling.original_max_position_embeddings() {
            return Some(length);
        }
        let length = self.max_position_embeddings?;
        Some(stretched(length, 1.0 / self.scaling.factor().unwrap_or(1.0)).max(1))
    }

    /// The longest sequence of settings that another program wrote: there
    /// `max_position_embeddings` does not count the scaling of linear, dynamic and `YaRN`.
    #[cfg(feature = "serde")]
    pub(crate) fn stock_length(&self) -> Option<usize> {
        let length = self.max_position_embeddings;
        let factor = self.scaling.factor().unwrap_or(1.0);
        match &self.scaling {
            RopeScaling::Linear(_) | RopeScaling::Dynamic(_) => {
                length.map(|length| stretched(length, factor))
            }
            RopeScaling::Yarn(rule) => {
                Some(stretched(rule.original_max_position_embeddings, factor))
            }
            _ => length,
        }
    }

    /// The settings with another factor, for a context as much longer; never a shorter one.
    ///
    /// ```
    /// use bestof_positional::{Linear, RopeConfig, RopeScaling};
    /// let scaling = RopeScaling::Linear(Linear { factor: 4.0 });
    /// let config = RopeConfig {
    ///     scaling, max_position_embeddings: Some(8192), ..RopeConfig::new(128, 10_000.0)
    /// };
    /// assert_eq!(config.with_factor(8.0)?.max_position_embeddings, Some(16384));
    /// assert!(config.with_factor(0.5).is_err());
    /// # Ok::<(), bestof_positional::RopeError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`RopeScaling::with_factor`] and [`RopeConfig::build`].
    pub fn with_factor(&self, factor: f64) -> Result<Self, RopeError> {
        let scaling = self.scaling.with_factor(factor)?;
        let reached = self.unscaled_length().map(|length| stretched(length, factor));
        let config = Self {
            scaling,
            max_position_embeddings: reached.max(self.max_position_embeddings),
            ..self.clone()
        };
        config.build()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LongRope, Power, Thresholds, Truncated, Yarn};

    #[test]
    fn another_factor_is_the_rule_made_with_it() {
        let yarn = RopeScaling::Yarn(Yarn { beta_fast: 24.0, ..Yarn::new(4.0, 2048) });
        let wider = RopeScaling::Yarn(Yarn { beta_fast: 24.0, ..Yarn::new(8.0, 2048) });
        assert_eq!(yarn.with_factor(8.0), Ok(wider));
        let power = |factor| RopeScaling::Power(Power { power: 0.5, factor });
        assert_eq!(power(1.0).with_factor(3.0), Ok(power(3.0)));
        let thresholds = Thresholds::for_length(2048);
        let truncated = |factor| RopeScaling::Truncated(Truncated { thresholds, factor });
        assert_eq!(truncated(4.0).with_factor(8.0), Ok(truncated(8.0)));
    }

    #[test]
    fn rules_without_a_factor_say_so() {
        let rule = LongRope {
            short_factor: alloc::vec![1.0; 4],
            long_factor: alloc::vec![2.0; 4],
            original_max_position_embeddings: 64,
            factor: Some(2.0),
            attention_factor: None,
        };
        let error = RopeScaling::LongRope(rule).with_factor(2.0).unwrap_err().to_string();
        assert!(error.contains("longrope") && error.contains("factor"), "{error}");
    }

    #[test]
    fn lengths_follow_the_factor_and_never_shrink() {
        let config = RopeConfig {
            scaling: RopeScaling::Yarn(Yarn::new(4.0, 2048)),
            max_position_embeddings: Some(8192),
            ..RopeConfig::new(64, 10_000.0)
        };
        assert_eq!(config.unscaled_length(), Some(2048));
        assert_eq!(config.with_factor(8.0).unwrap().max_position_embeddings, Some(16384));
        assert_eq!(config.with_factor(2.0).unwrap().max_position_embeddings, Some(8192));
        assert_eq!(config.scaling.reach(2048), Some(8192));
        assert_eq!(RopeScaling::Default.reach(2048), Some(2048));
        let power = RopeScaling::Power(Power { power: 0.5, factor: 1.0 });
        assert_eq!(power.reach(2048), None);
    }
}
