//! Between host memory and tensors.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

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
}
