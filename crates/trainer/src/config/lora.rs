//! `[lora]`: which adapters a run trains.

use bestof_models::{LoraConfig, ModelError, ModuleNames};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::problems::Problems;

/// `[lora]`: low-rank adapters (Hu et al. 2021, arXiv:2106.09685); absent means full fine-tuning.
///
/// The keys mean what those of PEFT's `LoraConfig` do; its `lora_alpha` and `lora_dropout` are `alpha` and
/// `dropout` here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraSection {
    /// Rank. Default 16.
    pub r: usize,
    /// The update is scaled by `alpha / r`, or as `use_rslora` says. Default 32.
    pub alpha: f64,
    /// Dropout on the adapters' input while training, in `[0, 1)`. Default 0.
    pub dropout: f64,
    /// Which linear layers get one: a list of the last parts of their names, or of whole names; or a regular
    /// expression that a whole name matches; or `all-linear`, all of attention's and MLPs' projections. Default:
    /// `all-linear`.
    pub target_modules: ModuleNames,
    /// Which of them get none, named in the same ways.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_modules: Option<ModuleNames>,
    /// Scale by `alpha / sqrt(r)` (rsLoRA, Kalajdzievski 2023, arXiv:2312.03732). Default false.
    pub use_rslora: bool,
    /// Train the norms of the weights' rows apart (`DoRA`, Liu et al. 2024, arXiv:2402.09353). Default false.
    pub use_dora: bool,
    /// Train a bias in each adapter, which can be merged into layers with a bias only. Default false.
    pub lora_bias: bool,
    /// The only layers that get adapters, by number from 0. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers_to_transform: Option<Vec<usize>>,
    /// What stands before a layer's number in names. Default: anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers_pattern: Vec<String>,
    /// Modules that are trained whole and stored with the adapters, by the ends of their names, as `lm_head`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modules_to_save: Vec<String>,
    /// Ranks of layers whose names end in a match of a regular expression; the first that matches holds.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub rank_pattern: IndexMap<String, usize>,
    /// The same for `alpha`.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub alpha_pattern: IndexMap<String, f64>,
}

impl Default for LoraSection {
    fn default() -> Self {
        Self {
            r: 16,
            alpha: 32.0,
            dropout: 0.0,
            target_modules: "all-linear".into(),
            exclude_modules: None,
            use_rslora: false,
            use_dora: false,
            lora_bias: false,
            layers_to_transform: None,
            layers_pattern: Vec::new(),
            modules_to_save: Vec::new(),
            rank_pattern: IndexMap::new(),
            alpha_pattern: IndexMap::new(),
        }
    }
}

/// The keys that a setting of adapters can be refused under.
const KEYS: [&str; 9] = [
    "lora.r",
    "lora.alpha",
    "lora.dropout",
    "lora.target_modules",
    "lora.lora_bias",
    "lora.layers_to_transform",
    "lora.layers_pattern",
    "lora.rank_pattern",
    "lora.alpha_pattern",
];

impl LoraSection {
    /// The adapters, whose first factors are drawn with `seed`.
    pub fn adapters(&self, seed: u64) -> LoraConfig {
        let ranks = self.rank_pattern.iter().map(|(key, r)| (key.clone(), *r));
        let alphas = self.alpha_pattern.iter().map(|(key, alpha)| (key.clone(), *alpha));
        LoraConfig::default()
            .with_r(self.r)
            .with_alpha(self.alpha)
            .with_dropout(self.dropout)
            .with_targets(self.target_modules.clone())
            .with_exclude(self.exclude_modules.clone())
            .with_rslora(self.use_rslora)
            .with_dora(self.use_dora)
            .with_bias(self.lora_bias)
            .with_layers_to_transform(self.layers_to_transform.clone())
            .with_layers_pattern(self.layers_pattern.clone())
            .with_modules_to_save(self.modules_to_save.clone())
            .with_rank_pattern(ranks.collect())
            .with_alpha_pattern(alphas.collect())
            .with_seed(seed)
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        match self.adapters(0).validate() {
            Ok(()) => {}
            Err(ModelError::InvalidLora { setting, found, expected }) => {
                let (name, entry) = setting.split_once('.').unwrap_or((&setting, ""));
                let key = KEYS.into_iter().find(|key| key.strip_prefix("lora.") == Some(name));
                let found = if entry.is_empty() { found } else { format!("{entry} = {found}") };
                problems.need(false, key.unwrap_or("lora"), found, expected);
            }
            Err(error) => problems.need(false, "lora", error, "names and regular expressions"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::RunConfig;
    use super::*;

    fn read(lora: &str) -> Result<LoraSection, String> {
        let text =
            format!("[model]\npath='m'\n[data]\ntrain='t'\n[output]\ndir='o'\n[lora]\n{lora}");
        let config = RunConfig::from_toml(&text, &[]).map_err(|error| error.to_string())?;
        let again = RunConfig::from_toml(&config.to_toml(), &[]).unwrap();
        assert_eq!(again, config, "the resolved text reads back equal");
        Ok(again.lora.unwrap())
    }

    #[test]
    fn every_key_reaches_the_adapters() {
        let section = read(
            "r = 4\nalpha = 8.0\ndropout = 0.1\ntarget_modules = ['q_proj', 'v_proj']\n\
             exclude_modules = '.*layers\\.0\\..*'\nuse_rslora = true\nlora_bias = true\n\
             layers_to_transform = [1, 2]\nlayers_pattern = ['layers']\nmodules_to_save = ['lm_head']\n\
             [lora.rank_pattern]\nv_proj = 8\n'1.self_attn.*' = 2\n[lora.alpha_pattern]\nq_proj = 3.0\n",
        )
        .unwrap();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let adapters = section.adapters(5);
        let expected = LoraConfig::default()
            .with_r(4)
            .with_alpha(8.0)
            .with_dropout(0.1)
            .with_targets(names(&["q_proj", "v_proj"]))
            .with_exclude(Some(r".*layers\.0\..*".into()))
            .with_rslora(true)
            .with_bias(true)
            .with_layers_to_transform(Some(vec![1, 2]))
            .with_layers_pattern(names(&["layers"]))
            .with_modules_to_save(names(&["lm_head"]))
            .with_rank_pattern(vec![("v_proj".to_owned(), 8), ("1.self_attn.*".to_owned(), 2)])
            .with_alpha_pattern(vec![("q_proj".to_owned(), 3.0)])
            .with_seed(5);
        assert_eq!(adapters, expected);
        assert!(read("use_dora = true").unwrap().adapters(0).dora);
        let pattern = read("target_modules = '.*mlp.*'").unwrap().target_modules;
        assert_eq!(pattern, ".*mlp.*".into());
    }

    #[test]
    fn what_cannot_be_is_refused_under_its_key() {
        for (lora, key) in [
            ("alpha = 0.0", "`lora.alpha`"),
            ("rank_pattern = { v_proj = 0 }", "`lora.rank_pattern` is v_proj = 0"),
            ("alpha_pattern = { v_proj = inf }", "`lora.alpha_pattern` is v_proj = inf"),
            ("use_dora = true\nlora_bias = true", "`lora.lora_bias`"),
            (
                "target_modules = '.*q_proj'\nlayers_to_transform = [1]",
                "`lora.layers_to_transform`",
            ),
            ("layers_pattern = ['layers']", "`lora.layers_pattern`"),
            ("target_modules = 'q_proj('", "q_proj("),
            ("target_modules = 3", "a list of names of modules"),
            ("use_dorra = true", "`lora.use_dora`"),
            ("bias = 'all'", "`lora.bias`"),
        ] {
            let error = read(lora).unwrap_err();
            assert!(error.contains(key), "{lora}: {error}");
        }
    }
}
