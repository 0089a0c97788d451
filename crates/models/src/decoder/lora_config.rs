//! Settings of low-rank adapters.

use crate::error::ModelError;

/// Which linear layers get an adapter, and of what kind.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LoraConfig {
    /// The adapter's rank.
    pub r: usize,
    /// The adapter's output is multiplied by `alpha / r`.
    pub alpha: f64,
    /// The share of inputs an adapter does not see in training.
    pub dropout: f64,
    /// Ends of module names, such as `q_proj`, or `all-linear`.
    pub targets: Vec<String>,
    /// Seed of the first factors.
    pub seed: u64,
}

impl Default for LoraConfig {
    /// Rank 16, alpha 32, no dropout, all linear layers.
    fn default() -> Self {
        let targets = vec![ALL_LINEAR.to_owned()];
        Self { r: 16, alpha: 32.0, dropout: 0.0, targets, seed: 0 }
    }
}

/// Every linear layer but the vocabulary projection.
const ALL_LINEAR: &str = "all-linear";

/// The linear layers of a decoder layer, in its order.
pub(super) const PROJECTIONS: [&str; 7] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];

impl LoraConfig {
    /// Sets the rank, [`r`](Self::r).
    #[must_use]
    pub fn with_r(mut self, r: usize) -> Self {
        self.r = r;
        self
    }

    /// Sets [`alpha`](Self::alpha).
    #[must_use]
    pub fn with_alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets [`dropout`](Self::dropout).
    #[must_use]
    pub fn with_dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
        self
    }

    /// Sets [`targets`](Self::targets).
    #[must_use]
    pub fn with_targets(mut self, targets: Vec<String>) -> Self {
        self.targets = targets;
        self
    }

    /// Sets [`seed`](Self::seed).
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(super) fn validate(&self) -> Result<(), ModelError> {
        let refuse =
            |setting, found, expected| Err(ModelError::InvalidLora { setting, found, expected });
        if self.r == 0 {
            return refuse("r", 0.0, "at least 1");
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            return refuse("alpha", self.alpha, "a number above 0");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse("dropout", self.dropout, "at least 0, below 1");
        }
        let known = || PROJECTIONS.iter().map(|p| short(p).to_owned()).collect();
        match self.targets.iter().find(|t| !PROJECTIONS.iter().any(|path| fits(t, path))) {
            Some(target) => {
                Err(ModelError::UnknownTarget { target: target.clone(), known: known() })
            }
            None => Ok(()),
        }
    }

    /// The last part of the name of each kind of layer that gets an adapter.
    pub(super) fn target_names(&self) -> Vec<&'static str> {
        PROJECTIONS.iter().filter(|path| self.targets(path)).map(|path| short(path)).collect()
    }

    pub(super) fn targets(&self, path: &str) -> bool {
        self.targets.iter().any(|target| fits(target, path))
    }
}

/// Whether a target means the linear layer at a path, as PEFT sees it: a whole end of the path.
fn fits(target: &str, path: &str) -> bool {
    target == ALL_LINEAR
        || path.strip_suffix(target).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn short(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_whole_ends_of_names() {
        assert!(fits("q_proj", "self_attn.q_proj"));
        assert!(fits("self_attn.q_proj", "self_attn.q_proj"));
        assert!(fits("all-linear", "mlp.up_proj"));
        assert!(!fits("proj", "self_attn.q_proj"));
        assert!(!fits("q_proj", "mlp.up_proj"));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let check = |config: LoraConfig| config.validate().unwrap_err().to_string();
        assert!(check(LoraConfig::default().with_r(0)).contains("`r`"));
        assert!(check(LoraConfig::default().with_dropout(1.0)).contains("`dropout`"));
        let targets = vec!["query".to_owned()];
        let message = check(LoraConfig::default().with_targets(targets));
        assert!(message.contains("`query`") && message.contains("q_proj"), "{message}");
    }
}
