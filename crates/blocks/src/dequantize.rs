//! Decoding of blocks to `f32`.
//!
//! Values are computed in the order of operations of llama.cpp's reference decoders, so that
//! results agree bit for bit.
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled for the plainest processor"
)]

use pulp::{Arch, Simd, WithSimd};

use crate::error::BlockError;
use crate::ggml_type::GgmlType;
use crate::groups::{
    Iq4Nl, Iq4Xs, Layout, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0, half,
};

/// Decodes whole blocks of a type into `out`, one value per element.
///
/// ```
/// use bestof_blocks::{GgmlType, dequantize_blocks};
///
/// // One block of Q8_0: an f16 scale of 0.5, then 32 signed bytes.
/// let mut block = vec![0x00, 0x38];
/// block.extend(0..32_u8);
/// let mut values = [0.0; 32];
/// dequantize_blocks(GgmlType::Q8_0, &block, &mut values)?;
/// assert_eq!(values[..4], [0.0, 0.5, 1.0, 1.5]);
/// # Ok::<(), bestof_blocks::BlockError>(())
/// ```
///
/// # Errors
/// [`BlockError::Sizes`] if `bytes` is not a whole number of blocks, or `out` does not have
/// exactly as many elements as these hold values.
pub fn dequantize_blocks(
    ggml_type: GgmlType,
    bytes: &[u8],
    out: &mut [f32],
) -> Result<(), BlockError> {
    let blocks = bytes.len() / ggml_type.block_bytes();
    let whole = bytes.len().is_multiple_of(ggml_type.block_bytes());
    if !whole || blocks.checked_mul(ggml_type.block_values()) != Some(out.len()) {
        return Err(BlockError::Sizes { ggml_type, bytes: bytes.len(), values: out.len() });
    }
    Arch::new().dispatch(Decoding { ggml_type, bytes, out });
    Ok(())
}

/// The first of the values that whole blocks stand for which is NaN or infinite.
///
/// # Panics
/// If `bytes` is not a whole number of blocks.
pub fn first_not_finite(ggml_type: GgmlType, bytes: &[u8]) -> Option<usize> {
    let mut values = vec![0.0; CHUNK * ggml_type.block_values()];
    for (chunk, bytes) in bytes.chunks(CHUNK * ggml_type.block_bytes()).enumerate() {
        let count = ggml_type.values_of(bytes.len());
        dequantize_blocks(ggml_type, bytes, &mut values[..count]).expect("blocks are whole");
        if let Some(at) = values[..count].iter().position(|value| !value.is_finite()) {
            return Some(chunk * CHUNK * ggml_type.block_values() + at);
        }
    }
    None
}

/// Blocks that are looked at together.
const CHUNK: usize = 128;

struct Decoding<'a> {
    ggml_type: GgmlType,
    bytes: &'a [u8],
    out: &'a mut [f32],
}

impl WithSimd for Decoding<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { ggml_type, bytes, out } = self;
        match ggml_type {
            GgmlType::F32 => each::<4>(bytes, out, f32::from_le_bytes),
            GgmlType::F16 => each::<2>(bytes, out, |b| half(u16::from_le_bytes(b))),
            GgmlType::BF16 => {
                each::<2>(bytes, out, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16));
            }
            GgmlType::Q4_0 => blocks::<Q4_0>(bytes, out),
            GgmlType::Q4_1 => blocks::<Q4_1>(bytes, out),
            GgmlType::Q5_0 => blocks::<Q5_0>(bytes, out),
            GgmlType::Q5_1 => blocks::<Q5_1>(bytes, out),
            GgmlType::Q8_0 => blocks::<Q8_0>(bytes, out),
            GgmlType::Q2K => blocks::<Q2K>(bytes, out),
            GgmlType::Q3K => blocks::<Q3K>(bytes, out),
            GgmlType::Q4K => blocks::<Q4K>(bytes, out),
            GgmlType::Q5K => blocks::<Q5K>(bytes, out),
            GgmlType::Q6K => blocks::<Q6K>(bytes, out),
            GgmlType::IQ4NL => blocks::<Iq4Nl>(bytes, out),
            GgmlType::IQ4XS => blocks::<Iq4Xs>(bytes, out),
        }
    }
}

#[inline(always)]
fn each<const BYTES: usize>(
    bytes: &[u8],
    out: &mut [f32],
    decode: impl Fn([u8; BYTES]) -> f32 + Copy,
) {
    let (bytes, _) = bytes.as_chunks::<BYTES>();
    let bytes = &bytes[..out.len()];
    for at in 0..out.len() {
        out[at] = decode(bytes[at]);
    }
}

#[inline(always)]
fn blocks<L: Layout>(bytes: &[u8], out: &mut [f32]) {
    let values = if L::HALVES {
        // The same number, which the compiler is not to know: its unrolled loop is five times as slow.
        out.len() / (bytes.len() / L::BYTES).max(1)
    } else {
        size_of::<L::Codes>()
    };
    let width = (L::GROUPS * values).max(1);
    for (block, out) in bytes.chunks_exact(L::BYTES).zip(out.chunks_exact_mut(width)) {
        for (group, out) in out.chunks_exact_mut(values).enumerate() {
            let (codes, scale, offset) = L::group(block, group);
            let codes = &codes.as_ref()[..out.len()];
            for at in 0..out.len() {
                let value = scale * f32::from(codes[at]);
                out[at] = if L::OFFSET { value + offset } else { value };
            }
        }
    }
}
