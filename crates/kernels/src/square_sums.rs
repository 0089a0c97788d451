//! Sums of squares that do not depend on how many threads there are.

use burn::tensor::{DType, Tensor};

#[cfg(feature = "cpu")]
use crate::cpu;

/// The sum of the squares of each tensor's values, in their order.
///
/// On the CPU sums are f64 over parts of a fixed size, added in their order: the same to the last bit by any
/// number of threads. burn's own sum of four million values and more is not. On other devices they are tensor
/// operations in f32, read at once whatever the number of tensors; a sum beyond f32 is infinite there.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let gradient = Tensor::<1>::from_floats([3.0, 4.0], &Device::flex());
/// assert_eq!(bestof_kernels::square_sums(&[gradient]), [25.0]);
/// ```
pub fn square_sums(tensors: &[Tensor<1>]) -> Vec<f64> {
    #[cfg(feature = "cpu")]
    if tensors.iter().all(|x| cpu::Route::of(x).is_some()) {
        return tensors.iter().map(|x| cpu::square_sum(x.clone())).collect();
    }
    if tensors.is_empty() {
        return Vec::new();
    }
    let square = |x: &Tensor<1>| {
        let x = match x.dtype() {
            DType::F16 | DType::BF16 => x.clone().cast(DType::F32),
            _ => x.clone(),
        };
        x.clone().dot(x)
    };
    let squares = Tensor::cat(tensors.iter().map(square).collect(), 0);
    squares.into_data().iter::<f64>().collect()
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn tensor(values: Vec<f32>) -> Tensor<1> {
        let length = values.len();
        Tensor::from_data(TensorData::new(values, [length]), &Device::flex())
    }

    #[test]
    fn sums_are_the_same_by_any_number_of_threads_and_near_the_exact_one() {
        // More than burn sums on one thread, of magnitudes whose f32 sums depend on their order.
        let values: Vec<f32> = (0..(4 << 20) + 12_345_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 * 1e-6 - 3.0)
            .collect();
        let exact: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
        let x = tensor(values);
        let by = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| square_sums(std::slice::from_ref(&x))[0])
        };
        let one = by(1);
        assert!((one / exact - 1.0).abs() < 1e-12, "{one} against {exact}");
        for threads in [2, 5] {
            assert_eq!(by(threads).to_bits(), one.to_bits(), "{threads} threads");
        }
    }

    #[test]
    fn sums_keep_their_order_and_reach_beyond_f32() {
        let sums = square_sums(&[tensor(vec![]), tensor(vec![1e30, 1e30]), tensor(vec![f32::NAN])]);
        assert_eq!(sums[0], 0.0);
        assert!((sums[1] / 2e60 - 1.0).abs() < 1e-6);
        assert!(sums[2].is_nan());
        let rows = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &Device::flex());
        let column = rows.slice([0..2, 1..2]).reshape([-1]);
        assert_eq!(square_sums(&[column]), [20.0]);
        assert!(square_sums(&[]).is_empty());
    }
}
