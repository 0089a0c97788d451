//! Which layers go without RoPE, in the words of `SmolLM3`'s and Llama 4's configs.

use alloc::vec::Vec;

use serde_json::{Value, json};

use super::defaults::HfDefaults;
use crate::json::{Object, field, value, wrong};
use crate::{RopeConfig, RopeError};

pub(super) const LAYERS: &str = "no_rope_layers";
const INTERVAL: &str = "no_rope_layer_interval";

/// Layers that go without RoPE beside layers that rotate, as a list or at an interval.
///
/// Despite its name the list says which layers *do* rotate, since that is what transformers reads
/// under it.
///
/// ```
/// use bestof_positional::hf::NoRope;
/// let every_fourth = NoRope { no_rope_layer_interval: Some(4), ..NoRope::default() };
/// assert_eq!(every_fourth.indices(8)?, [3, 7]);
/// let listed = NoRope { no_rope_layers: Some(vec![1, 0, 1, 0]), ..NoRope::default() };
/// assert_eq!(listed.indices(4)?, [1, 3]);
/// # Ok::<(), bestof_positional::RopeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct NoRope {
    /// One entry per layer, separated by commas: 1 for a layer that rotates, 0 for one that does not.
    #[cfg_attr(feature = "clap", arg(long, value_delimiter = ','))]
    pub no_rope_layers: Option<Vec<u8>>,
    /// Every how many layers one does not rotate: 4 stands for layers 3, 7, 11 and so on, from 0.
    #[cfg_attr(feature = "clap", arg(long, conflicts_with = "no_rope_layers"))]
    pub no_rope_layer_interval: Option<usize>,
}

impl NoRope {
    /// Whether it says anything.
    pub fn is_given(&self) -> bool {
        self.no_rope_layers.is_some() || self.no_rope_layer_interval.is_some()
    }

    /// The layers that do not rotate, from 0, in a model of so many; the list counts where both are
    /// given.
    ///
    /// # Errors
    /// [`RopeError::LayerCount`] for a list of another length, [`RopeError::WrongType`] for an entry
    /// that is neither 0 nor 1 and for an interval of 0.
    pub fn indices(&self, layers: usize) -> Result<Vec<usize>, RopeError> {
        if let Some(list) = &self.no_rope_layers {
            if let Some(entry) = list.iter().find(|entry| **entry > 1) {
                return Err(wrong(LAYERS, &json!(entry), "1 (rotates) or 0 (does not) per layer"));
            }
            if list.len() != layers {
                return Err(RopeError::LayerCount { found: list.len(), layers });
            }
            return Ok(positions_of_zeros(list));
        }
        match self.no_rope_layer_interval {
            Some(0) => Err(wrong(INTERVAL, &json!(0), "at least 1")),
            Some(interval) => {
                Ok((0..layers).filter(|l| (l + 1).is_multiple_of(interval)).collect())
            }
            None => Ok(Vec::new()),
        }
    }
}

pub(super) fn positions_of_zeros(list: &[u8]) -> Vec<usize> {
    list.iter().enumerate().filter(|(_, entry)| **entry == 0).map(|(layer, _)| layer).collect()
}

/// The list that says that these layers, from 0, do not rotate.
pub(super) fn list(no_rope: &[usize], layers: usize) -> Vec<u8> {
    (0..layers).map(|layer| u8::from(!no_rope.contains(&layer))).collect()
}

/// The number of layers of a model.
pub(super) fn layer_count(map: &Object) -> Result<usize, RopeError> {
    let fix = "add it: `no_rope_layers` has one entry per layer";
    field(map, "num_hidden_layers")?
        .ok_or(RopeError::MissingField { key: "num_hidden_layers", fix })
}

/// A list in a config, under a key.
pub(super) fn read_list(map: &Object, key: &str) -> Result<Option<Vec<u8>>, RopeError> {
    let Some(found) = value(map, key) else { return Ok(None) };
    let entry = |entry: &Value| entry.as_u64().filter(|e| *e <= 1).map(|e| e as u8);
    let list = found.as_array().and_then(|list| list.iter().map(entry).collect());
    let expected = "a list with 1 (rotates) or 0 (does not) for each layer";
    list.map(Some).ok_or_else(|| wrong(key, found, expected))
}

/// The layers of a config that do not rotate: by the keys of its model type, where that has some, or
/// by the list of its lock.
pub(super) fn read(
    map: &Object,
    defaults: &HfDefaults,
    locked: Option<&[u8]>,
) -> Result<Vec<usize>, RopeError> {
    let Some(interval) = defaults.no_rope_layer_interval else {
        let Some(list) = locked else { return Ok(Vec::new()) };
        return listed(map, list);
    };
    // transformers reads as many entries as there are layers.
    if let Some(list) = read_list(map, LAYERS)? {
        return listed(map, &list);
    }
    let every = NoRope {
        no_rope_layers: None,
        no_rope_layer_interval: field(map, INTERVAL)?.or(Some(interval)),
    };
    let known = field(map, "num_hidden_layers")?.or(defaults.num_hidden_layers);
    every.indices(known.map_or_else(|| layer_count(map), Ok)?)
}

/// The zeros of a list; it may be longer than the model.
fn listed(map: &Object, list: &[u8]) -> Result<Vec<usize>, RopeError> {
    let layers = field(map, "num_hidden_layers")?.unwrap_or(list.len());
    match list.get(..layers) {
        Some(list) => Ok(positions_of_zeros(list)),
        None => Err(RopeError::LayerCount { found: list.len(), layers }),
    }
}

/// The layers without RoPE after a change: those before and those asked for.
pub(super) fn after(
    current: &[usize],
    asked: &NoRope,
    map: &Object,
    rope: &RopeConfig,
) -> Result<Vec<usize>, RopeError> {
    if !asked.is_given() {
        return Ok(current.to_vec());
    }
    let key = if asked.no_rope_layers.is_some() { LAYERS } else { INTERVAL };
    let wanted = asked.indices(layer_count(map)?)?;
    if let Some(layer) = current.iter().find(|layer| !wanted.contains(layer)) {
        return Err(RopeError::DroppedLayer { layer: *layer, key });
    }
    if !rope.build()?.rotates() {
        let accepted = "`nope` and `drope` drop it from every layer".into();
        return Err(RopeError::UnusedParameter {
            rope_type: crate::RopeBasis::rope_type(&rope.scaling),
            key,
            accepted,
        });
    }
    Ok(wanted)
}
