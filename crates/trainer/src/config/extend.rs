//! `[extend]`: which basis, how far, and how long texts are cut for training on it.

use bestof_positional::hf::{Extension, NoRope};
use bestof_positional::{Method, OnScaled, RopeError, RopeParams};
use serde::{Deserialize, Serialize};

use super::problems::Problems;

/// `[extend]`: the new basis and the training on it.
///
/// ```
/// use bestof_positional::RopeParams;
/// use bestof_trainer::config::ExtendSection;
///
/// let params = RopeParams { factor: Some(4.0), ..RopeParams::default() };
/// let section = ExtendSection { params, ..ExtendSection::new("linear") };
/// assert_eq!(section.extension()?.params.factor, Some(4.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtendSection {
    /// `linear`, `ntk`, `dynamic`, `yarn`, `llama3`, `longrope`, `power`, `truncated`, `power_truncated`,
    /// `randomized`, which is `linear` (or plain RoPE) with `random_positions`, `default`, which leaves a model
    /// without scaling as it is, or one without positions: `drope`, which trains at the length before, or
    /// `nope`. Required.
    pub method: String,
    /// The parameters of the method, as keys of the section. `smallest_step` belongs to drawn
    /// positions, whatever the method.
    #[serde(flatten)]
    pub params: RopeParams,
    /// The longest sequence to be reached, in tokens. Default: the model's length times the factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// Tokens of a training window. Default: `length`, and for `drope` the length before, which is the
    /// longest there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_length: Option<usize>,
    /// Tokens between the starts of successive windows of a document. Default: half of `train_length`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// What becomes of a scaling that the model has already: `refuse`, `compose` or `replace`. Default `refuse`.
    #[serde(default)]
    pub on_scaled: OnScaled,
    /// Draw positions at random in training. Default false.
    #[serde(default)]
    pub random_positions: bool,
    /// Layers that go without RoPE: one entry per layer, 1 for a layer that rotates, 0 for one that does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_rope_layers: Option<Vec<u8>>,
    /// The same at an interval: 4 stands for layers 3, 7, 11 and so on, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_rope_layer_interval: Option<usize>,
}

impl ExtendSection {
    /// The keys of the section that are no parameters of a method.
    pub(super) const KEYS: [&str; 8] = [
        "method",
        "length",
        "train_length",
        "stride",
        "on_scaled",
        "random_positions",
        "no_rope_layers",
        "no_rope_layer_interval",
    ];

    /// A method without parameters.
    pub fn new(method: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            params: RopeParams::default(),
            length: None,
            train_length: None,
            stride: None,
            on_scaled: OnScaled::default(),
            random_positions: false,
            no_rope_layers: None,
            no_rope_layer_interval: None,
        }
    }

    /// The change of basis. `randomized` stands for the basis that the model is used with after
    /// training on drawn positions: `linear`, or plain RoPE without a factor.
    ///
    /// # Errors
    /// [`RopeError::UnknownRopeType`] with the known names.
    pub fn extension(&self) -> Result<Extension, RopeError> {
        let method = match self.method.parse()? {
            Method::Randomized if self.params.factor.is_some() => Method::Linear,
            Method::Randomized => Method::Default,
            method => method,
        };
        let params = RopeParams { smallest_step: None, ..self.params.clone() };
        Ok(Extension {
            length: self.length,
            on_scaled: self.on_scaled,
            no_rope: NoRope {
                no_rope_layers: self.no_rope_layers.clone(),
                no_rope_layer_interval: self.no_rope_layer_interval,
            },
            ..Extension::new(method, params)
        })
    }

    /// Whether training draws its positions.
    pub fn draws_positions(&self) -> bool {
        self.random_positions || self.method.parse() == Ok(Method::Randomized)
    }

    /// Smallest step between drawn positions, in `[0, 2)`; 0 where the section has none.
    pub fn smallest_step(&self) -> f64 {
        self.params.smallest_step.unwrap_or(0.0)
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let known =
            "a known method, such as linear, ntk, yarn, power, truncated, randomized or drope";
        let method = self.method.parse();
        problems.need(method.is_ok(), "extend.method", &self.method, known);
        problems.need(
            !(self.random_positions && matches!(method, Ok(Method::NoPe | Method::DroPe))),
            "extend.random_positions",
            self.random_positions,
            "false: without RoPE no position counts",
        );
        problems.need(
            self.no_rope_layers.is_none() || self.no_rope_layer_interval.is_none(),
            "extend.no_rope_layer_interval",
            self.no_rope_layer_interval.unwrap_or(0),
            "not given beside `extend.no_rope_layers`, which says it already",
        );
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
                "at most the length of a window: text between windows is not trained on",
            );
        }
        problems.need(
            (0.0..2.0).contains(&self.smallest_step()),
            "extend.smallest_step",
            self.smallest_step(),
            "a number in [0, 2)",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_that_are_written() {
        let section = ExtendSection {
            length: Some(8),
            train_length: Some(4),
            stride: Some(2),
            no_rope_layers: Some(vec![1, 0]),
            no_rope_layer_interval: Some(2),
            ..ExtendSection::new("linear")
        };
        let table = toml::Table::try_from(&section).unwrap();
        let mut keys = ExtendSection::KEYS;
        keys.sort_unstable();
        let mut written: Vec<&str> = table.keys().map(String::as_str).collect();
        written.sort_unstable();
        assert_eq!(written, keys);
    }

    #[test]
    fn parameters_are_keys_of_the_section_and_a_wrong_one_is_named() {
        let text = "method = \"yarn\"\nfactor = 4\nbeta_fast = 24.0\ntrain_length = 16\n";
        let section: ExtendSection = toml::from_str(text).unwrap();
        assert_eq!((section.params.factor, section.params.beta_fast), (Some(4.0), Some(24.0)));
        let again: ExtendSection = toml::from_str(&toml::to_string(&section).unwrap()).unwrap();
        assert_eq!(again, section);
        let error = toml::from_str::<ExtendSection>("method = \"yarn\"\nbeta_fast = \"fast\"\n");
        let error = error.unwrap_err().to_string();
        for part in ["`beta_fast`", "\"fast\"", "expected f64"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
