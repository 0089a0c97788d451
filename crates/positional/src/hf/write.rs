//! RoPE settings into a `config.json` that transformers reads.

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde_json::Value;

use super::{FULL_ATTENTION, LayerRopes, SLIDING_ATTENTION, Spelling};
use crate::json::{Object, wrong};
use crate::serde_map;
use crate::{RopeBasis, RopeConfig, RopeError, RopeScaling};

/// Keys that another spelling, or another scaling, may have left behind.
const STALE_KEYS: [&str; 5] = [
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "rope_local_base_freq",
    "original_max_position_embeddings",
];

impl LayerRopes {
    /// Writes the settings into a config, replacing its present RoPE keys.
    ///
    /// Scalings are written under their own names; for names that transformers does not know write
    /// [`RopeConfig::portable`] instead. `max_position_embeddings` is set where known; `dynamic`
    /// sets it to the length of pre-training, since transformers divides by it.
    ///
    /// # Errors
    /// [`RopeError::WrongType`] if `config` is not a map; [`RopeError::NotExpressible`] for settings
    /// by layer that the spelling has no keys for.
    pub fn write(&self, config: &mut Value, spelling: Spelling) -> Result<(), RopeError> {
        let Value::Object(map) = config else {
            return Err(wrong("config", config, "a map"));
        };
        // Changed in a copy, so that an error leaves the config unchanged.
        let mut written = map.clone();
        for key in STALE_KEYS {
            written.remove(key);
        }
        match self {
            Self::Uniform(config) => write_uniform(&mut written, config, spelling)?,
            Self::PerLayerType(configs) => write_per_layer(&mut written, configs, spelling)?,
        }
        for config in self.iter() {
            let length = match &config.scaling {
                RopeScaling::Dynamic(rule) => Some(rule.original_max_position_embeddings),
                _ => config.max_position_embeddings,
            };
            if let Some(length) = length {
                written.insert("max_position_embeddings".into(), length.into());
            }
        }
        *map = written;
        Ok(())
    }
}

fn write_uniform(
    map: &mut Object,
    config: &RopeConfig,
    spelling: Spelling,
) -> Result<(), RopeError> {
    if spelling != Spelling::RopeParameters {
        write_legacy(map, config)?;
    }
    if spelling != Spelling::RopeScaling {
        map.insert("rope_parameters".into(), parameters(config)?.into());
    }
    write_share(map, config, spelling);
    // Where some readers look for it instead: transformers 4 (longrope), GGUF converters (llama3).
    if let RopeScaling::Llama3(_) | RopeScaling::LongRope(_) = config.scaling {
        let original = config.scaling.original_max_position_embeddings();
        map.insert("original_max_position_embeddings".into(), original.into());
    }
    Ok(())
}

fn write_per_layer(
    map: &mut Object,
    configs: &BTreeMap<String, RopeConfig>,
    spelling: Spelling,
) -> Result<(), RopeError> {
    if spelling != Spelling::RopeParameters {
        let (Some(full), Some(sliding), 2) =
            (configs.get(FULL_ATTENTION), configs.get(SLIDING_ATTENTION), configs.len())
        else {
            let reason = "it knows full_attention and sliding_attention layers, both of them and \
                          no others; write rope_parameters";
            return Err(not_legacy("default", reason));
        };
        if sliding.scaling != RopeScaling::Default {
            let reason = "sliding layers have a base there but no scaling; write rope_parameters";
            return Err(not_legacy(sliding.scaling.rope_type(), reason));
        }
        write_legacy(map, full)?;
        map.insert("rope_local_base_freq".into(), sliding.rope_theta.into());
        write_share(map, full, spelling);
    }
    if spelling != Spelling::RopeScaling {
        let mut nested = Object::new();
        for (layer_type, config) in configs {
            nested.insert(layer_type.clone(), parameters(config)?.into());
        }
        if let Some(truncate) = shared_truncate(configs)?.filter(|truncate| !truncate) {
            nested.insert("truncate".into(), truncate.into());
        }
        map.insert("rope_parameters".into(), nested.into());
    }
    Ok(())
}

/// `rope_theta` and `rope_scaling`, the latter null for plain RoPE.
fn write_legacy(map: &mut Object, config: &RopeConfig) -> Result<(), RopeError> {
    map.insert("rope_theta".into(), config.rope_theta.into());
    let scaling = if config.scaling == RopeScaling::Default {
        Value::Null
    } else {
        let mut scaling = settings(config)?;
        // Readers older than transformers 4.43 know only this name.
        scaling.insert("type".into(), config.scaling.rope_type().into());
        scaling.into()
    };
    map.insert("rope_scaling".into(), scaling);
    Ok(())
}

/// The rotated share beside the maps, where a reader of this spelling looks for it.
fn write_share(map: &mut Object, config: &RopeConfig, spelling: Spelling) {
    let key = "partial_rotary_factor";
    if let RopeScaling::Proportional(_) = config.scaling {
        map.remove(key);
        return;
    }
    let legacy = spelling != Spelling::RopeParameters;
    if map.contains_key(key) || legacy && config.partial_rotary_factor != 1.0 {
        map.insert(key.into(), config.partial_rotary_factor.into());
    }
}

/// A map of transformers 5: the scaling with base and rotated share in it.
fn parameters(config: &RopeConfig) -> Result<Object, RopeError> {
    let mut map = settings(config)?;
    map.insert("rope_theta".into(), config.rope_theta.into());
    let own_share = matches!(config.scaling, RopeScaling::Proportional(_));
    if !own_share && config.partial_rotary_factor != 1.0 {
        map.insert("partial_rotary_factor".into(), config.partial_rotary_factor.into());
    }
    Ok(map)
}

/// The scaling as a map.
fn settings(config: &RopeConfig) -> Result<Object, RopeError> {
    let mut map = serde_map::to_map(&config.scaling).map_err(|_| RopeError::NotExpressible {
        rope_type: config.scaling.rope_type(),
        target: "JSON",
        reason: "a parameter has no JSON form; check that all are finite",
    })?;
    if let RopeScaling::Dynamic(_) = config.scaling {
        map.remove("original_max_position_embeddings");
    }
    Ok(map)
}

/// `YaRN`'s `truncate`, which transformers reads beside the nested maps: one for all of them.
fn shared_truncate(configs: &BTreeMap<String, RopeConfig>) -> Result<Option<bool>, RopeError> {
    let mut shared = None;
    for config in configs.values() {
        if let RopeScaling::Yarn(rule) = &config.scaling {
            if shared.is_some_and(|truncate| truncate != rule.truncate) {
                return Err(RopeError::NotExpressible {
                    rope_type: rule.rope_type(),
                    target: "nested rope_parameters",
                    reason: "all layers share one `truncate` there; give them the same",
                });
            }
            shared = Some(rule.truncate);
        }
    }
    Ok(shared)
}

fn not_legacy(rope_type: &'static str, reason: &'static str) -> RopeError {
    RopeError::NotExpressible { rope_type, target: "rope_theta + rope_scaling", reason }
}
