//! The families of encoders: how each one's `config.json` and classes are called.

/// A family of encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EncoderFamily {
    /// Devlin et al. 2019, arXiv:1810.04805.
    Bert,
    /// BERT's layers, positions counted from behind the padding token's id, one token type (Liu et
    /// al. 2019, arXiv:1907.11692).
    Roberta,
    /// RoBERTa on a hundred languages (Conneau et al. 2020, arXiv:1911.02116).
    XlmRoberta,
    /// BERT's layers, without token types and pooler (Sanh et al. 2019, arXiv:1910.01108).
    DistilBert,
    /// Norms before each block, rotary positions, windows, gated feed-forward blocks (Warner et al.
    /// 2024, arXiv:2412.13663).
    ModernBert,
}

/// What a model is for, as the second part of the name of its class in transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncoderTask {
    /// The encoder alone.
    Encoder,
    /// Classes of texts.
    SequenceClassification,
    /// Masked-language modelling.
    MaskedLm,
}

impl EncoderTask {
    /// Every task.
    pub const ALL: [Self; 3] = [Self::Encoder, Self::SequenceClassification, Self::MaskedLm];

    fn suffix(self) -> &'static str {
        match self {
            Self::Encoder => "Model",
            Self::SequenceClassification => "ForSequenceClassification",
            Self::MaskedLm => "ForMaskedLM",
        }
    }
}

/// Keys of `config.json` whose names differ by family; `None` for what a family does not have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    pub(super) hidden_size: &'static str,
    pub(super) num_layers: &'static str,
    pub(super) num_heads: &'static str,
    pub(super) intermediate_size: &'static str,
    pub(super) type_vocab_size: Option<&'static str>,
    pub(super) activation: &'static str,
    pub(super) hidden_dropout: &'static str,
    pub(super) attention_dropout: &'static str,
    pub(super) classifier_dropout: &'static str,
    pub(super) layer_norm_eps: Option<&'static str>,
    /// Further keys that are read, or that transformers' class has no use for either.
    pub(super) others: &'static [&'static str],
}

const BERT: Keys = Keys {
    hidden_size: "hidden_size",
    num_layers: "num_hidden_layers",
    num_heads: "num_attention_heads",
    intermediate_size: "intermediate_size",
    type_vocab_size: Some("type_vocab_size"),
    activation: "hidden_act",
    hidden_dropout: "hidden_dropout_prob",
    attention_dropout: "attention_probs_dropout_prob",
    classifier_dropout: "classifier_dropout",
    layer_norm_eps: Some("layer_norm_eps"),
    others: &[
        "_num_labels",
        "add_cross_attention",
        "directionality",
        "is_decoder",
        "pooler_fc_size",
        "pooler_num_attention_heads",
        "pooler_num_fc_layers",
        "pooler_size_per_head",
        "pooler_type",
        "position_embedding_type",
        "xla_device",
    ],
};

const DISTILBERT: Keys = Keys {
    hidden_size: "dim",
    num_layers: "n_layers",
    num_heads: "n_heads",
    intermediate_size: "hidden_dim",
    type_vocab_size: None,
    activation: "activation",
    hidden_dropout: "dropout",
    attention_dropout: "attention_dropout",
    classifier_dropout: "seq_classif_dropout",
    layer_norm_eps: None,
    others: &["qa_dropout", "sinusoidal_pos_embds", "tie_weights_"],
};

const MODERNBERT: Keys = Keys {
    type_vocab_size: None,
    activation: "hidden_activation",
    hidden_dropout: "embedding_dropout",
    attention_dropout: "attention_dropout",
    layer_norm_eps: Some("norm_eps"),
    others: &[
        "attention_bias",
        "bestof",
        "classifier_activation",
        "classifier_bias",
        "classifier_pooling",
        "decoder_bias",
        "deterministic_flash_attn",
        "global_attn_every_n_layers",
        "global_rope_theta",
        "initializer_cutoff_factor",
        "layer_norm_eps",
        "layer_types",
        "local_attention",
        "local_rope_theta",
        "mlp_bias",
        "mlp_dropout",
        "norm_bias",
        "original_max_position_embeddings",
        "position_embedding_type",
        "reference_compile",
        "repad_logits_with_grad",
        "rope_parameters",
        "rope_scaling",
        "sparse_pred_ignore_index",
        "sparse_prediction",
    ],
    ..BERT
};

impl EncoderFamily {
    /// Every family.
    pub const ALL: [Self; 5] =
        [Self::Bert, Self::Roberta, Self::XlmRoberta, Self::DistilBert, Self::ModernBert];

    /// The family of a `model_type`.
    pub fn of(model_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.model_type() == model_type)
    }

    /// The `model_type` in `config.json`.
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
            Self::XlmRoberta => "xlm-roberta",
            Self::DistilBert => "distilbert",
            Self::ModernBert => "modernbert",
        }
    }

    /// What the names of an encoder's tensors begin with in a model that has a head.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
            Self::Roberta | Self::XlmRoberta => "roberta.",
            Self::DistilBert => "distilbert.",
            Self::ModernBert => "model.",
        }
    }

    /// The class of transformers, such as `BertForSequenceClassification`.
    pub fn class(self, task: EncoderTask) -> String {
        let family = match self {
            Self::Bert => "Bert",
            Self::Roberta => "Roberta",
            Self::XlmRoberta => "XLMRoberta",
            Self::DistilBert => "DistilBert",
            Self::ModernBert => "ModernBert",
        };
        format!("{family}{}", task.suffix())
    }

    pub(super) fn keys(self) -> &'static Keys {
        match self {
            Self::Bert | Self::Roberta | Self::XlmRoberta => &BERT,
            Self::DistilBert => &DISTILBERT,
            Self::ModernBert => &MODERNBERT,
        }
    }
}
