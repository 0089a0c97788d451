//! Streams f32 tensors into a safetensors file, one in memory at a time.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::{Map, Value, json};

/// Values converted at a time.
const CHUNK: usize = 1 << 16;

/// Name and shape of a tensor to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Name in the file.
    pub(crate) name: String,
    /// Shape.
    pub(crate) shape: Vec<usize>,
}

/// Writes the tensors of `entries`, asking `values` for those of each in turn.
///
/// # Errors
/// What the writer says, or `InvalidInput` if `values` gives another count than the shape says.
pub(crate) fn write<'a>(
    out: &mut dyn Write,
    metadata: &[(&str, String)],
    entries: &[Entry],
    mut values: impl FnMut(usize) -> Cow<'a, [f32]>,
) -> io::Result<()> {
    let mut header = Map::new();
    let mut notes: Map<String, Value> =
        metadata.iter().map(|(key, text)| ((*key).to_owned(), json!(text))).collect();
    notes.insert("format".to_owned(), json!("pt"));
    header.insert("__metadata__".to_owned(), Value::Object(notes));
    let mut offset = 0;
    for entry in entries {
        let bytes = 4 * entry.shape.iter().product::<usize>();
        let info =
            json!({"dtype": "F32", "shape": entry.shape, "data_offsets": [offset, offset + bytes]});
        header.insert(entry.name.clone(), info);
        offset += bytes;
    }
    let mut text = serde_json::to_vec(&header)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(&text)?;
    for (index, entry) in entries.iter().enumerate() {
        write_values(out, entry, &values(index))?;
    }
    Ok(())
}

fn write_values(out: &mut dyn Write, entry: &Entry, values: &[f32]) -> io::Result<()> {
    if values.len() != entry.shape.iter().product::<usize>() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{}`: {} values for shape {:?}", entry.name, values.len(), entry.shape),
        ));
    }
    let mut bytes = Vec::with_capacity(4 * CHUNK.min(values.len()));
    for chunk in values.chunks(CHUNK) {
        bytes.clear();
        bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
        out.write_all(&bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bestof_checkpoints::Weights;

    #[test]
    fn what_is_written_reads_back_bit_for_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.safetensors");
        let odd = [f32::MIN_POSITIVE / 3.0, -0.0, 1.0 / 3.0, f32::MAX, 7.25, -1e-30];
        let entries = [
            Entry { name: "a".into(), shape: vec![2, 3] },
            Entry { name: "b".into(), shape: vec![1] },
        ];
        let mut bytes = Vec::new();
        write(&mut bytes, &[("step", "7".into())], &entries, |i| {
            if i == 0 { Cow::Owned(odd.to_vec()) } else { Cow::Owned(vec![2.5]) }
        })
        .unwrap();
        std::fs::write(&path, bytes).unwrap();
        let weights = Weights::open(&path).unwrap();
        let back = weights.read_f32("a", &[2, 3]).unwrap();
        assert!(back.iter().zip(odd).all(|(x, y)| x.to_bits() == y.to_bits()));
        assert_eq!(weights.read_f32("b", &[1]).unwrap(), [2.5]);
        assert_eq!(weights.metadata()["step"], "7");
    }

    #[test]
    fn a_wrong_count_is_refused() {
        let entries = [Entry { name: "a".into(), shape: vec![2] }];
        let error = write(&mut Vec::new(), &[], &entries, |_| Cow::Owned(vec![1.0])).unwrap_err();
        assert!(error.to_string().contains("`a`: 1 values"), "{error}");
    }
}
