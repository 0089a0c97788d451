//! From a config to checked settings.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;

use super::fields::{Object, count, flag, number, numbers, object, text, value, wrong};
use super::{FULL_ATTENTION, HfDefaults, HfRope, LayerRopes, SLIDING_ATTENTION};
use crate::{Composed, Method, RopeConfig, RopeError, RopeParams, RopeScaling};

/// Keys every RoPE map may hold.
const COMMON_KEYS: [&str; 5] =
    ["rope_type", "type", "rope_theta", "partial_rotary_factor", "max_position_embeddings"];

/// What the config says outside its RoPE maps.
struct Model {
    head_dim: usize,
    max_position_embeddings: Option<usize>,
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
}

/// Where one map of settings stands.
struct Place<'a> {
    /// The base if the map names none.
    rope_theta: f64,
    /// The kind of layer, for a map that is not the only one.
    layer_type: Option<&'a str>,
    /// `YaRN`'s `truncate`, which transformers reads beside the nested maps, not in them.
    truncate: Option<bool>,
    /// Whether the map is a part of a composition.
    inside_composition: bool,
}

impl HfRope {
    /// The RoPE settings of a model's `config.json` (its `text_config`, in a multimodal one).
    ///
    /// Fallbacks are those of transformers 5: `head_dim` is `hidden_size / num_attention_heads`; a
    /// top-level `original_max_position_embeddings` beats the one in a flat map, and
    /// `max_position_embeddings` stands in for both; `dynamic` always uses the latter; longrope's
    /// `factor` is their ratio.
    ///
    /// # Errors
    /// [`RopeError::UnknownRopeType`], [`RopeError::MissingKey`], [`RopeError::MissingField`],
    /// [`RopeError::WrongType`], or whatever is wrong with the values; within
    /// [`RopeError::InLayer`] where settings differ by layer.
    pub fn read(config: &Value, defaults: &HfDefaults) -> Result<Self, RopeError> {
        let map = config.as_object().ok_or_else(|| wrong("config", config, "a map"))?;
        let model = Model::read(map)?;
        let scaling = object(map, "rope_scaling")?.filter(|map| !map.is_empty());
        let parameters = object(map, "rope_parameters")?.filter(|map| !map.is_empty());
        let local = number(map, "rope_local_base_freq")?.or(defaults.local_rope_theta);
        let theta = model.rope_theta.unwrap_or(defaults.rope_theta);
        let mut unrecognised = Vec::new();
        let layers = match (local, scaling.or(parameters)) {
            (Some(local), _) => {
                let (full, sliding) = two_kinds(scaling, parameters)?;
                let truncate = parameters.map_or(Ok(None), |map| flag(map, "truncate"))?;
                let mut read = |layer_type, map, rope_theta| {
                    let place = Place {
                        rope_theta,
                        layer_type: Some(layer_type),
                        truncate,
                        inside_composition: false,
                    };
                    let config = model.settings(map, &place, &mut unrecognised)?;
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
                let place = Place {
                    rope_theta: theta,
                    layer_type: None,
                    truncate: None,
                    inside_composition: false,
                };
                let flat = flat.cloned().unwrap_or_default();
                LayerRopes::Uniform(model.settings(&flat, &place, &mut unrecognised)?)
            }
        };
        Ok(Self { layers, unrecognised })
    }
}

/// Whether a map holds maps by layer type rather than settings.
fn is_nested(map: &Object) -> bool {
    !map.contains_key("rope_type")
        && !map.contains_key("type")
        && map.values().any(Value::is_object)
}

/// Gemma 3's two maps: `rope_scaling` is laid over the full layers' settings.
fn two_kinds(
    scaling: Option<&Object>,
    parameters: Option<&Object>,
) -> Result<(Object, Object), RopeError> {
    let (mut full, mut sliding) = (Object::new(), Object::new());
    for map in [parameters, scaling].into_iter().flatten() {
        if is_nested(map) {
            full.extend(object(map, FULL_ATTENTION)?.cloned().unwrap_or_default());
            sliding.extend(object(map, SLIDING_ATTENTION)?.cloned().unwrap_or_default());
        } else {
            full.extend(map.clone());
        }
    }
    Ok((full, sliding))
}

impl Model {
    fn read(map: &Object) -> Result<Self, RopeError> {
        Ok(Self {
            head_dim: head_dim(map)?,
            max_position_embeddings: count(map, "max_position_embeddings")?,
            rope_theta: number(map, "rope_theta")?,
            partial_rotary_factor: number(map, "partial_rotary_factor")?,
            original_max_position_embeddings: count(map, "original_max_position_embeddings")?,
        })
    }

    fn nested(
        &self,
        map: &Object,
        rope_theta: f64,
        unrecognised: &mut Vec<String>,
    ) -> Result<LayerRopes, RopeError> {
        let truncate = flag(map, "truncate")?;
        let mut configs = BTreeMap::new();
        for (layer_type, settings) in map {
            match settings {
                Value::Object(settings) => {
                    let place = Place {
                        rope_theta,
                        layer_type: Some(layer_type),
                        truncate,
                        inside_composition: false,
                    };
                    let config = self.settings(settings, &place, unrecognised)?;
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
        place: &Place<'_>,
        unrecognised: &mut Vec<String>,
    ) -> Result<RopeConfig, RopeError> {
        let read = || {
            let (scaling, mut passed_over) = self.scaling(map, place)?;
            let own_share = matches!(scaling, RopeScaling::Proportional(_));
            let share = number(map, "partial_rotary_factor")?.or(self.partial_rotary_factor);
            let config = RopeConfig {
                head_dim: self.head_dim,
                rope_theta: number(map, "rope_theta")?.unwrap_or(place.rope_theta),
                partial_rotary_factor: share.filter(|_| !own_share).unwrap_or(1.0),
                max_position_embeddings: self.max_position_embeddings,
                scaling,
            };
            config.build()?;
            if let Some(layer_type) = place.layer_type {
                for key in &mut passed_over {
                    *key = format!("{layer_type}.{key}");
                }
            }
            Ok((config, passed_over))
        };
        let (config, passed_over) = read().map_err(|source| match place.layer_type {
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
        place: &Place<'_>,
    ) -> Result<(RopeScaling, Vec<String>), RopeError> {
        let name = text(map, "rope_type")?.or(text(map, "type")?).unwrap_or("default");
        if name == "composed" {
            return self.composed(map, place);
        }
        let method: Method = name.parse()?;
        let params = self.params(method, map, place)?;
        let beside = place.layer_type.is_some() && !place.inside_composition;
        let overruled = beside && flag(map, "truncate")? != Some(place.truncate.unwrap_or(true));
        let read = |key: &str| {
            let ignored = match (method, key) {
                (Method::Dynamic, "original_max_position_embeddings") => !place.inside_composition,
                (Method::Yarn, "truncate") => overruled,
                _ => false,
            };
            COMMON_KEYS.contains(&key) || method.parameters().contains(&key) && !ignored
        };
        let passed_over =
            map.iter().filter(|(key, value)| !value.is_null() && !read(key)).map(|(key, _)| key);
        Ok((RopeScaling::from_params(method, &params)?, passed_over.cloned().collect()))
    }

    /// A composition, which only this crate writes: both parts say everything themselves.
    fn composed(
        &self,
        map: &Object,
        place: &Place<'_>,
    ) -> Result<(RopeScaling, Vec<String>), RopeError> {
        let inside = Place { inside_composition: true, ..*place };
        let part = |key: &'static str| {
            let missing = RopeError::MissingKey { rope_type: "composed", key };
            let (scaling, passed_over) =
                self.scaling(object(map, key)?.ok_or(missing)?, &inside)?;
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
        place: &Place<'_>,
    ) -> Result<RopeParams, RopeError> {
        let listed = count(map, "original_max_position_embeddings")?;
        let original = match (method, place.layer_type) {
            _ if place.inside_composition => listed,
            (Method::Dynamic, _) => None,
            (_, None) => self.original_max_position_embeddings.or(listed),
            (_, Some(_)) => listed,
        };
        let mut params = RopeParams {
            factor: number(map, "factor")?,
            power: number(map, "power")?,
            truncate_length: count(map, "truncate_length")?,
            a: number(map, "a")?,
            b: number(map, "b")?,
            rho: number(map, "rho")?,
            max_position_embeddings: self.max_position_embeddings,
            original_max_position_embeddings: original,
            low_freq_factor: number(map, "low_freq_factor")?,
            high_freq_factor: number(map, "high_freq_factor")?,
            beta_fast: number(map, "beta_fast")?,
            beta_slow: number(map, "beta_slow")?,
            truncate: match place.layer_type {
                Some(_) if !place.inside_composition => place.truncate,
                _ => flag(map, "truncate")?,
            },
            mscale: number(map, "mscale")?,
            mscale_all_dim: number(map, "mscale_all_dim")?,
            attention_factor: number(map, "attention_factor")?,
            short_factor: numbers(map, "short_factor")?,
            long_factor: numbers(map, "long_factor")?,
            partial_rotary_factor: number(map, "partial_rotary_factor")?
                .or(self.partial_rotary_factor),
            gamma: number(map, "gamma")?,
            scale_base: number(map, "scale_base")?,
            centre: number(map, "centre")?,
            smallest_step: number(map, "smallest_step")?,
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
fn head_dim(map: &Object) -> Result<usize, RopeError> {
    if let Some(head_dim) = count(map, "head_dim")?.filter(|dim| *dim > 0) {
        return Ok(head_dim);
    }
    let needed = |key: &'static str| {
        let mend = "add `head_dim`, or both `hidden_size` and `num_attention_heads`";
        count(map, key)?.ok_or(RopeError::MissingField { key, mend })
    };
    let hidden = needed("hidden_size")?;
    let heads = needed("num_attention_heads")?;
    hidden.checked_div(heads).ok_or_else(|| {
        let found = value(map, "num_attention_heads").unwrap_or(&Value::Null);
        wrong("num_attention_heads", found, "a whole number of at least 1")
    })
}
