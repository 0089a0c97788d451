//! A change of basis, applied to a model's `config.json` and read back.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::defaults::{HfDefaults, text_config, text_config_mut};
use super::lock::{CONFIG_KEY, RopeLock};
use super::no_rope::{self, NoRope};
use super::read::HfRope;
use super::{FULL_ATTENTION, LayerRopes, Spelling};
use crate::json::wrong;
use crate::{Method, OnScaled, RopeBasis, RopeConfig, RopeError, RopeParams, RopeScaling};

/// Largest relative difference between an inverse frequency that was asked for and the one that the
/// written config gives: a few roundings of f64, since exported frequencies are stored as divisors.
const TOLERANCE: f64 = 1e-12;

/// A change of basis, to be applied to a model's `config.json`.
///
/// ```
/// use bestof_positional::hf::Extension;
/// use bestof_positional::{Method, RopeParams};
///
/// let config = serde_json::json!({
///     "model_type": "llama", "hidden_size": 64, "num_attention_heads": 4,
///     "max_position_embeddings": 2048, "rope_theta": 10000.0,
/// });
/// let params = RopeParams { power: Some(0.5), factor: Some(4.0), ..RopeParams::default() };
/// let extended = Extension::new(Method::Power, params).apply(&config)?;
/// assert_eq!(extended.config["max_position_embeddings"], 8192);
/// assert_eq!(extended.config["rope_scaling"]["rope_type"], "longrope");
/// assert_eq!(extended.config["bestof"]["rope"]["rope_type"], "power");
/// # Ok::<(), bestof_positional::RopeError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Extension {
    /// The rule.
    pub method: Method,
    /// Its parameters. `original_max_position_embeddings` is the length before the extension,
    /// where it is not the model's own.
    pub params: RopeParams,
    /// The length to be reached, in tokens; by default the length before times the factor.
    pub length: Option<usize>,
    /// What becomes of a scaling that is there already.
    pub on_scaled: OnScaled,
    /// Layers that go without RoPE from now on, besides those that do already.
    pub no_rope: NoRope,
}

/// What an [`Extension`] makes of a `config.json`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Extended {
    /// The new `config.json`, with the lock, under names that stock loaders know.
    pub config: Value,
    /// The settings asked for, of the layers that changed.
    pub rope: RopeConfig,
    /// The `rope_type` the config names for them.
    pub written_as: &'static str,
    /// The length before, in tokens.
    pub trained: usize,
    /// The longest sequence now, in tokens.
    pub length: usize,
    /// Hash of the new frequencies.
    pub hash: String,
    /// Largest relative difference between an inverse frequency of `rope` and the one that `config`
    /// gives when it is read back; at most 1e-12.
    pub max_relative_difference: f64,
    /// The layers without RoPE beside layers that rotate, from 0.
    pub no_rope: Vec<usize>,
    /// Whether stock loaders read from `config` which layers those are; true where there are none.
    /// Where it is false they rotate every layer.
    pub no_rope_is_portable: bool,
}

impl Extension {
    /// A method with its parameters, to the length it reaches, refused on a model that is scaled.
    pub fn new(method: Method, params: RopeParams) -> Self {
        Self {
            method,
            params,
            length: None,
            on_scaled: OnScaled::Refuse,
            no_rope: NoRope::default(),
        }
    }

    /// The basis put on the layers that attend to everything; layers with a sliding window see no
    /// more tokens than before and keep theirs, unless RoPE is dropped, which is done in all. The new
    /// config was read back and compared with what was asked for.
    ///
    /// # Errors
    /// [`RopeError`] for parameters that make no basis, a model that is scaled already, a basis that
    /// stock loaders cannot express, a rotating basis for a model or layers without RoPE, and a length that
    /// is shorter ([`RopeError::Shortened`]) or out of reach ([`RopeError::BeyondReach`]).
    pub fn apply(&self, config: &Value) -> Result<Extended, RopeError> {
        let HfRope { layers: settings, lock, no_rope, .. } = HfRope::of_model(config)?;
        let (layer_type, current) = full_attention(&settings)?;
        let mut current = counted(current, layer_type, lock.is_some());
        // The rule behind the export knows the length before RoPE was dropped.
        if let Some(dropped @ RopeScaling::DroPe(_)) = lock.and_then(|lock| lock.scaling) {
            current.scaling = dropped;
        }
        let current = &current;
        let trained = self.trained(current);
        let mut params = self.params.clone();
        let accepts = |key| self.method.parameters().contains(&key);
        params.original_max_position_embeddings =
            accepts("original_max_position_embeddings").then_some(trained);
        params.refuse_unused(self.method)?;
        let scaling = RopeScaling::from_params(self.method, &params, Some(trained))?;
        let mut rope = current.extend(scaling.clone(), self.on_scaled)?;
        let length = self.check_length(&scaling, trained)?;
        rope.max_position_embeddings = Some(length);
        let map =
            text_config(config).as_object().ok_or_else(|| wrong("config", config, "a map"))?;
        let no_rope = no_rope::after(&no_rope, &self.no_rope, map, &rope)?;
        let Written { config, rope_type, difference, no_rope_is_portable } =
            write(config, &settings, layer_type, &rope, &no_rope)?;
        let hash = rope.frequency_hash()?;
        Ok(Extended {
            config,
            rope,
            written_as: rope_type,
            trained,
            length,
            hash,
            max_relative_difference: difference,
            no_rope,
            no_rope_is_portable,
        })
    }

    /// The length before the extension.
    fn trained(&self, current: &RopeConfig) -> usize {
        let own = match self.on_scaled {
            OnScaled::Replace => current.unscaled_length(),
            OnScaled::Refuse | OnScaled::Compose => current.max_position_embeddings,
        };
        self.params.original_max_position_embeddings.or(own).unwrap_or(0)
    }

    fn check_length(&self, scaling: &RopeScaling, trained: usize) -> Result<usize, RopeError> {
        let factor = self.params.factor.unwrap_or(1.0).max(1.0);
        let length = self.length.unwrap_or(libm::round(trained as f64 * factor) as usize);
        if length < trained {
            return Err(RopeError::Shortened { length, trained });
        }
        match scaling.reach(trained) {
            Some(reach) if length > reach && factor.is_finite() => Err(RopeError::BeyondReach {
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
/// [`RopeError`] for a factor below 1 and for a basis that has none.
pub fn with_factor(config: &Value, factor: f64) -> Result<Value, RopeError> {
    let HfRope { layers, lock, no_rope, .. } = HfRope::of_model(config)?;
    let (layer_type, current) = full_attention(&layers)?;
    let mut current = counted(current, layer_type, lock.is_some());
    if let Some(RopeLock { scaling, length, .. }) = lock {
        current.scaling = scaling.unwrap_or(current.scaling);
        current.max_position_embeddings = current.max_position_embeddings.max(length);
    }
    let rope = current.with_factor(factor)?;
    Ok(write(config, &layers, layer_type, &rope, &no_rope)?.config)
}

/// The settings with linear scaling counted in their length, as this crate's own configs have it.
fn counted(current: &RopeConfig, layer_type: Option<&str>, locked: bool) -> RopeConfig {
    let mut counted = current.clone();
    if let (RopeScaling::Linear(_), None, false) = (&current.scaling, layer_type, locked) {
        counted.max_position_embeddings = current.stock_length();
    }
    counted
}

/// The settings of the layers that attend to everything, and their layer type where types differ.
fn full_attention(settings: &LayerRopes) -> Result<(Option<&'static str>, &RopeConfig), RopeError> {
    match settings {
        LayerRopes::Uniform(rope) => Ok((None, rope)),
        LayerRopes::PerLayerType(ropes) => {
            let rope = ropes.get(FULL_ATTENTION).ok_or_else(|| {
                let found = json!(ropes.keys().collect::<Vec<_>>());
                wrong("rope_parameters", &found, "settings of full_attention layers")
            })?;
            Ok((Some(FULL_ATTENTION), rope))
        }
    }
}

struct Written {
    config: Value,
    rope_type: &'static str,
    /// See [`Extended::max_relative_difference`].
    difference: f64,
    no_rope_is_portable: bool,
}

/// The `config.json` with new settings for one layer type, locked, and read back.
fn write(
    config: &Value,
    settings: &LayerRopes,
    layer_type: Option<&str>,
    rope: &RopeConfig,
    no_rope: &[usize],
) -> Result<Written, RopeError> {
    let portable = if HfDefaults::of_config(config).longrope_only {
        rope.portable_as_longrope()?
    } else {
        rope.portable()?
    };
    let rotates = rope.build()?.rotates();
    let rope_type = portable.scaling.rope_type();
    let length = match &portable.scaling {
        RopeScaling::Dynamic(_) => rope.max_position_embeddings,
        _ => None,
    };
    let scaling = (portable.scaling != rope.scaling).then(|| rope.scaling.clone());
    let mut after = settings.clone();
    match (&mut after, layer_type) {
        (LayerRopes::Uniform(config), _) => *config = portable,
        (LayerRopes::PerLayerType(ropes), Some(layer_type)) => {
            for config in ropes.values_mut() {
                config.max_position_embeddings = portable.max_position_embeddings;
                if !rotates {
                    config.scaling = portable.scaling.clone();
                }
            }
            ropes.insert(layer_type.to_owned(), portable);
        }
        (LayerRopes::PerLayerType(_), None) => {}
    }
    let says_layers = HfDefaults::of_config(config).no_rope_layer_interval.is_some();
    let mut config = config.clone();
    let text = text_config_mut(&mut config);
    let spelling = match (rotates, &after) {
        // The older spelling has no scaling for layers with a window.
        (false, LayerRopes::PerLayerType(_)) => Spelling::RopeParameters,
        _ => spelling(text),
    };
    after.write(text, spelling)?;
    let list = match (no_rope, text.as_object()) {
        ([], _) | (_, None) => None,
        (_, Some(map)) => Some(no_rope::list(no_rope, no_rope::layer_count(map)?)),
    };
    if says_layers && let Some(list) = &list {
        text[no_rope::LAYERS] = json!(list);
    }
    text[CONFIG_KEY] = RopeLock::new(&after, scaling, length, list)?.to_json();
    let difference = read_back(&config, rope)?;
    let no_rope_is_portable = no_rope.is_empty() || says_layers;
    Ok(Written { config, rope_type, difference, no_rope_is_portable })
}

/// Reads a written config as a loader will, from its text, and compares the inverse frequencies
/// with those it was written for: the largest relative difference.
fn read_back(config: &Value, expected: &RopeConfig) -> Result<f64, RopeError> {
    let config = serde_json::from_str(&config.to_string()).unwrap_or(Value::Null);
    let found = HfRope::of_model(&config)?;
    found.verify_lock()?;
    let (_, rope) = full_attention(&found.layers)?;
    let (found, built) = (rope.build()?, expected.build()?);
    let mut largest = 0.0_f64;
    for length in [0, expected.max_position_embeddings.unwrap_or(0)] {
        let (a, b) = (found.table(length).inv_freq, built.table(length).inv_freq);
        for (a, b) in a.iter().zip(&b) {
            // Frequency 0 is written as a very large divisor, so it reads back as almost 0.
            let difference = if *b == 0.0 { *a } else { libm::fabs((a - b) / b) };
            // Not `max`, which drops NaN.
            if difference > largest || difference.is_nan() {
                largest = difference;
            }
        }
    }
    if largest <= TOLERANCE {
        Ok(largest)
    } else {
        let rope_type = expected.scaling.rope_type();
        Err(RopeError::WrittenOtherwise { rope_type, difference: largest })
    }
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
