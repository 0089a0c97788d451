//! Parameters of any rule as plain optional values, and the rules made from them.

use alloc::vec::Vec;

use crate::basis::check_positive;
use crate::method::join;
use crate::{
    DynamicNtk, Linear, Llama3, LongRope, Method, Ntk, Power, PowerTruncated, Proportional,
    Randomized, RopeBasis, RopeError, RopeScaling, Thresholds, Truncated, XPos, Yarn,
};

/// What a command line or a config may say about a scaling; names as in Hugging Face configs.
///
/// ```
/// use bestof_positional::{Method, RopeParams, RopeScaling};
/// let params = RopeParams { factor: Some(4.0), ..RopeParams::default() };
/// let scaling = RopeScaling::from_params(Method::Linear, &params)?;
/// let missing = RopeScaling::from_params(Method::Yarn, &params).unwrap_err();
/// assert!(missing.to_string().contains("original_max_position_embeddings"));
/// # Ok::<(), bestof_positional::RopeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct RopeParams {
    /// How many times longer the context gets.
    pub factor: Option<f64>,
    /// Exponent of power scaling.
    pub power: Option<f64>,
    /// Training length from which truncation takes its thresholds.
    pub truncate_length: Option<usize>,
    /// Truncation: frequencies at or below it stop.
    pub a: Option<f64>,
    /// Truncation: frequencies at or above it are kept.
    pub b: Option<f64>,
    /// Truncation: the frequency of those between.
    pub rho: Option<f64>,
    /// The model's context length; what a missing training length falls back on.
    pub max_position_embeddings: Option<usize>,
    /// Length of pre-training.
    pub original_max_position_embeddings: Option<usize>,
    /// llama3: turns below which a pair is divided.
    pub low_freq_factor: Option<f64>,
    /// llama3: turns above which a pair is kept.
    pub high_freq_factor: Option<f64>,
    /// yarn: turns from which on a pair is kept.
    pub beta_fast: Option<f64>,
    /// yarn: turns below which a pair is interpolated.
    pub beta_slow: Option<f64>,
    /// yarn: whether the ramp's ends are rounded to whole pairs.
    pub truncate: Option<bool>,
    /// yarn: weight of the factor's logarithm above the fraction bar.
    pub mscale: Option<f64>,
    /// yarn: the same below it.
    pub mscale_all_dim: Option<f64>,
    /// yarn, longrope: what cosine and sine are multiplied by.
    pub attention_factor: Option<f64>,
    /// longrope: divisors up to the original length.
    pub short_factor: Option<Vec<f64>>,
    /// longrope: divisors beyond it.
    pub long_factor: Option<Vec<f64>>,
    /// Share of each head that rotates; 1 where missing.
    pub partial_rotary_factor: Option<f64>,
    /// xpos: how much the fast pairs are spared.
    pub gamma: Option<f64>,
    /// xpos: positions over which a pair fades.
    pub scale_base: Option<f64>,
    /// xpos: the position with amplitude 1.
    pub centre: Option<f64>,
    /// randomized: the smallest step between positions.
    pub smallest_step: Option<f64>,
}

impl RopeParams {
    /// The same with anything the method would not read refused.
    ///
    /// # Errors
    /// [`RopeError::UnusedParameter`] naming the first such parameter.
    pub fn refuse_unused(&self, method: Method) -> Result<(), RopeError> {
        let accepted = method.parameters();
        match self.given().find(|key| !ALWAYS_ACCEPTED.contains(key) && !accepted.contains(key)) {
            None => Ok(()),
            Some(key) => {
                let accepted = match accepted {
                    [] => "no parameters".into(),
                    names => join(names),
                };
                Err(RopeError::UnusedParameter { rope_type: method.name(), key, accepted })
            }
        }
    }

    /// Names of the parameters that are set.
    fn given(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("factor", self.factor.is_some()),
            ("power", self.power.is_some()),
            ("truncate_length", self.truncate_length.is_some()),
            ("a", self.a.is_some()),
            ("b", self.b.is_some()),
            ("rho", self.rho.is_some()),
            ("max_position_embeddings", self.max_position_embeddings.is_some()),
            (ORIGINAL, self.original_max_position_embeddings.is_some()),
            ("low_freq_factor", self.low_freq_factor.is_some()),
            ("high_freq_factor", self.high_freq_factor.is_some()),
            ("beta_fast", self.beta_fast.is_some()),
            ("beta_slow", self.beta_slow.is_some()),
            ("truncate", self.truncate.is_some()),
            ("mscale", self.mscale.is_some()),
            ("mscale_all_dim", self.mscale_all_dim.is_some()),
            ("attention_factor", self.attention_factor.is_some()),
            ("short_factor", self.short_factor.is_some()),
            ("long_factor", self.long_factor.is_some()),
            ("partial_rotary_factor", self.partial_rotary_factor.is_some()),
            ("gamma", self.gamma.is_some()),
            ("scale_base", self.scale_base.is_some()),
            ("centre", self.centre.is_some()),
            ("smallest_step", self.smallest_step.is_some()),
        ];
        given.into_iter().filter_map(|(key, set)| set.then_some(key))
    }

    /// The training length, or the model's length where it is not given.
    fn original(&self, rope_type: &'static str) -> Result<usize, RopeError> {
        self.original_max_position_embeddings
            .or(self.max_position_embeddings)
            .ok_or(RopeError::MissingOriginalLength { rope_type })
    }

    fn yarn(&self) -> Result<Yarn, RopeError> {
        let rope_type = Method::Yarn.name();
        let factor = needed(rope_type, "factor", self.factor)?;
        let plain = Yarn::new(factor, self.original(rope_type)?);
        let nonzero =
            |value: Option<f64>, default: f64| value.filter(|v| *v != 0.0).unwrap_or(default);
        Ok(Yarn {
            beta_fast: nonzero(self.beta_fast, plain.beta_fast),
            beta_slow: nonzero(self.beta_slow, plain.beta_slow),
            truncate: self.truncate.unwrap_or(plain.truncate),
            attention_factor: self.attention_factor,
            mscale: self.mscale,
            mscale_all_dim: self.mscale_all_dim,
            ..plain
        })
    }

    fn llama3(&self) -> Result<Llama3, RopeError> {
        let rope_type = Method::Llama3.name();
        Ok(Llama3 {
            factor: needed(rope_type, "factor", self.factor)?,
            low_freq_factor: needed(rope_type, "low_freq_factor", self.low_freq_factor)?,
            high_freq_factor: needed(rope_type, "high_freq_factor", self.high_freq_factor)?,
            original_max_position_embeddings: self.original(rope_type)?,
        })
    }

    fn longrope(&self) -> Result<LongRope, RopeError> {
        let rope_type = Method::LongRope.name();
        let original = self.original(rope_type)?;
        // A model length cut below the original is common to save memory, and means no stretch.
        let stretch = |length: usize| (length as f64 / original as f64).max(1.0);
        Ok(LongRope {
            short_factor: needed(rope_type, "short_factor", self.short_factor.clone())?,
            long_factor: needed(rope_type, "long_factor", self.long_factor.clone())?,
            original_max_position_embeddings: original,
            factor: self.factor.or(self.max_position_embeddings.map(stretch)),
            attention_factor: self.attention_factor,
        })
    }

    /// Giraffe's rules; truncation or power scaling joins in where its parameters are there.
    fn giraffe(&self, method: Method) -> Result<RopeScaling, RopeError> {
        let factor = self.factor.unwrap_or(1.0);
        let cuts = method != Method::Power
            || self.truncate_length.is_some()
            || [self.a, self.b, self.rho].iter().any(Option::is_some);
        let raises = method != Method::Truncated || self.power.is_some();
        let power = || needed(method.name(), "power", self.power);
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

    /// Explicit thresholds, with the gaps filled from the training length.
    fn thresholds(&self, rope_type: &'static str) -> Result<Thresholds, RopeError> {
        if let (Some(a), Some(b), Some(rho)) = (self.a, self.b, self.rho) {
            return Ok(Thresholds { a, b, rho });
        }
        let length = self
            .truncate_length
            .or(self.max_position_embeddings)
            .ok_or(RopeError::MissingKey { rope_type, key: "truncate_length" })?;
        check_positive(rope_type, "truncate_length", length as f64)?;
        let preset = Thresholds::for_length(length);
        Ok(Thresholds {
            a: self.a.unwrap_or(preset.a),
            b: self.b.unwrap_or(preset.b),
            rho: self.rho.unwrap_or(preset.rho),
        })
    }
}

const ORIGINAL: &str = "original_max_position_embeddings";

/// They belong to the model, not to a method.
const ALWAYS_ACCEPTED: [&str; 2] = ["max_position_embeddings", "partial_rotary_factor"];

fn needed<T>(rope_type: &'static str, key: &'static str, value: Option<T>) -> Result<T, RopeError> {
    value.ok_or(RopeError::MissingKey { rope_type, key })
}

impl RopeScaling {
    /// The rule a method and its parameters make. Defaults are those of transformers 5; parameters
    /// of other methods are passed over (see [`RopeParams::refuse_unused`]).
    ///
    /// `truncate_length` falls back on `max_position_embeddings`.
    ///
    /// # Errors
    /// [`RopeError::MissingKey`] or [`RopeError::MissingOriginalLength`] for what the method needs
    /// and can't be derived. Values are checked later, against the head: [`crate::Rope::new`].
    pub fn from_params(method: Method, params: &RopeParams) -> Result<Self, RopeError> {
        let rope_type = method.name();
        let factor = || needed(rope_type, "factor", params.factor);
        let factor_or_1 = params.factor.unwrap_or(1.0);
        Ok(match method {
            Method::Default => Self::Default,
            Method::Linear => Self::Linear(Linear { factor: factor()? }),
            Method::Ntk => Self::Ntk(Ntk { factor: factor()? }),
            Method::Dynamic => Self::Dynamic(DynamicNtk {
                factor: factor()?,
                original_max_position_embeddings: params.original(rope_type)?,
            }),
            Method::Yarn => Self::Yarn(params.yarn()?),
            Method::Llama3 => Self::Llama3(params.llama3()?),
            Method::LongRope => Self::LongRope(params.longrope()?),
            Method::Proportional => Self::Proportional(Proportional {
                partial_rotary_factor: params.partial_rotary_factor.unwrap_or(1.0),
                factor: factor_or_1,
            }),
            Method::Power | Method::Truncated | Method::PowerTruncated => params.giraffe(method)?,
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
        })
    }

    /// The method and parameters that make this rule again; `None` for a composed one.
    ///
    /// ```
    /// use bestof_positional::{Method, RopeScaling, Yarn};
    /// let yarn = RopeScaling::Yarn(Yarn::new(4.0, 2048));
    /// let (method, params) = yarn.to_params().expect("not composed");
    /// assert_eq!((method, params.factor, params.beta_fast), (Method::Yarn, Some(4.0), Some(32.0)));
    /// assert_eq!(RopeScaling::from_params(method, &params)?, yarn);
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
            Self::Default
            | Self::Linear(_)
            | Self::Ntk(_)
            | Self::Dynamic(_)
            | Self::Truncated(_) => {}
        }
        let method = Method::ALL.into_iter().find(|method| method.name() == self.rope_type())?;
        Some((method, params))
    }

    /// How many times the rule stretches the context, where it says so.
    pub fn factor(&self) -> Option<f64> {
        match self {
            Self::Default | Self::XPos(_) => None,
            Self::Linear(rule) => Some(rule.factor),
            Self::Ntk(rule) => Some(rule.factor),
            Self::Dynamic(rule) => Some(rule.factor),
            Self::Yarn(rule) => Some(rule.factor),
            Self::Llama3(rule) => Some(rule.factor),
            Self::LongRope(rule) => rule.factor,
            Self::Proportional(rule) => Some(rule.factor),
            Self::Power(rule) => Some(rule.factor),
            Self::Truncated(rule) => Some(rule.factor),
            Self::PowerTruncated(rule) => Some(rule.factor),
            Self::Randomized(rule) => Some(rule.factor),
            Self::Composed(rule) => match (rule.first.factor(), rule.then.factor()) {
                (Some(first), Some(then)) => Some(first * then),
                (first, then) => first.or(then),
            },
        }
    }
}
