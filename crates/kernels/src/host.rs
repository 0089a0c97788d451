//! Between host memory and tensors.

#[cfg(feature = "cpu")]
use std::iter;
#[cfg(feature = "cpu")]
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
#[cfg(feature = "cpu")]
use rayon::prelude::*;

/// Whether tensors of `device` lie in memory that the host works on directly, so that reading them
/// waits for nothing and copies nothing over a bus.
pub fn is_host(device: &Device) -> bool {
    #[cfg(feature = "cpu")]
    return device.clone().without_autodiff() == Device::flex();
    #[cfg(not(feature = "cpu"))]
    {
        let _ = device;
        false
    }
}

/// Does work of many operations on a thread of those that operations on the CPU share, so that none of them
/// has to wake one and wait for it. Work whose gradients are heard of on this thread
/// ([`listening`](crate::listening)) stays on it.
pub fn on_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "cpu")]
    if crate::listener().is_none() {
        return rayon::scope(|_| work());
    }
    work()
}

/// What `work` makes of each number below `count`, in their order. Where tensors of `device` lie in the host's memory, a few of
/// them are made side by side, one for each thread of [`on_pool`]; elsewhere one after the other.
pub fn each_on_pool<R: Send>(
    count: usize,
    device: &Device,
    work: impl Fn(usize) -> R + Sync,
) -> Vec<R> {
    #[cfg(feature = "cpu")]
    if is_host(device) && crate::listener().is_none() {
        return rayon::scope(|_| side_by_side(count, &work));
    }
    let _ = device;
    (0..count).map(work).collect()
}

/// No more at once than there are threads: one that waits within its work for another would begin a further one, and so on.
#[cfg(feature = "cpu")]
fn side_by_side<R: Send>(count: usize, work: &(impl Fn(usize) -> R + Sync)) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let taken = |_| {
        let taken = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < count);
        iter::from_fn(taken).map(|number| (number, work(number))).collect::<Vec<_>>()
    };
    let lanes = rayon::current_num_threads().min(count);
    let made = (0..lanes).into_par_iter().with_max_len(1).flat_map_iter(taken);
    let mut made: Vec<(usize, R)> = made.collect();
    made.sort_unstable_by_key(|(number, _)| *number);
    made.into_iter().map(|(_, made)| made).collect()
}

/// Values on `device`, without automatic differentiation.
pub fn constant<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    let device = device.clone().without_autodiff();
    Tensor::from_data(TensorData::new(values, shape), (&device, DType::F32))
}

/// A constant with the float type of `like` and on its device, without automatic differentiation.
pub fn host_tensor<const D: usize, const E: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    like: &Tensor<E>,
) -> Tensor<D> {
    let tensor = constant(values, shape, &like.device());
    if like.dtype() == DType::F32 { tensor } else { tensor.cast(like.dtype()) }
}

/// The values of a tensor in row-major order, as f32.
pub fn host_values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let tensor = if tensor.dtype() == DType::F32 { tensor } else { tensor.cast(DType::F32) };
    // Not its iterator, which is called for each value.
    match tensor.into_data().try_into_vec() {
        Ok(values) => values,
        Err(error) => unreachable!("values that were made f32 are f32: {error}"),
    }
}

/// Ids as an index tensor, `[ids]`.
pub fn indices(ids: &[u32], device: &Device) -> Tensor<1, Int> {
    let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let length = ids.len();
    Tensor::from_data(TensorData::new(ids, [length]), &device.clone().without_autodiff())
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use std::sync::Arc;

    use burn::module::ParamId;

    use super::*;
    use crate::{GradientListener, listening};

    struct Deaf;

    impl GradientListener for Deaf {
        fn heard(&self, _: ParamId, _: Tensor<1>) {}
    }

    #[test]
    fn work_is_done_on_the_pool_unless_its_gradients_are_heard_of_here() {
        let on_it = || on_pool(|| rayon::current_thread_index().is_some());
        assert!(on_it());
        assert!(!listening(Arc::new(Deaf), on_it));
        assert!(on_pool(on_it), "within other work too");
    }

    #[test]
    fn each_number_is_worked_on_once_whatever_the_threads() {
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for count in [0, 1, 4, 23] {
                let made = pool.install(|| each_on_pool(count, &Device::flex(), |i| i * i));
                assert_eq!(made, (0..count).map(|i| i * i).collect::<Vec<_>>());
            }
        }
    }
}
