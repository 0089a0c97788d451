//! What can be wrong with a GGUF file.

use bestof_blocks::{BlockError, type_name};
use bestof_files::FileKind;
use bestof_positional::RopeError;

/// Why a GGUF file cannot be read or converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The file does not start as a GGUF file does.
    #[error("not a GGUF file, which starts with \"GGUF\", but {found}")]
    NotGguf {
        /// What the file is.
        found: FileKind,
    },
    /// The rotary settings of a folder are wrong, or cannot be divisors of frequencies.
    #[error("config.json: {0}")]
    Rope(#[from] RopeError),
    /// A version of the format that is not read.
    #[error("GGUF version {found} is not read (2 and 3 are); {}", if *big_endian { "the file is big-endian" } else { "convert the model again with a current llama.cpp" })]
    UnknownVersion {
        /// The version.
        found: u32,
        /// Whether the bytes make sense in the other order.
        big_endian: bool,
    },
    /// The file ends before what its header announces.
    #[error(
        "truncated: {what} needs {needed} bytes at position {at}, the file has {length}; fetch it again"
    )]
    Truncated {
        /// What was being read.
        what: String,
        /// Where.
        at: u64,
        /// How many bytes it needs.
        needed: u64,
        /// Length of the file.
        length: u64,
    },
    /// A type number that the format does not define for metadata.
    #[error("metadata {key} has the unknown type {found}")]
    UnknownValueType {
        /// The key.
        key: String,
        /// The type number.
        found: u32,
    },
    /// Arrays of arrays, which no model uses.
    #[error("metadata {key} is an array of arrays, which is not read")]
    NestedArray {
        /// The key.
        key: String,
    },
    /// A list of texts that are not UTF-8.
    #[error("metadata {key}[{index}] is not valid UTF-8")]
    NotUtf8 {
        /// The key.
        key: String,
        /// Index in the list.
        index: usize,
    },
    /// A metadata key that appears twice.
    #[error("metadata {key} appears twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A metadata key that the conversion needs is not there.
    #[error(
        "metadata {key} is missing; the file was not written by llama.cpp's converter or lost its metadata"
    )]
    MissingKey {
        /// The key.
        key: String,
    },
    /// A metadata value of the wrong type or out of range.
    #[error("metadata {key} is {found}, expected {expected}")]
    BadValue {
        /// The key.
        key: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A tensor name that appears twice.
    #[error("tensor {tensor} appears twice")]
    DuplicateTensor {
        /// The tensor.
        tensor: String,
    },
    /// A tensor of a type that is not read.
    #[error("tensor {tensor} has the type {}, which is not read; take a file of one of {known}", type_name(*found))]
    UnknownTensorType {
        /// The tensor.
        tensor: String,
        /// The type's number.
        found: u32,
        /// The types that are read.
        known: String,
    },
    /// A tensor shape that is not possible.
    #[error("tensor {tensor} has the impossible shape {shape:?}: {reason}")]
    BadShape {
        /// The tensor.
        tensor: String,
        /// Its shape, innermost dimension first as in the file.
        shape: Vec<u64>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A tensor's offset in the file is not a multiple of the alignment.
    #[error(
        "tensor {tensor} starts at {offset}, which is not a multiple of the alignment {alignment}"
    )]
    Misaligned {
        /// The tensor.
        tensor: String,
        /// Its offset.
        offset: u64,
        /// The file's alignment.
        alignment: u64,
    },
    /// A file of the format that is no model.
    #[error("general.type is {found}: {hint}")]
    NotAModel {
        /// `general.type`.
        found: String,
        /// What it holds, and what to convert instead.
        hint: &'static str,
    },
    /// A part of a split file, without the rest.
    #[error("shard {number} of {count} of a split file: {problem}")]
    Shard {
        /// Which part, from 1.
        number: usize,
        /// How many there are.
        count: usize,
        /// What keeps it from being joined.
        problem: String,
    },
    /// A model family that is not converted.
    #[error("the architecture {found} is not known; known are {known}")]
    UnknownArchitecture {
        /// `general.architecture`.
        found: String,
        /// The known ones.
        known: String,
    },
    /// A variant of a known family that is not converted.
    #[error("{what} is not supported: {detail}")]
    Unsupported {
        /// The variant.
        what: &'static str,
        /// The value it was recognised by.
        detail: String,
    },
    /// A tensor that the architecture needs is not there.
    #[error("tensor {tensor} is missing; the file is incomplete")]
    MissingTensor {
        /// The tensor.
        tensor: String,
    },
    /// A tensor that the architecture does not know.
    #[error(
        "tensor {tensor} does not belong to the architecture {architecture}; dropping it would change the model"
    )]
    ExtraTensor {
        /// The tensor.
        tensor: String,
        /// The architecture.
        architecture: String,
    },
    /// A tensor's shape is not the one the metadata implies.
    #[error("tensor {tensor} has shape {found:?}, the metadata asks for {expected:?}")]
    WrongShape {
        /// The tensor.
        tensor: String,
        /// Shape in the file, outermost dimension first.
        found: Vec<usize>,
        /// Shape by the metadata.
        expected: Vec<usize>,
    },
    /// The number of rotated dimensions differs between the file and the basis to write into it.
    #[error(
        "the file rotates {found} dimensions of a head, the basis {expected}; take the GGUF file and the config.json of one model"
    )]
    WrongHeadDim {
        /// Rotated dimensions by the file.
        found: usize,
        /// Rotated dimensions of the basis, two per divisor.
        expected: usize,
    },
    /// A divisor that `f32` does not hold at full precision.
    #[error(
        "divisor {index} for rope_freqs.weight is {found}, expected a number from 1e-37 to 1e38"
    )]
    BadDivisor {
        /// Its pair.
        index: usize,
        /// The divisor.
        found: f64,
    },
    /// An architecture whose rotary divisors llama.cpp does not read.
    #[error(
        "llama.cpp reads rope_freqs.weight in files of the architecture llama, and does not load one of {architecture} that has it; run the model's folder instead, or extend it by a method that rope.scaling.type names, linear or yarn"
    )]
    NoRopeFreqs {
        /// `general.architecture`.
        architecture: String,
    },
    /// A tokenizer that cannot be rebuilt.
    #[error("the tokenizer {what} {found:?} is not known; known are {known}")]
    UnknownTokenizer {
        /// Which part: `model` or `pre-tokenizer`.
        what: &'static str,
        /// Its name in the file.
        found: String,
        /// The known ones.
        known: String,
    },
    /// A merge rule that does not name two tokens of the vocabulary.
    #[error("tokenizer.ggml.merges[{index}] is {merge:?}, not two tokens of the vocabulary")]
    BadMerge {
        /// Index in the list.
        index: usize,
        /// The rule.
        merge: String,
    },
    /// A setting of a model that a GGUF file has no place for, or llama.cpp no computation.
    #[error("{field} is {found}, which a GGUF file cannot express: {reason}")]
    Inexpressible {
        /// The setting, such as a field of `config.json`.
        field: String,
        /// What it is.
        found: String,
        /// Why not, and what would do.
        reason: String,
    },
    /// A setting of `config.json` that is missing, of the wrong type or out of range.
    #[error("{field} in config.json is {found}, expected {expected}")]
    BadSetting {
        /// The field.
        field: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A tensor of a model folder that the model's family does not have.
    #[error(
        "tensor {tensor} does not belong to a model of the type {model_type}; leaving it out would change the model"
    )]
    StrayTensor {
        /// The tensor.
        tensor: String,
        /// `model_type` of the configuration.
        model_type: String,
    },
    /// What is wrong with one tensor.
    #[error("tensor {tensor}: {problem}")]
    InTensor {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        problem: Box<Self>,
    },
    /// Blocks that cannot be decoded or encoded.
    #[error(transparent)]
    Blocks(#[from] BlockError),
}
