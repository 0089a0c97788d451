//! What a block holds: integers, and per group of 16 or 32 of them a scale and perhaps an offset.
//!
//! The formats are llama.cpp's.
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled for the plainest processor"
)]

/// The integers of one group of a block, and how they become values: `scale q`, or
/// `scale q + offset`.
pub(crate) trait Layout {
    /// Bytes of a block.
    const BYTES: usize;
    /// Groups of a block.
    const GROUPS: usize;
    /// Whether there is an offset.
    const OFFSET: bool;
    /// Whether a block is one group, whose codes are the low halves of some bytes and then the high ones.
    const HALVES: bool = false;
    /// The integers of a group.
    type Codes: AsRef<[i8]>;

    /// Group `group` of a block of `BYTES` bytes: integers, scale and offset.
    fn group(block: &[u8], group: usize) -> (Self::Codes, f32, f32);
}

/// An IEEE half as `f32`.
#[inline(always)]
pub(crate) fn half(bits: u16) -> f32 {
    let magnitude = u32::from(bits & 0x7fff);
    // As an f32, the exponent is off by the difference of the biases, 127 - 15.
    let finite = f32::from_bits(magnitude << 13) * f32::from_bits((127 + 112) << 23);
    let magnitude =
        if magnitude < 0x7c00 { finite.to_bits() } else { (magnitude << 13) | 0x7f80_0000 };
    f32::from_bits(magnitude | u32::from(bits & 0x8000) << 16)
}

#[inline(always)]
fn half_at(block: &[u8], at: usize) -> f32 {
    half(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// Code `j` is made of the low half of byte `j`, code `j + 16` of the high half.
#[inline(always)]
fn nibbles(packed: &[u8], code: impl Fn(usize, u8) -> i8) -> [i8; 32] {
    let packed = &packed[..16];
    let mut codes = [0; 32];
    for j in 0..16 {
        codes[j] = code(j, packed[j] & 15);
        codes[j + 16] = code(j + 16, packed[j] >> 4);
    }
    codes
}

/// Bit `j` of a little-endian word as 16 or 0.
#[inline(always)]
fn fifth_bit(word: &[u8]) -> impl Fn(usize) -> u8 {
    let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
    move |j| (((word >> j) & 1) << 4) as u8
}

/// `x = d (q - 8)`
pub(crate) struct Q4_0;
impl Layout for Q4_0 {
    const BYTES: usize = 18;
    const GROUPS: usize = 1;
    const OFFSET: bool = false;
    const HALVES: bool = true;
    type Codes = [i8; 32];

    #[inline(always)]
    fn group(block: &[u8], _: usize) -> ([i8; 32], f32, f32) {
        (nibbles(&block[2..], |_, q| q as i8 - 8), half_at(block, 0), 0.0)
    }
}

/// `x = d q + m`
pub(crate) struct Q4_1;
impl Layout for Q4_1 {
    const BYTES: usize = 20;
    const GROUPS: usize = 1;
    const OFFSET: bool = true;
    const HALVES: bool = true;
    type Codes = [i8; 32];

    #[inline(always)]
    fn group(block: &[u8], _: usize) -> ([i8; 32], f32, f32) {
        (nibbles(&block[4..], |_, q| q as i8), half_at(block, 0), half_at(block, 2))
    }
}

/// `x = d (q - 16)`
pub(crate) struct Q5_0;
impl Layout for Q5_0 {
    const BYTES: usize = 22;
    const GROUPS: usize = 1;
    const OFFSET: bool = false;
    const HALVES: bool = true;
    type Codes = [i8; 32];

    #[inline(always)]
    fn group(block: &[u8], _: usize) -> ([i8; 32], f32, f32) {
        let fifth = fifth_bit(&block[2..6]);
        (nibbles(&block[6..], |j, q| (q | fifth(j)) as i8 - 16), half_at(block, 0), 0.0)
    }
}

/// `x = d q + m`
pub(crate) struct Q5_1;
impl Layout for Q5_1 {
    const BYTES: usize = 24;
    const GROUPS: usize = 1;
    const OFFSET: bool = true;
    const HALVES: bool = true;
    type Codes = [i8; 32];

    #[inline(always)]
    fn group(block: &[u8], _: usize) -> ([i8; 32], f32, f32) {
        let fifth = fifth_bit(&block[4..8]);
        let codes = nibbles(&block[8..], |j, q| (q | fifth(j)) as i8);
        (codes, half_at(block, 0), half_at(block, 2))
    }
}

/// `x = d q`
pub(crate) struct Q8_0;
impl Layout for Q8_0 {
    const BYTES: usize = 34;
    const GROUPS: usize = 1;
    const OFFSET: bool = false;
    type Codes = [i8; 32];

    #[inline(always)]
    fn group(block: &[u8], _: usize) -> ([i8; 32], f32, f32) {
        let packed = &block[2..34];
        let mut codes = [0; 32];
        for j in 0..32 {
            codes[j] = packed[j] as i8;
        }
        (codes, half_at(block, 0), 0.0)
    }
}

/// Where the two low bits of a group of 16 values lie: first of 16 bytes, and shift.
///
/// 32 bytes hold 128 values, each byte those 32 apart.
#[inline(always)]
fn two_bits(group: usize) -> (usize, usize) {
    (group / 8 * 32 + group % 2 * 16, group % 8 / 2 * 2)
}

/// `x = d s q - d_min m`, with `s` and `m` in the halves of a byte per 16 values.
pub(crate) struct Q2K;
impl Layout for Q2K {
    const BYTES: usize = 84;
    const GROUPS: usize = 16;
    const OFFSET: bool = true;
    type Codes = [i8; 16];

    #[inline(always)]
    fn group(block: &[u8], group: usize) -> ([i8; 16], f32, f32) {
        let (d, d_min) = (half_at(block, 80), half_at(block, 82));
        let scale = block[group];
        let (first, shift) = two_bits(group);
        let packed = &block[16 + first..][..16];
        let mut codes = [0; 16];
        for j in 0..16 {
            codes[j] = ((packed[j] >> shift) & 3) as i8;
        }
        (codes, d * f32::from(scale & 15), -(d_min * f32::from(scale >> 4)))
    }
}

/// `x = d (s - 32) (q - 4)`, the third bit of `q` in a mask of its own.
pub(crate) struct Q3K;
impl Layout for Q3K {
    const BYTES: usize = 110;
    const GROUPS: usize = 16;
    const OFFSET: bool = false;
    type Codes = [i8; 16];

    #[inline(always)]
    fn group(block: &[u8], group: usize) -> ([i8; 16], f32, f32) {
        let (mask, packed, scales) = (&block[..32], &block[32..96], &block[96..108]);
        let low = if group < 8 { scales[group] & 15 } else { scales[group - 8] >> 4 };
        let high = (scales[8 + group % 4] >> (group / 4 * 2)) & 3;
        let scale = half_at(block, 108) * (f32::from(low | (high << 4)) - 32.0);
        let (first, shift) = two_bits(group);
        let (packed, third) = (&packed[first..first + 16], &mask[group % 2 * 16..][..16]);
        let mut codes = [0; 16];
        for j in 0..16 {
            let q = ((packed[j] >> shift) & 3) | (((third[j] >> (group / 2)) & 1) << 2);
            codes[j] = q as i8 - 4;
        }
        (codes, scale, 0.0)
    }
}

/// Six-bit scale and minimum of each of eight groups, in twelve bytes.
#[inline(always)]
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
pub(crate) struct Q4K;
impl Layout for Q4K {
    const BYTES: usize = 144;
    const GROUPS: usize = 8;
    const OFFSET: bool = true;
    type Codes = [i8; 32];

    #[inline(always)]
    fn group(block: &[u8], group: usize) -> ([i8; 32], f32, f32) {
        let (scale, minimum) = scale_and_minimum(&block[4..16], group);
        let packed = &block[16 + group / 2 * 32..][..32];
        let shift = group % 2 * 4;
        let mut codes = [0; 32];
        for j in 0..32 {
            codes[j] = ((packed[j] >> shift) & 15) as i8;
        }
        (codes, half_at(block, 0) * scale, -(half_at(block, 2) * minimum))
    }
}

/// As [`Q4K`], with a fifth bit: bit `group` of byte `j` for code `j` of a group.
pub(crate) struct Q5K;
impl Layout for Q5K {
    const BYTES: usize = 176;
    const GROUPS: usize = 8;
    const OFFSET: bool = true;
    type Codes = [i8; 32];

    #[inline(always)]
    fn group(block: &[u8], group: usize) -> ([i8; 32], f32, f32) {
        let (scale, minimum) = scale_and_minimum(&block[4..16], group);
        let (fifth, packed) = (&block[16..48], &block[48 + group / 2 * 32..][..32]);
        let shift = group % 2 * 4;
        let mut codes = [0; 32];
        for j in 0..32 {
            let q = ((packed[j] >> shift) & 15) | (((fifth[j] >> group) & 1) << 4);
            codes[j] = q as i8;
        }
        (codes, half_at(block, 0) * scale, -(half_at(block, 2) * minimum))
    }
}

/// `x = d s (q - 32)`: four low bits and two high bits apart, a signed scale per 16 values.
pub(crate) struct Q6K;
impl Layout for Q6K {
    const BYTES: usize = 210;
    const GROUPS: usize = 16;
    const OFFSET: bool = false;
    type Codes = [i8; 16];

    #[inline(always)]
    fn group(block: &[u8], group: usize) -> ([i8; 16], f32, f32) {
        let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
        let low = &low[group / 8 * 64 + group % 4 * 16..][..16];
        let low_shift = group % 8 / 4 * 4;
        let (first, high_shift) = two_bits(group);
        let high = &high[first..first + 16];
        let mut codes = [0; 16];
        for j in 0..16 {
            let q = ((low[j] >> low_shift) & 15) | (((high[j] >> high_shift) & 3) << 4);
            codes[j] = q as i8 - 32;
        }
        (codes, half_at(block, 208) * f32::from(scales[group] as i8), 0.0)
    }
}

/// The numbers that the four bits of the `IQ4` types stand for.
const IQ4: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// `x = d v(q)`
pub(crate) struct Iq4Nl;
impl Layout for Iq4Nl {
    const BYTES: usize = 18;
    const GROUPS: usize = 1;
    const OFFSET: bool = false;
    type Codes = [i8; 32];

    #[inline(always)]
    fn group(block: &[u8], _: usize) -> ([i8; 32], f32, f32) {
        (nibbles(&block[2..], |_, q| IQ4[usize::from(q)]), half_at(block, 0), 0.0)
    }
}

/// `x = d (s - 32) v(q)`: of each scale four bits and two bits apart.
pub(crate) struct Iq4Xs;
impl Layout for Iq4Xs {
    const BYTES: usize = 136;
    const GROUPS: usize = 8;
    const OFFSET: bool = false;
    type Codes = [i8; 32];

    #[inline(always)]
    fn group(block: &[u8], group: usize) -> ([i8; 32], f32, f32) {
        let high = u16::from_le_bytes([block[2], block[3]]);
        let low = (block[4 + group / 2] >> (group % 2 * 4)) & 15;
        let high = ((high >> (2 * group)) & 3) as u8;
        let scale = half_at(block, 0) * (f32::from(low | (high << 4)) - 32.0);
        let codes = nibbles(&block[8 + group * 16..], |_, q| IQ4[usize::from(q)]);
        (codes, scale, 0.0)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_half_is_that_of_the_half_crate() {
        for bits in 0..=u16::MAX {
            let expected = half::f16::from_bits(bits).to_f32();
            let found = super::half(bits);
            assert!(
                found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(),
                "{bits:#06x}: {found} {expected}"
            );
        }
    }
}
