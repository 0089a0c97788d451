//! The RoPE settings of a checkpoint: reading them, changing them, and the lock that ties weights
//! to the frequencies they were trained with.
//!
//! An extended checkpoint's `config.json` has one entry of ours, which other loaders pass over:
//!
//! ```json
//! "bestof": {
//!   "rope_frequencies": "<SHA-256 of the frequency table>",
//!   "rope": {"rope_type": "power", "power": 0.5, "factor": 4.0},
//!   "length": 8192
//! }
//! ```
//!
//! `rope_frequencies` (a map by kind of layer where these differ) is checked whenever the model is
//! opened. `rope` names the rule behind a basis that had to be written as `longrope`, and `length`
//! is the longest sequence where `max_position_embeddings` must say something else (`dynamic`).

use std::collections::BTreeMap;

use bestof_positional::RopeBasis;
use bestof_positional::hf::{FULL_ATTENTION, Spelling};
use serde_json::{Map, Value, json};

use crate::error::ModelError;
use crate::family::fields::invalid;
use crate::family::{read_rope, text_config, text_config_mut};

pub use bestof_positional::hf::LayerRopes;
pub use bestof_positional::{Method, OnScaled, RopeConfig, RopeError, RopeParams, RopeScaling};

/// The entry of `config.json` that is ours.
pub const CONFIG_KEY: &str = "bestof";
/// The name of all layers where they share a basis.
const ALL_LAYERS: &str = "all layers";

/// The RoPE settings of a `config.json`, under its family's defaults.
///
/// # Errors
/// [`ModelError::UnknownModelType`], [`ModelError::InvalidField`] or [`ModelError::Rope`].
pub fn rope_settings(config: &Value) -> Result<LayerRopes, ModelError> {
    read_rope(config)
}

/// A change of basis, to be applied to a model's `config.json`.
///
/// ```
/// use bestof_models::rope::{Extension, Method, OnScaled, RopeParams};
///
/// let config = serde_json::json!({
///     "model_type": "llama", "hidden_size": 64, "num_attention_heads": 4,
///     "max_position_embeddings": 2048, "rope_theta": 10000.0,
/// });
/// let params = RopeParams { power: Some(0.5), factor: Some(4.0), ..RopeParams::default() };
/// let extension = Extension { method: Method::Power, params, length: None, on_scaled: OnScaled::Refuse };
/// let extended = extension.apply(&config)?;
/// assert_eq!(extended.config["max_position_embeddings"], 8192);
/// assert_eq!(extended.config["rope_scaling"]["rope_type"], "longrope");
/// assert_eq!(extended.config["bestof"]["rope"]["rope_type"], "power");
/// # Ok::<(), bestof_models::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Extension {
    /// The rule.
    pub method: Method,
    /// Its parameters. `original_max_position_embeddings` is the length before the extension,
    /// where it is not the model's own.
    pub params: RopeParams,
    /// The length to be reached; by default the length before times the factor.
    pub length: Option<usize>,
    /// What becomes of a scaling that is there already.
    pub on_scaled: OnScaled,
}

/// A basis in a few words, as `power (factor 4, power 0.5)`.
pub fn describe(rope: &RopeConfig) -> String {
    let rope_type = rope.scaling.rope_type();
    let Ok(Value::Object(map)) = serde_json::to_value(&rope.scaling) else {
        return rope_type.to_owned();
    };
    let numbers = map.iter().filter_map(|(key, value)| match value {
        Value::Number(number) => Some(format!("{key} {}", number.as_f64()?)),
        _ => None,
    });
    let numbers: Vec<String> = numbers.collect();
    if numbers.is_empty() {
        rope_type.to_owned()
    } else {
        format!("{rope_type} ({})", numbers.join(", "))
    }
}

/// What an [`Extension`] makes of a `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Extended {
    /// The new `config.json`, with the lock, in words that stock loaders know.
    pub config: Value,
    /// The settings asked for, of the layers that changed.
    pub rope: RopeConfig,
    /// The length before.
    pub trained: usize,
    /// The longest sequence now.
    pub length: usize,
    /// Hash of the new frequencies.
    pub hash: String,
}

impl Extension {
    /// The basis put on those layers that attend to everything; layers with a window see no more
    /// than before and keep theirs.
    ///
    /// The result was read back from the new `config.json` and compared with what was asked for.
    ///
    /// # Errors
    /// [`ModelError::Rope`] for parameters that make no basis, for a model that is scaled already
    /// and for a basis stock loaders cannot be told of; [`ModelError::BeyondReach`] and
    /// [`ModelError::NoExtension`] for the length.
    pub fn apply(&self, config: &Value) -> Result<Extended, ModelError> {
        let settings = rope_settings(config)?;
        let (kind, current) = full_attention(&settings)?;
        let trained = self.trained(current);
        let accepts = |key| self.method.parameters().contains(&key);
        let original = "original_max_position_embeddings";
        let params = RopeParams {
            max_position_embeddings: Some(trained),
            original_max_position_embeddings: accepts(original).then_some(trained),
            ..self.params.clone()
        };
        params.refuse_unused(self.method)?;
        let scaling = RopeScaling::from_params(self.method, &params)?;
        let mut rope = current.extend(scaling.clone(), self.on_scaled)?;
        let length = self.check_length(&scaling, trained)?;
        rope.max_position_embeddings = Some(length);
        let config = written(config, &settings, kind, &rope)?;
        let hash = rope.frequency_hash()?;
        Ok(Extended { config, rope, trained, length, hash })
    }

    /// The length before the extension.
    fn trained(&self, current: &RopeConfig) -> usize {
        let own = match self.on_scaled {
            OnScaled::Replace => current.unscaled_length(),
            OnScaled::Refuse | OnScaled::Compose => current.max_position_embeddings,
        };
        self.params.original_max_position_embeddings.or(own).unwrap_or(0)
    }

    fn check_length(&self, scaling: &RopeScaling, trained: usize) -> Result<usize, ModelError> {
        let factor = self.params.factor.unwrap_or(1.0).max(1.0);
        let length = self.length.unwrap_or((trained as f64 * factor).round() as usize);
        if length < trained {
            return Err(ModelError::NoExtension { length, trained });
        }
        match scaling.reach(trained) {
            Some(reach) if length > reach && factor.is_finite() => Err(ModelError::BeyondReach {
                length,
                rope_type: scaling.rope_type(),
                trained,
                reach,
                factor: length as f64 / trained.max(1) as f64,
            }),
            _ => Ok(length),
        }
    }
}

/// A `config.json` whose basis has another factor: what a model trained at one factor is evaluated
/// with at a larger one. Plain RoPE becomes linear scaling.
///
/// # Errors
/// [`ModelError::Rope`] for a factor below 1 and for a basis that has none.
pub fn with_factor(config: &Value, factor: f64) -> Result<Value, ModelError> {
    let settings = rope_settings(config)?;
    let (kind, current) = full_attention(&settings)?;
    let mut current = current.clone();
    if let Some(lock) = RopeLock::read(text_config(config)?)? {
        if let Some(scaling) = lock.scaling {
            current.scaling = scaling;
        }
        current.max_position_embeddings = current.max_position_embeddings.max(lock.length);
    }
    let rope = current.with_factor(factor)?;
    written(config, &settings, kind, &rope)
}

/// The settings of the layers that attend to everything, and their kind where kinds differ.
fn full_attention(
    settings: &LayerRopes,
) -> Result<(Option<&'static str>, &RopeConfig), ModelError> {
    match settings {
        LayerRopes::Uniform(rope) => Ok((None, rope)),
        LayerRopes::PerLayerType(ropes) => {
            let rope = ropes.get(FULL_ATTENTION).ok_or_else(|| {
                let found = json!(ropes.keys().collect::<Vec<_>>());
                invalid("rope_parameters", &found, "settings of full_attention layers")
            })?;
            Ok((Some(FULL_ATTENTION), rope))
        }
    }
}

/// The `config.json` with new settings for one kind of layer, locked, and read back.
fn written(
    config: &Value,
    settings: &LayerRopes,
    kind: Option<&str>,
    rope: &RopeConfig,
) -> Result<Value, ModelError> {
    let portable = rope.portable()?;
    let mut after = settings.clone();
    match (&mut after, kind) {
        (LayerRopes::Uniform(config), _) => *config = portable.clone(),
        (LayerRopes::PerLayerType(ropes), Some(kind)) => {
            for config in ropes.values_mut() {
                config.max_position_embeddings = portable.max_position_embeddings;
            }
            ropes.insert(kind.to_owned(), portable.clone());
        }
        (LayerRopes::PerLayerType(_), None) => {}
    }
    let mut config = config.clone();
    let text = text_config_mut(&mut config)?;
    let spelling = spelling(text);
    after.write(text, spelling)?;
    let lock = RopeLock {
        frequencies: hashes(&after)?,
        scaling: (portable.scaling != rope.scaling).then(|| rope.scaling.clone()),
        length: match &portable.scaling {
            RopeScaling::Dynamic(_) => rope.max_position_embeddings,
            _ => None,
        },
    };
    text[CONFIG_KEY] = lock.to_json();
    lock.verify(&rope_settings(&config)?)?;
    Ok(config)
}

/// The spelling that a config uses already.
fn spelling(config: &Value) -> Spelling {
    let has = |key: &str| config.get(key).is_some_and(|value| !value.is_null());
    match (has("rope_parameters"), has("rope_scaling") || has("rope_theta")) {
        (true, false) => Spelling::RopeParameters,
        (true, true) => Spelling::Both,
        (false, _) => Spelling::RopeScaling,
    }
}

/// The frequency hash of every kind of layer.
fn hashes(settings: &LayerRopes) -> Result<BTreeMap<String, String>, ModelError> {
    let all = match settings {
        LayerRopes::Uniform(rope) => {
            BTreeMap::from([(ALL_LAYERS.to_owned(), rope.frequency_hash()?)])
        }
        LayerRopes::PerLayerType(ropes) => ropes
            .iter()
            .map(|(kind, rope)| Ok((kind.clone(), rope.frequency_hash()?)))
            .collect::<Result<_, RopeError>>()?,
    };
    Ok(all)
}

/// What a checkpoint says of the frequencies its weights belong to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RopeLock {
    /// Frequency hashes by kind of layer.
    frequencies: BTreeMap<String, String>,
    /// The rule behind the exported one.
    scaling: Option<RopeScaling>,
    /// The longest sequence, where `max_position_embeddings` is not it.
    pub(crate) length: Option<usize>,
}

impl RopeLock {
    /// The lock in a config, if it has one.
    pub(crate) fn read(config: &Value) -> Result<Option<Self>, ModelError> {
        let Some(entry) = config.get(CONFIG_KEY).filter(|entry| !entry.is_null()) else {
            return Ok(None);
        };
        let wrong = |field: &str, expected: &str| {
            invalid(&format!("{CONFIG_KEY}.{field}"), &entry[field], expected)
        };
        let frequencies = match &entry["rope_frequencies"] {
            Value::Null => BTreeMap::new(),
            Value::String(hash) => BTreeMap::from([(ALL_LAYERS.to_owned(), hash.clone())]),
            value => serde_json::from_value(value.clone())
                .map_err(|_| wrong("rope_frequencies", "a hash, or one for each kind of layer"))?,
        };
        let scaling = match &entry["rope"] {
            Value::Null => None,
            value => Some(
                serde_json::from_value(value.clone())
                    .map_err(|error| wrong("rope", &format!("RoPE settings ({error})")))?,
            ),
        };
        let length = match &entry["length"] {
            Value::Null => None,
            value => Some(
                value
                    .as_u64()
                    .filter(|length| (1..1 << 31).contains(length))
                    .ok_or_else(|| wrong("length", "a number of positions"))?
                    as usize,
            ),
        };
        Ok(Some(Self { frequencies, scaling, length }))
    }

    /// Nothing, if the settings give the frequencies of the lock.
    pub(crate) fn verify(&self, settings: &LayerRopes) -> Result<(), ModelError> {
        for (layers, expected) in &self.frequencies {
            let rope = match settings {
                LayerRopes::Uniform(rope) => Some(rope),
                LayerRopes::PerLayerType(ropes) => ropes.get(layers),
            };
            let Some(rope) = rope else { continue };
            let found = rope.frequency_hash()?;
            if !found.eq_ignore_ascii_case(expected) {
                return Err(ModelError::RopeLocked {
                    layers: layers.clone(),
                    rope_type: rope.scaling.rope_type(),
                    found,
                    expected: expected.clone(),
                });
            }
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let mut entry = Map::new();
        let frequencies = match self.frequencies.get(ALL_LAYERS) {
            Some(hash) => json!(hash),
            None => json!(self.frequencies),
        };
        entry.insert("rope_frequencies".into(), frequencies);
        if let Some(scaling) = &self.scaling {
            entry.insert("rope".into(), json!(scaling));
        }
        if let Some(length) = self.length {
            entry.insert("length".into(), length.into());
        }
        Value::Object(entry)
    }
}
