//! The header of a GGUF file: metadata, and type, shape and offset of each tensor.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bestof_blocks::{GgmlType, dequantize_blocks};
use bestof_files::FileKind;

use super::error::GgufError;
use super::metadata::{Metadata, bad_value};
use super::reader::Reader;
use super::shards::Shard;
use crate::error::CheckpointError;

const MAX_DIMENSIONS: u32 = 4;
const DEFAULT_ALIGNMENT: usize = 32;

/// An opened GGUF file.
#[derive(Debug)]
pub(super) struct GgufFile {
    pub(super) reader: Reader,
    /// The other parts of a split file.
    parts: Vec<Reader>,
    /// Which part of a split file this is.
    pub(super) shard: Option<Shard>,
    pub(super) metadata: Metadata,
    pub(super) tensors: Vec<TensorEntry>,
    /// Byte range of the tensors' entries in the file.
    pub(super) entries: Range<u64>,
    /// Offset of the tensors' data in the file.
    pub(super) data_start: u64,
    /// What each tensor's offset is a multiple of.
    pub(super) alignment: u64,
}

/// A tensor of a GGUF file.
#[derive(Debug, Clone)]
pub(super) struct TensorEntry {
    pub(super) name: String,
    pub(super) ggml_type: GgmlType,
    /// Outermost dimension first, the reverse of the file's order.
    pub(super) shape: Vec<usize>,
    /// Offset in the file, in bytes.
    pub(super) start: u64,
    /// Part of a split file that it lies in, from 0.
    part: usize,
}

impl TensorEntry {
    /// Number of values in a row, the innermost dimension.
    pub(super) fn row_values(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    pub(super) fn row_bytes(&self) -> usize {
        self.ggml_type.bytes_of(self.row_values())
    }

    pub(super) fn rows(&self) -> usize {
        self.shape.iter().rev().skip(1).product()
    }

    fn bytes(&self) -> u64 {
        (self.rows() * self.row_bytes()) as u64
    }

    /// Offset after the last byte.
    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes()
    }
}

impl GgufFile {
    /// Opens a file that is a whole model.
    pub(super) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let file = Self::open_part(path)?;
        match file.shard {
            None => Ok(file),
            Some(shard) => {
                let merge = "merge the parts first (llama-gguf-split --merge)";
                Err(file.reader.bad(shard.incomplete(merge)))
            }
        }
    }

    /// Opens a file that may be a part of a split one.
    pub(super) fn open_part(path: &Path) -> Result<Self, CheckpointError> {
        let kind = FileKind::at(path).map_err(CheckpointError::io("open", path))?;
        let mut reader = Reader::open(path)?;
        if kind != FileKind::Gguf {
            return Err(reader.bad(GgufError::NotGguf { found: kind }));
        }
        let _magic: [u8; 4] = reader.array("the first four bytes")?;
        let version = reader.u32("the version")?;
        if !(2..=3).contains(&version) {
            let big_endian = (2..=3).contains(&version.swap_bytes());
            return Err(reader.bad(GgufError::UnknownVersion { found: version, big_endian }));
        }
        let tensor_count = reader.u64("the number of tensors")?;
        let metadata_count = reader.u64("the number of metadata entries")?;
        let metadata = Metadata::read(&mut reader, metadata_count)?;
        check_is_a_model(&metadata).map_err(|e| reader.bad(e))?;
        let shard = Shard::of(&metadata).map_err(|e| reader.bad(e))?;
        let alignment = alignment(&metadata).map_err(|e| reader.bad(e))?;
        // The shortest entry: an empty name (8 bytes), dimensions (4), type (4), offset (8).
        reader.expect(tensor_count.saturating_mul(24), || format!("{tensor_count} tensors"))?;
        let entries_start = reader.position();
        let mut tensors = Vec::new();
        let mut names = HashSet::new();
        for _ in 0..tensor_count {
            let tensor = read_entry(&mut reader, alignment)?;
            if !names.insert(tensor.name.clone()) {
                return Err(reader.bad(GgufError::DuplicateTensor { tensor: tensor.name }));
            }
            tensors.push(tensor);
        }
        let entries = entries_start..reader.position();
        let data_start = entries.end.next_multiple_of(alignment);
        for tensor in &mut tensors {
            resolve_offset(tensor, data_start, reader.length()).map_err(|e| reader.bad(e))?;
        }
        let parts = Vec::new();
        Ok(Self { reader, parts, shard, metadata, tensors, entries, data_start, alignment })
    }

    /// Adds the tensors of the next part of a split file.
    pub(super) fn append(&mut self, next: Self) -> Result<(), CheckpointError> {
        self.parts.push(next.reader);
        let part = self.parts.len();
        let known: HashSet<&str> = self.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        if let Some(twice) = next.tensors.iter().find(|tensor| known.contains(&*tensor.name)) {
            let source = GgufError::DuplicateTensor { tensor: twice.name.clone() };
            return Err(self.parts[part - 1].bad(source));
        }
        self.tensors.extend(next.tensors.into_iter().map(|tensor| TensorEntry { part, ..tensor }));
        Ok(())
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&TensorEntry> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensor(name).is_some()
    }

    /// The file, or the files of all parts of a split one.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let parts = std::iter::once(&self.reader).chain(&self.parts);
        parts.map(|part| part.path().to_path_buf()).collect()
    }

    /// The path of the part that a tensor lies in.
    pub(super) fn path_of(&mut self, tensor: &TensorEntry) -> PathBuf {
        self.part_of(tensor).path().to_path_buf()
    }

    fn part_of(&mut self, tensor: &TensorEntry) -> &mut Reader {
        match tensor.part {
            0 => &mut self.reader,
            part => &mut self.parts[part - 1],
        }
    }

    /// The blocks of `rows` rows of a tensor from row `first` on.
    pub(super) fn read_blocks(
        &mut self,
        tensor: &TensorEntry,
        first: usize,
        rows: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let row_bytes = tensor.row_bytes();
        bytes.resize(rows * row_bytes, 0);
        let reader = self.part_of(tensor);
        reader.seek(tensor.start + (first * row_bytes) as u64)?;
        reader.fill(bytes, &tensor.name)
    }

    /// The values of `rows` rows of a tensor from row `first` on.
    pub(super) fn read_rows(
        &mut self,
        tensor: &TensorEntry,
        first: usize,
        rows: usize,
        bytes: &mut Vec<u8>,
        values: &mut Vec<f32>,
    ) -> Result<(), CheckpointError> {
        self.read_blocks(tensor, first, rows, bytes)?;
        values.resize(rows * tensor.row_values(), 0.0);
        dequantize_blocks(tensor.ggml_type, bytes, values)
            .map_err(|e| self.part_of(tensor).bad(e.into()))
    }
}

/// Refuses the files beside models that llama.cpp stores in the same format.
fn check_is_a_model(metadata: &Metadata) -> Result<(), GgufError> {
    let key = "general.type";
    let hint = match metadata.text(key)? {
        None | Some("model") => return Ok(()),
        Some("adapter") => {
            "it holds the changes of an adapter, not a model; convert the model it was made for, and take the adapter in PEFT's format"
        }
        Some("mmproj") => {
            "it holds the encoder of images or sounds beside a model; convert the model's own file"
        }
        Some("imatrix") => {
            "it holds statistics for quantizing a model; convert the model's own file"
        }
        Some(_) => "convert a file of a model",
    };
    let found = metadata.text(key)?.unwrap_or_default().to_owned();
    Err(GgufError::NotAModel { found, hint })
}

fn alignment(metadata: &Metadata) -> Result<u64, GgufError> {
    let key = "general.alignment";
    let alignment = metadata.count(key)?.unwrap_or(DEFAULT_ALIGNMENT);
    if !alignment.is_power_of_two() {
        return Err(bad_value(key, alignment.to_string(), "a power of two"));
    }
    Ok(alignment as u64)
}

/// A tensor's entry; its `start` is still relative to the start of the data.
fn read_entry(reader: &mut Reader, alignment: u64) -> Result<TensorEntry, CheckpointError> {
    let name = String::from_utf8_lossy(&reader.bytes("a tensor name")?).into_owned();
    let dimensions = reader.u32(&name)?;
    if dimensions > MAX_DIMENSIONS {
        let reason = "more than 4 dimensions";
        return Err(reader.bad(GgufError::BadShape { tensor: name, shape: Vec::new(), reason }));
    }
    let sizes = (0..dimensions).map(|_| reader.u64(&name)).collect::<Result<Vec<u64>, _>>()?;
    let number = reader.u32(&name)?;
    let start = reader.u64(&name)?;
    let Some(ggml_type) = GgmlType::from_number(number) else {
        let known = GgmlType::ALL.map(GgmlType::name).join(", ");
        return Err(reader.bad(GgufError::UnknownTensorType {
            tensor: name,
            found: number,
            known,
        }));
    };
    if !start.is_multiple_of(alignment) {
        return Err(reader.bad(GgufError::Misaligned { tensor: name, offset: start, alignment }));
    }
    match shape(&sizes, ggml_type) {
        Ok(shape) => Ok(TensorEntry { name, ggml_type, shape, start, part: 0 }),
        Err(reason) => Err(reader.bad(GgufError::BadShape { tensor: name, shape: sizes, reason })),
    }
}

fn shape(sizes: &[u64], ggml_type: GgmlType) -> Result<Vec<usize>, &'static str> {
    let bytes = ggml_type.block_bytes() as u64;
    let product = sizes.iter().try_fold(bytes, |product, size| product.checked_mul(*size));
    match product {
        None | Some(0) => return Err("a dimension is zero or too large"),
        Some(_) => {}
    }
    let row = sizes.first().copied().unwrap_or(1);
    if !row.is_multiple_of(ggml_type.block_values() as u64) {
        return Err("a row is not a whole number of blocks");
    }
    Ok(sizes.iter().rev().map(|&size| size as usize).collect())
}

/// Turns an offset within the data into one within the file, checked against the file's length.
fn resolve_offset(tensor: &mut TensorEntry, data_start: u64, length: u64) -> Result<(), GgufError> {
    let needed = tensor.bytes();
    let end = data_start.checked_add(tensor.start).and_then(|start| start.checked_add(needed));
    match end {
        Some(end) if end <= length => {
            tensor.start += data_start;
            Ok(())
        }
        _ => Err(GgufError::Truncated {
            what: format!("tensor {}", tensor.name),
            at: data_start.saturating_add(tensor.start),
            needed,
            length,
        }),
    }
}
