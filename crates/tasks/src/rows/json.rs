//! JSON values whose objects keep the order of the file.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Number, Value};

/// A JSON value; an object keeps its keys in the order in which they were written, which chat
/// templates show to a model.
///
/// ```
/// use bestof_tasks::rows::Json;
///
/// let text = r#"{"type":"function","function":{"name":"weather","arguments":{}}}"#;
/// let value: Json = serde_json::from_str(text)?;
/// assert_eq!(serde_json::to_string(&value)?, text);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Json {
    /// `null`, `true` and `false`, a number or a text.
    Plain(Value),
    /// A list.
    List(Vec<Json>),
    /// An object; of equal keys the last one counts, as in Python.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Plain(Value::String(text.into()))
    }

    /// `null`.
    pub const NULL: Self = Self::Plain(Value::Null);

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Plain(value) => value.as_str(),
            _ => None,
        }
    }

    /// The field of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().find(|(key, _)| key == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        *self == Self::NULL
    }

    /// Whether it says something: not `null`, and no text, list or object without content.
    pub(crate) fn has_content(&self) -> bool {
        match self {
            Self::Plain(Value::Null) => false,
            Self::Plain(Value::String(text)) => !text.trim().is_empty(),
            Self::Plain(_) => true,
            Self::List(items) => items.iter().any(Self::has_content),
            Self::Object(fields) => fields.iter().any(|(_, value)| value.has_content()),
        }
    }

    /// The value in words, shortened.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Plain(Value::Number(number)) => format!("the number {number}"),
            Self::Plain(Value::String(text)) => {
                let start: String = text.chars().take(24).collect();
                let dots = if start.len() < text.len() { "..." } else { "" };
                format!("the text {start:?}{dots}")
            }
            Self::Plain(value) => value.to_string(),
            Self::List(items) => format!("a list of {}", items.len()),
            Self::Object(fields) => {
                let names: Vec<&str> =
                    fields.iter().take(6).map(|(name, _)| name.as_str()).collect();
                format!("an object with {}", names.join(", "))
            }
        }
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(fields) => {
                Self::Object(fields.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
            plain => Self::Plain(plain),
        }
    }
}

impl From<Json> for Value {
    fn from(value: Json) -> Self {
        match value {
            Json::Plain(value) => value,
            Json::List(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Json::Object(fields) => Self::Object(
                fields.into_iter().map(|(key, value)| (key, value.into())).collect::<Map<_, _>>(),
            ),
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(value) => value.serialize(serializer),
            Self::List(items) => items.serialize(serializer),
            Self::Object(fields) => {
                serializer.collect_map(fields.iter().map(|(key, value)| (key, value)))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::NULL)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Plain(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::text(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut fields: Vec<(String, Json)> = Vec::new();
        while let Some((key, value)) = entries.next_entry::<String, Json>()? {
            match fields.iter_mut().find(|(known, _)| *known == key) {
                Some((_, earlier)) => *earlier = value,
                None => fields.push((key, value)),
            }
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_back_in_order() {
        let text =
            r#"{"z":[1,-2,0.1,1e300,18446744073709551615,true,null],"a":{"y":"é\n","b":{}}}"#;
        let value: Json = serde_json::from_str(text).unwrap();
        let written = serde_json::to_string(&value).unwrap();
        assert_eq!(written.replace("1e+300", "1e300"), text);
        let plain: Value = serde_json::from_str(text).unwrap();
        assert_eq!(Value::from(value.clone()), plain);
        assert_eq!(value.get("a").and_then(|a| a.get("y")).and_then(Json::as_str), Some("é\n"));
        let twice: Json = serde_json::from_str(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(serde_json::to_string(&twice).unwrap(), r#"{"a":3,"b":2}"#);
    }
}
