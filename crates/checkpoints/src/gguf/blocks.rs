//! Tensor element types of GGUF, and their values as `f32`.

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::ggml_file::qtensor_from_ggml;

use crate::stored::StoredType;

/// How a tensor's values are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// One value after the other.
    Plain(StoredType),
    /// Blocks of values that share scales.
    Blocks(GgmlDType),
}

/// Type number in the file, name, packing.
const PACKINGS: [(u32, &str, Packing); 13] = [
    (0, "F32", Packing::Plain(StoredType::F32)),
    (1, "F16", Packing::Plain(StoredType::F16)),
    (30, "BF16", Packing::Plain(StoredType::BF16)),
    (2, "Q4_0", Packing::Blocks(GgmlDType::Q4_0)),
    (3, "Q4_1", Packing::Blocks(GgmlDType::Q4_1)),
    (6, "Q5_0", Packing::Blocks(GgmlDType::Q5_0)),
    (7, "Q5_1", Packing::Blocks(GgmlDType::Q5_1)),
    (8, "Q8_0", Packing::Blocks(GgmlDType::Q8_0)),
    (10, "Q2_K", Packing::Blocks(GgmlDType::Q2K)),
    (11, "Q3_K", Packing::Blocks(GgmlDType::Q3K)),
    (12, "Q4_K", Packing::Blocks(GgmlDType::Q4K)),
    (13, "Q5_K", Packing::Blocks(GgmlDType::Q5K)),
    (14, "Q6_K", Packing::Blocks(GgmlDType::Q6K)),
];

impl Packing {
    /// The packing of a type number.
    pub(super) fn from_number(number: u32) -> Option<Self> {
        PACKINGS.iter().find(|(n, _, _)| *n == number).map(|(_, _, packing)| *packing)
    }

    /// The names of all types that are read.
    pub(super) fn known() -> String {
        PACKINGS.map(|(_, name, _)| name).join(", ")
    }

    pub(super) fn name(self) -> &'static str {
        PACKINGS.iter().find(|(_, _, packing)| *packing == self).map_or("?", |(_, name, _)| name)
    }

    /// Values of a block.
    pub(super) fn block_values(self) -> usize {
        match self {
            Self::Plain(_) => 1,
            Self::Blocks(kind) => kind.block_size(),
        }
    }

    /// Bytes of a block.
    pub(super) fn block_bytes(self) -> usize {
        match self {
            Self::Plain(stored) => stored.bits() / 8,
            Self::Blocks(kind) => kind.type_size(),
        }
    }

    /// The values of whole blocks, in place of what `out` held.
    pub(super) fn unpack(self, bytes: &[u8], out: &mut Vec<f32>) -> candle_core::Result<()> {
        out.clear();
        match self {
            Self::Plain(stored) => {
                let _ = stored.extend_f32(bytes, out);
            }
            Self::Blocks(kind) => {
                let values = bytes.len() / self.block_bytes() * self.block_values();
                let tensor = qtensor_from_ggml(kind, bytes, vec![values], &Device::Cpu)?;
                *out = tensor.dequantize(&Device::Cpu)?.to_vec1()?;
            }
        }
        Ok(())
    }
}
