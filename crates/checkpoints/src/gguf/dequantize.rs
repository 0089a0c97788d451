//! Decoding of quantized blocks to `f32`.
//!
//! The formats are llama.cpp's. Values are computed in the order of operations of its reference
//! decoders, so that results agree bit for bit.

use half::{bf16, f16};

use super::error::GgufError;
use super::ggml_type::GgmlType;

/// Decodes whole blocks of a type into `out`, one value per element.
///
/// ```
/// use bestof_checkpoints::gguf::{GgmlType, dequantize_blocks};
///
/// // One block of Q8_0: an f16 scale of 0.5, then 32 signed bytes.
/// let mut block = vec![0x00, 0x38];
/// block.extend(0..32_u8);
/// let mut values = [0.0; 32];
/// dequantize_blocks(GgmlType::Q8_0, &block, &mut values)?;
/// assert_eq!(values[..4], [0.0, 0.5, 1.0, 1.5]);
/// # Ok::<(), bestof_checkpoints::gguf::GgufError>(())
/// ```
///
/// # Errors
/// [`GgufError::BlockSizes`] if `bytes` is not a whole number of blocks, or `out` does not have
/// exactly as many elements as these hold values.
pub fn dequantize_blocks(
    ggml_type: GgmlType,
    bytes: &[u8],
    out: &mut [f32],
) -> Result<(), GgufError> {
    let blocks = bytes.len() / ggml_type.block_bytes();
    let whole = bytes.len().is_multiple_of(ggml_type.block_bytes());
    if !whole || blocks.checked_mul(ggml_type.block_values()) != Some(out.len()) {
        return Err(GgufError::BlockSizes { ggml_type, bytes: bytes.len(), values: out.len() });
    }
    match ggml_type {
        GgmlType::F32 => each_block(bytes, out, |b, [y]| *y = f32::from_le_bytes(*b)),
        GgmlType::F16 => each_block(bytes, out, |b, [y]| *y = f16::from_le_bytes(*b).to_f32()),
        GgmlType::BF16 => each_block(bytes, out, |b, [y]| *y = bf16::from_le_bytes(*b).to_f32()),
        GgmlType::Q4_0 => each_block(bytes, out, q4_0),
        GgmlType::Q4_1 => each_block(bytes, out, q4_1),
        GgmlType::Q5_0 => each_block(bytes, out, q5_0),
        GgmlType::Q5_1 => each_block(bytes, out, q5_1),
        GgmlType::Q8_0 => each_block(bytes, out, q8_0),
        GgmlType::Q2K => each_block(bytes, out, q2_k),
        GgmlType::Q3K => each_block(bytes, out, q3_k),
        GgmlType::Q4K => each_block(bytes, out, q4_k),
        GgmlType::Q5K => each_block(bytes, out, q5_k),
        GgmlType::Q6K => each_block(bytes, out, q6_k),
        GgmlType::IQ4NL => each_block(bytes, out, iq4_nl),
        GgmlType::IQ4XS => each_block(bytes, out, iq4_xs),
    }
    Ok(())
}

fn each_block<const BYTES: usize, const VALUES: usize>(
    bytes: &[u8],
    out: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; VALUES]),
) {
    let (blocks, _) = bytes.as_chunks::<BYTES>();
    let (values, _) = out.as_chunks_mut::<VALUES>();
    blocks.iter().zip(values).for_each(|(block, values)| decode(block, values));
}

fn f16_at(block: &[u8], index: usize) -> f32 {
    f16::from_le_bytes([block[index], block[index + 1]]).to_f32()
}

/// Value `j` is the low half of byte `j`, value `j + 16` the high half.
fn nibbles(packed: &[u8], out: &mut [f32; 32], value: impl Fn(u8) -> f32) {
    let (low, high) = out.split_at_mut(16);
    for ((q, low), high) in packed.iter().zip(low).zip(high) {
        *low = value(q & 15);
        *high = value(q >> 4);
    }
}

/// The same with a fifth bit: bit `j` of a little-endian word for value `j`.
fn five_bits(fifth: [u8; 4], packed: &[u8], out: &mut [f32; 32], value: impl Fn(u8) -> f32) {
    let fifth = u32::from_le_bytes(fifth);
    let (low, high) = out.split_at_mut(16);
    for (j, ((q, low), high)) in packed.iter().zip(low).zip(high).enumerate() {
        *low = value((q & 15) | ((fifth >> j) << 4 & 16) as u8);
        *high = value((q >> 4) | ((fifth >> (j + 12)) & 16) as u8);
    }
}

/// `x = d (q - 8)`
fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = f16_at(block, 0);
    nibbles(&block[2..], out, |q| d * (f32::from(q) - 8.0));
}

/// `x = d q + m`
fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (d, m) = (f16_at(block, 0), f16_at(block, 2));
    nibbles(&block[4..], out, |q| d * f32::from(q) + m);
}

/// `x = d (q - 16)`
fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let d = f16_at(block, 0);
    let fifth = [block[2], block[3], block[4], block[5]];
    five_bits(fifth, &block[6..], out, |q| d * (f32::from(q) - 16.0));
}

/// `x = d q + m`
fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (d, m) = (f16_at(block, 0), f16_at(block, 2));
    let fifth = [block[4], block[5], block[6], block[7]];
    five_bits(fifth, &block[8..], out, |q| d * f32::from(q) + m);
}

/// `x = d q`
fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let d = f16_at(block, 0);
    for (out, q) in out.iter_mut().zip(&block[2..]) {
        *out = d * f32::from(*q as i8);
    }
}

/// Where the two low bits of a group of 16 values lie: first of 16 bytes, and shift.
///
/// 32 bytes hold 128 values, each byte those 32 apart.
fn two_bits(group: usize) -> (usize, usize) {
    (group / 8 * 32 + group % 2 * 16, group % 8 / 2 * 2)
}

/// `x = d s q - d_min m`, with `s` and `m` in the halves of a byte per 16 values.
fn q2_k(block: &[u8; 84], out: &mut [f32; 256]) {
    let (d, d_min) = (f16_at(block, 80), f16_at(block, 82));
    let (scales, packed) = (&block[..16], &block[16..80]);
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = scales[group];
        let (dl, ml) = (d * f32::from(scale & 15), d_min * f32::from(scale >> 4));
        let (first, shift) = two_bits(group);
        for (out, q) in out.iter_mut().zip(&packed[first..first + 16]) {
            *out = dl * f32::from((q >> shift) & 3) - ml;
        }
    }
}

/// `x = d (s - 32) (q - 4)`, the third bit of `q` in a mask of its own.
fn q3_k(block: &[u8; 110], out: &mut [f32; 256]) {
    let d = f16_at(block, 108);
    let (mask, packed, scales) = (&block[..32], &block[32..96], &block[96..108]);
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let low = if group < 8 { scales[group] & 15 } else { scales[group - 8] >> 4 };
        let high = (scales[8 + group % 4] >> (group / 4 * 2)) & 3;
        let dl = d * (f32::from(low | (high << 4)) - 32.0);
        let (first, shift) = two_bits(group);
        let third = &mask[group % 2 * 16..][..16];
        for ((out, q), third) in out.iter_mut().zip(&packed[first..first + 16]).zip(third) {
            let q = ((q >> shift) & 3) | (((third >> (group / 2)) & 1) << 2);
            *out = dl * (f32::from(q) - 4.0);
        }
    }
}

/// Six-bit scale and minimum of each of eight groups, in twelve bytes.
fn scale_and_minimum(bytes: &[u8], group: usize) -> (f32, f32) {
    let (scale, minimum) = if group < 4 {
        (bytes[group] & 63, bytes[group + 4] & 63)
    } else {
        (
            (bytes[group + 4] & 15) | (bytes[group - 4] >> 6 << 4),
            (bytes[group + 4] >> 4) | (bytes[group] >> 6 << 4),
        )
    };
    (f32::from(scale), f32::from(minimum))
}

/// `x = d s q - d_min m`, with `s` and `m` per 32 values.
fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    let (d, d_min) = (f16_at(block, 0), f16_at(block, 2));
    let (scales, packed) = (&block[4..16], &block[16..]);
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(scales, group);
        let (dl, ml) = (d * scale, d_min * minimum);
        let shift = group % 2 * 4;
        for (out, q) in out.iter_mut().zip(&packed[group / 2 * 32..][..32]) {
            *out = dl * f32::from((q >> shift) & 15) - ml;
        }
    }
}

/// As [`q4_k`], with a fifth bit: bit `group` of byte `i` for value `i` of a group.
fn q5_k(block: &[u8; 176], out: &mut [f32; 256]) {
    let (d, d_min) = (f16_at(block, 0), f16_at(block, 2));
    let (scales, fifth, packed) = (&block[4..16], &block[16..48], &block[48..]);
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(scales, group);
        let (dl, ml) = (d * scale, d_min * minimum);
        let shift = group % 2 * 4;
        let packed = &packed[group / 2 * 32..][..32];
        for ((out, q), fifth) in out.iter_mut().zip(packed).zip(fifth) {
            let q = ((q >> shift) & 15) | (((fifth >> group) & 1) << 4);
            *out = dl * f32::from(q) - ml;
        }
    }
}

/// `x = d s (q - 32)`: four low bits and two high bits apart, a signed scale per 16 values.
fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let d = f16_at(block, 208);
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let dl = d * f32::from(scales[group] as i8);
        let low = &low[group / 8 * 64 + group % 4 * 16..][..16];
        let low_shift = group % 8 / 4 * 4;
        let (first, high_shift) = two_bits(group);
        for ((out, low), high) in out.iter_mut().zip(low).zip(&high[first..first + 16]) {
            let q = ((low >> low_shift) & 15) | (((high >> high_shift) & 3) << 4);
            *out = dl * (f32::from(q) - 32.0);
        }
    }
}

/// The numbers that the four bits of the `IQ4` types stand for.
const IQ4: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

fn iq4(q: u8) -> f32 {
    f32::from(IQ4[usize::from(q & 15)])
}

/// `x = d v(q)`
fn iq4_nl(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = f16_at(block, 0);
    nibbles(&block[2..], out, |q| d * iq4(q));
}

/// `x = d (s - 32) v(q)`: of each scale four bits and two bits apart.
fn iq4_xs(block: &[u8; 136], out: &mut [f32; 256]) {
    let d = f16_at(block, 0);
    let high = u16::from_le_bytes([block[2], block[3]]);
    let (low, packed) = (&block[4..8], &block[8..]);
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let low = (low[group / 2] >> (group % 2 * 4)) & 15;
        let high = ((high >> (2 * group)) & 3) as u8;
        let dl = d * (f32::from(low | (high << 4)) - 32.0);
        nibbles(&packed[group * 16..][..16], out, |q| dl * iq4(q));
    }
}
