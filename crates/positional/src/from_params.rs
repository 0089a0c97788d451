//! Rules from parameters, and back.

use crate::check::check_positive;
use crate::{
    DroPe, DynamicNtk, Linear, Llama3, LongRope, Method, NoPe, Ntk, Power, PowerTruncated,
    Proportional, Randomized, RopeBasis, RopeError, RopeParams, RopeScaling, Thresholds, Truncated,
    XPos, Yarn,
};

fn needed<T>(rope_type: &'static str, key: &'static str, value: Option<T>) -> Result<T, RopeError> {
    value.ok_or(RopeError::MissingKey { rope_type, key })
}

impl RopeScaling {
    /// The rule of a method with its parameters. Defaults are those of transformers 5; parameters of
    /// other methods are passed over (see [`RopeParams::refuse_unused`]).
    ///
    /// `model_length` is the model's context length in tokens. It stands in for a missing
    /// `original_max_position_embeddings` or `truncate_length`, and gives longrope's `factor`.
    ///
    /// # Errors
    /// [`RopeError::MissingKey`] or [`RopeError::MissingOriginalLength`] for what the method needs
    /// and cannot be derived. Values are checked later, against the head: [`crate::Rope::new`].
    pub fn from_params(
        method: Method,
        params: &RopeParams,
        model_length: Option<usize>,
    ) -> Result<Self, RopeError> {
        let source = Source { params, model_length };
        let rope_type = method.name();
        let factor = || needed(rope_type, "factor", params.factor);
        let factor_or_1 = params.factor.unwrap_or(1.0);
        Ok(match method {
            Method::Default => Self::Default,
            Method::Linear => Self::Linear(Linear { factor: factor()? }),
            Method::Ntk => Self::Ntk(Ntk { factor: factor()? }),
            Method::Dynamic => Self::Dynamic(DynamicNtk {
                factor: factor()?,
                original_max_position_embeddings: source.original(rope_type)?,
            }),
            Method::Yarn => Self::Yarn(source.yarn()?),
            Method::Llama3 => Self::Llama3(source.llama3()?),
            Method::LongRope => Self::LongRope(source.longrope()?),
            Method::Proportional => Self::Proportional(Proportional {
                partial_rotary_factor: params.partial_rotary_factor.unwrap_or(1.0),
                factor: factor_or_1,
            }),
            Method::Power | Method::Truncated | Method::PowerTruncated => source.giraffe(method)?,
            Method::XPos => {
                let plain = XPos::default();
                Self::XPos(XPos {
                    gamma: params.gamma.unwrap_or(plain.gamma),
                    scale_base: params.scale_base.unwrap_or(plain.scale_base),
                    centre: params.centre.unwrap_or(plain.centre),
                })
            }
            Method::Randomized => Self::Randomized(Randomized {
                factor: factor_or_1,
                smallest_step: params.smallest_step.unwrap_or(0.0),
            }),
            Method::NoPe => Self::NoPe(NoPe),
            Method::DroPe => Self::DroPe(DroPe {
                original_max_position_embeddings: source.original(rope_type)?,
                factor: factor_or_1,
                logit_slope: params.logit_slope.unwrap_or(0.0),
            }),
        })
    }

    /// The method and parameters that make this rule again; `None` for a composed one.
    ///
    /// ```
    /// use bestof_positional::{Method, RopeScaling, Yarn};
    /// let yarn = RopeScaling::Yarn(Yarn::new(4.0, 2048));
    /// let (method, params) = yarn.to_params().expect("not composed");
    /// assert_eq!((method, params.factor, params.beta_fast), (Method::Yarn, Some(4.0), Some(32.0)));
    /// assert_eq!(RopeScaling::from_params(method, &params, None)?, yarn);
    /// # Ok::<(), bestof_positional::RopeError>(())
    /// ```
    pub fn to_params(&self) -> Option<(Method, RopeParams)> {
        let mut params = RopeParams {
            factor: self.factor(),
            original_max_position_embeddings: self.original_max_position_embeddings(),
            ..RopeParams::default()
        };
        if let Some(thresholds) = self.thresholds() {
            params.a = Some(thresholds.a);
            params.b = Some(thresholds.b);
            params.rho = Some(thresholds.rho);
        }
        match self {
            Self::Composed(_) => return None,
            Self::Yarn(rule) => {
                params.beta_fast = Some(rule.beta_fast);
                params.beta_slow = Some(rule.beta_slow);
                params.truncate = Some(rule.truncate);
                params.attention_factor = rule.attention_factor;
                params.mscale = rule.mscale;
                params.mscale_all_dim = rule.mscale_all_dim;
            }
            Self::Llama3(rule) => {
                params.low_freq_factor = Some(rule.low_freq_factor);
                params.high_freq_factor = Some(rule.high_freq_factor);
            }
            Self::LongRope(rule) => {
                params.short_factor = Some(rule.short_factor.clone());
                params.long_factor = Some(rule.long_factor.clone());
                params.attention_factor = rule.attention_factor;
            }
            Self::Proportional(rule) => {
                params.partial_rotary_factor = Some(rule.partial_rotary_factor);
            }
            Self::Power(rule) => params.power = Some(rule.power),
            Self::PowerTruncated(rule) => params.power = Some(rule.power),
            Self::XPos(rule) => {
                params.gamma = Some(rule.gamma);
                params.scale_base = Some(rule.scale_base);
                params.centre = Some(rule.centre);
            }
            Self::Randomized(rule) => params.smallest_step = Some(rule.smallest_step),
            Self::DroPe(rule) => params.logit_slope = Some(rule.logit_slope),
            Self::Default
            | Self::NoPe(_)
            | Self::Linear(_)
            | Self::Ntk(_)
            | Self::Dynamic(_)
            | Self::Truncated(_) => {}
        }
        let method = Method::ALL.into_iter().find(|method| method.name() == self.rope_type())?;
        Some((method, params))
    }
}

/// Parameters, with the model's length to fall back on.
struct Source<'a> {
    params: &'a RopeParams,
    model_length: Option<usize>,
}

impl Source<'_> {
    /// The training length, or the model's length where it is not given.
    fn original(&self, rope_type: &'static str) -> Result<usize, RopeError> {
        self.params
            .original_max_position_embeddings
            .or(self.model_length)
            .ok_or(RopeError::MissingOriginalLength { rope_type })
    }

    fn yarn(&self) -> Result<Yarn, RopeError> {
        let rope_type = Method::Yarn.name();
        let factor = needed(rope_type, "factor", self.params.factor)?;
        let plain = Yarn::new(factor, self.original(rope_type)?);
        let nonzero =
            |value: Option<f64>, default: f64| value.filter(|v| *v != 0.0).unwrap_or(default);
        Ok(Yarn {
            beta_fast: nonzero(self.params.beta_fast, plain.beta_fast),
            beta_slow: nonzero(self.params.beta_slow, plain.beta_slow),
            truncate: self.params.truncate.unwrap_or(plain.truncate),
            attention_factor: self.params.attention_factor,
            mscale: self.params.mscale,
            mscale_all_dim: self.params.mscale_all_dim,
            ..plain
        })
    }

    fn llama3(&self) -> Result<Llama3, RopeError> {
        let rope_type = Method::Llama3.name();
        Ok(Llama3 {
            factor: needed(rope_type, "factor", self.params.factor)?,
            low_freq_factor: needed(rope_type, "low_freq_factor", self.params.low_freq_factor)?,
            high_freq_factor: needed(rope_type, "high_freq_factor", self.params.high_freq_factor)?,
            original_max_position_embeddings: self.original(rope_type)?,
        })
    }

    fn longrope(&self) -> Result<LongRope, RopeError> {
        let rope_type = Method::LongRope.name();
        let original = self.original(rope_type)?;
        // A model length cut below the original is common to save memory, and means no stretch.
        let stretch = |length: usize| (length as f64 / original as f64).max(1.0);
        Ok(LongRope {
            short_factor: needed(rope_type, "short_factor", self.params.short_factor.clone())?,
            long_factor: needed(rope_type, "long_factor", self.params.long_factor.clone())?,
            original_max_position_embeddings: original,
            factor: self.params.factor.or(self.model_length.map(stretch)),
            attention_factor: self.params.attention_factor,
        })
    }

    /// Giraffe's rules; truncation or power scaling is added where its parameters are given.
    fn giraffe(&self, method: Method) -> Result<RopeScaling, RopeError> {
        let factor = self.params.factor.unwrap_or(1.0);
        let cuts = method != Method::Power
            || self.params.truncate_length.is_some()
            || [self.params.a, self.params.b, self.params.rho].iter().any(Option::is_some);
        let raises = method != Method::Truncated || self.params.power.is_some();
        let power = || needed(method.name(), "power", self.params.power);
        Ok(match (raises, cuts) {
            (true, false) => RopeScaling::Power(Power { power: power()?, factor }),
            (false, _) => {
                let thresholds = self.thresholds(method.name())?;
                RopeScaling::Truncated(Truncated { thresholds, factor })
            }
            (true, true) => RopeScaling::PowerTruncated(PowerTruncated {
                power: power()?,
                thresholds: self.thresholds(method.name())?,
                factor,
            }),
        })
    }

    /// Explicit thresholds, with missing ones derived from the training length.
    fn thresholds(&self, rope_type: &'static str) -> Result<Thresholds, RopeError> {
        if let (Some(a), Some(b), Some(rho)) = (self.params.a, self.params.b, self.params.rho) {
            return Ok(Thresholds { a, b, rho });
        }
        let length = self
            .params
            .truncate_length
            .or(self.model_length)
            .ok_or(RopeError::MissingKey { rope_type, key: "truncate_length" })?;
        check_positive(rope_type, "truncate_length", length as f64)?;
        let preset = Thresholds::for_length(length);
        Ok(Thresholds {
            a: self.params.a.unwrap_or(preset.a),
            b: self.params.b.unwrap_or(preset.b),
            rho: self.params.rho.unwrap_or(preset.rho),
        })
    }
}
