//! The decoder against the formulas of every block type, written out value by value, and against
//! recorded output of another implementation.

use bestof_closeness::{Tolerance, assert_close_in};
use half::f16;

use crate::dequantize::dequantize_blocks;
use crate::error::BlockError;
use crate::ggml_type::GgmlType;

fn pseudo_random(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 32) as u8
}

/// Pseudo-random blocks, with finite f16 scales at the byte offsets `scales`.
fn blocks(ggml_type: GgmlType, count: usize, scales: &[usize]) -> Vec<u8> {
    let (bytes, number) = (ggml_type.block_bytes(), ggml_type.number());
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ u64::from(number);
    let mut out: Vec<u8> = (0..bytes * count).map(|_| pseudo_random(&mut state)).collect();
    for (index, block) in out.chunks_exact_mut(bytes).enumerate() {
        for (nth, at) in scales.iter().enumerate() {
            let scale = f16::from_f32((index as f32 - 1.5) * 0.01 + nth as f32 * 0.1);
            block[*at..at + 2].copy_from_slice(&scale.to_le_bytes());
        }
    }
    out
}

fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

fn nibble(byte: u8, high: bool) -> f32 {
    f32::from(if high { byte >> 4 } else { byte & 15 })
}

fn decoded(ggml_type: GgmlType, bytes: &[u8]) -> Vec<f32> {
    let blocks = bytes.len() / ggml_type.block_bytes();
    let mut values = vec![f32::NAN; blocks * ggml_type.block_values()];
    dequantize_blocks(ggml_type, bytes, &mut values).unwrap();
    values
}

fn check(number: u32, scales: &[usize], values: usize, formula: impl Fn(&[u8], usize) -> f32) {
    let ggml_type = GgmlType::from_number(number).unwrap();
    assert_eq!(ggml_type.block_values(), values, "{ggml_type}");
    let bytes = blocks(ggml_type, 5, scales);
    let found = decoded(ggml_type, &bytes);
    let expected: Vec<f32> = bytes
        .chunks_exact(ggml_type.block_bytes())
        .flat_map(|block| (0..values).map(|i| formula(block, i)).collect::<Vec<_>>())
        .collect();
    let tolerance = Tolerance::relative(1e-6).with_floor(1.0);
    assert_close_in(ggml_type.name(), &found, &expected, tolerance);
    assert!(expected.iter().any(|v| *v != expected[0]));
}

#[test]
fn four_and_five_bits_with_a_scale() {
    check(2, &[0], 32, |b, i| half(b, 0) * (nibble(b[2 + i % 16], i >= 16) - 8.0));
    check(3, &[0, 2], 32, |b, i| half(b, 0) * nibble(b[4 + i % 16], i >= 16) + half(b, 2));
    let fifth = |b: &[u8], at: usize, i: usize| f32::from((b[at + i / 8] >> (i % 8)) & 1) * 16.0;
    check(6, &[0], 32, move |b, i| {
        half(b, 0) * (nibble(b[6 + i % 16], i >= 16) + fifth(b, 2, i) - 16.0)
    });
    check(7, &[0, 2], 32, move |b, i| {
        half(b, 0) * (nibble(b[8 + i % 16], i >= 16) + fifth(b, 4, i)) + half(b, 2)
    });
}

#[test]
fn eight_bits_with_a_scale() {
    check(8, &[0], 32, |b, i| half(b, 0) * f32::from(b[2 + i] as i8));
}

/// Two bits of value `i` of 256: 32 bytes hold 128 values, each byte those 32 apart.
fn two_bits(bytes: &[u8], i: usize) -> u8 {
    (bytes[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3
}

#[test]
fn two_bits_in_blocks_of_256() {
    check(10, &[80, 82], 256, |b, i| {
        let scale = b[i / 16];
        half(b, 80) * nibble(scale, false) * f32::from(two_bits(&b[16..80], i))
            - half(b, 82) * nibble(scale, true)
    });
}

#[test]
fn three_bits_in_blocks_of_256() {
    check(11, &[108], 256, |b, i| {
        let (group, scales) = (i / 16, &b[96..108]);
        let low = if group < 8 { scales[group] & 15 } else { scales[group - 8] >> 4 };
        let high = (scales[8 + group % 4] >> (group / 4 * 2)) & 3;
        let third = (b[i % 32] >> (i / 32)) & 1;
        let value = f32::from(two_bits(&b[32..96], i)) + f32::from(third) * 4.0 - 4.0;
        half(b, 108) * (f32::from(low | (high << 4)) - 32.0) * value
    });
}

/// Six-bit scale and minimum of each of eight groups, in twelve bytes: the first four groups in the low
/// bits of bytes 0 to 3 and 4 to 7, the others by their low nibbles in bytes 8 to 11 (scales in the low
/// half, minima in the high) and their top bits above those of the first four.
fn scale_and_minimum(bytes: &[u8], group: usize) -> (f32, f32) {
    let number = bytes.iter().rev().fold(0_u128, |sum, byte| (sum << 8) | u128::from(*byte));
    let bits = |first: usize, count: usize| (number >> first) % (1 << count);
    let (scale, minimum) = if group < 4 {
        (bits(8 * group, 6), bits(32 + 8 * group, 6))
    } else {
        let at = 8 * (group - 4);
        (bits(64 + at, 4) + 16 * bits(at + 6, 2), bits(68 + at, 4) + 16 * bits(at + 38, 2))
    };
    (scale as f32, minimum as f32)
}

#[test]
fn four_and_five_bits_in_blocks_of_256() {
    let four = |bytes: &[u8], i: usize| nibble(bytes[i / 64 * 32 + i % 32], i % 64 >= 32);
    check(12, &[0, 2], 256, move |b, i| {
        let (scale, minimum) = scale_and_minimum(&b[4..16], i / 32);
        half(b, 0) * scale * four(&b[16..], i) - half(b, 2) * minimum
    });
    check(13, &[0, 2], 256, move |b, i| {
        let (scale, minimum) = scale_and_minimum(&b[4..16], i / 32);
        let fifth = f32::from((b[16 + i % 32] >> (i / 32)) & 1) * 16.0;
        half(b, 0) * scale * (four(&b[48..], i) + fifth) - half(b, 2) * minimum
    });
}

#[test]
fn six_bits_in_blocks_of_256() {
    check(14, &[208], 256, |b, i| {
        let (part, inside) = (i / 128, i % 128);
        let low = nibble(b[part * 64 + inside % 64], inside >= 64);
        let high = f32::from((b[128 + part * 32 + inside % 32] >> (inside / 32 * 2)) & 3) * 16.0;
        half(b, 208) * f32::from(b[192 + i / 16] as i8) * (low + high - 32.0)
    });
}

/// FNV-1a (64 bits) over the bytes of the values that candle-core 0.11.1 decodes
/// [`recorded_blocks`] to; of the `IQ4` types those of gguf-py 0.19, which agrees with it on the others.
const RECORDED: [(GgmlType, u64); 15] = [
    (GgmlType::F32, 0x7d61_c1d8_1d45_02b7),
    (GgmlType::F16, 0xa338_2dfa_3102_0ce5),
    (GgmlType::BF16, 0xc6ea_e3f3_f5b0_c774),
    (GgmlType::Q4_0, 0xf207_2821_cae4_7f61),
    (GgmlType::Q4_1, 0x32e1_e31e_21c8_f5c1),
    (GgmlType::Q5_0, 0x2493_0be7_47d0_a757),
    (GgmlType::Q5_1, 0xe558_5289_df66_cab4),
    (GgmlType::Q8_0, 0x1e4d_a3fa_9ad5_76ad),
    (GgmlType::Q2K, 0x5e9b_e320_ef91_04d8),
    (GgmlType::Q3K, 0xf46e_caa8_f1a7_3e0d),
    (GgmlType::Q4K, 0xd489_a0a9_7738_1278),
    (GgmlType::Q5K, 0x5b27_448d_eac0_22d2),
    (GgmlType::Q6K, 0x3cfc_2148_7a68_aa84),
    (GgmlType::IQ4NL, 0xef1c_10da_f33c_0459),
    (GgmlType::IQ4XS, 0xb3cd_3fb2_2fd4_ac75),
];

/// Pseudo-random bytes with two bits cleared, so that no scale is infinite or NaN.
fn recorded_blocks(ggml_type: GgmlType) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..64 * ggml_type.block_bytes()).map(|_| pseudo_random(&mut state) & 0xbb).collect()
}

#[test]
fn every_type_decodes_bit_for_bit_as_recorded() {
    assert_eq!(RECORDED.map(|(ggml_type, _)| ggml_type), GgmlType::ALL);
    for (ggml_type, expected) in RECORDED {
        let values = decoded(ggml_type, &recorded_blocks(ggml_type));
        let hash = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        assert_eq!(hash, expected, "{ggml_type}: {hash:#x}");
    }
}

#[test]
fn buffers_that_do_not_fit_are_refused() {
    let refused = |bytes: usize, values: usize| {
        let mut out = vec![0.0; values];
        let error = dequantize_blocks(GgmlType::Q4K, &vec![0; bytes], &mut out).unwrap_err();
        assert!(matches!(error, BlockError::Sizes { .. }), "{error}");
        error.to_string()
    };
    assert!(refused(143, 256).contains("143 bytes of Q4_K"));
    refused(144, 255);
    refused(288, 256);
    refused(0, 256);
    dequantize_blocks(GgmlType::Q4K, &[], &mut []).unwrap();
}
