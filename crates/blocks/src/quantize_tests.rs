//! The encoder against recorded output of gguf-py 0.19.

use crate::dequantize::dequantize_blocks;
use crate::error::BlockError;
use crate::ggml_type::GgmlType;
use crate::quantize::quantize_blocks;

/// 64 blocks: one of zeros, one whose largest magnitude occurs with both signs.
fn values() -> Vec<f32> {
    let mut state = 7_u64;
    let mut values: Vec<f32> = (0..64 * 32)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) % 20_001) as f32 / 10_000.0 - 1.0
        })
        .collect();
    values[32..64].fill(0.0);
    values[64] = -2.0;
    values[65] = 2.0;
    values
}

/// FNV-1a (64 bits) over the bytes that `gguf.quants.quantize` makes of [`values`].
const RECORDED: [(GgmlType, u64); 5] = [
    (GgmlType::F32, 0x8b42_7e84_cdef_6b3e),
    (GgmlType::F16, 0xb304_227d_25c0_2c4f),
    (GgmlType::BF16, 0xf4b8_77d8_cd45_4fc7),
    (GgmlType::Q8_0, 0xcd21_6342_a179_1047),
    (GgmlType::Q4_0, 0x5d23_08fd_5bcc_9368),
];

#[test]
fn every_type_is_written_bit_for_bit_as_recorded() {
    for (ggml_type, expected) in RECORDED {
        let mut bytes = Vec::new();
        quantize_blocks(ggml_type, &values(), &mut bytes).unwrap();
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!(hash, expected, "{ggml_type}: {hash:#x}");
    }
}

#[test]
fn a_block_by_hand() {
    // d = -2 / -8 = 0.25 (0x3400), q = x / d + 8.
    let mut block = [0.0; 32];
    (block[0], block[1], block[16]) = (-2.0, 1.0, 0.3);
    let mut bytes = Vec::new();
    quantize_blocks(GgmlType::Q4_0, &block, &mut bytes).unwrap();
    assert_eq!(bytes[..4], [0x00, 0x34, 0x90, 0x8c]);
    let mut back = [f32::NAN; 32];
    dequantize_blocks(GgmlType::Q4_0, &bytes, &mut back).unwrap();
    assert_eq!((back[0], back[1], back[16], back[2]), (-2.0, 1.0, 0.25, 0.0));
}

#[test]
fn what_a_type_cannot_hold_is_refused() {
    let refused = |ggml_type, values: &[f32]| {
        quantize_blocks(ggml_type, values, &mut Vec::new()).unwrap_err().to_string()
    };
    let expected = "the value 70000 is too large for F16; take bf16 or f32";
    assert_eq!(refused(GgmlType::F16, &[1.0, 70_000.0]), expected);
    let mut block = [0.0; 32];
    block[5] = 1e7;
    assert!(refused(GgmlType::Q8_0, &block).contains("the value 10000000 is too large for Q8_0"));
    assert!(refused(GgmlType::Q4_0, &block).contains("too large for Q4_0"));
    assert!(refused(GgmlType::BF16, &[3.4e38]).contains("too large for BF16"));
    for ggml_type in [GgmlType::F16, GgmlType::BF16, GgmlType::Q8_0, GgmlType::Q4_0] {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut block = [0.5; 32];
            block[31] = value;
            let said = refused(ggml_type, &block);
            assert!(said.starts_with(&format!("the value {value} is not finite; ")), "{said}");
        }
    }
    // The type comes first.
    assert!(refused(GgmlType::Q4K, &[f32::NAN; 256]).starts_with("Q4_K is not written"));
    let error = quantize_blocks(GgmlType::Q8_0, &[0.0; 33], &mut Vec::new()).unwrap_err();
    assert!(matches!(error, BlockError::Sizes { .. }), "{error}");
}
