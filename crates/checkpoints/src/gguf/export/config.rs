//! The settings of `config.json` as GGUF metadata.

use std::path::PathBuf;

use bestof_positional::hf::{HfDefaults, text_config};
use serde_json::Value;

use super::super::architecture::{Family, Size, Sizes};
use super::super::entries::Entries;
use super::super::error::GgufError;
use super::refuse::{bad_folder, bad_setting, inexpressible};
use super::rope::ExportRope;
use super::text_half::TextHalf;
use crate::error::CheckpointError;
use crate::folder::ModelFolder;
use crate::json::Fields;

/// llama.cpp takes models of these depths for the 27B ones, whose queries are scaled otherwise.
const GEMMA2_27B_LAYERS: usize = 46;
const GEMMA3_27B_LAYERS: usize = 62;
/// Every how many layers llama.cpp gives one full attention, where a file does not say.
const GEMMA2_PATTERN: usize = 2;
const GEMMA3_PATTERN: usize = 6;

/// `config.json` of a family, with the sizes that its weights have.
pub(super) struct ModelConfig<'a> {
    folder: &'a ModelFolder,
    /// `config.json`, or its `text_config`.
    config: &'a Value,
    path: PathBuf,
    pub(super) family: Family,
    pub(super) architecture: &'static str,
    pub(super) sizes: Sizes,
    pub(super) tied: bool,
}

impl<'a> ModelConfig<'a> {
    pub(super) fn read(
        folder: &'a ModelFolder,
        tensors: &TextHalf<'_>,
    ) -> Result<Self, CheckpointError> {
        let model_type = folder.model_type().unwrap_or_default();
        let (family, architecture) = match model_type {
            "llama" => (Family::Llama, "llama"),
            "mistral" => (Family::Mistral, "llama"),
            "qwen2" => (Family::Qwen2, "qwen2"),
            "qwen3" => (Family::Qwen3, "qwen3"),
            "smollm3" => (Family::SmolLm3, "smollm3"),
            "phi3" => (Family::Phi3, "phi3"),
            "gemma2" => (Family::Gemma2, "gemma2"),
            "gemma3" | "gemma3_text" => (Family::Gemma3, "gemma3"),
            _ => {
                let reason = "written are llama, mistral, qwen2, qwen3, smollm3, phi3, gemma2, gemma3 and \
                              gemma3_text";
                return Err(bad_folder(folder, inexpressible("model_type", model_type, reason)));
            }
        };
        let path = folder.files().join("config.json");
        let text = text_config(&folder.config);
        let fields = Fields { path: &path, value: text };
        let defaults = nested_defaults(folder);
        let count = |name: &str| -> Result<usize, CheckpointError> {
            let found = fields.count(name)?.filter(|count| *count > 0);
            found.ok_or_else(|| bad_folder(folder, bad_setting(name, &text[name], "at least 1")))
        };
        let heads = match fields.count("num_attention_heads")?.or(defaults.num_attention_heads) {
            Some(heads) if heads > 0 => heads,
            _ => count("num_attention_heads")?,
        };
        let rows = |tensor: &str| match tensors.get(tensor).map(|info| info.shape.as_slice()) {
            Some(&[rows, _]) => Ok(rows),
            _ => Err(bad_folder(folder, GgufError::MissingTensor { tensor: tensor.to_owned() })),
        };
        // The weights, not the fields with their many defaults, say how large a head is.
        let given = fields.count("num_key_value_heads")?;
        let (queries, keys, key_value_heads) = if family == Family::Phi3 {
            let key_value_heads = given.unwrap_or(heads);
            let all = heads + 2 * key_value_heads;
            let head_dim = rows("model.layers.0.self_attn.qkv_proj.weight")? / all;
            (heads * head_dim, key_value_heads * head_dim, key_value_heads)
        } else {
            let queries = rows("model.layers.0.self_attn.q_proj.weight")?;
            let keys = rows("model.layers.0.self_attn.k_proj.weight")?;
            // Gemma's files may leave the number to a default that is not that of the query heads.
            let fitting = keys.checked_div(queries / heads).unwrap_or(heads);
            (queries, keys, given.unwrap_or(fitting))
        };
        let head_dim = queries / heads;
        let sizes = Sizes {
            vocabulary: rows("model.embed_tokens.weight")?,
            hidden: count("hidden_size")?,
            feed_forward: count("intermediate_size")?,
            layers: count("num_hidden_layers")?,
            heads,
            key_value_heads,
            head_dim,
        };
        let fits = sizes.of(Size::Queries) == queries && sizes.of(Size::Keys) == keys;
        if !fits || head_dim == 0 || !head_dim.is_multiple_of(2) {
            let found = format!("{queries} and {keys} rows of q_proj and k_proj");
            let reason = format!(
                "{heads} heads and {} key-value heads of one even size have to divide them",
                sizes.key_value_heads
            );
            return Err(bad_folder(folder, inexpressible("the attention", found, reason)));
        }
        let tied_by_default = family.is_gemma() || family == Family::SmolLm3;
        let tied = fields.flag("tie_word_embeddings")?.unwrap_or(tied_by_default);
        let config = Self { folder, config: text, path, family, architecture, sizes, tied };
        config.check()?;
        Ok(config)
    }

    pub(super) fn rope(&self) -> Result<ExportRope, CheckpointError> {
        ExportRope::read(&self.folder.config, self.family, self.sizes.layers)
            .map_err(|source| bad_folder(self.folder, source))
    }

    pub(super) fn model_type(&self) -> &str {
        self.folder.model_type().unwrap_or_default()
    }

    fn fields(&self) -> Fields<'_> {
        Fields { path: &self.path, value: self.config }
    }

    fn context(&self) -> Result<usize, CheckpointError> {
        let field = "max_position_embeddings";
        let default = nested_defaults(self.folder).max_position_embeddings;
        let found = self.fields().count(field)?.or(default).filter(|count| *count > 0);
        let value = &self.config[field];
        found.ok_or_else(|| bad_folder(self.folder, bad_setting(field, value, "at least 1")))
    }

    fn refuse(&self, field: &str, reason: impl Into<String>) -> CheckpointError {
        let found = &self.config[field];
        bad_folder(self.folder, inexpressible(field, found, reason))
    }

    /// Refuses what llama.cpp computes in one way only.
    fn check(&self) -> Result<(), CheckpointError> {
        let config = self.config;
        let text = |field: &str| config[field].as_str();
        let (activation, known): (_, &[&str]) = if self.family.is_gemma() {
            let field = if config["hidden_activation"].is_null() {
                "hidden_act"
            } else {
                "hidden_activation"
            };
            (field, &["gelu_pytorch_tanh"])
        } else {
            ("hidden_act", &["silu", "swish"])
        };
        if text(activation).is_some_and(|found| !known.contains(&found)) {
            let reason = format!("llama.cpp computes {} for this family", known[0]);
            return Err(self.refuse(activation, reason));
        }
        let full = |kinds: &Value| {
            kinds.as_array().is_none_or(|kinds| kinds.iter().all(|kind| kind == "full_attention"))
        };
        match self.family {
            Family::Llama | Family::Qwen2 | Family::Qwen3 | Family::SmolLm3
                if !full(&config["layer_types"]) =>
            {
                Err(self.refuse("layer_types", "llama.cpp has full attention in every layer"))
            }
            Family::Qwen2 | Family::Qwen3 | Family::SmolLm3
                if config["use_sliding_window"] == true =>
            {
                Err(self.refuse("use_sliding_window", "llama.cpp has no window for this family"))
            }
            Family::Mistral => {
                let window = self.fields().count("sliding_window")?;
                if window.is_some_and(|window| self.context().is_ok_and(|most| window < most)) {
                    let reason = "llama.cpp has no window for this family; if texts stay within the window, say so by a max_position_embeddings of its size";
                    return Err(self.refuse("sliding_window", reason));
                }
                Ok(())
            }
            Family::Gemma2 => self.check_gemma2(),
            Family::Gemma3 => self.check_gemma3(),
            Family::Phi3 if self.sizes.of(Size::Queries) != self.sizes.hidden => {
                let reason =
                    "llama.cpp has heads of hidden_size / num_attention_heads in this family";
                Err(self.refuse("head_dim", reason))
            }
            Family::Llama | Family::Qwen2 | Family::Qwen3 | Family::SmolLm3 | Family::Phi3 => {
                Ok(())
            }
        }
    }

    /// What llama.cpp will do in another way.
    pub(super) fn warnings(&self) -> Result<Vec<String>, CheckpointError> {
        let (window, context) = (self.fields().count("sliding_window")?, self.context()?);
        Ok(match window {
            Some(window) if self.family == Family::Phi3 && window < context => vec![format!(
                "llama.cpp attends to the whole text in this family, the model to its last {window} tokens \
                 (sliding_window): they agree in texts that are no longer"
            )],
            _ => Vec::new(),
        })
    }

    fn check_gemma2(&self) -> Result<(), CheckpointError> {
        for field in ["attn_logit_softcapping", "final_logit_softcapping"] {
            if self.config.get(field).is_some_and(Value::is_null) {
                return Err(self.refuse(field, "llama.cpp caps the logits of every Gemma 2"));
            }
        }
        if self.pattern(GEMMA2_PATTERN)? != Some(GEMMA2_PATTERN) {
            let reason = "llama.cpp has full attention in every second layer";
            return Err(self.refuse("layer_types", reason));
        }
        self.check_scale(GEMMA2_27B_LAYERS)
    }

    fn check_gemma3(&self) -> Result<(), CheckpointError> {
        if !self.config["attn_logit_softcapping"].is_null() {
            let reason = "llama.cpp does not cap the attention of Gemma 3";
            return Err(self.refuse("attn_logit_softcapping", reason));
        }
        if self.config["use_bidirectional_attention"] == true {
            let reason = "llama.cpp computes causal attention";
            return Err(self.refuse("use_bidirectional_attention", reason));
        }
        if self.pattern(GEMMA3_PATTERN)?.is_none() {
            let reason = "the layers with full attention have to repeat with one period";
            return Err(self.refuse("layer_types", reason));
        }
        self.check_scale(GEMMA3_27B_LAYERS)
    }

    /// llama.cpp computes the scale of queries from a model's sizes.
    fn check_scale(&self, deepest: usize) -> Result<(), CheckpointError> {
        let sizes = &self.sizes;
        let computed =
            if sizes.layers == deepest { sizes.hidden / sizes.heads } else { sizes.head_dim };
        let field = "query_pre_attn_scalar";
        // Transformers' default.
        let found = self.fields().number(field)?.unwrap_or(256.0);
        if found == computed as f64 {
            return Ok(());
        }
        let reason = format!("llama.cpp computes {computed} for a model of these sizes");
        Err(bad_folder(self.folder, inexpressible(field, found, reason)))
    }

    /// Every how many layers one has full attention, the last of each group; `None` if they do not
    /// repeat so.
    fn pattern(&self, default: usize) -> Result<Option<usize>, CheckpointError> {
        let layers = self.sizes.layers;
        let Some(kinds) = self.config["layer_types"].as_array() else {
            let fields = self.fields();
            let named = match fields.count("sliding_window_pattern")? {
                None => fields.count("_sliding_window_pattern")?,
                named => named,
            };
            return Ok(Some(named.unwrap_or(default)).filter(|pattern| *pattern > 0));
        };
        let is_full: Vec<bool> = kinds.iter().map(|kind| kind == "full_attention").collect();
        let repeats = |pattern: usize| {
            is_full.len() == layers
                && is_full.iter().zip(1..).all(|(full, n)| *full == (n % pattern == 0))
        };
        let first = is_full.iter().position(|full| *full).map_or(layers + 1, |index| index + 1);
        Ok([default, first].into_iter().find(|pattern| repeats(*pattern)))
    }

    /// Writes everything but rotary settings and vocabulary.
    pub(super) fn write(&self, entries: &mut Entries) -> Result<(), CheckpointError> {
        let sizes = &self.sizes;
        let key = |name: &str| format!("{}.{name}", self.architecture);
        for (name, count) in [
            ("context_length", self.context()?),
            ("embedding_length", sizes.hidden),
            ("block_count", sizes.layers),
            ("feed_forward_length", sizes.feed_forward),
            ("attention.head_count", sizes.heads),
            ("attention.head_count_kv", sizes.key_value_heads),
            ("attention.key_length", sizes.head_dim),
            ("attention.value_length", sizes.head_dim),
            ("vocab_size", sizes.vocabulary),
        ] {
            entries.u32(&key(name), self.u32(name, count)?);
        }
        let fields = self.fields();
        let default = if self.family == Family::Phi3 { 1e-5 } else { 1e-6 };
        let epsilon = fields.number("rms_norm_eps")?.unwrap_or(default);
        entries.f32(&key("attention.layer_norm_rms_epsilon"), epsilon);
        if self.family == Family::Phi3 {
            // As llama.cpp's converter: 0 for none.
            let window =
                self.u32("sliding_window", fields.count("sliding_window")?.unwrap_or(0))?;
            entries.u32(&key("attention.sliding_window"), window);
        }
        if !self.family.is_gemma() {
            return Ok(());
        }
        let window = fields.count("sliding_window")?.unwrap_or(4096);
        entries.u32(&key("attention.sliding_window"), self.u32("sliding_window", window)?);
        if self.family == Family::Gemma3 {
            let pattern = self.pattern(GEMMA3_PATTERN)?.unwrap_or(GEMMA3_PATTERN);
            if pattern != GEMMA3_PATTERN {
                let pattern = self.u32("layer_types", pattern)?;
                entries.u32(&key("attention.sliding_window_pattern"), pattern);
            }
            if let Some(cap) = fields.number("final_logit_softcapping")? {
                entries.f32(&key("final_logit_softcapping"), cap);
            }
            return Ok(());
        }
        for (field, default) in
            [("attn_logit_softcapping", 50.0), ("final_logit_softcapping", 30.0)]
        {
            entries.f32(&key(field), fields.number(field)?.unwrap_or(default));
        }
        Ok(())
    }

    fn u32(&self, name: &str, count: usize) -> Result<u32, CheckpointError> {
        u32::try_from(count).map_err(|_| {
            bad_folder(self.folder, inexpressible(name, count, "the most is 4294967295"))
        })
    }
}

/// What stands for fields that are left out: published files of multimodal models leave to transformers'
/// class what is its default.
fn nested_defaults(folder: &ModelFolder) -> HfDefaults {
    let nested = folder.config["text_config"].is_object();
    let defaults = folder.model_type().filter(|_| nested).and_then(HfDefaults::of);
    defaults.unwrap_or_default()
}
