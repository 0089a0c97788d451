//! Widening of weights at rest to `f32`, on one thread.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use bestof_blocks::{GgmlType, dequantize_blocks};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// As many as a panel of rows, which stays in the cache.
const VALUES: usize = 16_384;

fn blocks(c: &mut Criterion) {
    let mut group = c.benchmark_group("blocks");
    group.throughput(Throughput::Elements(VALUES as u64));
    let mut values = vec![0.0; VALUES];
    for ggml_type in [GgmlType::BF16, GgmlType::Q8_0, GgmlType::Q4_0, GgmlType::Q4K] {
        // Bytes below 64 give finite scales.
        let bytes: Vec<u8> =
            (0..ggml_type.bytes_of(VALUES)).map(|i| ((i * 37 + i / 7) % 64) as u8).collect();
        group.bench_function(ggml_type.name().to_lowercase(), |b| {
            b.iter(|| {
                dequantize_blocks(ggml_type, std::hint::black_box(&bytes), &mut values)
                    .expect("the values are whole blocks");
                std::hint::black_box(&mut values);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, blocks);
criterion_main!(benches);
