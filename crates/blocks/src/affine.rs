//! Blocks as integers with scales and offsets, in arrays of their own.

use crate::error::BlockError;
use crate::ggml_type::GgmlType;
use crate::groups::{Iq4Nl, Iq4Xs, Layout, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};

/// Values as `scale q` or `scale q + offset`, a scale per group of neighbouring values.
#[derive(Debug, Clone, PartialEq)]
pub struct Affine {
    /// Values that share a scale: 16 or 32.
    pub group: usize,
    /// Bits that hold every integer: 4 or 8, in two's complement if there are no offsets, unsigned
    /// otherwise.
    pub bits: u32,
    /// The integers.
    pub codes: Vec<i8>,
    /// One per group.
    pub scales: Vec<f32>,
    /// One per group, for types that have any.
    pub offsets: Option<Vec<f32>>,
}

/// The parts of whole blocks of a type; `None` for a type that has no blocks: F32, F16 and BF16.
///
/// ```
/// use bestof_blocks::{GgmlType, affine};
///
/// let mut block = vec![0x00, 0x38];
/// block.extend(0..32_u8);
/// let parts = affine(GgmlType::Q8_0, &block)?.unwrap();
/// assert_eq!((parts.group, parts.bits, parts.scales, parts.codes[31]), (32, 8, vec![0.5], 31));
/// # Ok::<(), bestof_blocks::BlockError>(())
/// ```
///
/// # Errors
/// [`BlockError::Sizes`] if `bytes` is not a whole number of blocks.
pub fn affine(ggml_type: GgmlType, bytes: &[u8]) -> Result<Option<Affine>, BlockError> {
    if !bytes.len().is_multiple_of(ggml_type.block_bytes()) {
        let values = ggml_type.values_of(bytes.len());
        return Err(BlockError::Sizes { ggml_type, bytes: bytes.len(), values });
    }
    Ok(Some(match ggml_type {
        GgmlType::F32 | GgmlType::F16 | GgmlType::BF16 => return Ok(None),
        GgmlType::Q4_0 => parts::<Q4_0>(bytes, 4),
        GgmlType::Q4_1 => parts::<Q4_1>(bytes, 4),
        GgmlType::Q5_0 => parts::<Q5_0>(bytes, 8),
        GgmlType::Q5_1 => parts::<Q5_1>(bytes, 8),
        GgmlType::Q8_0 => parts::<Q8_0>(bytes, 8),
        GgmlType::Q2K => parts::<Q2K>(bytes, 4),
        GgmlType::Q3K => parts::<Q3K>(bytes, 4),
        GgmlType::Q4K => parts::<Q4K>(bytes, 4),
        GgmlType::Q5K => parts::<Q5K>(bytes, 8),
        GgmlType::Q6K => parts::<Q6K>(bytes, 8),
        GgmlType::IQ4NL => parts::<Iq4Nl>(bytes, 8),
        GgmlType::IQ4XS => parts::<Iq4Xs>(bytes, 8),
    }))
}

fn parts<L: Layout>(bytes: &[u8], bits: u32) -> Affine {
    let (mut codes, mut scales, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
    for block in bytes.chunks_exact(L::BYTES) {
        for group in 0..L::GROUPS {
            let (found, scale, offset) = L::group(block, group);
            codes.extend_from_slice(found.as_ref());
            scales.push(scale);
            offsets.push(offset);
        }
    }
    let group = size_of::<L::Codes>();
    Affine { group, bits, codes, scales, offsets: L::OFFSET.then_some(offsets) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dequantize_blocks;

    /// Bytes below 64 give finite halves everywhere.
    #[test]
    fn the_parts_make_the_values_to_the_last_bit() {
        for ggml_type in GgmlType::ALL {
            let bytes: Vec<u8> =
                (0..ggml_type.block_bytes() * 3).map(|i| ((i * 37 + i / 7) % 64) as u8).collect();
            let Some(parts) = affine(ggml_type, &bytes).unwrap() else { continue };
            let mut values = vec![f32::NAN; 3 * ggml_type.block_values()];
            dequantize_blocks(ggml_type, &bytes, &mut values).unwrap();
            assert_eq!(parts.codes.len(), values.len());
            let signed = parts.offsets.is_none();
            let (least, most) = match (parts.bits, signed) {
                (4, true) => (-8, 7),
                (4, false) => (0, 15),
                _ => (-128, 127),
            };
            assert!(parts.codes.iter().all(|code| (least..=most).contains(&i16::from(*code))));
            for (at, value) in values.iter().enumerate() {
                let group = at / parts.group;
                let scaled = parts.scales[group] * f32::from(parts.codes[at]);
                let found =
                    parts.offsets.as_ref().map_or(scaled, |offsets| scaled + offsets[group]);
                assert_eq!(found.to_bits(), value.to_bits(), "{ggml_type} at {at}");
            }
            assert!(affine(ggml_type, &bytes[1..]).is_err());
        }
    }
}
