//! What only the configurations of ModernBERT have.

use std::collections::BTreeMap;

use bestof_positional::hf::{FULL_ATTENTION, HfDefaults, HfRope, LayerRopes, SLIDING_ATTENTION};
use serde_json::{Map, Value, json};

use super::activation::EncoderActivation;
use super::values::{activation, probability};
use crate::error::ModelError;
use crate::family::fields::{Fields, invalid};

/// Options of ModernBERT.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "the file's own keys")]
pub struct ModernBertOptions {
    /// Whether norms have a bias.
    pub norm_bias: bool,
    /// Whether the linear layers of attention have a bias.
    pub attention_bias: bool,
    /// Whether the linear layers of the feed-forward blocks have a bias.
    pub mlp_bias: bool,
    /// Whether the output of the masked-language head has a bias.
    pub decoder_bias: bool,
    /// Whether the linear layer before a classifier, and in the masked-language head, has a bias.
    pub classifier_bias: bool,
    /// The activation behind that layer.
    pub classifier_activation: EncoderActivation,
    /// Whether a classifier reads the mean over a row's tokens, not the first token.
    pub mean_pooling: bool,
    /// The dropout probability inside the feed-forward blocks, in `[0, 1)`.
    pub mlp_dropout: f64,
    /// The window of the layers that have one: a token sees those at most half of it away.
    pub local_attention: usize,
    /// Of each layer, whether it has a window.
    pub(super) sliding: Vec<bool>,
    /// The bases of layers with a window and without.
    pub(super) ropes: LayerRopes,
}

impl Default for ModernBertOptions {
    fn default() -> Self {
        Self {
            norm_bias: false,
            attention_bias: false,
            mlp_bias: false,
            decoder_bias: true,
            classifier_bias: false,
            classifier_activation: EncoderActivation::Gelu,
            mean_pooling: false,
            mlp_dropout: 0.0,
            local_attention: 128,
            sliding: Vec::new(),
            ropes: LayerRopes::PerLayerType(BTreeMap::new()),
        }
    }
}

const GLOBAL_THETA: f64 = 160_000.0;
const LOCAL_THETA: f64 = 10_000.0;

impl ModernBertOptions {
    /// The options of a model of this many layers and positions, with heads of this width.
    pub(super) fn read(
        fields: &Fields<'_>,
        layers: usize,
        head_dim: usize,
        max_positions: usize,
    ) -> Result<Self, ModelError> {
        let default = Self::default();
        let mean_pooling = match fields.get("classifier_pooling") {
            None => default.mean_pooling,
            Some(value) => match value.as_str() {
                Some("cls") => false,
                Some("mean") => true,
                _ => return Err(invalid("classifier_pooling", value, "cls or mean")),
            },
        };
        let every = fields.size_or("global_attn_every_n_layers", 3)?;
        Ok(Self {
            norm_bias: fields.flag_or("norm_bias", default.norm_bias)?,
            attention_bias: fields.flag_or("attention_bias", default.attention_bias)?,
            mlp_bias: fields.flag_or("mlp_bias", default.mlp_bias)?,
            decoder_bias: fields.flag_or("decoder_bias", default.decoder_bias)?,
            classifier_bias: fields.flag_or("classifier_bias", default.classifier_bias)?,
            classifier_activation: activation(fields, "classifier_activation")?
                .unwrap_or(default.classifier_activation),
            mean_pooling,
            mlp_dropout: probability(fields, "mlp_dropout")?.unwrap_or(default.mlp_dropout),
            local_attention: fields.size_or("local_attention", default.local_attention)?,
            sliding: fields.sliding_layers(layers, |layer| !layer.is_multiple_of(every))?,
            ropes: ropes(fields, head_dim, max_positions)?,
        })
    }

    /// Puts the options where [`ModernBertOptions::read`] finds them. Windows and bases can only have
    /// been read from `json`, which still has them.
    pub(super) fn write(&self, json: &mut Map<String, Value>) {
        let fields = json!({
            "norm_bias": self.norm_bias,
            "attention_bias": self.attention_bias,
            "mlp_bias": self.mlp_bias,
            "decoder_bias": self.decoder_bias,
            "classifier_bias": self.classifier_bias,
            "classifier_pooling": if self.mean_pooling { "mean" } else { "cls" },
            "mlp_dropout": self.mlp_dropout,
            "local_attention": self.local_attention,
        });
        json.extend(fields.as_object().cloned().unwrap_or_default());
        self.classifier_activation.write(json, "classifier_activation");
    }
}

/// The bases of layers with a window and without, in the spelling of transformers 4 or 5.
fn ropes(
    fields: &Fields<'_>,
    head_dim: usize,
    max_positions: usize,
) -> Result<LayerRopes, ModelError> {
    let defaults = HfDefaults {
        rope_theta: fields.number_or("global_rope_theta", GLOBAL_THETA)?,
        local_rope_theta: Some(fields.number_or("local_rope_theta", LOCAL_THETA)?),
        head_dim: Some(head_dim),
        max_position_embeddings: Some(max_positions),
        ..HfDefaults::default()
    };
    let mut json = fields.json.clone();
    // One scaling is that of all layers here.
    if let Some(scaling) = fields.get("rope_scaling")
        && (scaling.get("rope_type").is_some() || scaling.get("type").is_some())
    {
        json["rope_scaling"] = json!({ FULL_ATTENTION: scaling, SLIDING_ATTENTION: scaling });
    }
    let rope = HfRope::read(&json, &defaults)?;
    if let Some(key) = rope.unrecognised.first() {
        let (field, model_type) = (format!("rope_parameters.{key}"), fields.model_type);
        let found = fields.get("rope_parameters").or_else(|| fields.get("rope_scaling"));
        let found = found.map_or_else(String::new, Value::to_string);
        return Err(ModelError::UnusedField { field, found, model_type });
    }
    rope.verify_lock()?;
    for settings in rope.layers.iter() {
        if 2 * settings.build()?.shape().pairs() != head_dim {
            let found = settings.partial_rotary_factor.into();
            return Err(invalid("partial_rotary_factor", &found, "1: whole heads are turned"));
        }
    }
    Ok(rope.layers)
}
