//! What attention made of tensor operations keeps for its backward pass. On the CPU that is the path of
//! f64; other devices take it in every type.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bestof_kernels::{AttentionShape, BLOCK, CausalMasks, attention};
use burn::tensor::{DType, Device, Tensor, TensorData};

fn leaf<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let values: Vec<f64> = (0..count).map(|i| (i as f64 * 0.37).sin()).collect();
    let device = Device::flex().autodiff();
    Tensor::from_data(TensorData::new(values, shape), (&device, DType::F64)).require_grad()
}

/// Bytes kept between the passes, and the most in use in either.
fn memory(length: usize) -> (i64, [u64; 2]) {
    let shape = AttentionShape { kv_heads: 2, group: 2, head_dim: 4, softcap: None };
    let like = Tensor::zeros([1, 1], (&Device::flex(), DType::F64));
    let blocks = CausalMasks::new(length, None, &like).blocks(0..length);
    let leaves = [4, 2, 2].map(|heads| leaf([length, heads, 4]));
    let mut y = None;
    let forward = allocation_counter::measure(|| {
        let [q, k, v] = leaves.clone();
        y = Some(attention(q, k, v, &blocks, shape).sum());
    });
    let backward = allocation_counter::measure(|| {
        let graph = y.take().unwrap().backward();
        assert!(leaves.iter().all(|x| x.grad(&graph).is_some()));
    });
    (forward.bytes_current, [forward.bytes_max, backward.bytes_max])
}

#[test]
fn attention_keeps_no_weights_and_holds_those_of_one_block() {
    let (short, long) = (2 * BLOCK, 4 * BLOCK);
    let ((kept, used), (kept_long, used_long)) = (memory(short), memory(long));
    // One byte per head, row and key would be more.
    assert!(kept > 0 && kept_long < (4 * long * long) as i64, "{kept_long} bytes are kept");
    assert!(kept_long < kept * 5 / 2, "{kept} and {kept_long} bytes are kept");
    let scores = (4 * BLOCK * long * size_of::<f64>()) as f64;
    for (pass, most) in [(0, 2.5), (1, 3.5)] {
        let blocks = used_long[pass] as f64 / scores;
        println!("pass {pass}: {blocks:.2} times the scores of the last block");
        assert!(blocks < most, "pass {pass} uses {blocks} times the scores of a block");
        assert!(used_long[pass] < used[pass] * 5 / 2, "{used:?} and {used_long:?} bytes are used");
    }
}
