//! Element types of tensors in files, and their conversion to and from `f32`.

use std::fmt;

use bestof_blocks::GgmlType;
use half::{bf16, f16};
use safetensors::Dtype;

/// Element type of a tensor in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredType {
    /// IEEE 754, 64 bits.
    F64,
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 16 bits.
    F16,
    /// The upper 16 bits of an `f32`.
    BF16,
    /// Signed, 64 bits.
    I64,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 8 bits.
    U8,
    /// A byte that is 0 or 1.
    Bool,
    /// Blocks of few bits, in a GGUF file.
    Blocks(GgmlType),
    /// A type that is listed but not read, by its safetensors name.
    Other(Dtype),
}

impl StoredType {
    /// Bits of one element, rounded down for blocks.
    pub fn bits(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 64,
            Self::F32 | Self::I32 => 32,
            Self::F16 | Self::BF16 => 16,
            Self::U8 | Self::Bool => 8,
            Self::Blocks(blocks) => blocks.block_bytes() * 8 / blocks.block_values(),
            Self::Other(dtype) => dtype.bitsize(),
        }
    }

    /// Whether values of this type are read as `f32`.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16 | Self::Blocks(_))
    }

    /// The name in `config.json`'s `dtype`, for types that weights are written in.
    pub fn torch_name(self) -> Option<&'static str> {
        match self {
            Self::F32 => Some("float32"),
            Self::F16 => Some("float16"),
            Self::BF16 => Some("bfloat16"),
            _ => None,
        }
    }

    /// Appends the floats of `bytes` to `out`; `None` for a type that holds no floats.
    pub(crate) fn extend_f32(self, bytes: &[u8], out: &mut Vec<f32>) -> Option<()> {
        match self {
            Self::F32 => out.extend(chunks::<4>(bytes).map(f32::from_le_bytes)),
            Self::F16 => out.extend(chunks::<2>(bytes).map(|b| f16::from_le_bytes(b).to_f32())),
            Self::BF16 => out.extend(chunks::<2>(bytes).map(|b| bf16::from_le_bytes(b).to_f32())),
            Self::F64 => out.extend(chunks::<8>(bytes).map(|b| f64::from_le_bytes(b) as f32)),
            _ => return None,
        }
        Some(())
    }

    /// Appends the integers of `bytes` to `out`; `None` for a type that holds no integers.
    pub(crate) fn extend_i64(self, bytes: &[u8], out: &mut Vec<i64>) -> Option<()> {
        match self {
            Self::I64 => out.extend(chunks::<8>(bytes).map(i64::from_le_bytes)),
            Self::I32 => out.extend(chunks::<4>(bytes).map(|b| i64::from(i32::from_le_bytes(b)))),
            Self::U8 | Self::Bool => out.extend(bytes.iter().map(|&b| i64::from(b))),
            _ => return None,
        }
        Some(())
    }

    /// Appends `values` in this type to `out`; `None` for a type that weights are not written in.
    pub(crate) fn encode(self, values: &[f32], out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::F32 => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::F16 => out.extend(values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes())),
            Self::BF16 => out.extend(values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes())),
            _ => return None,
        }
        Some(())
    }
}

/// Name, element type and shape of a stored tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name, such as `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Element type in the file.
    pub dtype: StoredType,
    /// Shape, outermost dimension first.
    pub shape: Vec<usize>,
}

impl TensorInfo {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

impl fmt::Display for StoredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocks(blocks) => blocks.fmt(f),
            other => Dtype::from(*other).fmt(f),
        }
    }
}

impl From<Dtype> for StoredType {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F64 => Self::F64,
            Dtype::F32 => Self::F32,
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::BF16,
            Dtype::I64 => Self::I64,
            Dtype::I32 => Self::I32,
            Dtype::U8 => Self::U8,
            Dtype::BOOL => Self::Bool,
            other => Self::Other(other),
        }
    }
}

impl From<StoredType> for Dtype {
    fn from(stored: StoredType) -> Self {
        match stored {
            StoredType::F64 => Self::F64,
            StoredType::F32 => Self::F32,
            StoredType::F16 => Self::F16,
            StoredType::BF16 => Self::BF16,
            StoredType::I64 => Self::I64,
            StoredType::I32 => Self::I32,
            // Safetensors have no blocks; these are bytes there.
            StoredType::U8 | StoredType::Blocks(_) => Self::U8,
            StoredType::Bool => Self::BOOL,
            StoredType::Other(other) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_type_is_read_back() {
        let values = [0.0, -1.5, 65504.0, 2.0_f32.powi(-14)];
        for stored in [StoredType::F32, StoredType::F16, StoredType::BF16] {
            let (mut bytes, mut back) = (Vec::new(), Vec::new());
            stored.encode(&values, &mut bytes).unwrap();
            assert_eq!(bytes.len(), values.len() * stored.bits() / 8);
            stored.extend_f32(&bytes, &mut back).unwrap();
            for (value, back) in values.iter().zip(&back) {
                assert!(
                    (value - back).abs() <= value.abs() / 256.0,
                    "{stored}: {value} became {back}"
                );
            }
        }
    }

    #[test]
    fn rounding_is_to_the_nearest_even() {
        // 1 + 2^-8 lies halfway between the bf16 numbers 1 and 1 + 2^-7; the even one is 1.
        let mut bytes = Vec::new();
        StoredType::BF16
            .encode(&[1.0 + 2.0_f32.powi(-8), 1.0 + 3.0 * 2.0_f32.powi(-8)], &mut bytes)
            .unwrap();
        assert_eq!(bytes, [0x80, 0x3f, 0x82, 0x3f]);
    }

    #[test]
    fn integers_are_not_floats_nor_the_reverse() {
        assert!(StoredType::I64.extend_f32(&[0; 8], &mut Vec::new()).is_none());
        assert!(StoredType::F32.extend_i64(&[0; 8], &mut Vec::new()).is_none());
        assert!(StoredType::I64.encode(&[0.0], &mut Vec::new()).is_none());
        let mut ids = Vec::new();
        StoredType::I32.extend_i64(&(-7_i32).to_le_bytes(), &mut ids).unwrap();
        StoredType::Bool.extend_i64(&[1, 0], &mut ids).unwrap();
        assert_eq!(ids, [-7, 1, 0]);
    }
}
