//! A head and its scaling, as one stored value.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::{
    Composed, Linear, Method, Rope, RopeBasis, RopeError, RopeParams, RopeScaling, RotaryShape,
};

/// Head dimension, base, rotated share, context length and scaling of a model.
///
/// ```
/// use bestof_positional::{Method, RopeConfig, RopeParams};
/// let params = RopeParams { factor: Some(4.0), power: Some(0.5), ..RopeParams::default() };
/// let config = RopeConfig::new(8, 10_000.0).with_method(Method::Power, &params)?;
/// let table = config.build()?.table(0);
/// assert_eq!(table.inv_freq[0], 0.25);
/// assert!((table.inv_freq[3] - 0.25 * 0.001 * 0.25_f64.sqrt()).abs() < 1e-18);
/// # Ok::<(), bestof_positional::RopeError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct RopeConfig {
    /// Dimension of one attention head.
    pub head_dim: usize,
    /// The base.
    pub rope_theta: f64,
    /// Share of the head that rotates; 1 for all of it. Not read by `proportional`, which has its
    /// own.
    #[cfg_attr(feature = "serde", serde(default = "whole"))]
    pub partial_rotary_factor: f64,
    /// The context length the model is used at, where known.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub max_position_embeddings: Option<usize>,
    /// The rule and its parameters.
    #[cfg_attr(feature = "serde", serde(default))]
    pub scaling: RopeScaling,
}

#[cfg(feature = "serde")]
fn whole() -> f64 {
    1.0
}

/// What [`RopeConfig::extend`] does about a scaling that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum OnScaled {
    /// Stop with [`RopeError::AlreadyScaled`].
    #[default]
    Refuse,
    /// Drop the present scaling and use the new one alone.
    Replace,
    /// Keep it and scale its frequencies once more.
    Compose,
}

impl RopeConfig {
    /// Plain RoPE on whole heads.
    pub fn new(head_dim: usize, rope_theta: f64) -> Self {
        Self {
            head_dim,
            rope_theta,
            partial_rotary_factor: 1.0,
            max_position_embeddings: None,
            scaling: RopeScaling::Default,
        }
    }

    /// The same head with the scaling of a method, checked. `max_position_embeddings` is the
    /// fallback for lengths that `params` leave out, and `partial_rotary_factor` is read for every method.
    ///
    /// # Errors
    /// [`RopeError::UnusedParameter`] for a parameter the method does not read, and the errors of
    /// [`RopeScaling::from_params`] and [`RopeConfig::build`].
    pub fn with_method(&self, method: Method, params: &RopeParams) -> Result<Self, RopeError> {
        let (mut config, mut params) = (self.clone(), params.clone());
        if method != Method::Proportional {
            let share = params.partial_rotary_factor.take();
            config.partial_rotary_factor = share.unwrap_or(config.partial_rotary_factor);
        }
        params.refuse_unused(method)?;
        config.scaling = RopeScaling::from_params(method, &params, self.max_position_embeddings)?;
        config.build()?;
        Ok(config)
    }

    /// Which part of the head rotates, and on what base.
    ///
    /// # Errors
    /// Those of [`RotaryShape::partial`].
    pub fn shape(&self) -> Result<RotaryShape, RopeError> {
        let share = match self.scaling {
            RopeScaling::Proportional(_) => 1.0,
            _ => self.partial_rotary_factor,
        };
        RotaryShape::partial(self.head_dim, self.rope_theta, share)
    }

    /// The basis on its shape, ready to give tables.
    ///
    /// # Errors
    /// Those of [`RopeConfig::shape`] and [`RopeBasis::check`].
    pub fn build(&self) -> Result<Rope, RopeError> {
        Rope::new(self.shape()?, Arc::new(self.scaling.clone()))
    }

    /// The config with another scaling. On plain RoPE that is all; on a model that is scaled
    /// already, `on_scaled` says what becomes of the present scaling.
    ///
    /// Composing keeps the present table and scales it again: two linear scalings become one with
    /// the product of their factors, plain RoPE changes nothing, anything else becomes [`Composed`].
    /// Dropping RoPE (`nope`, `drope`) takes the place of any scaling, and of a model without it no
    /// rotating basis can be made: its weights were trained without.
    ///
    /// ```
    /// use bestof_positional::{Linear, OnScaled, RopeConfig, RopeError, RopeScaling};
    /// let by = |factor| RopeScaling::Linear(Linear { factor });
    /// let config = RopeConfig { scaling: by(4.0), ..RopeConfig::new(128, 10_000.0) };
    /// let refused = config.extend(by(2.0), OnScaled::Refuse);
    /// assert!(matches!(refused, Err(RopeError::AlreadyScaled { .. })));
    /// assert_eq!(config.extend(by(2.0), OnScaled::Compose)?.scaling, by(8.0));
    /// assert_eq!(config.extend(by(2.0), OnScaled::Replace)?.scaling, by(2.0));
    /// # Ok::<(), RopeError>(())
    /// ```
    ///
    /// # Errors
    /// [`RopeError::AlreadyScaled`] if told to refuse, [`RopeError::CannotCompose`] if the new rule
    /// cannot act on a finished table, [`RopeError::Dropped`], and the errors of [`RopeConfig::build`].
    pub fn extend(&self, scaling: RopeScaling, on_scaled: OnScaled) -> Result<Self, RopeError> {
        let current = self.scaling.rope_type();
        let requested = scaling.rope_type();
        let candidate = Self { scaling, ..self.clone() };
        let (rotates, rotated) = (candidate.build()?.rotates(), self.build()?.rotates());
        if rotates && !rotated {
            return Err(RopeError::Dropped { current, requested });
        }
        let scaling = candidate.scaling;
        let scaling = match (&self.scaling, on_scaled) {
            (RopeScaling::Default, _) | (_, OnScaled::Replace) => scaling,
            // What is dropped is no longer scaled.
            _ if rotated && !rotates => scaling,
            (_, OnScaled::Refuse) => return Err(RopeError::AlreadyScaled { current, requested }),
            (RopeScaling::Linear(first), OnScaled::Compose)
                if matches!(scaling, RopeScaling::Linear(_)) =>
            {
                let factor = first.factor * scaling.factor().unwrap_or(1.0);
                RopeScaling::Linear(Linear { factor })
            }
            (first, OnScaled::Compose) if scaling == RopeScaling::Default => first.clone(),
            (first, OnScaled::Compose) if Composed::can_follow(&scaling) => {
                let first = Box::new(first.clone());
                RopeScaling::Composed(Composed { first, then: Box::new(scaling) })
            }
            (_, OnScaled::Compose) => {
                return Err(RopeError::CannotCompose { current, requested });
            }
        };
        let config = Self { scaling, ..self.clone() };
        config.build()?;
        Ok(config)
    }
}
