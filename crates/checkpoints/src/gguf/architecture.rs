//! The model families: names, shapes and storage of their tensors.

use super::error::GgufError;
use super::file::GgufFile;
use super::metadata::{Metadata, bad_value, required};

/// A family of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Llama,
    /// Llama with a sliding window; GGUF calls it `llama` too.
    Mistral,
    Qwen2,
    Qwen3,
    SmolLm3,
    Phi3,
    Gemma2,
    Gemma3,
}

/// What the conversion does to a tensor's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// In each head the rows of a rotated pair are neighbours; the Hugging Face layout has all first
    /// members of the pairs before all second ones.
    Unpair,
    /// The weight of a norm is stored with the 1 that the model adds to it.
    MinusOne,
}

/// Whether a model has a tensor, by its name in GGUF.
pub(super) type Has<'a> = &'a dyn Fn(&str) -> bool;

/// A size that a tensor's shape refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Vocabulary,
    Hidden,
    FeedForward,
    /// All query heads.
    Queries,
    /// All key heads, or all value heads.
    Keys,
    /// All heads of queries, keys and values.
    QueriesKeysValues,
    /// Both halves of a gated feed-forward layer.
    GateUp,
    Head,
}

/// A tensor in both naming schemes, without the layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct TensorRule {
    pub(super) gguf: &'static str,
    pub(super) hf: &'static str,
    pub(super) shape: &'static [Size],
    pub(super) change: Change,
}

/// The sizes of a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) vocabulary: usize,
    pub(super) hidden: usize,
    pub(super) feed_forward: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) key_value_heads: usize,
    pub(super) head_dim: usize,
}

const fn rule(gguf: &'static str, hf: &'static str, shape: &'static [Size]) -> TensorRule {
    TensorRule { gguf, hf, shape, change: Change::Nothing }
}

impl TensorRule {
    const fn unpaired(self) -> Self {
        Self { change: Change::Unpair, ..self }
    }

    const fn minus_one(self) -> Self {
        Self { change: Change::MinusOne, ..self }
    }
}

use Size::{FeedForward, GateUp, Head, Hidden, Keys, Queries, QueriesKeysValues};

const Q: TensorRule = rule("attn_q.weight", "self_attn.q_proj.weight", &[Queries, Hidden]);
const K: TensorRule = rule("attn_k.weight", "self_attn.k_proj.weight", &[Keys, Hidden]);
const V: TensorRule = rule("attn_v.weight", "self_attn.v_proj.weight", &[Keys, Hidden]);
const O: TensorRule = rule("attn_output.weight", "self_attn.o_proj.weight", &[Hidden, Queries]);
const Q_BIAS: TensorRule = rule("attn_q.bias", "self_attn.q_proj.bias", &[Queries]);
const K_BIAS: TensorRule = rule("attn_k.bias", "self_attn.k_proj.bias", &[Keys]);
const V_BIAS: TensorRule = rule("attn_v.bias", "self_attn.v_proj.bias", &[Keys]);
const O_BIAS: TensorRule = rule("attn_output.bias", "self_attn.o_proj.bias", &[Hidden]);
const GATE: TensorRule = rule("ffn_gate.weight", "mlp.gate_proj.weight", &[FeedForward, Hidden]);
const UP: TensorRule = rule("ffn_up.weight", "mlp.up_proj.weight", &[FeedForward, Hidden]);
const DOWN: TensorRule = rule("ffn_down.weight", "mlp.down_proj.weight", &[Hidden, FeedForward]);
const GATE_BIAS: TensorRule = rule("ffn_gate.bias", "mlp.gate_proj.bias", &[FeedForward]);
const UP_BIAS: TensorRule = rule("ffn_up.bias", "mlp.up_proj.bias", &[FeedForward]);
const DOWN_BIAS: TensorRule = rule("ffn_down.bias", "mlp.down_proj.bias", &[Hidden]);
const Q_NORM: TensorRule = rule("attn_q_norm.weight", "self_attn.q_norm.weight", &[Head]);
const K_NORM: TensorRule = rule("attn_k_norm.weight", "self_attn.k_norm.weight", &[Head]);
const INPUT_NORM: TensorRule = rule("attn_norm.weight", "input_layernorm.weight", &[Hidden]);
const BEFORE_MLP: TensorRule =
    rule("ffn_norm.weight", "post_attention_layernorm.weight", &[Hidden]);

const LLAMA: &[TensorRule] =
    &[INPUT_NORM, Q.unpaired(), K.unpaired(), V, O, BEFORE_MLP, GATE, UP, DOWN];
const LLAMA_ATTENTION_BIAS: &[TensorRule] = &[Q_BIAS.unpaired(), K_BIAS.unpaired(), V_BIAS, O_BIAS];
const LLAMA_MLP_BIAS: &[TensorRule] = &[GATE_BIAS, UP_BIAS, DOWN_BIAS];
const QWEN2: &[TensorRule] =
    &[INPUT_NORM, Q, K, V, Q_BIAS, K_BIAS, V_BIAS, O, BEFORE_MLP, GATE, UP, DOWN];
const QWEN3: &[TensorRule] = &[INPUT_NORM, Q, K, V, Q_NORM, K_NORM, O, BEFORE_MLP, GATE, UP, DOWN];
const PHI3: &[TensorRule] = &[
    INPUT_NORM,
    rule("attn_qkv.weight", "self_attn.qkv_proj.weight", &[QueriesKeysValues, Hidden]),
    O,
    BEFORE_MLP,
    // llama.cpp has both halves in it too, the gate first.
    rule("ffn_up.weight", "mlp.gate_up_proj.weight", &[GateUp, Hidden]),
    DOWN,
];
const GEMMA: &[TensorRule] = &[
    INPUT_NORM.minus_one(),
    Q,
    K,
    V,
    O,
    rule("post_attention_norm.weight", "post_attention_layernorm.weight", &[Hidden]).minus_one(),
    rule("ffn_norm.weight", "pre_feedforward_layernorm.weight", &[Hidden]).minus_one(),
    GATE,
    UP,
    DOWN,
    rule("post_ffw_norm.weight", "post_feedforward_layernorm.weight", &[Hidden]).minus_one(),
];
const GEMMA3_NORMS: &[TensorRule] = &[Q_NORM.minus_one(), K_NORM.minus_one()];

impl Family {
    const KNOWN: &'static str =
        "llama (Mistral included), qwen2, qwen3, smollm3, phi3, gemma2, gemma3";

    /// The family of a file, and the prefix of its metadata keys.
    pub(super) fn of(metadata: &Metadata) -> Result<(Self, &'static str), GgufError> {
        let key = "general.architecture";
        let architecture = required(metadata.text(key)?, key)?;
        let experts_key = format!("{architecture}.expert_count");
        let experts = metadata.count(&experts_key)?.unwrap_or(0);
        if experts > 0 {
            let detail = format!("{experts_key} is {experts}");
            return Err(GgufError::Unsupported { what: "a mixture of experts", detail });
        }
        match architecture {
            "llama" => {
                let windowed = metadata.contains("llama.attention.sliding_window");
                Ok((if windowed { Self::Mistral } else { Self::Llama }, "llama"))
            }
            "qwen2" => Ok((Self::Qwen2, "qwen2")),
            "qwen3" => Ok((Self::Qwen3, "qwen3")),
            "smollm3" => Ok((Self::SmolLm3, "smollm3")),
            "phi3" => Ok((Self::Phi3, "phi3")),
            "gemma2" => Ok((Self::Gemma2, "gemma2")),
            "gemma3" => Ok((Self::Gemma3, "gemma3")),
            found => {
                let known = Self::KNOWN.to_owned();
                Err(GgufError::UnknownArchitecture { found: found.to_owned(), known })
            }
        }
    }

    pub(super) fn is_gemma(self) -> bool {
        matches!(self, Self::Gemma2 | Self::Gemma3)
    }

    /// Whether a part of each head may be rotated only.
    pub(super) fn rotates_in_part(self) -> bool {
        self == Self::Phi3
    }

    /// Whether a model's attention has biases that the family may have or not.
    pub(super) fn has_attention_bias(self, has: Has<'_>) -> bool {
        self == Self::Llama && has("blk.0.attn_q.bias")
    }

    /// Whether a model's feed-forward layers have biases.
    pub(super) fn has_mlp_bias(self, has: Has<'_>) -> bool {
        self == Self::Llama && has("blk.0.ffn_gate.bias")
    }

    /// The tensors of one layer.
    pub(super) fn layer_rules(self, has: Has<'_>) -> Vec<TensorRule> {
        let optional = |there: bool, rules: &'static [TensorRule]| if there { rules } else { &[] };
        match self {
            Self::Llama => [
                LLAMA,
                optional(self.has_attention_bias(has), LLAMA_ATTENTION_BIAS),
                optional(self.has_mlp_bias(has), LLAMA_MLP_BIAS),
            ]
            .concat(),
            Self::Mistral | Self::SmolLm3 => LLAMA.to_vec(),
            Self::Qwen2 => QWEN2.to_vec(),
            Self::Qwen3 => QWEN3.to_vec(),
            Self::Phi3 => PHI3.to_vec(),
            Self::Gemma2 => GEMMA.to_vec(),
            Self::Gemma3 => [GEMMA, GEMMA3_NORMS].concat(),
        }
    }

    /// The tensors outside the layers.
    pub(super) fn outer_rules(self, has: Has<'_>) -> Vec<TensorRule> {
        let norm = rule("output_norm.weight", "model.norm.weight", &[Hidden]);
        let mut rules = vec![
            rule("token_embd.weight", "model.embed_tokens.weight", &[Size::Vocabulary, Hidden]),
            if self.is_gemma() { norm.minus_one() } else { norm },
        ];
        if has("output.weight") {
            rules.push(rule("output.weight", "lm_head.weight", &[Size::Vocabulary, Hidden]));
        }
        rules
    }
}

impl Sizes {
    pub(super) fn read(file: &GgufFile, architecture: &str) -> Result<Self, GgufError> {
        let metadata = &file.metadata;
        let count = |name: &str| -> Result<usize, GgufError> {
            let key = format!("{architecture}.{name}");
            match required(metadata.count(&key)?, &key)? {
                0 => Err(bad_value(&key, "0", "at least 1")),
                count => Ok(count),
            }
        };
        let heads = count("attention.head_count")?;
        let kv_key = format!("{architecture}.attention.head_count_kv");
        let key_value_heads = metadata.count(&kv_key)?.unwrap_or(heads);
        if key_value_heads == 0 || !heads.is_multiple_of(key_value_heads) {
            return Err(bad_value(
                &kv_key,
                key_value_heads.to_string(),
                &format!("a divisor of the {heads} heads"),
            ));
        }
        let hidden = count("embedding_length")?;
        let head_key = format!("{architecture}.attention.key_length");
        let head_dim = metadata.count(&head_key)?.unwrap_or(hidden / heads);
        if head_dim == 0 || !head_dim.is_multiple_of(2) {
            return Err(bad_value(&head_key, head_dim.to_string(), "an even number, at least 2"));
        }
        let embedding = "token_embd.weight";
        let embedding = file
            .tensor(embedding)
            .ok_or_else(|| GgufError::MissingTensor { tensor: embedding.to_owned() })?;
        Ok(Self {
            vocabulary: embedding.rows(),
            hidden,
            feed_forward: count("feed_forward_length")?,
            layers: count("block_count")?,
            heads,
            key_value_heads,
            head_dim,
        })
    }

    pub(super) fn of(&self, size: Size) -> usize {
        match size {
            Size::Vocabulary => self.vocabulary,
            Hidden => self.hidden,
            FeedForward => self.feed_forward,
            Queries => self.heads * self.head_dim,
            Keys => self.key_value_heads * self.head_dim,
            QueriesKeysValues => (self.heads + 2 * self.key_value_heads) * self.head_dim,
            GateUp => 2 * self.feed_forward,
            Head => self.head_dim,
        }
    }
}
