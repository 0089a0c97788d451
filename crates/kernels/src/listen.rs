//! Hearing of gradients while a backward pass goes on.

use std::cell::RefCell;
use std::sync::Arc;

use burn::module::ParamId;
use burn::tensor::Tensor;

use crate::custom::{AnyTensor, Inputs};

/// Hears of parameters' gradients as soon as a backward pass knows them, so that they can be sent to other processes
/// while it goes on.
pub trait GradientListener: Send + Sync {
    /// The whole gradient of a parameter, flat and without automatic differentiation.
    fn heard(&self, parameter: ParamId, gradient: Tensor<1>);
}

thread_local! {
    static LISTENER: RefCell<Option<Arc<dyn GradientListener>>> = const { RefCell::new(None) };
}

/// Runs `work`, whose forward passes on this thread tell `listener` of gradients when they are differentiated.
pub fn listening<T>(listener: Arc<dyn GradientListener>, work: impl FnOnce() -> T) -> T {
    struct Restored(Option<Arc<dyn GradientListener>>);
    impl Drop for Restored {
        fn drop(&mut self) {
            LISTENER.with_borrow_mut(|current| *current = self.0.take());
        }
    }
    let _before = Restored(LISTENER.with_borrow_mut(|current| current.replace(listener)));
    work()
}

/// Who hears of the gradients of what is computed now on this thread.
pub fn listener() -> Option<Arc<dyn GradientListener>> {
    LISTENER.with_borrow(Clone::clone)
}

/// A parameter's value as it is used in a computation that begins with `start`: `listener` hears of its gradient
/// before the backward pass goes on to what `start` was computed from. The parameter is to be used through
/// this value only.
///
/// burn differentiates what is further from the leaves first; so this value is put one step further than `start`.
pub fn heard<const D: usize>(
    parameter: ParamId,
    value: Tensor<D>,
    start: &Tensor<2>,
    listener: &Arc<dyn GradientListener>,
) -> Tensor<D> {
    let mut inputs = Inputs::new();
    if !inputs.add(&value) {
        return value;
    }
    inputs.add(start);
    let listener = Arc::clone(listener);
    inputs.differentiable(value.inner(), move |gradient: Tensor<D>| {
        listener.heard(parameter, gradient.clone().reshape([-1]));
        vec![Some(AnyTensor::from(gradient)), None]
    })
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use std::sync::Mutex;

    use burn::module::Param;
    use burn::tensor::Device;

    use super::*;
    use crate::host_values;

    #[derive(Default)]
    struct Log(Mutex<Vec<(ParamId, Vec<f32>)>>);

    impl GradientListener for Log {
        fn heard(&self, parameter: ParamId, gradient: Tensor<1>) {
            let mut log = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            log.push((parameter, host_values(gradient)));
        }
    }

    #[test]
    fn gradients_are_heard_layer_by_layer_before_the_pass_is_over() {
        let device = Device::flex().autodiff();
        let weights: Vec<Param<Tensor<2>>> = (1..4)
            .map(|n| {
                Param::from_tensor(Tensor::full([2, 2], n as f32 / 4.0, &device).require_grad())
            })
            .collect();
        let log = Arc::new(Log::default());
        let listener: Arc<dyn GradientListener> = log.clone();
        let start = Tensor::<2>::from_floats([[1.0, -2.0]], &device).require_grad();
        let mut x = start.clone();
        for weight in &weights {
            let seen = heard(weight.id, weight.val(), &x, &listener);
            // Used twice: its gradient is that of both uses.
            x = x.matmul(seen.clone()).add(seen.sum_dim(0));
        }
        // When the first layer's gradient is heard, those of the others have been.
        let gradients = x.sum().backward();
        let heard = log.0.lock().unwrap();
        let ids: Vec<ParamId> = heard.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [weights[2].id, weights[1].id, weights[0].id]);
        for ((_, values), weight) in heard.iter().zip(weights.iter().rev()) {
            assert_eq!(*values, host_values(weight.val().grad(&gradients).unwrap()));
        }
        assert!(start.grad(&gradients).is_some());
    }

    #[test]
    fn a_listener_is_there_while_it_is_needed() {
        assert!(super::listener().is_none());
        let log: Arc<dyn GradientListener> = Arc::new(Log::default());
        listening(log, || assert!(super::listener().is_some()));
        assert!(super::listener().is_none());
    }
}
