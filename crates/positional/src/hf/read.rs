//! RoPE settings from a `config.json`.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;

use super::defaults::{HfDefaults, text_config};
use super::lock::RopeLock;
use super::{FULL_ATTENTION, LayerRopes, SLIDING_ATTENTION, no_rope};
use crate::json::{Object, field, value, wrong};
use crate::{Composed, Method, RopeConfig, RopeError, RopeParams, RopeScaling};

/// Keys every RoPE map may hold.
const COMMON_KEYS: [&str; 5] =
    ["rope_type", "type", "rope_theta", "partial_rotary_factor", "max_position_embeddings"];

/// The fields of the config outside its RoPE maps.
struct Model {
    head_dim: usize,
    max_position_embeddings: Option<usize>,
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
    longrope_only: bool,
}

/// What the position of a map of settings in the config implies for it.
struct Scope<'a> {
    /// The base if the map names none.
    rope_theta: f64,
    /// The layer type, for a map that is not the only one.
    layer_type: Option<&'a str>,
    /// `YaRN`'s `truncate`, which transformers reads beside the nested maps, not in them.
    truncate: Option<bool>,
    /// Whether the map is a part of a composition.
    inside_composition: bool,
}

/// The RoPE settings of a config.
#[derive(Debug, Clone, PartialEq)]
pub struct HfRope {
    /// The settings.
    pub layers: LayerRopes,
    /// Keys of the RoPE maps that the rope type does not read; transformers warns of these too.
    pub unrecognised: Vec<String>,
    /// The frequencies that the checkpoint's weights belong to, where the config records them.
    pub lock: Option<RopeLock>,
    /// The layers that go without RoPE, from 0.
    pub no_rope: Vec<usize>,
}

impl HfRope {
    /// The settings of a model's whole `config.json`, with the defaults of its `model_type`
    /// ([`HfDefaults::of`]) and from its `text_config` where the type keeps them there.
    ///
    /// ```
    /// use bestof_positional::hf::{FULL_ATTENTION, HfRope};
    /// let config = serde_json::json!({"model_type": "gemma3", "text_config": {"head_dim": 64}});
    /// let rope = HfRope::of_model(&config)?;
    /// assert_eq!(rope.layers.get(FULL_ATTENTION).map(|rope| rope.rope_theta), Some(1e6));
    /// # Ok::<(), bestof_positional::RopeError>(())
    /// ```
    ///
    /// # Errors
    /// As [`HfRope::read`].
    pub fn of_model(config: &Value) -> Result<Self, RopeError> {
        Self::read(text_config(config), &HfDefaults::of_config(config))
    }

    /// The longest sequence in tokens, as vLLM takes it: `max_position_embeddings` times the factor of
    /// linear and dynamic scaling, the original length times the factor of `YaRN`, and
    /// `max_position_embeddings` otherwise. Where layer types differ (Gemma 3) that number counts the
    /// scaling already, and so it does in a config with a lock, whose own `length` may exceed it.
    ///
    /// ```
    /// use bestof_positional::hf::HfRope;
    /// let config = serde_json::json!({
    ///     "model_type": "llama", "max_position_embeddings": 4096,
    ///     "rope_scaling": {"type": "linear", "factor": 4.0},
    /// });
    /// assert_eq!(HfRope::of_model(&config)?.context_length(), Some(16384));
    /// # Ok::<(), bestof_positional::RopeError>(())
    /// ```
    pub fn context_length(&self) -> Option<usize> {
        let length = self.layers.iter().filter_map(|rope| rope.max_position_embeddings).max();
        match (&self.lock, &self.layers) {
            (Some(lock), _) => length.max(lock.length),
            (None, LayerRopes::Uniform(rope)) => rope.stock_length(),
            (None, LayerRopes::PerLayerType(_)) => length,
        }
    }

    /// Checks that the settings give the frequencies of the lock, in the same layers; without a lock there
    /// is nothing to check.
    ///
    /// # Errors
    /// [`RopeError::Locked`] with both hashes, [`RopeError::LockedLayers`] with both lists.
    pub fn verify_lock(&self) -> Result<(), RopeError> {
        self.lock.as_ref().map_or(Ok(()), |lock| lock.verify(&self.layers, &self.no_rope))
    }

    /// The settings in a map of a model's fields, under explicit defaults.
    ///
    /// Fallbacks are those of transformers 5: `head_dim` is `hidden_size / num_attention_heads`; a
    /// top-level `original_max_position_embeddings` beats the one in a flat map, and
    /// `max_position_embeddings` is the fallback for both; `dynamic` always uses the latter; longrope's
    /// `factor` is their ratio.
    ///
    /// # Errors
    /// [`RopeError::UnknownRopeType`], [`RopeError::MissingKey`], [`RopeError::MissingField`],
    /// [`RopeError::WrongType`], or whatever is wrong with the values; within
    /// [`RopeError::InLayer`] where settings differ by layer.
    pub fn read(config: &Value, defaults: &HfDefaults) -> Result<Self, RopeError> {
        let map = config.as_object().ok_or_else(|| wrong("config", config, "a map"))?;
        let model = Model::read(map, defaults)?;
        let scaling = field::<&Object>(map, "rope_scaling")?.filter(|map| !map.is_empty());
        let parameters = field::<&Object>(map, "rope_parameters")?.filter(|map| !map.is_empty());
        let local = field::<f64>(map, "rope_local_base_freq")?.or(defaults.local_rope_theta);
        let theta = model.rope_theta.unwrap_or(defaults.rope_theta);
        let mut unrecognised = Vec::new();
        let layers = match (local, scaling.or(parameters)) {
            (Some(local), _) => {
                let (full, sliding) = full_and_sliding(scaling, parameters)?;
                let truncate = parameters.map_or(Ok(None), |map| field::<bool>(map, "truncate"))?;
                let mut read = |layer_type, map, rope_theta| {
                    let scope = Scope {
                        rope_theta,
                        layer_type: Some(layer_type),
                        truncate,
                        inside_composition: false,
                    };
                    let config = model.settings(map, &scope, &mut unrecognised)?;
                    Ok::<_, RopeError>((layer_type.to_string(), config))
                };
                LayerRopes::PerLayerType(BTreeMap::from([
                    read(FULL_ATTENTION, &full, theta)?,
                    read(SLIDING_ATTENTION, &sliding, local)?,
                ]))
            }
            (None, Some(nested)) if is_nested(nested) => {
                model.nested(nested, theta, &mut unrecognised)?
            }
            (None, flat) => {
                let scope = Scope {
                    rope_theta: theta,
                    layer_type: None,
                    truncate: None,
                    inside_composition: false,
                };
                let flat = flat.cloned().unwrap_or_default();
                LayerRopes::Uniform(model.settings(&flat, &scope, &mut unrecognised)?)
            }
        };
        let lock = RopeLock::read(map)?;
        let locked = lock.as_ref().and_then(|lock| lock.no_rope_layers.as_deref());
        let no_rope = no_rope::read(map, defaults, locked)?;
        Ok(Self { layers, unrecognised, lock, no_rope })
    }
}

/// Whether a map holds maps by layer type rather than settings.
fn is_nested(map: &Object) -> bool {
    !map.contains_key("rope_type")
        && !map.contains_key("type")
        && map.values().any(Value::is_object)
}

/// Gemma 3's two maps: `rope_scaling` overrides the settings of the full layers.
fn full_and_sliding(
    scaling: Option<&Object>,
    parameters: Option<&Object>,
) -> Result<(Object, Object), RopeError> {
    let (mut full, mut sliding) = (Object::new(), Object::new());
    for map in [parameters, scaling].into_iter().flatten() {
        if is_nested(map) {
            full.extend(field::<&Object>(map, FULL_ATTENTION)?.cloned().unwrap_or_default());
            sliding.extend(field::<&Object>(map, SLIDING_ATTENTION)?.cloned().unwrap_or_default());
        } else {
            full.extend(map.clone());
        }
    }
    Ok((full, sliding))
}

impl Model {
    fn read(map: &Object, defaults: &HfDefaults) -> Result<Self, RopeError> {
        let length = field(map, "max_position_embeddings")?;
        Ok(Self {
            head_dim: head_dim(map, defaults)?,
            max_position_embeddings: length.or(defaults.max_position_embeddings),
            rope_theta: field(map, "rope_theta")?,
            partial_rotary_factor: field(map, "partial_rotary_factor")?,
            original_max_position_embeddings: field(map, "original_max_position_embeddings")?
                .or(defaults.original_max_position_embeddings),
            longrope_only: defaults.longrope_only,
        })
    }

    fn nested(
        &self,
        map: &Object,
        rope_theta: f64,
        unrecognised: &mut Vec<String>,
    ) -> Result<LayerRopes, RopeError> {
        let truncate = field::<bool>(map, "truncate")?;
        let mut configs = BTreeMap::new();
        for (layer_type, settings) in map {
            match settings {
                Value::Object(settings) => {
                    let scope = Scope {
                        rope_theta,
                        layer_type: Some(layer_type),
                        truncate,
                        inside_composition: false,
                    };
                    let config = self.settings(settings, &scope, unrecognised)?;
                    configs.insert(layer_type.clone(), config);
                }
                Value::Null => {}
                _ if layer_type == "truncate" => {}
                _ => unrecognised.push(layer_type.clone()),
            }
        }
        Ok(LayerRopes::PerLayerType(configs))
    }

    /// One map of settings, checked.
    fn settings(
        &self,
        map: &Object,
        scope: &Scope<'_>,
        unrecognised: &mut Vec<String>,
    ) -> Result<RopeConfig, RopeError> {
        let read = || {
            let (scaling, mut passed_over) = self.scaling(map, scope)?;
            let own_share = matches!(scaling, RopeScaling::Proportional(_));
            let share = field::<f64>(map, "partial_rotary_factor")?.or(self.partial_rotary_factor);
            let config = RopeConfig {
                head_dim: self.head_dim,
                rope_theta: field::<f64>(map, "rope_theta")?.unwrap_or(scope.rope_theta),
                partial_rotary_factor: share.filter(|_| !own_share).unwrap_or(1.0),
                max_position_embeddings: self.max_position_embeddings,
                scaling,
            };
            config.build()?;
            if let Some(layer_type) = scope.layer_type {
                for key in &mut passed_over {
                    *key = format!("{layer_type}.{key}");
                }
            }
            Ok((config, passed_over))
        };
        let (config, passed_over) = read().map_err(|source| match scope.layer_type {
            None => source,
            Some(layer_type) => {
                RopeError::InLayer { layer_type: layer_type.to_string(), source: Box::new(source) }
            }
        })?;
        unrecognised.extend(passed_over);
        Ok(config)
    }

    /// The rule of a map, and the keys it does not read.
    fn scaling(
        &self,
        map: &Object,
        scope: &Scope<'_>,
    ) -> Result<(RopeScaling, Vec<String>), RopeError> {
        let name =
            field::<&str>(map, "rope_type")?.or(field::<&str>(map, "type")?).unwrap_or("default");
        if name == "composed" {
            return self.composed(map, scope);
        }
        let name = if self.longrope_only && name == "yarn" { "longrope" } else { name };
        let method: Method = name.parse()?;
        let params = self.params(method, map, scope)?;
        let beside = scope.layer_type.is_some() && !scope.inside_composition;
        let overruled =
            beside && field::<bool>(map, "truncate")? != Some(scope.truncate.unwrap_or(true));
        let read = |key: &str| {
            let ignored = match (method, key) {
                (Method::Dynamic, "original_max_position_embeddings") => !scope.inside_composition,
                (Method::Yarn, "truncate") => overruled,
                _ => false,
            };
            COMMON_KEYS.contains(&key) || method.parameters().contains(&key) && !ignored
        };
        let passed_over =
            map.iter().filter(|(key, value)| !value.is_null() && !read(key)).map(|(key, _)| key);
        Ok((
            RopeScaling::from_params(method, &params, self.max_position_embeddings)?,
            passed_over.cloned().collect(),
        ))
    }

    /// A composition, which only this crate writes: each part is complete in itself.
    fn composed(
        &self,
        map: &Object,
        scope: &Scope<'_>,
    ) -> Result<(RopeScaling, Vec<String>), RopeError> {
        let inside = Scope { inside_composition: true, ..*scope };
        let part = |key: &'static str| {
            let missing = RopeError::MissingKey { rope_type: "composed", key };
            let (scaling, passed_over) =
                self.scaling(field::<&Object>(map, key)?.ok_or(missing)?, &inside)?;
            Ok::<_, RopeError>((Box::new(scaling), passed_over))
        };
        let (first, mut passed_over) = part("first")?;
        let (then, more) = part("then")?;
        passed_over.extend(more);
        Ok((RopeScaling::Composed(Composed { first, then }), passed_over))
    }

    fn params(
        &self,
        method: Method,
        map: &Object,
        scope: &Scope<'_>,
    ) -> Result<RopeParams, RopeError> {
        let read = RopeParams::read(map)?;
        let listed = read.original_max_position_embeddings;
        let original = match (method, scope.layer_type) {
            _ if scope.inside_composition => listed,
            (Method::Dynamic, _) => None,
            (_, None) => self.original_max_position_embeddings.or(listed),
            (_, Some(_)) => listed,
        };
        let mut params = RopeParams {
            original_max_position_embeddings: original,
            truncate: match scope.layer_type {
                Some(_) if !scope.inside_composition => scope.truncate,
                _ => read.truncate,
            },
            partial_rotary_factor: read.partial_rotary_factor.or(self.partial_rotary_factor),
            ..read
        };
        // DeepSeek's configs hold `"factor": null` and mean the ratio of the two lengths.
        let factor_is_null = map.get("factor").is_some_and(Value::is_null);
        if let (Method::Yarn, true, Some(original), Some(length)) =
            (method, factor_is_null, original, self.max_position_embeddings)
        {
            params.factor = Some(length as f64 / original as f64);
        }
        Ok(params)
    }
}

/// `head_dim`, or the share of the hidden size that each head gets.
fn head_dim(map: &Object, defaults: &HfDefaults) -> Result<usize, RopeError> {
    let given = field(map, "head_dim")?.filter(|dim| *dim > 0);
    if let Some(head_dim) = given.or(defaults.head_dim) {
        return Ok(head_dim);
    }
    let needed = |key: &'static str, default: Option<usize>| {
        let fix = "add `head_dim`, or both `hidden_size` and `num_attention_heads`";
        field(map, key)?.or(default).ok_or(RopeError::MissingField { key, fix })
    };
    let hidden = needed("hidden_size", defaults.hidden_size)?;
    let heads = needed("num_attention_heads", defaults.num_attention_heads)?;
    hidden.checked_div(heads).ok_or_else(|| {
        let found = value(map, "num_attention_heads").unwrap_or(&Value::Null);
        wrong("num_attention_heads", found, "a whole number of at least 1")
    })
}
