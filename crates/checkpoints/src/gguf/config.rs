//! `config.json` and `generation_config.json` from GGUF metadata.

use bestof_positional::hf::HfDefaults;
use serde_json::{Map, Value, json};

use super::architecture::{Family, Sizes};
use super::error::GgufError;
use super::file::GgufFile;
use super::metadata::{Metadata, bad_value, required};
use super::rope::{Rope, RopeContext, StoredFactors, shortest};
use super::vocabulary::Vocabulary;
use crate::stored::StoredType;

/// Every how many layers of Gemma 3 one has no window, where a file does not say.
const GEMMA3_PATTERN: usize = 6;
/// Models of these depths scale queries by `hidden_size / heads` instead of the head dimension.
const GEMMA2_27B_LAYERS: usize = 46;
const GEMMA3_27B_LAYERS: usize = 62;

/// Every how many layers of `SmolLM3` one has no rotation; llama.cpp knows no other number.
pub(super) const SMOLLM3_NO_ROPE_INTERVAL: usize = 4;

/// The kinds of layers, as `layer_types` names them.
const FULL: &str = "full_attention";
const WINDOW: &str = "sliding_attention";

/// The parts of a GGUF file that `config.json` is built from.
pub(super) struct ConfigSource<'a> {
    pub(super) file: &'a GgufFile,
    pub(super) family: Family,
    pub(super) architecture: &'static str,
    pub(super) sizes: Sizes,
    pub(super) factors: StoredFactors,
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) dtype: StoredType,
}

/// `generation_config.json`.
pub(super) fn generation_config(vocabulary: &Vocabulary) -> Value {
    let eos: Vec<u32> = match (vocabulary.eos, vocabulary.eot) {
        (Some(eos), Some(eot)) if eos != eot => vec![eos, eot],
        (eos, eot) => eos.or(eot).into_iter().collect(),
    };
    let eos = match eos.as_slice() {
        [] => Value::Null,
        [one] => json!(one),
        more => json!(more),
    };
    let mut config = Map::new();
    for (field, value) in [
        ("bos_token_id", json!(vocabulary.bos)),
        ("eos_token_id", eos),
        ("pad_token_id", json!(vocabulary.pad)),
    ] {
        if !value.is_null() {
            config.insert(field.into(), value);
        }
    }
    config.into()
}

impl ConfigSource<'_> {
    /// `config.json`, with rotary settings in the spelling of transformers 4 and that of 5.
    pub(super) fn config(&self) -> Result<Value, GgufError> {
        let sizes = &self.sizes;
        let default_theta = self.rope_defaults().rope_theta;
        let context = self.context_length()?;
        let rope_context = RopeContext {
            head_dim: sizes.head_dim,
            in_part: self.family.rotates_in_part(),
            length: context,
            default_theta,
            factors: &self.factors,
        };
        let rope = Rope::read(&self.file.metadata, self.architecture, &rope_context)?;
        let epsilon_key = self.key("attention.layer_norm_rms_epsilon");
        let epsilon = required(self.metadata().number(&epsilon_key)?, &epsilon_key)?;
        let dtype = self.dtype.torch_name();
        let mut config = fields(json!({
            "attention_dropout": 0.0,
            "bos_token_id": self.vocabulary.bos,
            "dtype": dtype,
            "eos_token_id": self.vocabulary.eos,
            "hidden_size": sizes.hidden,
            "initializer_range": 0.02,
            "intermediate_size": sizes.feed_forward,
            "max_position_embeddings": context,
            "num_attention_heads": sizes.heads,
            "num_hidden_layers": sizes.layers,
            "num_key_value_heads": sizes.key_value_heads,
            "pad_token_id": self.vocabulary.pad,
            "rms_norm_eps": shortest(epsilon),
            "rope_parameters": rope.parameters(),
            "rope_scaling": rope.scaling(),
            "rope_theta": rope.theta,
            "tie_word_embeddings": self.file.tensor("output.weight").is_none(),
            "use_cache": true,
            "vocab_size": sizes.vocabulary,
        }));
        config.extend(match self.family {
            Family::Llama => self.llama(),
            Family::Mistral => self.mistral()?,
            Family::Qwen2 => self.qwen2()?,
            Family::Qwen3 => self.qwen3(),
            Family::SmolLm3 => self.smollm3(),
            Family::Phi3 => self.phi3(&rope, context)?,
            Family::Gemma2 => self.gemma2()?,
            Family::Gemma3 => self.gemma3(&rope)?,
        });
        Ok(config.into())
    }

    /// The model's context length in tokens.
    pub(super) fn context_length(&self) -> Result<usize, GgufError> {
        let key = self.key("context_length");
        match required(self.metadata().count(&key)?, &key)? {
            0 => Err(bad_value(&key, "0", "at least 1")),
            context => Ok(context),
        }
    }

    fn llama(&self) -> Map<String, Value> {
        fields(json!({
            "architectures": ["LlamaForCausalLM"],
            "attention_bias": self.family.has_attention_bias(&|name| self.file.has(name)),
            "head_dim": self.sizes.head_dim,
            "hidden_act": "silu",
            "mlp_bias": self.family.has_mlp_bias(&|name| self.file.has(name)),
            "model_type": "llama",
            "pretraining_tp": 1,
        }))
    }

    fn mistral(&self) -> Result<Map<String, Value>, GgufError> {
        let window = self
            .metadata()
            .count(&self.key("attention.sliding_window"))?
            .filter(|window| *window > 0);
        Ok(fields(json!({
            "architectures": ["MistralForCausalLM"],
            "head_dim": self.sizes.head_dim,
            "hidden_act": "silu",
            "model_type": "mistral",
            "sliding_window": window,
        })))
    }

    fn qwen2(&self) -> Result<Map<String, Value>, GgufError> {
        self.check_head_dim()?;
        let mut config = self.without_windows();
        config.extend(fields(json!({
            "architectures": ["Qwen2ForCausalLM"],
            "max_window_layers": self.sizes.layers,
            "model_type": "qwen2",
        })));
        Ok(config)
    }

    fn qwen3(&self) -> Map<String, Value> {
        let mut config = self.without_windows();
        config.extend(fields(json!({
            "architectures": ["Qwen3ForCausalLM"],
            "attention_bias": false,
            "head_dim": self.sizes.head_dim,
            "max_window_layers": self.sizes.layers,
            "model_type": "qwen3",
        })));
        config
    }

    fn smollm3(&self) -> Map<String, Value> {
        let rotates = |layer: usize| u8::from(!layer.is_multiple_of(SMOLLM3_NO_ROPE_INTERVAL));
        let mut config = self.without_windows();
        config.extend(fields(json!({
            "architectures": ["SmolLM3ForCausalLM"],
            "attention_bias": false,
            "head_dim": self.sizes.head_dim,
            "mlp_bias": false,
            "model_type": "smollm3",
            "no_rope_layer_interval": SMOLLM3_NO_ROPE_INTERVAL,
            "no_rope_layers": (1..=self.sizes.layers).map(rotates).collect::<Vec<_>>(),
        })));
        config
    }

    fn phi3(&self, rope: &Rope, context: usize) -> Result<Map<String, Value>, GgufError> {
        self.check_head_dim()?;
        let count = |name: &str| -> Result<Option<usize>, GgufError> {
            Ok(self.metadata().count(&self.key(name))?.filter(|count| *count > 0))
        };
        let original = count("rope.scaling.original_context_length")?.unwrap_or(context);
        Ok(fields(json!({
            "architectures": ["Phi3ForCausalLM"],
            "embd_pdrop": 0.0,
            "hidden_act": "silu",
            "model_type": "phi3",
            // Transformers takes 4096 where it stands among the rotary settings only.
            "original_max_position_embeddings": original,
            "partial_rotary_factor": rope.share.unwrap_or(1.0),
            "resid_pdrop": 0.0,
            "sliding_window": count("attention.sliding_window")?,
        })))
    }

    /// What families say that have windows where they are asked to only.
    fn without_windows(&self) -> Map<String, Value> {
        fields(json!({
            "hidden_act": "silu",
            "layer_types": vec![FULL; self.sizes.layers],
            "sliding_window": null,
            "use_sliding_window": false,
        }))
    }

    /// Refuses a dimension of heads that the family's configuration has no field for.
    fn check_head_dim(&self) -> Result<(), GgufError> {
        let (hidden, heads, head_dim) = (self.sizes.hidden, self.sizes.heads, self.sizes.head_dim);
        if heads * head_dim == hidden {
            return Ok(());
        }
        let expected = format!("{hidden} (embedding_length) / {heads} (head_count)");
        Err(bad_value(&self.key("attention.key_length"), head_dim.to_string(), &expected))
    }

    fn gemma2(&self) -> Result<Map<String, Value>, GgufError> {
        let cap = |name: &str, default: f64| -> Result<f64, GgufError> {
            Ok(self.metadata().number(&self.key(name))?.map_or(default, shortest))
        };
        let mut config = self.gemma("Gemma2ForCausalLM", "gemma2", GEMMA2_27B_LAYERS)?;
        config.extend(fields(json!({
            "attn_logit_softcapping": cap("attn_logit_softcapping", 50.0)?,
            "final_logit_softcapping": cap("final_logit_softcapping", 30.0)?,
            "layer_types": self.layer_types(2),
            "sliding_window": self.metadata().count(&self.key("attention.sliding_window"))?.unwrap_or(4096),
        })));
        Ok(config)
    }

    /// What transformers' configuration of the family means where it says nothing of the basis.
    fn rope_defaults(&self) -> HfDefaults {
        match self.family {
            Family::Gemma3 => HfDefaults::gemma3(),
            _ => HfDefaults::default(),
        }
    }

    fn gemma3(&self, rope: &Rope) -> Result<Map<String, Value>, GgufError> {
        let window_key = self.key("attention.sliding_window");
        let pattern_key = self.key("attention.sliding_window_pattern");
        let (layer_types, pattern) = self.window_layers(&pattern_key)?;
        let local = self.metadata().number(&self.key("rope.freq_base_swa"))?.map(shortest);
        let local = local.or(self.rope_defaults().local_rope_theta);
        let final_cap = self.metadata().number(&self.key("final_logit_softcapping"))?.map(shortest);
        let mut config = self.gemma("Gemma3ForCausalLM", "gemma3_text", GEMMA3_27B_LAYERS)?;
        config.extend(fields(json!({
            "_sliding_window_pattern": pattern,
            "attn_logit_softcapping": null,
            "final_logit_softcapping": final_cap,
            "layer_types": layer_types,
            "rope_local_base_freq": local,
            "rope_parameters": {
                "full_attention": rope.parameters(),
                "sliding_attention": { "rope_type": "default", "rope_theta": local },
            },
            "sliding_window": required(self.metadata().count(&window_key)?, &window_key)?,
            "sliding_window_pattern": pattern,
            "use_bidirectional_attention": false,
        })));
        Ok(config)
    }

    fn gemma(
        &self,
        class: &str,
        model_type: &str,
        deepest: usize,
    ) -> Result<Map<String, Value>, GgufError> {
        let stored =
            self.metadata().number(&self.key("attention.scale"))?.filter(|scale| *scale > 0.0);
        let scalar = match stored {
            Some(scale) => json!((1.0 / (scale * scale)).round()),
            None if self.sizes.layers == deepest => json!(self.sizes.hidden / self.sizes.heads),
            None => json!(self.sizes.head_dim),
        };
        Ok(fields(json!({
            "architectures": [class],
            "attention_bias": false,
            "head_dim": self.sizes.head_dim,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_activation": "gelu_pytorch_tanh",
            "model_type": model_type,
            "query_pre_attn_scalar": scalar,
        })))
    }

    /// The kinds of all layers, and the period they have: a whole number, or a flag per layer that is
    /// true for one with a sliding window.
    fn window_layers(&self, key: &str) -> Result<(Vec<&'static str>, Option<usize>), GgufError> {
        let layers = self.sizes.layers;
        if self.metadata().is_bools(key) {
            let windows = self.metadata().bools(key)?.unwrap_or_default();
            if windows.len() != layers {
                let found = format!("a list of {}", windows.len());
                return Err(bad_value(key, found, &format!("a flag for each of {layers} layers")));
            }
            let kind = |window: &bool| if *window { WINDOW } else { FULL };
            let kinds: Vec<&str> = windows.iter().map(kind).collect();
            let first_full = kinds.iter().position(|kind| *kind == FULL).map(|index| index + 1);
            let period = first_full.filter(|period| self.layer_types(*period) == kinds);
            return Ok((kinds, period));
        }
        match self.metadata().count(key)?.unwrap_or(GEMMA3_PATTERN) {
            0 => Err(bad_value(key, "0", "at least 1")),
            period => Ok((self.layer_types(period), Some(period))),
        }
    }

    /// Every `pattern`-th layer has full attention, the others a sliding window.
    fn layer_types(&self, pattern: usize) -> Vec<&'static str> {
        (1..=self.sizes.layers)
            .map(|n| if n.is_multiple_of(pattern) { FULL } else { WINDOW })
            .collect()
    }

    fn metadata(&self) -> &Metadata {
        &self.file.metadata
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
