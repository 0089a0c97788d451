//! Sizes and options of a BERT encoder, read from and written to a Hugging Face `config.json`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::ModelError;
use crate::family::fields::{Fields, invalid};
use crate::family::known_keys::refuse_quantized;

/// The activation between the two linear layers of a block, and in the masked-language head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BertActivation {
    /// `x Phi(x)`, with the exact normal distribution function `Phi`.
    Gelu,
    /// The tanh approximation of GELU.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

impl BertActivation {
    fn read(name: &str) -> Option<Self> {
        match name {
            "gelu" => Some(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Some(Self::GeluTanh),
            "relu" => Some(Self::Relu),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_pytorch_tanh",
            Self::Relu => "relu",
        }
    }
}

/// Sizes and options of a BERT encoder and its heads.
///
/// ```
/// use bestof_models::bert::BertConfig;
///
/// let json = serde_json::json!({"model_type": "bert", "num_hidden_layers": 6});
/// let config = BertConfig::from_hf(&json)?;
/// assert_eq!((config.num_layers, config.hidden_size), (6, 768));
///
/// let relative = serde_json::json!({"model_type": "bert", "position_embedding_type": "relative_key"});
/// assert!(BertConfig::from_hf(&relative).unwrap_err().to_string().contains("absolute"));
/// # Ok::<(), bestof_models::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BertConfig {
    /// The number of tokens in the vocabulary.
    pub vocab_size: usize,
    /// The width of the hidden states.
    pub hidden_size: usize,
    /// The number of layers, at most 4096.
    pub num_layers: usize,
    /// The number of attention heads; divides `hidden_size`.
    pub num_heads: usize,
    /// The width inside the feed-forward block.
    pub intermediate_size: usize,
    /// The number of position embeddings: the most tokens in a row.
    pub max_positions: usize,
    /// The number of token types ("segments").
    pub type_vocab_size: usize,
    /// The activation of the feed-forward blocks and of the masked-language head.
    pub activation: BertActivation,
    /// The dropout probability of hidden values, in `[0, 1)`.
    pub hidden_dropout: f64,
    /// The dropout probability of attention weights, in `[0, 1)`.
    pub attention_dropout: f64,
    /// The dropout probability before the classifier, in `[0, 1)`; `None` takes `hidden_dropout`.
    pub classifier_dropout: Option<f64>,
    /// Added to the variance in layer normalisation.
    pub layer_norm_eps: f64,
    /// The standard deviation of randomly initialised weights.
    pub initializer_range: f64,
    /// The id of the padding token.
    pub pad_token_id: u32,
    /// Whether the output matrix of the masked-language head is the word embeddings.
    pub tied_embeddings: bool,
    /// The class names of sequence classification, by class index.
    pub labels: Vec<String>,
    /// The fields as read from the file, so that unknown ones are kept when it is written.
    pub source: Map<String, Value>,
}

impl Default for BertConfig {
    /// The values of `bert-base-uncased`, with two labels: the defaults of transformers.
    fn default() -> Self {
        Self {
            vocab_size: 30_522,
            hidden_size: 768,
            num_layers: 12,
            num_heads: 12,
            intermediate_size: 3072,
            max_positions: 512,
            type_vocab_size: 2,
            activation: BertActivation::Gelu,
            hidden_dropout: 0.1,
            attention_dropout: 0.1,
            classifier_dropout: None,
            layer_norm_eps: 1e-12,
            initializer_range: 0.02,
            pad_token_id: 0,
            tied_embeddings: true,
            labels: default_labels(2),
            source: Map::new(),
        }
    }
}

const MODEL_TYPE: &str = "bert";

/// Above any real model; keeps a damaged file from allocating without limit.
const MAX_LAYERS: usize = 4096;

impl BertConfig {
    /// The configuration in a Hugging Face `config.json`.
    ///
    /// # Errors
    /// [`ModelError::UnknownModelType`] for another model type; [`ModelError::InvalidField`] for a
    /// value that is out of range or not supported: relative positions, decoders, other activations;
    /// [`ModelError::Quantized`].
    pub fn from_hf(json: &Value) -> Result<Self, ModelError> {
        let found = json.get("model_type").and_then(Value::as_str).unwrap_or_default();
        if found != MODEL_TYPE {
            let (found, known) = (found.to_owned(), vec![MODEL_TYPE]);
            return Err(ModelError::UnknownModelType { found, known });
        }
        refuse_quantized(json)?;
        let fields = Fields { json, model_type: MODEL_TYPE };
        refuse_unsupported(&fields)?;
        let default = Self::default();
        let config = Self {
            vocab_size: fields.size_or("vocab_size", default.vocab_size)?,
            hidden_size: fields.size_or("hidden_size", default.hidden_size)?,
            num_layers: fields.size_or("num_hidden_layers", default.num_layers)?,
            num_heads: fields.size_or("num_attention_heads", default.num_heads)?,
            intermediate_size: fields.size_or("intermediate_size", default.intermediate_size)?,
            max_positions: fields.size_or("max_position_embeddings", default.max_positions)?,
            type_vocab_size: fields.size_or("type_vocab_size", default.type_vocab_size)?,
            activation: activation(&fields)?.unwrap_or(default.activation),
            hidden_dropout: probability(&fields, "hidden_dropout_prob")?
                .unwrap_or(default.hidden_dropout),
            attention_dropout: probability(&fields, "attention_probs_dropout_prob")?
                .unwrap_or(default.attention_dropout),
            classifier_dropout: probability(&fields, "classifier_dropout")?,
            layer_norm_eps: fields.number_or("layer_norm_eps", default.layer_norm_eps)?,
            initializer_range: fields.number_or("initializer_range", default.initializer_range)?,
            pad_token_id: pad_token(&fields)?.unwrap_or(default.pad_token_id),
            tied_embeddings: fields.flag_or("tie_word_embeddings", default.tied_embeddings)?,
            labels: labels(&fields)?,
            source: json.as_object().cloned().unwrap_or_default(),
        };
        config.validate()?;
        Ok(config)
    }

    /// Checks the head count against the width, and the number of layers.
    ///
    /// # Errors
    /// [`ModelError::InvalidField`] names the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        if self.num_heads == 0 || !self.hidden_size.is_multiple_of(self.num_heads) {
            let expected = format!("a divisor of hidden_size, {}", self.hidden_size);
            return Err(invalid("num_attention_heads", &self.num_heads.into(), &expected));
        }
        if self.num_layers > MAX_LAYERS {
            return Err(invalid("num_hidden_layers", &self.num_layers.into(), "at most 4096"));
        }
        Ok(())
    }

    /// The width of an attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// The `config.json` for the class `architecture` of transformers, such as
    /// `BertForSequenceClassification`.
    ///
    /// Unknown fields of the file that this configuration was read from are kept.
    pub fn to_hf(&self, architecture: &str) -> Value {
        let mut json = self.source.clone();
        let fields = json!({
            "model_type": MODEL_TYPE,
            "architectures": [architecture],
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_positions,
            "type_vocab_size": self.type_vocab_size,
            "hidden_dropout_prob": self.hidden_dropout,
            "attention_probs_dropout_prob": self.attention_dropout,
            "classifier_dropout": self.classifier_dropout,
            "layer_norm_eps": self.layer_norm_eps,
            "initializer_range": self.initializer_range,
            "pad_token_id": self.pad_token_id,
            "tie_word_embeddings": self.tied_embeddings,
        });
        json.extend(fields.as_object().cloned().unwrap_or_default());
        let kept = json.get("hidden_act").and_then(Value::as_str).and_then(BertActivation::read);
        if kept != Some(self.activation) {
            json.insert("hidden_act".into(), self.activation.name().into());
        }
        json.remove("num_labels");
        if json.contains_key("id2label") || self.labels != default_labels(2) {
            let by_id = self.labels.iter().enumerate();
            let id2label: Map<_, _> =
                by_id.clone().map(|(id, label)| (id.to_string(), label.clone().into())).collect();
            let label2id: Map<_, _> = by_id.map(|(id, label)| (label.clone(), id.into())).collect();
            json.insert("id2label".into(), id2label.into());
            json.insert("label2id".into(), label2id.into());
        }
        json.into()
    }
}

fn refuse_unsupported(fields: &Fields<'_>) -> Result<(), ModelError> {
    if let Some(positions) = fields.get("position_embedding_type")
        && positions != "absolute"
    {
        return Err(invalid("position_embedding_type", positions, "\"absolute\""));
    }
    for field in ["is_decoder", "add_cross_attention"] {
        if fields.flag_or(field, false)? {
            let expected = "false: only BERT encoders are supported";
            return Err(invalid(field, &true.into(), expected));
        }
    }
    Ok(())
}

fn activation(fields: &Fields<'_>) -> Result<Option<BertActivation>, ModelError> {
    let Some(value) = fields.get("hidden_act") else { return Ok(None) };
    let found = value.as_str().and_then(BertActivation::read);
    let expected = "gelu, gelu_new, gelu_pytorch_tanh or relu";
    found.map(Some).ok_or_else(|| invalid("hidden_act", value, expected))
}

fn probability(fields: &Fields<'_>, field: &str) -> Result<Option<f64>, ModelError> {
    let Some(value) = fields.get(field) else { return Ok(None) };
    let found = value.as_f64().filter(|p| (0.0..1.0).contains(p));
    found.map(Some).ok_or_else(|| invalid(field, value, "a number in [0, 1)"))
}

fn pad_token(fields: &Fields<'_>) -> Result<Option<u32>, ModelError> {
    let Some(value) = fields.get("pad_token_id") else { return Ok(None) };
    let found = value.as_u64().and_then(|id| u32::try_from(id).ok());
    found.map(Some).ok_or_else(|| invalid("pad_token_id", value, "a token id"))
}

fn default_labels(count: usize) -> Vec<String> {
    (0..count).map(|label| format!("LABEL_{label}")).collect()
}

/// The names in `id2label`; without it `LABEL_0`, `LABEL_1`, … up to `num_labels`.
fn labels(fields: &Fields<'_>) -> Result<Vec<String>, ModelError> {
    let Some(value) = fields.get("id2label") else {
        let count = fields.size_or("num_labels", 2)?;
        if count > MAX_LABELS {
            return Err(invalid("num_labels", &count.into(), "at most 1048576"));
        }
        return Ok(default_labels(count));
    };
    let wrong =
        || invalid("id2label", value, "an object with the keys 0, 1, 2, … and names as values");
    let by_id: BTreeMap<usize, &str> = value
        .as_object()
        .ok_or_else(wrong)?
        .iter()
        .map(|(id, label)| Some((id.parse().ok()?, label.as_str()?)))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    if by_id.is_empty() || by_id.keys().enumerate().any(|(at, &id)| at != id) {
        return Err(wrong());
    }
    Ok(by_id.into_values().map(str::to_owned).collect())
}

/// Above any real classifier; keeps a damaged file from allocating without limit.
const MAX_LABELS: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &Value) -> Result<BertConfig, ModelError> {
        let mut json = json!({"model_type": "bert"});
        if let (Some(json), Some(more)) = (json.as_object_mut(), more.as_object()) {
            json.extend(more.clone());
        }
        BertConfig::from_hf(&json)
    }

    #[test]
    fn missing_fields_take_the_defaults_of_transformers() {
        let config = read(&json!({})).unwrap();
        assert_eq!(BertConfig { source: Map::new(), ..config }, BertConfig::default());
    }

    #[test]
    fn unsupported_values_are_refused_by_field() {
        for (field, value) in [
            ("position_embedding_type", json!("relative_key")),
            ("is_decoder", json!(true)),
            ("add_cross_attention", json!(true)),
            ("hidden_act", json!("silu")),
            ("hidden_act", json!(7)),
            ("hidden_dropout_prob", json!(1.0)),
            ("attention_probs_dropout_prob", json!("none")),
            ("num_attention_heads", json!(7)),
            ("num_hidden_layers", json!(1_000_000)),
            ("pad_token_id", json!(-1)),
            ("id2label", json!({"1": "x"})),
            ("id2label", json!([])),
            ("num_labels", json!(1 << 30)),
            ("vocab_size", json!(0)),
            ("quantization_config", json!({"quant_method": "gptq"})),
        ] {
            let error = read(&json!({ field: value })).unwrap_err().to_string();
            assert!(error.contains(field), "{field}: {error}");
        }
        let error = BertConfig::from_hf(&json!({"model_type": "roberta"})).unwrap_err();
        assert!(error.to_string().contains("`roberta`"), "{error}");
    }

    #[test]
    fn labels_are_sorted_by_index() {
        let ids: Map<_, _> =
            (0..12).map(|id| (id.to_string(), format!("class {id}").into())).collect();
        let config = read(&json!({ "id2label": ids })).unwrap();
        assert_eq!(config.labels[2], "class 2");
        assert_eq!(config.labels[11], "class 11");
    }

    #[test]
    fn a_written_config_reads_back_equal() {
        let mut config = read(&json!({
            "hidden_act": "gelu_new", "classifier_dropout": 0.0, "num_labels": 3, "transformers_version": "4.8.2",
        }))
        .unwrap();
        assert_eq!(config.labels.len(), 3);
        config.labels = vec!["bad".into(), "fair".into(), "good".into()];
        let written = config.to_hf("BertForSequenceClassification");
        assert_eq!(written["hidden_act"], "gelu_new");
        assert_eq!(written["transformers_version"], "4.8.2");
        assert_eq!(written["label2id"]["good"], 2);
        assert!(written.get("num_labels").is_none());
        let again = BertConfig::from_hf(&written).unwrap();
        let source = config.source.clone();
        assert_eq!(BertConfig { source, ..again }, config);
    }

    #[test]
    fn a_changed_activation_is_written() {
        let mut config = read(&json!({"hidden_act": "relu"})).unwrap();
        config.activation = BertActivation::GeluTanh;
        assert_eq!(config.to_hf("BertModel")["hidden_act"], "gelu_pytorch_tanh");
    }
}
