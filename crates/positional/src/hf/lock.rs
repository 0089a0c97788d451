//! The lock that ties a checkpoint's weights to the frequencies they were trained with.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::LayerRopes;
use super::no_rope::{LAYERS, positions_of_zeros, read_list};
use crate::json::{Object, field, value, wrong};
use crate::{RopeBasis, RopeError, RopeScaling};

/// The entry of `config.json` that holds the lock.
pub const CONFIG_KEY: &str = "bestof";
/// What the layers are called where all share a basis.
const ALL_LAYERS: &str = "all layers";

/// What a checkpoint records about the frequencies its weights belong to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RopeLock {
    /// Frequency hashes by layer type; the single key "all layers" where they share a basis.
    pub frequencies: BTreeMap<String, String>,
    /// The rule behind an exported one.
    pub scaling: Option<RopeScaling>,
    /// The longest sequence in tokens, where `max_position_embeddings` is not it.
    pub length: Option<usize>,
    /// Which layers rotate (1) and which go without RoPE (0), where not all rotate.
    pub no_rope_layers: Option<Vec<u8>>,
}

impl RopeLock {
    /// The lock for settings, whose rule is `scaling` where they are its export.
    pub(super) fn new(
        settings: &LayerRopes,
        scaling: Option<RopeScaling>,
        length: Option<usize>,
        no_rope_layers: Option<Vec<u8>>,
    ) -> Result<Self, RopeError> {
        let mut frequencies = BTreeMap::new();
        match settings {
            LayerRopes::Uniform(rope) => {
                frequencies.insert(ALL_LAYERS.to_owned(), rope.frequency_hash()?);
            }
            LayerRopes::PerLayerType(ropes) => {
                for (layer_type, rope) in ropes {
                    frequencies.insert(layer_type.clone(), rope.frequency_hash()?);
                }
            }
        }
        Ok(Self { frequencies, scaling, length, no_rope_layers })
    }

    /// The lock in a map of a model's fields, if it has one.
    pub(super) fn read(map: &Object) -> Result<Option<Self>, RopeError> {
        let Some(entry) = field::<&Object>(map, CONFIG_KEY)? else { return Ok(None) };
        let in_lock = |key: &str, found: &Value, expected: &str| {
            wrong(&format!("{CONFIG_KEY}.{key}"), found, expected)
        };
        let frequencies = match value(entry, "rope_frequencies") {
            None => BTreeMap::new(),
            Some(Value::String(hash)) => BTreeMap::from([(ALL_LAYERS.to_owned(), hash.clone())]),
            Some(found) => serde_json::from_value(found.clone()).map_err(|_| {
                in_lock("rope_frequencies", found, "a hash, or a map of hashes by layer type")
            })?,
        };
        let scaling = match value(entry, "rope") {
            None => None,
            Some(found) => Some(
                serde_json::from_value(found.clone())
                    .map_err(|error| in_lock("rope", found, &format!("RoPE settings ({error})")))?,
            ),
        };
        let length = match value(entry, "length") {
            None => None,
            Some(found) => Some(
                found
                    .as_u64()
                    .filter(|length| (1..1 << 31).contains(length))
                    .ok_or_else(|| in_lock("length", found, "a number of positions"))?
                    as usize,
            ),
        };
        let no_rope_layers = read_list(entry, LAYERS).map_err(|error| match error {
            RopeError::WrongType { found, expected, .. } => {
                RopeError::WrongType { key: format!("{CONFIG_KEY}.{LAYERS}"), found, expected }
            }
            other => other,
        })?;
        Ok(Some(Self { frequencies, scaling, length, no_rope_layers }))
    }

    /// Checks that settings give the frequencies of the lock, and that the same layers go without.
    pub(super) fn verify(&self, settings: &LayerRopes, no_rope: &[usize]) -> Result<(), RopeError> {
        if let Some(list) = &self.no_rope_layers {
            let locked = positions_of_zeros(list);
            if locked != no_rope {
                return Err(RopeError::LockedLayers { found: no_rope.to_vec(), expected: locked });
            }
        }
        for (layers, expected) in &self.frequencies {
            let rope = match settings {
                LayerRopes::Uniform(rope) => Some(rope),
                LayerRopes::PerLayerType(ropes) => ropes.get(layers),
            };
            let Some(rope) = rope else { continue };
            let found = rope.frequency_hash()?;
            if !found.eq_ignore_ascii_case(expected) {
                return Err(RopeError::Locked {
                    layers: layers.clone(),
                    rope_type: rope.scaling.rope_type(),
                    found,
                    expected: expected.clone(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn to_json(&self) -> Value {
        let mut entry = Object::new();
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
        if let Some(list) = &self.no_rope_layers {
            entry.insert(LAYERS.into(), json!(list));
        }
        Value::Object(entry)
    }
}
