//! `RopeScaling` as a flat map, for serde: `rope_type` and the parameters it reads.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Display;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{Composed, Method, RopeParams, RopeScaling};

/// The map of a scaling, without entries that are not set.
pub(crate) fn to_map(scaling: &RopeScaling) -> serde_json::Result<Map<String, Value>> {
    let mut map = Map::new();
    map.insert("rope_type".into(), crate::RopeBasis::rope_type(scaling).into());
    if let RopeScaling::Composed(rule) = scaling {
        map.insert("first".into(), to_map(&rule.first)?.into());
        map.insert("then".into(), to_map(&rule.then)?.into());
    } else if let Some((_, params)) = scaling.to_params() {
        let Value::Object(params) = serde_json::to_value(params)? else {
            return Err(refused("parameters are not a map"));
        };
        map.extend(params);
    }
    Ok(map)
}

impl RopeScaling {
    /// The rule and its numbers, as `power (factor 4, power 0.5)`: for reports.
    pub fn describe(&self) -> String {
        let rope_type = crate::RopeBasis::rope_type(self);
        let map = to_map(self).unwrap_or_default();
        let numbers: Vec<String> = map
            .iter()
            .filter_map(|(key, value)| Some(format!("{key} {}", value.as_number()?.as_f64()?)))
            .collect();
        if numbers.is_empty() {
            rope_type.into()
        } else {
            format!("{rope_type} ({})", numbers.join(", "))
        }
    }
}

/// The scaling of a map; keys it would not read are errors.
fn from_map(mut map: Map<String, Value>) -> serde_json::Result<RopeScaling> {
    let name: String = take(&mut map, "rope_type")?;
    if name == "composed" {
        let first = Box::new(take(&mut map, "first")?);
        let then = Box::new(take(&mut map, "then")?);
        if let Some(key) = map.keys().next() {
            return Err(refused(format_args!("`composed` has no key `{key}`")));
        }
        return Ok(RopeScaling::Composed(Composed { first, then }));
    }
    let method: Method = name.parse().map_err(refused)?;
    let params: RopeParams = serde_json::from_value(Value::Object(map))?;
    params.refuse_unused(method).map_err(refused)?;
    RopeScaling::from_params(method, &params, None).map_err(refused)
}

fn refused(message: impl Display) -> serde_json::Error {
    serde::de::Error::custom(message)
}

fn take<T: serde::de::DeserializeOwned>(
    map: &mut Map<String, Value>,
    key: &'static str,
) -> serde_json::Result<T> {
    let value = map.remove(key).ok_or_else(|| refused(format_args!("missing field `{key}`")))?;
    serde_json::from_value(value)
}

impl Serialize for RopeScaling {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        to_map(self).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RopeScaling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_map(Map::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
