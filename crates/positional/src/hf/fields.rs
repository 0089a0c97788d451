//! Typed look-ups in a JSON map, with the key in every complaint.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use crate::RopeError;
use crate::method::shortened;

/// A JSON object.
pub(super) type Object = Map<String, Value>;

pub(super) fn wrong(key: &str, found: &Value, expected: &'static str) -> RopeError {
    let found = shortened(&found.to_string());
    RopeError::WrongType { key: key.to_string(), found, expected }
}

/// The value under a key, unless it is missing or null.
pub(super) fn value<'a>(map: &'a Object, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|value| !value.is_null())
}

fn typed<'a, T>(
    map: &'a Object,
    key: &str,
    expected: &'static str,
    read: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<Option<T>, RopeError> {
    let Some(value) = value(map, key) else { return Ok(None) };
    read(value).map(Some).ok_or_else(|| wrong(key, value, expected))
}

pub(super) fn number(map: &Object, key: &str) -> Result<Option<f64>, RopeError> {
    typed(map, key, "a number", Value::as_f64)
}

/// A count; `8192.0` counts as one.
pub(super) fn count(map: &Object, key: &str) -> Result<Option<usize>, RopeError> {
    let largest = 2_f64.powi(53);
    let whole = |x: &f64| x.fract() == 0.0 && (0.0..=largest).contains(x);
    let read = |value: &Value| value.as_f64().filter(whole).map(|x| x as usize);
    typed(map, key, "a whole number of at least 0", read)
}

pub(super) fn flag(map: &Object, key: &str) -> Result<Option<bool>, RopeError> {
    typed(map, key, "true or false", Value::as_bool)
}

pub(super) fn text<'a>(map: &'a Object, key: &str) -> Result<Option<&'a str>, RopeError> {
    typed(map, key, "a string", Value::as_str)
}

pub(super) fn object<'a>(map: &'a Object, key: &str) -> Result<Option<&'a Object>, RopeError> {
    typed(map, key, "a map", Value::as_object)
}

pub(super) fn numbers(map: &Object, key: &str) -> Result<Option<Vec<f64>>, RopeError> {
    let read = |value: &Value| value.as_array()?.iter().map(Value::as_f64).collect();
    typed(map, key, "a list of numbers", read)
}
