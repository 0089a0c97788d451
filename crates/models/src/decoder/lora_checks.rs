//! Which settings of adapters are in range, and which can be had together.

use super::lora_config::{ALL_LINEAR, LoraConfig, ModuleNames};
use super::lora_modules::LoraModules;
use crate::error::ModelError;

/// The largest rank; no linear layer that is known has more inputs.
const MOST_RANKS: usize = 65_536;

impl LoraConfig {
    /// Whether the settings are in range and can be had together.
    ///
    /// # Errors
    /// [`ModelError::InvalidLora`] with the setting, or [`ModelError::LoraPattern`] for what is no
    /// regular expression.
    pub fn validate(&self) -> Result<(), ModelError> {
        let refuse = |setting: &str, found: String, expected: &'static str| {
            Err(ModelError::InvalidLora { setting: setting.to_owned(), found, expected })
        };
        let ranks = self.rank_pattern.iter().map(|(key, r)| (format!("rank_pattern.{key}"), *r));
        for (setting, r) in [("r".to_owned(), self.r)].into_iter().chain(ranks) {
            if !(1..=MOST_RANKS).contains(&r) {
                return refuse(&setting, r.to_string(), "at least 1, at most 65536");
            }
        }
        let alphas = self.alpha_pattern.iter().map(|(key, a)| (format!("alpha_pattern.{key}"), *a));
        for (setting, alpha) in [("alpha".to_owned(), self.alpha)].into_iter().chain(alphas) {
            if !(alpha.is_finite() && alpha > 0.0) {
                return refuse(&setting, alpha.to_string(), "a number above 0");
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse("dropout", self.dropout.to_string(), "at least 0, below 1");
        }
        if matches!(&self.targets, ModuleNames::Ends(ends) if ends.is_empty()) {
            return refuse("target_modules", "empty".to_owned(), "names of linear layers");
        }
        if self.dora && self.bias {
            return refuse("lora_bias", "true".to_owned(), "false with DoRA, as in PEFT");
        }
        let by_pattern = matches!(&self.targets, ModuleNames::Pattern(p) if p != ALL_LINEAR);
        if by_pattern && self.layers_to_transform.is_some() {
            return refuse(
                "layers_to_transform",
                format!("{:?}", self.layers_to_transform.as_deref().unwrap_or_default()),
                "nothing with targets by a regular expression; put the layers into the expression",
            );
        }
        if !self.layers_pattern.is_empty() && self.layers_to_transform.is_none() {
            return refuse(
                "layers_pattern",
                format!("{:?}", self.layers_pattern),
                "nothing without layers_to_transform",
            );
        }
        LoraModules::new(self).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused() {
        let check = |config: LoraConfig| config.validate().unwrap_err().to_string();
        let lora = LoraConfig::default;
        assert!(check(lora().with_r(0)).contains("`r`"));
        assert!(check(lora().with_dropout(1.0)).contains("`dropout`"));
        assert!(check(lora().with_alpha(f64::NAN)).contains("`alpha`"));
        let ranks = vec![("v_proj".to_owned(), 0)];
        assert!(check(lora().with_rank_pattern(ranks)).contains("`rank_pattern.v_proj`"));
        let alphas = vec![("v_proj".to_owned(), -1.0)];
        assert!(check(lora().with_alpha_pattern(alphas)).contains("`alpha_pattern.v_proj`"));
        assert!(check(lora().with_dora(true).with_bias(true)).contains("lora_bias"));
        assert!(check(lora().with_targets("q_proj(")).contains("q_proj("));
        let layers = lora().with_targets(".*q_proj").with_layers_to_transform(Some(vec![1]));
        assert!(check(layers).contains("layers_to_transform"));
        assert!(check(lora().with_targets(Vec::new())).contains("target_modules"));
        let pattern = lora().with_layers_pattern(vec!["layers".to_owned()]);
        assert!(check(pattern).contains("layers_pattern"));
    }
}
