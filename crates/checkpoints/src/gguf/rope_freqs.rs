//! Copying a GGUF file with the divisors of another rotary basis in it.

use bestof_blocks::GgmlType;
use std::fs;
use std::ops::Range;
use std::path::Path;

use bestof_files::StagedFile;

use super::entries::{self, Entries};
use super::error::GgufError;
use super::file::{GgufFile, TensorEntry};
use super::metadata::{Metadata, bad_value, required};
use super::reader::Reader;
use crate::error::CheckpointError;

const TENSOR: &str = "rope_freqs.weight";
/// llama.cpp refuses a file with tensors that it does not expect; of the architectures converted
/// here it expects divisors in this one only.
const ARCHITECTURE: &str = "llama";
const CONTEXT_LENGTH: &str = "llama.context_length";
const FREQ_BASE: &str = "llama.rope.freq_base";
const SCALING: &str = "llama.rope.scaling.";
const SCALING_TYPE: &str = "llama.rope.scaling.type";
const OLD_SCALING: &str = "llama.rope.scale_linear";

/// The range that `f32` holds at full precision, rounded inward.
const F32_RANGE: std::ops::RangeInclusive<f64> = 1e-37..=1e38;
/// Bytes copied at a time.
const CHUNK: u64 = 1 << 20;

/// A rotary basis as a GGUF file stores it.
///
/// ```text
/// inverse frequency of pair j  =  freq_base^(-2j/d) / divisors[j]      j < d/2
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RopeFreqs {
    /// One divisor per pair, from 1e-37 to 1e38; 1e30 for a pair that does not rotate.
    pub divisors: Vec<f64>,
    /// The base, such as 10000.
    pub freq_base: f64,
    /// The context length in tokens; `None` keeps the file's.
    pub context_length: Option<usize>,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RopeFreqsWritten {
    /// Whether the file had divisors before.
    pub replaced: bool,
    /// The new file's context length, if it names one.
    pub context_length: Option<usize>,
}

/// Copies a GGUF file and puts a rotary basis in.
///
/// The copy has the tensor `rope_freqs.weight` (a present one is overwritten, a new one
/// comes last), `llama.rope.freq_base`, `llama.context_length` if the file has the key, and
/// `llama.rope.scaling.type` `none` in place of all `llama.rope.scaling` keys, so that nothing is
/// scaled twice. All other metadata and tensors are copied byte for byte, a piece at a time; bytes
/// after the last tensor are dropped. The copy appears whole at the end or not at all.
///
/// ```no_run
/// use bestof_checkpoints::gguf::{RopeFreqs, with_rope_freqs};
///
/// let basis = RopeFreqs {
///     divisors: (0..32).map(|j| 4.0 / (1.0 - f64::from(j) / 32.0).sqrt()).collect(),
///     freq_base: 10_000.0,
///     context_length: Some(8192),
/// };
/// let written = with_rope_freqs("model.gguf".as_ref(), "longer.gguf".as_ref(), &basis)?;
/// assert_eq!(written.context_length, Some(8192));
/// # Ok::<(), bestof_checkpoints::CheckpointError>(())
/// ```
///
/// # Errors
/// `out` exists; the file is damaged, truncated or split, rotates another number of dimensions,
/// has divisors of another type or size or those of `longrope`, or is of an architecture that
/// llama.cpp reads no divisors for (all but `llama`, which Mistral models are too); a divisor, the
/// base or the context length is out of range; writing fails.
pub fn with_rope_freqs(
    input: &Path,
    out: &Path,
    freqs: &RopeFreqs,
) -> Result<RopeFreqsWritten, CheckpointError> {
    if fs::symlink_metadata(out).is_ok() {
        return Err(CheckpointError::OutputExists { path: out.to_path_buf() });
    }
    let mut file = GgufFile::open(input)?;
    let (plan, written) = plan(&file, freqs).map_err(|e| file.reader.bad(e))?;
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).map_err(CheckpointError::io("create", folder))?;
    }
    let mut staged = StagedFile::create(out)?;
    for piece in &plan.pieces {
        piece.write(&mut file.reader, &mut staged)?;
    }
    staged.persist()?;
    Ok(written)
}

/// A contiguous part of the new file.
enum Piece {
    /// Bytes of the old file.
    Old(Range<u64>),
    New(Vec<u8>),
    Zeros(u64),
}

impl Piece {
    fn write(&self, reader: &mut Reader, out: &mut StagedFile<'_>) -> Result<(), CheckpointError> {
        let length = match self {
            Self::New(bytes) => return Ok(out.push(bytes)?),
            Self::Old(range) => range.end - range.start,
            Self::Zeros(count) => *count,
        };
        if let Self::Old(range) = self {
            reader.seek(range.start)?;
        }
        let at_once = |left: u64| left.min(CHUNK) as usize;
        let mut buffer = vec![0; at_once(length)];
        let mut left = length;
        while left > 0 {
            let chunk = &mut buffer[..at_once(left)];
            if matches!(self, Self::Old(_)) {
                reader.fill(chunk, "the copy")?;
            }
            out.push(chunk)?;
            left -= chunk.len() as u64;
        }
        Ok(())
    }
}

/// The parts of the new file in order, and their total length in bytes.
#[derive(Default)]
struct Plan {
    pieces: Vec<Piece>,
    length: u64,
}

impl Plan {
    fn copy(&mut self, range: Range<u64>) {
        self.length += range.end - range.start;
        self.pieces.push(Piece::Old(range));
    }

    fn add(&mut self, bytes: Vec<u8>) {
        self.length += bytes.len() as u64;
        self.pieces.push(Piece::New(bytes));
    }

    fn pad(&mut self, alignment: u64) {
        let padded = self.length.next_multiple_of(alignment);
        self.pieces.push(Piece::Zeros(padded - self.length));
        self.length = padded;
    }
}

fn plan(file: &GgufFile, freqs: &RopeFreqs) -> Result<(Plan, RopeFreqsWritten), GgufError> {
    let metadata = &file.metadata;
    refuse_inexpressible(file)?;
    let rotated = rotated(metadata)?;
    let pairs = freqs.divisors.len();
    if rotated != 2 * pairs {
        return Err(GgufError::WrongHeadDim { found: rotated, expected: 2 * pairs });
    }
    let present = present(file, pairs)?;
    let divisors = divisors(&freqs.divisors)?;
    let changed = changed_metadata(metadata, freqs)?;

    let mut body = Plan::default();
    let mut metadata_count = 0_u64;
    for (key, span) in metadata.spans() {
        if let Some((_, value)) = changed.iter().find(|(changed, _)| changed == key) {
            body.add(value.clone());
        } else if key.starts_with(SCALING) || key == OLD_SCALING {
            continue;
        } else {
            body.copy(span.clone());
        }
        metadata_count += 1;
    }
    for (_, value) in changed.into_iter().filter(|(key, _)| !metadata.contains(key)) {
        body.add(value);
        metadata_count += 1;
    }

    let mut plan = Plan::default();
    // The first four bytes and the version.
    plan.copy(0..8);
    let tensor_count = file.tensors.len() + usize::from(present.is_none());
    plan.add([(tensor_count as u64).to_le_bytes(), metadata_count.to_le_bytes()].concat());
    plan.length += body.length;
    plan.pieces.append(&mut body.pieces);
    plan.copy(file.entries.clone());
    let data_end = file.tensors.iter().map(TensorEntry::end).max().unwrap_or(file.data_start);
    if let Some(present) = present {
        plan.pad(file.alignment);
        plan.copy(file.data_start..present.start);
        plan.add(divisors);
        plan.copy(present.end()..data_end);
    } else {
        let offset = (data_end - file.data_start).next_multiple_of(file.alignment);
        plan.add(entries::tensor(TENSOR, &[pairs], GgmlType::F32.number(), offset));
        plan.pad(file.alignment);
        plan.copy(file.data_start..data_end);
        plan.pad(file.alignment);
        plan.add(divisors);
    }
    // Every tensor's data is padded, the last one's too.
    plan.pad(file.alignment);
    let context_length = match (freqs.context_length, metadata.count(CONTEXT_LENGTH)?) {
        (Some(new), Some(_)) => Some(new),
        (_, old) => old,
    };
    Ok((plan, RopeFreqsWritten { replaced: present.is_some(), context_length }))
}

/// Refuses files that llama.cpp would not read with divisors in them.
fn refuse_inexpressible(file: &GgufFile) -> Result<(), GgufError> {
    let key = "general.architecture";
    let architecture = required(file.metadata.text(key)?, key)?;
    if architecture != ARCHITECTURE {
        return Err(GgufError::NoRopeFreqs { architecture: architecture.to_owned() });
    }
    let longrope = ["rope_factors_short.weight", "rope_factors_long.weight"];
    match longrope.into_iter().find(|name| file.tensor(name).is_some()) {
        Some(name) => {
            let detail = format!("{name} is there; start from a file of the model before LongRoPE");
            Err(GgufError::Unsupported { what: "rope_freqs.weight beside LongRoPE", detail })
        }
        None => Ok(()),
    }
}

/// How many dimensions of a head rotate, as llama.cpp finds out.
fn rotated(metadata: &Metadata) -> Result<usize, GgufError> {
    for key in ["llama.rope.dimension_count", "llama.attention.key_length"] {
        if let Some(count) = metadata.count(key)? {
            return Ok(count);
        }
    }
    let (width, heads) = ("llama.embedding_length", "llama.attention.head_count");
    let width = required(metadata.count(width)?, width)?;
    let count = required(metadata.count(heads)?, heads)?;
    width.checked_div(count).ok_or_else(|| bad_value(heads, "0", "at least 1"))
}

/// The divisors that the file has, if new ones can overwrite them.
fn present(file: &GgufFile, pairs: usize) -> Result<Option<&TensorEntry>, GgufError> {
    let Some(present) = file.tensor(TENSOR) else { return Ok(None) };
    if present.shape != [pairs] {
        let (found, expected) = (present.shape.clone(), vec![pairs]);
        return Err(GgufError::WrongShape { tensor: TENSOR.to_owned(), found, expected });
    }
    if present.ggml_type != GgmlType::F32 {
        let detail = format!("it is {}", present.ggml_type);
        return Err(GgufError::Unsupported { what: "a rope_freqs.weight other than F32", detail });
    }
    let shared = |other: &&TensorEntry| {
        other.name != TENSOR && other.start < present.end() && present.start < other.end()
    };
    match file.tensors.iter().find(shared) {
        Some(other) => {
            let detail = format!("{} overlaps rope_freqs.weight", other.name);
            Err(GgufError::Unsupported { what: "a file whose tensors overlap", detail })
        }
        None => Ok(Some(present)),
    }
}

fn divisors(divisors: &[f64]) -> Result<Vec<u8>, GgufError> {
    let mut bytes = Vec::with_capacity(4 * divisors.len());
    for (index, &divisor) in divisors.iter().enumerate() {
        if !F32_RANGE.contains(&divisor) {
            return Err(GgufError::BadDivisor { index, found: divisor });
        }
        bytes.extend((divisor as f32).to_le_bytes());
    }
    Ok(bytes)
}

/// The metadata entries that differ, with their new bytes; those that the file lacks are added.
fn changed_metadata(
    metadata: &Metadata,
    freqs: &RopeFreqs,
) -> Result<Vec<(&'static str, Vec<u8>)>, GgufError> {
    let base = freqs.freq_base;
    if !F32_RANGE.contains(&base) {
        return Err(bad_value(FREQ_BASE, base.to_string(), "a number from 1e-37 to 1e38"));
    }
    let entry = |write: &dyn Fn(&mut Entries)| {
        let mut entries = Entries::default();
        write(&mut entries);
        entries.bytes
    };
    let mut changed = vec![
        (FREQ_BASE, entry(&|e| e.f32(FREQ_BASE, base))),
        (SCALING_TYPE, entry(&|e| e.text(SCALING_TYPE, "none"))),
    ];
    if let Some(length) = freqs.context_length
        && metadata.contains(CONTEXT_LENGTH)
    {
        let Some(length) = u32::try_from(length).ok().filter(|length| *length > 0) else {
            let expected = "a whole number from 1 to 4294967295";
            return Err(bad_value(CONTEXT_LENGTH, length.to_string(), expected));
        };
        changed.push((CONTEXT_LENGTH, entry(&|e| e.u32(CONTEXT_LENGTH, length))));
    }
    Ok(changed)
}
