//! Metadata entries as bytes.

/// Type numbers of metadata values.
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// Metadata entries, one after the other.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u64,
}

impl Entries {
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.entry(key, TEXT, &text(value));
    }

    pub(super) fn u32(&mut self, key: &str, value: u32) {
        self.entry(key, U32, &value.to_le_bytes());
    }

    pub(super) fn f32(&mut self, key: &str, value: f64) {
        self.entry(key, F32, &(value as f32).to_le_bytes());
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.entry(key, BOOL, &[u8::from(value)]);
    }

    pub(super) fn texts<T: AsRef<str>>(&mut self, key: &str, values: &[T]) {
        let items = values.iter().flat_map(|value| text(value.as_ref()));
        self.list(key, TEXT, values.len(), items);
    }

    pub(super) fn i32s(&mut self, key: &str, values: &[i32]) {
        self.list(key, I32, values.len(), values.iter().flat_map(|value| value.to_le_bytes()));
    }

    pub(super) fn f32s(&mut self, key: &str, values: &[f32]) {
        self.list(key, F32, values.len(), values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn list(&mut self, key: &str, kind: u32, count: usize, items: impl Iterator<Item = u8>) {
        let mut value = kind.to_le_bytes().to_vec();
        value.extend((count as u64).to_le_bytes());
        value.extend(items);
        self.entry(key, ARRAY, &value);
    }

    fn entry(&mut self, key: &str, kind: u32, value: &[u8]) {
        self.bytes.extend(text(key));
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(value);
        self.count += 1;
    }
}

/// A text with its length in front.
pub(super) fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// The entry of a tensor: name, sizes with the innermost first, type, offset in the data.
pub(super) fn tensor(name: &str, shape: &[usize], ggml_type: u32, offset: u64) -> Vec<u8> {
    let mut bytes = text(name);
    bytes.extend((shape.len() as u32).to_le_bytes());
    bytes.extend(shape.iter().rev().flat_map(|size| (*size as u64).to_le_bytes()));
    bytes.extend(ggml_type.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes
}
