//! Typed look-ups in a JSON map; errors name the key.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use crate::error::RopeError;
use crate::method::shortened;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// The error of a key whose value is not what is expected.
pub(crate) fn wrong(key: &str, found: &Value, expected: &str) -> RopeError {
    let found = shortened(&found.to_string());
    RopeError::WrongType { key: key.to_string(), found, expected: expected.to_string() }
}

/// The value under a key, unless it is missing or null.
pub(crate) fn value<'a>(map: &'a Object, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|value| !value.is_null())
}

/// What a key may hold.
pub(crate) trait Field<'a>: Sized {
    /// For error messages.
    const EXPECTED: &'static str;

    fn of(value: &'a Value) -> Option<Self>;
}

/// The typed value under a key; `None` if it is missing or null.
pub(crate) fn field<'a, T: Field<'a>>(map: &'a Object, key: &str) -> Result<Option<T>, RopeError> {
    let Some(value) = value(map, key) else { return Ok(None) };
    T::of(value).map(Some).ok_or_else(|| wrong(key, value, T::EXPECTED))
}

impl Field<'_> for f64 {
    const EXPECTED: &'static str = "a number";

    fn of(value: &Value) -> Option<Self> {
        value.as_f64()
    }
}

impl Field<'_> for usize {
    const EXPECTED: &'static str = "a whole number of at least 0";

    /// `8192.0` is read as 8192; 2^53 is the largest.
    fn of(value: &Value) -> Option<Self> {
        let largest = 9_007_199_254_740_992.0;
        let whole = |x: &f64| libm::floor(*x) == *x && (0.0..=largest).contains(x);
        value.as_f64().filter(whole).map(|x| x as usize)
    }
}

impl Field<'_> for bool {
    const EXPECTED: &'static str = "true or false";

    fn of(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl<'a> Field<'a> for &'a str {
    const EXPECTED: &'static str = "a string";

    fn of(value: &'a Value) -> Option<Self> {
        value.as_str()
    }
}

impl<'a> Field<'a> for &'a Object {
    const EXPECTED: &'static str = "a map";

    fn of(value: &'a Value) -> Option<Self> {
        value.as_object()
    }
}

impl Field<'_> for Vec<f64> {
    const EXPECTED: &'static str = "a list of numbers";

    fn of(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(Value::as_f64).collect()
    }
}
