//! `[extend]`: which basis, how far, and how long texts are cut for training on it.

use bestof_models::rope::{Extension, Method, OnScaled, RopeError, RopeParams};
use serde::{Deserialize, Serialize};

use super::validate::Problems;

/// What becomes of a scaling that the model has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnScaledChoice {
    /// The run stops with an error.
    #[default]
    Refuse,
    /// The present scaling is kept and scaled once more.
    Compose,
    /// The present scaling is dropped.
    Replace,
}

impl From<OnScaledChoice> for OnScaled {
    fn from(choice: OnScaledChoice) -> Self {
        match choice {
            OnScaledChoice::Refuse => Self::Refuse,
            OnScaledChoice::Compose => Self::Compose,
            OnScaledChoice::Replace => Self::Replace,
        }
    }
}

/// `[extend]`: the new basis and the training on it.
///
/// ```
/// use bestof_trainer::config::ExtendSection;
///
/// let section = ExtendSection { factor: Some(4.0), ..ExtendSection::new("linear") };
/// assert_eq!(section.extension()?.params.factor, Some(4.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtendSection {
    /// `linear`, `ntk`, `dynamic`, `yarn`, `llama3`, `longrope`, `power`, `truncated`, `power_truncated`, or
    /// `randomized`, which is `linear` (or plain RoPE) with `random_positions`. Required.
    pub method: String,
    /// How many times longer the context gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// The longest sequence to be reached. Default: the model's length times the factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// Tokens of a training window. Default: `length`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_length: Option<usize>,
    /// Tokens by which windows of one document move. Default: half of `train_length`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// What becomes of a scaling that the model has already: `refuse`, `compose` or `replace`. Default `refuse`.
    #[serde(default)]
    pub on_scaled: OnScaledChoice,
    /// Draw positions at random in training. Default false.
    #[serde(default)]
    pub random_positions: bool,
    /// Smallest step between drawn positions, in `[0, 2)`. Default 0.
    #[serde(default)]
    pub smallest_step: f64,
    /// Exponent of power scaling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<f64>,
    /// Truncation: the length of pre-training, from which the thresholds follow. Default: the model's length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncate_length: Option<usize>,
    /// Truncation: frequencies at or below it stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a: Option<f64>,
    /// Truncation: frequencies at or above it are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b: Option<f64>,
    /// Truncation: the frequency of those between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rho: Option<f64>,
    /// The length before the extension. Default: the model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_max_position_embeddings: Option<usize>,
    /// llama3: turns below which a pair is divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_freq_factor: Option<f64>,
    /// llama3: turns above which a pair is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_freq_factor: Option<f64>,
    /// yarn: turns from which on a pair is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_fast: Option<f64>,
    /// yarn: turns below which a pair is interpolated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_slow: Option<f64>,
    /// yarn: whether the ramp's ends are rounded to whole pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncate: Option<bool>,
    /// yarn: weight of the factor's logarithm above the fraction bar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mscale: Option<f64>,
    /// yarn: the same below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mscale_all_dim: Option<f64>,
    /// yarn, longrope: what cosine and sine are multiplied by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention_factor: Option<f64>,
    /// longrope: divisors up to the original length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_factor: Option<Vec<f64>>,
    /// longrope: divisors beyond it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_factor: Option<Vec<f64>>,
}

impl ExtendSection {
    /// A method without parameters.
    pub fn new(method: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            factor: None,
            length: None,
            train_length: None,
            stride: None,
            on_scaled: OnScaledChoice::default(),
            random_positions: false,
            smallest_step: 0.0,
            power: None,
            truncate_length: None,
            a: None,
            b: None,
            rho: None,
            original_max_position_embeddings: None,
            low_freq_factor: None,
            high_freq_factor: None,
            beta_fast: None,
            beta_slow: None,
            truncate: None,
            mscale: None,
            mscale_all_dim: None,
            attention_factor: None,
            short_factor: None,
            long_factor: None,
        }
    }

    /// The change of basis, as a model without training gets it.
    ///
    /// # Errors
    /// [`RopeError::UnknownRopeType`] with the known names.
    pub fn extension(&self) -> Result<Extension, RopeError> {
        let params = RopeParams {
            factor: self.factor,
            power: self.power,
            truncate_length: self.truncate_length,
            a: self.a,
            b: self.b,
            rho: self.rho,
            original_max_position_embeddings: self.original_max_position_embeddings,
            low_freq_factor: self.low_freq_factor,
            high_freq_factor: self.high_freq_factor,
            beta_fast: self.beta_fast,
            beta_slow: self.beta_slow,
            truncate: self.truncate,
            mscale: self.mscale,
            mscale_all_dim: self.mscale_all_dim,
            attention_factor: self.attention_factor,
            short_factor: self.short_factor.clone(),
            long_factor: self.long_factor.clone(),
            ..RopeParams::default()
        };
        let method = self.method.parse()?;
        Ok(Extension { method, params, length: self.length, on_scaled: self.on_scaled.into() })
    }

    /// The same for a run: `randomized` stands for the basis that the model is used with after
    /// training on drawn positions, and for these; see [`ExtendSection::draws_positions`].
    ///
    /// # Errors
    /// As [`ExtendSection::extension`].
    pub fn extension_in_training(&self) -> Result<Extension, RopeError> {
        let mut extension = self.extension()?;
        if extension.method == Method::Randomized {
            extension.method = if self.factor.is_some() { Method::Linear } else { Method::Default };
        }
        Ok(extension)
    }

    /// Whether training draws its positions.
    pub fn draws_positions(&self) -> bool {
        self.random_positions || self.method.parse() == Ok(Method::Randomized)
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let known = "a known method, as linear, ntk, yarn, power, truncated or randomized";
        problems.need(self.method.parse::<Method>().is_ok(), "extend.method", &self.method, known);
        for (key, length) in
            [("extend.length", self.length), ("extend.train_length", self.train_length)]
        {
            if let Some(length) = length {
                problems.need(length >= 2, key, length, "at least 2 tokens");
            }
        }
        if let Some(stride) = self.stride {
            problems.positive("extend.stride", stride);
            let longest = self.train_length.or(self.length).unwrap_or(usize::MAX);
            problems.need(
                stride <= longest,
                "extend.stride",
                stride,
                "at most the length of a window: what lies between windows is not trained on",
            );
        }
        problems.need(
            (0.0..2.0).contains(&self.smallest_step),
            "extend.smallest_step",
            self.smallest_step,
            "a number in [0, 2)",
        );
    }
}
