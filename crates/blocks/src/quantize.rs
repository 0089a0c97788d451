//! Encoding of `f32` values to the types that are written.
//!
//! Rounding is that of llama.cpp's reference encoders (`quantize_row_q8_0_ref`,
//! `quantize_row_q4_0_ref`), so that files agree with its own byte for byte.

use half::{bf16, f16};

use crate::error::BlockError;
use crate::ggml_type::GgmlType;

/// Encodes whole blocks of values, appending to `out`.
///
/// ```
/// use bestof_blocks::{GgmlType, quantize_blocks};
///
/// let mut bytes = Vec::new();
/// quantize_blocks(GgmlType::Q8_0, &[127.0; 32], &mut bytes)?;
/// // A scale of 1, then 32 times 127.
/// assert_eq!((bytes.len(), &bytes[..3]), (34, &[0x00, 0x3c, 127][..]));
/// # Ok::<(), bestof_blocks::BlockError>(())
/// ```
///
/// # Errors
/// [`BlockError::Unwritable`] for a type other than F32, F16, BF16, `Q8_0` and `Q4_0`;
/// [`BlockError::Sizes`] if `values` is not a whole number of blocks; [`BlockError::NotFinite`] for
/// NaN and infinities in a type other than F32; [`BlockError::TooLarge`] for a value, or a block's
/// scale, that the type cannot hold.
pub fn quantize_blocks(
    ggml_type: GgmlType,
    values: &[f32],
    out: &mut Vec<u8>,
) -> Result<(), BlockError> {
    if !values.len().is_multiple_of(ggml_type.block_values()) {
        let bytes = ggml_type.bytes_of(values.len());
        return Err(BlockError::Sizes { ggml_type, bytes, values: values.len() });
    }
    let check_finite = || match values.iter().find(|value| !value.is_finite()) {
        Some(&value) => Err(BlockError::NotFinite { ggml_type, value }),
        None => Ok(()),
    };
    let (blocks, _) = values.as_chunks::<32>();
    match ggml_type {
        GgmlType::F32 => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        GgmlType::F16 => {
            check_finite()?;
            for &value in values {
                out.extend(half(ggml_type, value, value)?);
            }
        }
        GgmlType::BF16 => {
            check_finite()?;
            for &value in values {
                let rounded = bf16::from_f32(value);
                if !rounded.is_finite() {
                    return Err(BlockError::TooLarge { ggml_type, value });
                }
                out.extend(rounded.to_le_bytes());
            }
        }
        GgmlType::Q8_0 => {
            check_finite()?;
            for block in blocks {
                q8_0(block, out)?;
            }
        }
        GgmlType::Q4_0 => {
            check_finite()?;
            for block in blocks {
                q4_0(block, out)?;
            }
        }
        _ => return Err(BlockError::Unwritable { ggml_type }),
    }
    Ok(())
}

/// The bytes of `number` as `f16`; `value` is what it stands for in the error.
fn half(ggml_type: GgmlType, number: f32, value: f32) -> Result<[u8; 2], BlockError> {
    let half = f16::from_f32(number);
    if half.is_finite() {
        Ok(half.to_le_bytes())
    } else {
        Err(BlockError::TooLarge { ggml_type, value })
    }
}

/// The value of the largest magnitude, the first of equal ones.
fn extreme(block: &[f32; 32]) -> f32 {
    block.iter().fold(0.0, |most: f32, value| if value.abs() > most.abs() { *value } else { most })
}

fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// `d = max |x| / 127`, `q = round(x / d)`
fn q8_0(block: &[f32; 32], out: &mut Vec<u8>) -> Result<(), BlockError> {
    let extreme = extreme(block);
    let d = extreme.abs() / 127.0;
    let id = inverse(d);
    out.extend(half(GgmlType::Q8_0, d, extreme)?);
    out.extend(block.iter().map(|value| (value * id).round() as i8 as u8));
    Ok(())
}

/// `d = x / -8` for the `x` of the largest magnitude, `q = min(15, ⌊x / d + 8.5⌋)`
fn q4_0(block: &[f32; 32], out: &mut Vec<u8>) -> Result<(), BlockError> {
    let extreme = extreme(block);
    let d = extreme / -8.0;
    let id = inverse(d);
    out.extend(half(GgmlType::Q4_0, d, extreme)?);
    // One rounding, as where llama.cpp is built with fused multiply-add.
    let q = |value: f32| ((f64::from(value) * f64::from(id) + 8.5) as u8).min(15);
    let (low, high) = block.split_at(16);
    out.extend(low.iter().zip(high).map(|(low, high)| q(*low) | (q(*high) << 4)));
    Ok(())
}
