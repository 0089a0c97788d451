//! Bases that stock loaders have no name for, expressed in rules they know.

use alloc::vec::Vec;

use crate::{LongRope, RopeBasis, RopeConfig, RopeError, RopeScaling};

/// The divisor that represents a frequency of 0: finite, since JSON has no infinity, and within f32
/// together with any usual base.
pub const STANDSTILL_DIVISOR: f64 = 1e30;

const TRANSFORMERS: &str = "a transformers config";
const GGUF: &str = "GGUF's rope_freqs";

impl RopeConfig {
    /// The same frequencies under a `rope_type` that stock transformers (and vLLM) builds.
    ///
    /// Known types come back as they are. `ntk` becomes `default` with a larger base; power,
    /// truncated and composed bases become `longrope` with
    ///
    /// ```text
    /// short_factor = long_factor = f_j / f'_j  (1e30 where f'_j = 0),  factor = 1,
    /// attention_factor as it is,  original_max_position_embeddings = max_position_embeddings
    /// ```
    ///
    /// An attention factor other than 1 (a composition on `yarn` or `longrope`) is understood by
    /// transformers; vLLM derives its own.
    ///
    /// ```
    /// use bestof_positional::{Power, RopeConfig, RopeScaling};
    /// let config = RopeConfig {
    ///     max_position_embeddings: Some(8192),
    ///     scaling: RopeScaling::Power(Power { power: 0.5, factor: 4.0 }),
    ///     ..RopeConfig::new(128, 10_000.0)
    /// };
    /// let exported = config.portable()?;
    /// assert!(matches!(exported.scaling, RopeScaling::LongRope(_)));
    /// assert_eq!(exported.frequency_hash()?, config.frequency_hash()?);
    /// # Ok::<(), bestof_positional::RopeError>(())
    /// ```
    ///
    /// # Errors
    /// [`RopeError::NotExpressible`] for xPos, randomised positions and a composition on `dynamic`;
    /// [`RopeError::MissingKey`] where `max_position_embeddings` is needed and not set; the errors
    /// of [`RopeConfig::build`].
    pub fn portable(&self) -> Result<Self, RopeError> {
        if self.scaling.is_known_to_transformers() {
            self.build()?;
            return Ok(self.clone());
        }
        self.portable_as_longrope()
    }

    /// The same for a model type of which transformers builds `default` and `longrope` only, such as
    /// Phi-3.
    ///
    /// # Errors
    /// Those of [`RopeConfig::portable`], and [`RopeError::NotExpressible`] for `dynamic`.
    pub fn portable_as_longrope(&self) -> Result<Self, RopeError> {
        let rope = self.build()?;
        if matches!(self.scaling, RopeScaling::Default | RopeScaling::LongRope(_)) {
            return Ok(self.clone());
        }
        if let RopeScaling::Dynamic(_) = self.scaling {
            let reason = "transformers builds default and longrope only for this model type, and \
                          its base changes with the length of the sequence";
            return Err(self.not_expressible(TRANSFORMERS, reason));
        }
        if let RopeScaling::Ntk(rule) = &self.scaling {
            let rope_theta = rule.theta(rope.shape());
            return Ok(Self { rope_theta, scaling: RopeScaling::Default, ..self.clone() });
        }
        self.refuse_inexpressible(TRANSFORMERS)?;
        let lengths = rope.basis().probe_lengths();
        let divisors = |seq_len: usize| self.divisors_from(&rope.table(seq_len).inv_freq);
        let short_factor = divisors(lengths[0])?;
        let (long_factor, original) = match (lengths.get(1), self.scaling.as_longrope()) {
            (None, _) => (short_factor.clone(), self.max_position_embeddings),
            (Some(long), Some(inner)) => {
                (divisors(*long)?, Some(inner.original_max_position_embeddings))
            }
            (Some(_), None) => {
                let reason = "its base changes with the length of the sequence, and only a bare \
                              `dynamic` can express that; replace the scaling instead of composing";
                return Err(self.not_expressible(TRANSFORMERS, reason));
            }
        };
        let key = "max_position_embeddings";
        let missing = RopeError::MissingKey { rope_type: self.scaling.rope_type(), key };
        let scaling = RopeScaling::LongRope(LongRope {
            short_factor,
            long_factor,
            original_max_position_embeddings: original.ok_or(missing)?,
            factor: Some(1.0),
            attention_factor: Some(rope.basis().attention_factor()),
        });
        Ok(Self { scaling, ..self.clone() })
    }

    /// What GGUF's `rope_freqs.weight` holds for this basis: one divisor per pair, written as f32,
    /// with `rope.freq_base` the base and `rope.scaling.type` `none`.
    ///
    /// # Errors
    /// [`RopeError::NotExpressible`] for xPos, randomised positions, a basis that depends on length,
    /// and one with an attention factor other than 1, which the tensor cannot hold; the errors
    /// of [`RopeConfig::build`].
    pub fn gguf_rope_freqs(&self) -> Result<Vec<f64>, RopeError> {
        let rope = self.build()?;
        self.refuse_inexpressible(GGUF)?;
        if rope.depends_on_length() {
            let reason = "its frequencies change with the length of the sequence; longrope's two \
                          lists go into rope_factors_short and rope_factors_long, dynamic has no form";
            return Err(self.not_expressible(GGUF, reason));
        }
        let table = rope.table(0);
        if table.attention_factor != 1.0 {
            let reason = "the tensor cannot hold its attention factor; write the rope.scaling \
                          keys of its own type, or set attention_factor to 1";
            return Err(self.not_expressible(GGUF, reason));
        }
        self.divisors_from(&table.inv_freq)
    }

    /// What the unscaled frequencies must be divided by to give these.
    fn divisors_from(&self, scaled: &[f64]) -> Result<Vec<f64>, RopeError> {
        let divisor = |(plain, scaled): (f64, &f64)| {
            if *scaled == 0.0 {
                STANDSTILL_DIVISOR
            } else {
                (plain / scaled).min(STANDSTILL_DIVISOR)
            }
        };
        Ok(self.shape()?.inv_freq().into_iter().zip(scaled).map(divisor).collect())
    }

    fn refuse_inexpressible(&self, target: &'static str) -> Result<(), RopeError> {
        if self.scaling.decay().is_some() {
            let reason = "no loader knows its decay; run it here, or retrain on another basis";
            return Err(self.not_expressible(target, reason));
        }
        if self.scaling.training_positions().is_some() {
            let reason = "positions are drawn in training only; a trained model runs on even \
                          positions, so export `default`, or `linear` with the same factor";
            return Err(self.not_expressible(target, reason));
        }
        Ok(())
    }

    fn not_expressible(&self, target: &'static str, reason: &'static str) -> RopeError {
        RopeError::NotExpressible { rope_type: self.scaling.rope_type(), target, reason }
    }
}

impl RopeScaling {
    /// The `longrope` at the bottom of a composition.
    fn as_longrope(&self) -> Option<&LongRope> {
        match self {
            Self::LongRope(rule) => Some(rule),
            Self::Composed(rule) => rule.first.as_longrope(),
            _ => None,
        }
    }
}
