//! Settings of low-rank adapters.

use serde::{Deserialize, Serialize};

/// Modules of a decoder, as PEFT's `target_modules` and `exclude_modules` name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a regular expression, or a list of names of modules")]
pub enum ModuleNames {
    /// A regular expression that the whole name of a module matches, `model.layers.0.mlp.up_proj`
    /// without `.weight`; or `all-linear`, every linear layer but the vocabulary projection.
    Pattern(String),
    /// Whole names, or ends of names after a dot: `q_proj`, `mlp.up_proj`. `all-linear` may be one
    /// of them.
    Ends(Vec<String>),
}

impl ModuleNames {
    /// Whether they are every linear layer but the vocabulary projection, by that name.
    pub(super) fn are_all_linear(&self) -> bool {
        match self {
            Self::Pattern(pattern) => pattern == ALL_LINEAR,
            Self::Ends(ends) => ends.iter().any(|end| end == ALL_LINEAR),
        }
    }
}

impl From<&str> for ModuleNames {
    fn from(pattern: &str) -> Self {
        Self::Pattern(pattern.to_owned())
    }
}

impl From<Vec<String>> for ModuleNames {
    fn from(ends: Vec<String>) -> Self {
        Self::Ends(ends)
    }
}

/// Which linear layers get an adapter, and of what kind; what else is trained with them.
///
/// The fields mean what PEFT's `LoraConfig` means by them.
///
/// ```
/// use bestof_models::LoraConfig;
///
/// let config = LoraConfig::default()
///     .with_targets(r".*self_attn\.(q|v)_proj")
///     .with_rank_pattern(vec![("v_proj".to_owned(), 8)])
///     .with_rslora(true);
/// assert!(config.to_peft("base").contains(r#""use_rslora": true"#));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LoraConfig {
    /// The adapter's rank.
    pub r: usize,
    /// The adapter's output is multiplied by `alpha / r`, unless `rslora`.
    pub alpha: f64,
    /// The share of inputs an adapter does not see in training.
    pub dropout: f64,
    /// The linear layers that get an adapter.
    pub targets: ModuleNames,
    /// Those of them that get none.
    pub exclude: Option<ModuleNames>,
    /// Ranks of modules whose names end in a match of a regular expression; the first that matches
    /// holds.
    pub rank_pattern: Vec<(String, usize)>,
    /// The same for `alpha`.
    pub alpha_pattern: Vec<(String, f64)>,
    /// Whether the output is multiplied by `alpha / sqrt(r)`: rsLoRA, Kalajdzievski 2023,
    /// arXiv:2312.03732.
    pub rslora: bool,
    /// Whether the norms of the weight's rows are trained apart: `DoRA`, Liu et al. 2024,
    /// arXiv:2402.09353.
    pub dora: bool,
    /// Whether the second factor has a bias. Not together with `dora`.
    pub bias: bool,
    /// The only layers that get adapters, by number; `None` is all. For targets that are ends of
    /// names.
    pub layers_to_transform: Option<Vec<usize>>,
    /// What stands before a layer's number, as a regular expression; empty is anything.
    pub layers_pattern: Vec<String>,
    /// Ends of the names of modules that are trained whole, and stored whole with the adapters.
    pub modules_to_save: Vec<String>,
    /// Seed of the first factors.
    pub seed: u64,
}

impl Default for LoraConfig {
    /// Rank 16, alpha 32, no dropout, all linear layers.
    fn default() -> Self {
        Self {
            r: 16,
            alpha: 32.0,
            dropout: 0.0,
            targets: ALL_LINEAR.into(),
            exclude: None,
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
            rslora: false,
            dora: false,
            bias: false,
            layers_to_transform: None,
            layers_pattern: Vec::new(),
            modules_to_save: Vec::new(),
            seed: 0,
        }
    }
}

/// Every linear layer but the vocabulary projection.
pub(super) const ALL_LINEAR: &str = "all-linear";

/// The linear layers that decoder layers have, by their numbers.
pub(super) const PROJECTIONS: [&str; 9] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
    "self_attn.qkv_proj",
    "mlp.gate_up_proj",
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
    pub fn with_targets(mut self, targets: impl Into<ModuleNames>) -> Self {
        self.targets = targets.into();
        self
    }

    /// Sets [`exclude`](Self::exclude).
    #[must_use]
    pub fn with_exclude(mut self, exclude: Option<ModuleNames>) -> Self {
        self.exclude = exclude;
        self
    }

    /// Sets [`rank_pattern`](Self::rank_pattern).
    #[must_use]
    pub fn with_rank_pattern(mut self, pattern: Vec<(String, usize)>) -> Self {
        self.rank_pattern = pattern;
        self
    }

    /// Sets [`alpha_pattern`](Self::alpha_pattern).
    #[must_use]
    pub fn with_alpha_pattern(mut self, pattern: Vec<(String, f64)>) -> Self {
        self.alpha_pattern = pattern;
        self
    }

    /// Sets [`rslora`](Self::rslora).
    #[must_use]
    pub fn with_rslora(mut self, rslora: bool) -> Self {
        self.rslora = rslora;
        self
    }

    /// Sets [`dora`](Self::dora).
    #[must_use]
    pub fn with_dora(mut self, dora: bool) -> Self {
        self.dora = dora;
        self
    }

    /// Sets [`bias`](Self::bias).
    #[must_use]
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Sets [`layers_to_transform`](Self::layers_to_transform).
    #[must_use]
    pub fn with_layers_to_transform(mut self, layers: Option<Vec<usize>>) -> Self {
        self.layers_to_transform = layers;
        self
    }

    /// Sets [`layers_pattern`](Self::layers_pattern).
    #[must_use]
    pub fn with_layers_pattern(mut self, pattern: Vec<String>) -> Self {
        self.layers_pattern = pattern;
        self
    }

    /// Sets [`modules_to_save`](Self::modules_to_save).
    #[must_use]
    pub fn with_modules_to_save(mut self, modules: Vec<String>) -> Self {
        self.modules_to_save = modules;
        self
    }

    /// Sets [`seed`](Self::seed).
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What the adapter's output is multiplied by at a rank and an alpha.
    pub(super) fn scale(&self, r: usize, alpha: f64) -> f64 {
        let r = r as f64;
        alpha / if self.rslora { r.sqrt() } else { r }
    }
}
