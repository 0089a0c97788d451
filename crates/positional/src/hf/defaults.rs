//! What the configs of a model type mean where they leave something out.

use serde_json::Value;

/// What a model type assumes where its config says nothing, as far as RoPE depends on it. `None`
/// where there is nothing to fall back on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HfDefaults {
    /// Base of the layers; 10000 for most model types.
    pub rope_theta: f64,
    /// Base of the sliding layers, for types where those have their own: 10000 for Gemma 3.
    pub local_rope_theta: Option<f64>,
    /// Dimension of a head; `hidden_size / num_attention_heads` where missing.
    pub head_dim: Option<usize>,
    /// Width of the model.
    pub hidden_size: Option<usize>,
    /// Number of query heads.
    pub num_attention_heads: Option<usize>,
    /// Context length in tokens.
    pub max_position_embeddings: Option<usize>,
    /// Length in tokens that the model was trained at before it was extended.
    pub original_max_position_embeddings: Option<usize>,
    /// Whether transformers knows no scaling of the model type but `longrope`, and takes `yarn` for
    /// another name of it: Phi-3.
    pub longrope_only: bool,
    /// Every how many layers one goes without RoPE, for types that read `no_rope_layers`: 4 for
    /// `SmolLM3`.
    pub no_rope_layer_interval: Option<usize>,
    /// Number of layers, for those types.
    pub num_hidden_layers: Option<usize>,
}

const UNKNOWN: HfDefaults = HfDefaults {
    rope_theta: 10_000.0,
    local_rope_theta: None,
    head_dim: None,
    hidden_size: None,
    num_attention_heads: None,
    max_position_embeddings: None,
    original_max_position_embeddings: None,
    longrope_only: false,
    no_rope_layer_interval: None,
    num_hidden_layers: None,
};

const fn sized(
    hidden_size: usize,
    num_attention_heads: usize,
    head_dim: Option<usize>,
    max_position_embeddings: usize,
) -> HfDefaults {
    HfDefaults {
        hidden_size: Some(hidden_size),
        num_attention_heads: Some(num_attention_heads),
        head_dim,
        max_position_embeddings: Some(max_position_embeddings),
        ..UNKNOWN
    }
}

const GEMMA3: HfDefaults = HfDefaults {
    rope_theta: 1_000_000.0,
    local_rope_theta: Some(10_000.0),
    ..sized(2304, 8, Some(256), 131_072)
};

const SMOLLM3: HfDefaults = HfDefaults {
    rope_theta: 2_000_000.0,
    no_rope_layer_interval: Some(4),
    num_hidden_layers: Some(36),
    ..sized(2048, 16, None, 32_768)
};

const PHI3: HfDefaults = HfDefaults {
    original_max_position_embeddings: Some(4096),
    longrope_only: true,
    ..sized(3072, 32, None, 4096)
};

/// Defaults of transformers' config classes, by `model_type`.
const MODEL_TYPES: [(&str, HfDefaults); 9] = [
    ("llama", sized(4096, 32, None, 2048)),
    ("gemma2", sized(2304, 8, Some(256), 8192)),
    ("gemma3_text", GEMMA3),
    ("gemma3", GEMMA3),
    ("mistral", sized(4096, 32, None, 131_072)),
    ("qwen2", sized(4096, 32, None, 32_768)),
    ("qwen3", sized(4096, 32, Some(128), 32_768)),
    ("smollm3", SMOLLM3),
    ("phi3", PHI3),
];

impl Default for HfDefaults {
    /// Of a model type that is not known: base 10000 and no sizes.
    fn default() -> Self {
        UNKNOWN
    }
}

impl HfDefaults {
    /// The defaults of a `model_type`; `None` if it is not known.
    pub fn of(model_type: &str) -> Option<Self> {
        MODEL_TYPES.iter().find(|(name, _)| *name == model_type).map(|(_, defaults)| *defaults)
    }

    /// Those of Gemma 3.
    pub fn gemma3() -> Self {
        GEMMA3
    }

    /// Those of a config's `model_type`, or of its `text_config`'s, be it known or not.
    pub(super) fn of_config(config: &Value) -> Self {
        let known = |config| model_type(config).and_then(Self::of);
        known(config).or_else(|| known(text_config(config))).unwrap_or_default()
    }
}

fn model_type(config: &Value) -> Option<&str> {
    config.get("model_type")?.as_str()
}

fn is_nested(config: &Value) -> bool {
    config.get("text_config").is_some_and(Value::is_object)
}

/// The part of a `config.json` that holds the decoder's fields: `text_config` in a multimodal
/// model, else the whole.
pub fn text_config(config: &Value) -> &Value {
    if is_nested(config) { &config["text_config"] } else { config }
}

/// As [`text_config`], to be changed.
pub(super) fn text_config_mut(config: &mut Value) -> &mut Value {
    if is_nested(config) { &mut config["text_config"] } else { config }
}
