//! In how many bits a model's weights lie in memory, and what it computes in.

use std::fmt;
use std::str::FromStr;

use bestof_blocks::GgmlType;
use bestof_checkpoints::StoredType;

/// A float type of weights and products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dtype {
    /// IEEE 754, 32 bits.
    #[default]
    F32,
    /// The upper 16 bits of an `f32`.
    BF16,
    /// IEEE 754, 16 bits.
    F16,
}

impl Dtype {
    /// Its name, such as `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::BF16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// The element type of a GGUF file that holds such values.
    pub fn ggml_type(self) -> GgmlType {
        match self {
            Self::F32 => GgmlType::F32,
            Self::BF16 => GgmlType::BF16,
            Self::F16 => GgmlType::F16,
        }
    }

    pub(crate) fn burn(self) -> burn::tensor::DType {
        match self {
            Self::F32 => burn::tensor::DType::F32,
            Self::BF16 => burn::tensor::DType::BF16,
            Self::F16 => burn::tensor::DType::F16,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no float type or no block type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not known; known are {known}")]
pub struct UnknownFormat {
    /// The name given.
    pub found: String,
    /// The names that are read.
    pub known: &'static str,
}

impl FromStr for Dtype {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name.to_ascii_lowercase().as_str() {
            "f32" | "float32" => Ok(Self::F32),
            "bf16" | "bfloat16" => Ok(Self::BF16),
            "f16" | "float16" => Ok(Self::F16),
            _ => Err(UnknownFormat { found: name.to_owned(), known: "f32, bf16 and f16" }),
        }
    }
}

/// Blocks that a frozen model's matrices are rounded to when it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantization {
    /// 8 bits and a scale per 32 values.
    Q8_0,
    /// 4 bits and a scale per 32 values; the projection onto the vocabulary is `Q8_0`, also where it
    /// is the embeddings.
    Q4_0,
}

impl Quantization {
    /// Its name, such as `q8_0`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }

    /// The type of a matrix with rows of `width` values, as llama.cpp chooses it.
    pub(crate) fn of(self, width: usize, vocabulary: bool) -> GgmlType {
        match self {
            _ if !width.is_multiple_of(32) => GgmlType::F16,
            Self::Q4_0 if !vocabulary => GgmlType::Q4_0,
            _ => GgmlType::Q8_0,
        }
    }
}

impl From<Dtype> for StoredType {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32,
            Dtype::BF16 => Self::BF16,
            Dtype::F16 => Self::F16,
        }
    }
}

impl From<Quantization> for GgmlType {
    fn from(blocks: Quantization) -> Self {
        match blocks {
            Quantization::Q8_0 => Self::Q8_0,
            Quantization::Q4_0 => Self::Q4_0,
        }
    }
}

impl fmt::Display for Quantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Quantization {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name.to_ascii_lowercase().as_str() {
            "q8_0" => Ok(Self::Q8_0),
            "q4_0" => Ok(Self::Q4_0),
            _ => Err(UnknownFormat { found: name.to_owned(), known: "q8_0 and q4_0" }),
        }
    }
}

/// Floats or blocks, by one name.
///
/// ```
/// use bestof_models::{Dtype, NumberFormat, Quantization};
///
/// assert_eq!("bf16".parse(), Ok(NumberFormat::Floats(Dtype::BF16)));
/// assert_eq!("q8_0".parse(), Ok(NumberFormat::Blocks(Quantization::Q8_0)));
/// assert!("q4_k".parse::<NumberFormat>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberFormat {
    /// Plain floats.
    Floats(Dtype),
    /// Blocks with scales.
    Blocks(Quantization),
}

impl NumberFormat {
    /// The element type of a GGUF file that holds such values.
    pub fn ggml_type(self) -> GgmlType {
        match self {
            Self::Floats(dtype) => dtype.ggml_type(),
            Self::Blocks(blocks) => blocks.into(),
        }
    }
}

impl FromStr for NumberFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let floats = name.parse().map(Self::Floats);
        let known = "f32, f16, bf16, q8_0 and q4_0";
        floats
            .or_else(|_| name.parse().map(Self::Blocks))
            .map_err(|unknown: UnknownFormat| UnknownFormat { known, ..unknown })
    }
}

/// How a decoder is loaded.
///
/// Matrices of linear layers, embeddings and vocabulary projection rest in the format asked for; norms
/// and biases are f32. On the CPU all arithmetic is in f32, and what rests in fewer bits is widened some
/// rows at a time; other devices compute in `dtype`, with norms, softmax and log-probabilities in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Precision {
    /// The float type. Default f32.
    pub dtype: Dtype,
    /// Blocks to round matrices to. Default none. Blocks of a GGUF file stay what they are.
    pub quantize: Option<Quantization>,
    /// Whether every weight is trained: they are f32 then, whatever they are computed in.
    pub trained: bool,
}

impl Precision {
    /// The type that a matrix with rows of `width` values rests in, if it is not in blocks already;
    /// `projection` says whether it projects onto the vocabulary.
    pub(crate) fn of_matrix(self, width: usize, projection: bool) -> GgmlType {
        match self.quantize {
            _ if self.trained => GgmlType::F32,
            Some(blocks) => blocks.of(width, projection),
            None => self.dtype.ggml_type(),
        }
    }

    /// With another float type.
    #[must_use]
    pub fn with_dtype(self, dtype: Dtype) -> Self {
        Self { dtype, ..self }
    }

    /// With matrices in blocks.
    #[must_use]
    pub fn with_quantize(self, quantize: Option<Quantization>) -> Self {
        Self { quantize, ..self }
    }

    /// For a model whose weights are all trained.
    #[must_use]
    pub fn with_trained(self, trained: bool) -> Self {
        Self { trained, ..self }
    }
}
