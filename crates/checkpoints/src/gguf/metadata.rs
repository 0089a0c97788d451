//! The key-value part of a GGUF file, and typed access to it.

use std::collections::HashMap;
use std::ops::Range;

use super::error::GgufError;
use super::reader::Reader;
use crate::error::CheckpointError;

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Integer(i128),
    Float(f64),
    Bool(bool),
    Text(String),
    Integers(Vec<i64>),
    Floats(Vec<f32>),
    Bools(Vec<bool>),
    Texts(Vec<String>),
}

/// All metadata of a file.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    values: HashMap<String, Value>,
    /// Byte range of each entry, key included, in the order of the file.
    spans: Vec<(String, Range<u64>)>,
}

/// The type number of a text.
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

impl Metadata {
    pub(super) fn read(reader: &mut Reader, count: u64) -> Result<Self, CheckpointError> {
        // The shortest entry: an empty key (8 bytes), a type (4), a value (1).
        reader.expect(count.saturating_mul(13), || format!("{count} metadata entries"))?;
        let (mut values, mut spans) = (HashMap::new(), Vec::new());
        for _ in 0..count {
            let start = reader.position();
            let key = String::from_utf8_lossy(&reader.bytes("a metadata key")?).into_owned();
            let kind = reader.u32(&key)?;
            let value = read_value(reader, &key, kind)?;
            if values.insert(key.clone(), value).is_some() {
                return Err(reader.bad(GgufError::DuplicateKey { key }));
            }
            spans.push((key, start..reader.position()));
        }
        Ok(Self { values, spans })
    }

    pub(super) fn spans(&self) -> &[(String, Range<u64>)] {
        &self.spans
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, GgufError> {
        self.get(key, "a text", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.get(key, "true or false", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, GgufError> {
        self.get(key, "a finite number", |value| match value {
            Value::Float(number) if number.is_finite() => Some(*number),
            Value::Integer(number) => Some(*number as f64),
            _ => None,
        })
    }

    /// A count. Some keys hold one number per layer, which must all be equal.
    pub(super) fn count(&self, key: &str) -> Result<Option<usize>, GgufError> {
        self.get(key, "one whole number from 0 to 4294967295", |value| {
            let number = match value {
                Value::Integer(number) => *number,
                Value::Integers(numbers) => match numbers.as_slice() {
                    [first, rest @ ..] if rest.iter().all(|n| n == first) => i128::from(*first),
                    _ => return None,
                },
                _ => return None,
            };
            u32::try_from(number).ok().map(|number| number as usize)
        })
    }

    /// A whole number of any size and sign.
    pub(super) fn integer(&self, key: &str) -> Result<Option<i128>, GgufError> {
        self.get(key, "a whole number", |value| match value {
            Value::Integer(number) => Some(*number),
            _ => None,
        })
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<&[String]>, GgufError> {
        self.get(key, "a list of texts", |value| match value {
            Value::Texts(list) => Some(list.as_slice()),
            _ => None,
        })
    }

    pub(super) fn integers(&self, key: &str) -> Result<Option<&[i64]>, GgufError> {
        self.get(key, "a list of whole numbers", |value| match value {
            Value::Integers(list) => Some(list.as_slice()),
            _ => None,
        })
    }

    pub(super) fn floats(&self, key: &str) -> Result<Option<&[f32]>, GgufError> {
        self.get(key, "a list of numbers", |value| match value {
            Value::Floats(list) => Some(list.as_slice()),
            _ => None,
        })
    }

    pub(super) fn bools(&self, key: &str) -> Result<Option<&[bool]>, GgufError> {
        self.get(key, "a list of flags", |value| match value {
            Value::Bools(list) => Some(list.as_slice()),
            _ => None,
        })
    }

    pub(super) fn is_bools(&self, key: &str) -> bool {
        matches!(self.values.get(key), Some(Value::Bools(_)))
    }

    fn get<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        let Some(value) = self.values.get(key) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(bad_value(key, value.describe(), expected)),
        }
    }
}

/// The error of a value of the wrong type or out of range.
pub(super) fn bad_value(key: &str, found: impl Into<String>, expected: &str) -> GgufError {
    GgufError::BadValue { key: key.to_owned(), found: found.into(), expected: expected.to_owned() }
}

/// Turns an absent value into the error that names its key.
pub(super) fn required<T>(value: Option<T>, key: &str) -> Result<T, GgufError> {
    value.ok_or_else(|| GgufError::MissingKey { key: key.to_owned() })
}

impl Value {
    fn describe(&self) -> String {
        match self {
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Bool(flag) => flag.to_string(),
            Self::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Self::Integers(list) => format!("a list of {} whole numbers", list.len()),
            Self::Floats(list) => format!("a list of {} numbers", list.len()),
            Self::Bools(list) => format!("a list of {} flags", list.len()),
            Self::Texts(list) => format!("a list of {} texts", list.len()),
        }
    }
}

fn read_value(reader: &mut Reader, key: &str, kind: u32) -> Result<Value, CheckpointError> {
    match kind {
        TEXT => Ok(Value::Text(String::from_utf8_lossy(&reader.bytes(key)?).into_owned())),
        ARRAY => read_array(reader, key),
        7 => Ok(Value::Bool(reader.array::<1>(key)? != [0])),
        6 => Ok(Value::Float(f64::from(f32::from_le_bytes(reader.array(key)?)))),
        12 => Ok(Value::Float(f64::from_le_bytes(reader.array(key)?))),
        _ => read_integer(reader, key, kind).map(Value::Integer),
    }
}

fn read_integer(reader: &mut Reader, key: &str, kind: u32) -> Result<i128, CheckpointError> {
    Ok(match kind {
        0 => i128::from(u8::from_le_bytes(reader.array(key)?)),
        1 => i128::from(i8::from_le_bytes(reader.array(key)?)),
        2 => i128::from(u16::from_le_bytes(reader.array(key)?)),
        3 => i128::from(i16::from_le_bytes(reader.array(key)?)),
        4 => i128::from(u32::from_le_bytes(reader.array(key)?)),
        5 => i128::from(i32::from_le_bytes(reader.array(key)?)),
        10 => i128::from(u64::from_le_bytes(reader.array(key)?)),
        11 => i128::from(i64::from_le_bytes(reader.array(key)?)),
        found => return Err(reader.bad(GgufError::UnknownValueType { key: key.to_owned(), found })),
    })
}

fn read_array(reader: &mut Reader, key: &str) -> Result<Value, CheckpointError> {
    let kind = reader.u32(key)?;
    let count = reader.u64(key)?;
    let least = match kind {
        2 | 3 => 2,
        4..=6 => 4,
        TEXT | 10..=12 => 8,
        ARRAY => return Err(reader.bad(GgufError::NestedArray { key: key.to_owned() })),
        _ => 1,
    };
    reader.expect(count.saturating_mul(least), || format!("metadata {key}, a list of {count}"))?;
    let count = count as usize;
    match kind {
        TEXT => (0..count)
            .map(|index| read_text(reader, key, index))
            .collect::<Result<_, _>>()
            .map(Value::Texts),
        6 => (0..count)
            .map(|_| Ok(f32::from_le_bytes(reader.array(key)?)))
            .collect::<Result<_, _>>()
            .map(Value::Floats),
        12 => (0..count)
            .map(|_| Ok(f64::from_le_bytes(reader.array(key)?) as f32))
            .collect::<Result<_, _>>()
            .map(Value::Floats),
        7 => (0..count)
            .map(|_| Ok(reader.array::<1>(key)? != [0]))
            .collect::<Result<_, _>>()
            .map(Value::Bools),
        _ => (0..count)
            .map(|_| Ok(read_integer(reader, key, kind)? as i64))
            .collect::<Result<_, _>>()
            .map(Value::Integers),
    }
}

fn read_text(reader: &mut Reader, key: &str, index: usize) -> Result<String, CheckpointError> {
    String::from_utf8(reader.bytes(key)?)
        .map_err(|_| reader.bad(GgufError::NotUtf8 { key: key.to_owned(), index }))
}
