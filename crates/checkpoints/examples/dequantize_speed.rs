//! Decodes 64 MiB of blocks of every type with candle and with this crate, checks that the results
//! agree bit for bit, and prints a hash of what candle makes of a few blocks.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "an example")]

use std::time::Instant;

use bestof_checkpoints::gguf::{GgmlType, dequantize_blocks};
use candle_core::Device;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::ggml_file::qtensor_from_ggml;
use sha2::{Digest, Sha256};

fn bytes_of(ggml_type: GgmlType, total: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let blocks = total / ggml_type.block_bytes();
    // Exponent bits stay small, so that no scale is infinite or NaN.
    (0..blocks * ggml_type.block_bytes())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8 & 0xbb
        })
        .collect()
}

fn candle_type(ggml_type: GgmlType) -> GgmlDType {
    match ggml_type {
        GgmlType::F32 => GgmlDType::F32,
        GgmlType::F16 => GgmlDType::F16,
        GgmlType::BF16 => GgmlDType::BF16,
        GgmlType::Q4_0 => GgmlDType::Q4_0,
        GgmlType::Q4_1 => GgmlDType::Q4_1,
        GgmlType::Q5_0 => GgmlDType::Q5_0,
        GgmlType::Q5_1 => GgmlDType::Q5_1,
        GgmlType::Q8_0 => GgmlDType::Q8_0,
        GgmlType::Q2K => GgmlDType::Q2K,
        GgmlType::Q3K => GgmlDType::Q3K,
        GgmlType::Q4K => GgmlDType::Q4K,
        GgmlType::Q5K => GgmlDType::Q5K,
        _ => GgmlDType::Q6K,
    }
}

fn candle(ggml_type: GgmlType, bytes: &[u8]) -> Vec<f32> {
    let values = bytes.len() / ggml_type.block_bytes() * ggml_type.block_values();
    let tensor =
        qtensor_from_ggml(candle_type(ggml_type), bytes, vec![values], &Device::Cpu).unwrap();
    tensor.dequantize(&Device::Cpu).unwrap().to_vec1().unwrap()
}

fn best_of<T>(mut run: impl FnMut() -> T) -> f64 {
    let time = |()| {
        let start = Instant::now();
        std::hint::black_box(run());
        start.elapsed().as_secs_f64()
    };
    [(); 9].map(time).into_iter().fold(f64::INFINITY, f64::min)
}

fn main() {
    println!(
        "| type | candle, ms | ours, ms | candle / ours | equal bits |\n|---|---|---|---|---|"
    );
    for ggml_type in GgmlType::ALL {
        let bytes = bytes_of(ggml_type, 64 << 20);
        // In pieces of 2^20 values, as a conversion decodes them.
        let piece = (1 << 20) / ggml_type.block_values() * ggml_type.block_bytes();
        let mut out = vec![0.0; 1 << 20];
        let mut ours = |check: bool| {
            bytes.chunks(piece).all(|bytes| {
                let values = bytes.len() / ggml_type.block_bytes() * ggml_type.block_values();
                dequantize_blocks(ggml_type, bytes, &mut out[..values]).unwrap();
                let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
                !check || out[..values].iter().zip(&candle(ggml_type, bytes)).all(same)
            })
        };
        let equal = ours(true);
        let own = best_of(|| ours(false));
        let other =
            best_of(|| bytes.chunks(piece).map(|b| candle(ggml_type, b).len()).sum::<usize>());
        println!(
            "| {ggml_type} | {:.1} | {:.1} | {:.2} | {equal} |",
            other * 1e3,
            own * 1e3,
            other / own
        );
    }
    for ggml_type in GgmlType::ALL {
        let mut hash = Sha256::new();
        let bytes = bytes_of(ggml_type, 64 * ggml_type.block_bytes());
        candle(ggml_type, &bytes).iter().for_each(|value| hash.update(value.to_le_bytes()));
        let hash: String = hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        println!("(GgmlType::{ggml_type:?}, \"{hash}\"),");
    }
}
