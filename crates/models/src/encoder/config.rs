//! Sizes and options of an encoder, read from and written to a Hugging Face `config.json`.

use serde_json::{Map, Value, json};

use super::activation::EncoderActivation;
use super::family::{EncoderFamily, EncoderTask};
use super::labels::{default_labels, read_labels, write_labels};
use super::modernbert_options::ModernBertOptions;
use super::values::{activation, pad_token, probability};
use crate::error::ModelError;
use crate::family::fields::{Fields, invalid, is_off};
use crate::family::known_keys::{is_neutral, refuse_quantized};

/// Sizes and options of an encoder and its heads.
///
/// ```
/// use bestof_models::encoder::{EncoderConfig, EncoderFamily};
///
/// let json = serde_json::json!({"model_type": "distilbert", "n_layers": 3});
/// let config = EncoderConfig::from_hf(&json)?;
/// assert_eq!((config.family, config.num_layers), (EncoderFamily::DistilBert, 3));
///
/// let relative = serde_json::json!({"model_type": "bert", "position_embedding_type": "relative_key"});
/// assert!(EncoderConfig::from_hf(&relative).unwrap_err().to_string().contains("absolute"));
/// # Ok::<(), bestof_models::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    /// The family.
    pub family: EncoderFamily,
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
    /// The number of position embeddings, of which RoBERTa leaves the first ones out; for ModernBERT
    /// the most tokens in a row. See [`EncoderConfig::max_tokens`].
    pub max_positions: usize,
    /// The number of token types ("segments"); 0 for a family without.
    pub type_vocab_size: usize,
    /// The activation of the feed-forward blocks, and of BERT's and DistilBERT's masked-language head.
    pub activation: EncoderActivation,
    /// The dropout probability of hidden values, in `[0, 1)`; for ModernBERT of the embeddings.
    pub hidden_dropout: f64,
    /// The dropout probability of attention weights, in `[0, 1)`; for ModernBERT of the output of
    /// attention, too.
    pub attention_dropout: f64,
    /// The dropout probability before the classifier, in `[0, 1)`; `None` takes `hidden_dropout`.
    pub classifier_dropout: Option<f64>,
    /// Added to the variance in layer normalisation.
    pub layer_norm_eps: f64,
    /// The standard deviation of randomly initialised weights.
    pub initializer_range: f64,
    /// The id of the padding token.
    pub pad_token_id: u32,
    /// Whether new position embeddings are DistilBERT's sines and cosines.
    pub sinusoidal_positions: bool,
    /// Whether the output matrix of the masked-language head is the word embeddings.
    pub tied_embeddings: bool,
    /// The class names of sequence classification, by class index.
    pub labels: Vec<String>,
    /// Options of ModernBERT, of no meaning for the others.
    pub modernbert: ModernBertOptions,
    /// The fields as read from the file, so that unknown ones are kept when it is written.
    pub source: Map<String, Value>,
}

impl Default for EncoderConfig {
    /// The values of `bert-base-uncased`, with two labels: the defaults of transformers.
    fn default() -> Self {
        Self {
            family: EncoderFamily::Bert,
            vocab_size: 30_522,
            hidden_size: 768,
            num_layers: 12,
            num_heads: 12,
            intermediate_size: 3072,
            max_positions: 512,
            type_vocab_size: 2,
            activation: EncoderActivation::Gelu,
            hidden_dropout: 0.1,
            attention_dropout: 0.1,
            classifier_dropout: None,
            layer_norm_eps: 1e-12,
            initializer_range: 0.02,
            pad_token_id: 0,
            sinusoidal_positions: false,
            tied_embeddings: true,
            labels: default_labels(2),
            modernbert: ModernBertOptions::default(),
            source: Map::new(),
        }
    }
}

/// Above any real model; keeps a damaged file from allocating without limit.
const MAX_LAYERS: usize = 4096;

impl EncoderConfig {
    /// The defaults of transformers for a family.
    fn of(family: EncoderFamily) -> Self {
        let bert = Self { family, ..Self::default() };
        match family {
            EncoderFamily::Bert => bert,
            EncoderFamily::Roberta => Self { vocab_size: 50_265, pad_token_id: 1, ..bert },
            EncoderFamily::XlmRoberta => Self { pad_token_id: 1, ..bert },
            EncoderFamily::DistilBert => {
                Self { num_layers: 6, type_vocab_size: 0, classifier_dropout: Some(0.2), ..bert }
            }
            EncoderFamily::ModernBert => Self {
                vocab_size: 50_368,
                num_layers: 22,
                intermediate_size: 1152,
                max_positions: 8192,
                type_vocab_size: 0,
                hidden_dropout: 0.0,
                attention_dropout: 0.0,
                classifier_dropout: Some(0.0),
                layer_norm_eps: 1e-5,
                pad_token_id: 50_283,
                ..bert
            },
        }
    }

    /// The configuration in a Hugging Face `config.json`.
    ///
    /// # Errors
    /// [`ModelError::UnknownModelType`] for another model type; [`ModelError::UnusedField`] for a key
    /// that is not read; [`ModelError::InvalidField`] for a value that is out of range or not
    /// supported: relative positions, decoders, other activations; [`ModelError::Rope`];
    /// [`ModelError::Quantized`].
    pub fn from_hf(json: &Value) -> Result<Self, ModelError> {
        let found = json.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let family = EncoderFamily::of(found).ok_or_else(|| ModelError::UnknownModelType {
            found: found.to_owned(),
            known: EncoderFamily::ALL.map(EncoderFamily::model_type).to_vec(),
        })?;
        refuse_quantized(json)?;
        let (keys, default) = (family.keys(), Self::of(family));
        let fields = Fields { json, model_type: family.model_type() };
        refuse_unsupported(&fields)?;
        refuse_unused(&fields, family)?;
        let mut config = Self {
            vocab_size: fields.size_or("vocab_size", default.vocab_size)?,
            hidden_size: fields.size_or(keys.hidden_size, default.hidden_size)?,
            num_layers: fields.size_or(keys.num_layers, default.num_layers)?,
            num_heads: fields.size_or(keys.num_heads, default.num_heads)?,
            intermediate_size: fields.size_or(keys.intermediate_size, default.intermediate_size)?,
            max_positions: fields.size_or("max_position_embeddings", default.max_positions)?,
            type_vocab_size: match keys.type_vocab_size {
                Some(key) => fields.size_or(key, default.type_vocab_size)?,
                None => 0,
            },
            activation: activation(&fields, keys.activation)?.unwrap_or(default.activation),
            hidden_dropout: probability(&fields, keys.hidden_dropout)?
                .unwrap_or(default.hidden_dropout),
            attention_dropout: probability(&fields, keys.attention_dropout)?
                .unwrap_or(default.attention_dropout),
            classifier_dropout: probability(&fields, keys.classifier_dropout)?
                .or(default.classifier_dropout),
            layer_norm_eps: match keys.layer_norm_eps {
                Some(key) => fields.number_or(key, default.layer_norm_eps)?,
                None => default.layer_norm_eps,
            },
            initializer_range: fields.number_or("initializer_range", default.initializer_range)?,
            pad_token_id: pad_token(&fields)?.unwrap_or(default.pad_token_id),
            sinusoidal_positions: fields.flag_or("sinusoidal_pos_embds", false)?,
            tied_embeddings: fields.flag_or("tie_word_embeddings", default.tied_embeddings)?,
            labels: read_labels(&fields)?,
            source: json.as_object().cloned().unwrap_or_default(),
            ..default
        };
        config.validate()?;
        if family == EncoderFamily::ModernBert {
            let (head_dim, positions) = (config.head_dim(), config.max_positions);
            config.modernbert =
                ModernBertOptions::read(&fields, config.num_layers, head_dim, positions)?;
        }
        Ok(config)
    }

    /// Checks the head count against the width, and the numbers of layers and positions.
    ///
    /// # Errors
    /// [`ModelError::InvalidField`] names the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        let keys = self.family.keys();
        if self.num_heads == 0 || !self.hidden_size.is_multiple_of(self.num_heads) {
            let expected = format!("a divisor of {}, {}", keys.hidden_size, self.hidden_size);
            return Err(invalid(keys.num_heads, &self.num_heads.into(), &expected));
        }
        if self.num_layers > MAX_LAYERS {
            return Err(invalid(keys.num_layers, &self.num_layers.into(), "at most 4096"));
        }
        if self.max_positions <= self.first_position() {
            let expected = format!("more than the first position, {}", self.first_position());
            let found = self.max_positions.into();
            return Err(invalid("max_position_embeddings", &found, &expected));
        }
        Ok(())
    }

    /// The position of a row's first token.
    pub(super) fn first_position(&self) -> usize {
        match self.family {
            EncoderFamily::Roberta | EncoderFamily::XlmRoberta => self.pad_token_id as usize + 1,
            _ => 0,
        }
    }

    /// The most tokens in a row.
    pub fn max_tokens(&self) -> usize {
        self.max_positions.saturating_sub(self.first_position())
    }

    /// The dropout probability before the classifier.
    pub(super) fn classifier_dropout(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.hidden_dropout)
    }

    /// The width of an attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// The `config.json` of a model for `task`.
    ///
    /// Fields of the file that this configuration was read from are kept if no other value has taken
    /// their place.
    pub fn to_hf(&self, task: EncoderTask) -> Value {
        let (mut json, keys) = (self.source.clone(), self.family.keys());
        let fields = json!({
            "model_type": self.family.model_type(),
            "architectures": [self.family.class(task)],
            "vocab_size": self.vocab_size,
            keys.hidden_size: self.hidden_size,
            keys.num_layers: self.num_layers,
            keys.num_heads: self.num_heads,
            keys.intermediate_size: self.intermediate_size,
            "max_position_embeddings": self.max_positions,
            keys.hidden_dropout: self.hidden_dropout,
            keys.attention_dropout: self.attention_dropout,
            keys.classifier_dropout: self.classifier_dropout,
            "initializer_range": self.initializer_range,
            "pad_token_id": self.pad_token_id,
            "tie_word_embeddings": self.tied_embeddings,
        });
        json.extend(fields.as_object().cloned().unwrap_or_default());
        if let Some(key) = keys.type_vocab_size {
            json.insert(key.into(), self.type_vocab_size.into());
        }
        if let Some(key) = keys.layer_norm_eps {
            json.insert(key.into(), self.layer_norm_eps.into());
        }
        match self.family {
            EncoderFamily::Bert | EncoderFamily::Roberta | EncoderFamily::XlmRoberta => {}
            EncoderFamily::DistilBert => {
                json.insert("sinusoidal_pos_embds".into(), self.sinusoidal_positions.into());
            }
            EncoderFamily::ModernBert => self.modernbert.write(&mut json),
        }
        self.activation.write(&mut json, keys.activation);
        write_labels(&self.labels, &mut json);
        json.into()
    }
}

/// Refuses a key that nothing reads, unless its value switches nothing on.
fn refuse_unused(fields: &Fields<'_>, family: EncoderFamily) -> Result<(), ModelError> {
    let keys = family.keys();
    let own = [
        keys.hidden_size,
        keys.num_layers,
        keys.num_heads,
        keys.intermediate_size,
        keys.activation,
        keys.hidden_dropout,
        keys.attention_dropout,
        keys.classifier_dropout,
    ];
    let maybe = [keys.type_vocab_size, keys.layer_norm_eps];
    let known = |key: &str| {
        COMMON_KEYS.contains(&key)
            || own.contains(&key)
            || maybe.contains(&Some(key))
            || keys.others.contains(&key)
            || is_neutral(key)
    };
    let mut all = fields.json.as_object().into_iter().flatten();
    match all.find(|(key, value)| !known(key) && !is_off(value)) {
        None => Ok(()),
        Some((key, value)) => Err(ModelError::UnusedField {
            field: key.clone(),
            found: value.to_string(),
            model_type: fields.model_type,
        }),
    }
}

/// What all families read.
const COMMON_KEYS: [&str; 5] = [
    "initializer_range",
    "max_position_embeddings",
    "model_type",
    "quantization_config",
    "tie_word_embeddings",
];

fn refuse_unsupported(fields: &Fields<'_>) -> Result<(), ModelError> {
    if let Some(positions) = fields.get("position_embedding_type")
        && positions != "absolute"
    {
        return Err(invalid("position_embedding_type", positions, "\"absolute\""));
    }
    for field in ["is_decoder", "add_cross_attention"] {
        if fields.flag_or(field, false)? {
            let expected = "false: only encoders are supported";
            return Err(invalid(field, &true.into(), expected));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &Value) -> Result<EncoderConfig, ModelError> {
        let mut json = json!({"model_type": "bert"});
        if let (Some(json), Some(more)) = (json.as_object_mut(), more.as_object()) {
            json.extend(more.clone());
        }
        EncoderConfig::from_hf(&json)
    }

    #[test]
    fn missing_fields_take_the_defaults_of_transformers() {
        let config = read(&json!({})).unwrap();
        assert_eq!(EncoderConfig { source: Map::new(), ..config }, EncoderConfig::default());
    }

    // The defaults of transformers 5.24's classes.
    #[test]
    fn families_have_defaults_of_their_own() {
        let of = |model_type: &str| {
            EncoderConfig::from_hf(&json!({ "model_type": model_type })).unwrap()
        };
        let roberta = of("roberta");
        assert_eq!(
            (roberta.vocab_size, roberta.pad_token_id, roberta.max_tokens()),
            (50_265, 1, 510)
        );
        assert_eq!((roberta.type_vocab_size, roberta.layer_norm_eps), (2, 1e-12));
        let distilbert = of("distilbert");
        assert_eq!((distilbert.num_layers, distilbert.intermediate_size), (6, 3072));
        assert_eq!(distilbert.classifier_dropout, Some(0.2));
        let modernbert = of("modernbert");
        assert_eq!((modernbert.num_layers, modernbert.intermediate_size), (22, 1152));
        assert_eq!((modernbert.max_tokens(), modernbert.layer_norm_eps), (8192, 1e-5));
        let options = &modernbert.modernbert;
        assert_eq!(options.sliding[..5], [false, true, true, false, true]);
        let theta = |layers| options.ropes.get(layers).unwrap().rope_theta;
        assert_eq!((theta("full_attention"), theta("sliding_attention")), (160_000.0, 10_000.0));
    }

    // The keys of the files of distilbert-base-uncased and ModernBERT-base.
    #[test]
    fn keys_of_public_configs_are_known() {
        for config in [
            json!({"model_type": "distilbert", "activation": "gelu", "attention_dropout": 0.1,
                "architectures": ["DistilBertForMaskedLM"], "dropout": 0.1, "qa_dropout": 0.1,
                "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": false, "tie_weights_": true,
                "transformers_version": "4.10.0.dev0"}),
            json!({"model_type": "modernbert", "attention_bias": false, "bos_token_id": 50_281,
                "classifier_activation": "gelu", "classifier_pooling": "mean", "decoder_bias": true,
                "deterministic_flash_attn": false, "embedding_dropout": 0.0,
                "global_attn_every_n_layers": 3, "global_rope_theta": 160_000.0,
                "gradient_checkpointing": false, "hidden_activation": "gelu",
                "initializer_cutoff_factor": 2.0, "layer_norm_eps": 1e-5, "local_attention": 128,
                "local_rope_theta": 10_000.0, "mlp_dropout": 0.0, "norm_bias": false,
                "norm_eps": 1e-5, "position_embedding_type": "absolute", "torch_dtype": "float32"}),
        ] {
            EncoderConfig::from_hf(&config).unwrap();
        }
    }

    #[test]
    fn unsupported_values_are_refused_by_field() {
        for (field, value) in [
            ("position_embedding_type", json!("relative_key")),
            ("is_decoder", json!(true)),
            ("add_cross_attention", json!(true)),
            ("hidden_act", json!("quick_gelu")),
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
        let error = EncoderConfig::from_hf(&json!({"model_type": "electra"})).unwrap_err();
        assert!(error.to_string().contains("`electra`"), "{error}");
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
        let written = config.to_hf(EncoderTask::SequenceClassification);
        assert_eq!(written["hidden_act"], "gelu_new");
        assert_eq!(written["transformers_version"], "4.8.2");
        assert_eq!(written["label2id"]["good"], 2);
        assert!(written.get("num_labels").is_none());
        let again = EncoderConfig::from_hf(&written).unwrap();
        let source = config.source.clone();
        assert_eq!(EncoderConfig { source, ..again }, config);
    }

    #[test]
    fn a_changed_activation_is_written() {
        let mut config = read(&json!({"hidden_act": "relu"})).unwrap();
        config.activation = EncoderActivation::GeluTanh;
        assert_eq!(config.to_hf(EncoderTask::Encoder)["hidden_act"], "gelu_pytorch_tanh");
    }
}
