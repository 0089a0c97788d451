//! The formulas of every block type, written out slowly, against the decoder that is used.

use bestof_closeness::{Tolerance, assert_close_in};
use half::f16;

use super::blocks::Packing;

/// Bytes that look random, with scales that are finite.
fn blocks(number: u32, count: usize, scales: &[usize]) -> Vec<u8> {
    let bytes = Packing::from_number(number).unwrap().block_bytes();
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ u64::from(number);
    let mut out: Vec<u8> = (0..bytes * count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect();
    for (index, block) in out.chunks_exact_mut(bytes).enumerate() {
        for (place, at) in scales.iter().enumerate() {
            let scale = f16::from_f32((index as f32 - 1.5) * 0.01 + place as f32 * 0.1);
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

fn check(number: u32, scales: &[usize], values: usize, formula: impl Fn(&[u8], usize) -> f32) {
    let packing = Packing::from_number(number).unwrap();
    assert_eq!(packing.block_values(), values, "{}", packing.name());
    let bytes = blocks(number, 5, scales);
    let mut found = Vec::new();
    packing.unpack(&bytes, &mut found).unwrap();
    let expected: Vec<f32> = bytes
        .chunks_exact(packing.block_bytes())
        .flat_map(|block| (0..values).map(|i| formula(block, i)).collect::<Vec<_>>())
        .collect();
    let tolerance = Tolerance::relative(1e-6).with_floor(1.0);
    assert_close_in(packing.name(), &found, &expected, tolerance);
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
