//! Operations with a derivative of their own, on every device.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
use burn::backend::Cube;
#[cfg(feature = "cpu")]
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, BackendTensor, DispatchDevice, DispatchKindConversion,
    DispatchTensor, GradientCheckpointingStrategy,
};
use burn::tensor::Tensor;

/// A float tensor whose rank is not part of its type.
#[derive(Debug, Clone)]
pub struct AnyTensor(DispatchTensor);

impl<const D: usize> From<Tensor<D>> for AnyTensor {
    fn from(tensor: Tensor<D>) -> Self {
        Self(tensor.into_dispatch())
    }
}

impl<const D: usize> From<AnyTensor> for Tensor<D> {
    /// # Panics
    /// Where the rank is another one, as with all of burn's operations.
    fn from(AnyTensor(tensor): AnyTensor) -> Self {
        Self::from_dispatch(tensor)
    }
}

/// The inputs of an operation that has a derivative of its own.
#[derive(Debug, Default)]
pub struct Inputs {
    /// One entry per input; `None` for those no gradient flows to.
    tracked: Vec<Option<AnyTensor>>,
    strategy: Option<GradientCheckpointingStrategy>,
    /// Whether an input is on the side of automatic differentiation, tracked or not.
    autodiff: bool,
}

/// What computes the derivatives: that of the loss by the output in, those by the inputs out.
type Derivative<const D: usize> = Box<dyn FnOnce(Tensor<D>) -> Vec<Option<AnyTensor>> + Send>;

impl Inputs {
    /// No inputs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an input. Whether a gradient flows to it is returned.
    pub fn add<const D: usize>(&mut self, tensor: &Tensor<D>) -> bool {
        let tracked = tensor.is_tracked();
        self.autodiff |= tensor.is_autodiff();
        if tracked {
            self.strategy = tensor.gradient_checkpointing_strategy();
        }
        self.tracked.push(tracked.then(|| tensor.clone().into()));
        tracked
    }

    /// `output` as a function of these inputs. `derivative` gets the derivative of the loss by the
    /// output, without automatic differentiation, and returns that by each input in the order in
    /// which they were added; what it says about an input without gradient is not read. The result has automatic
    /// differentiation where an input has it.
    ///
    /// `derivative` may use automatic differentiation itself, on tensors that are not part of the
    /// graph: [`Tensor::inner`], then [`Tensor::autodiff`].
    ///
    /// # Panics
    /// With more than 64 inputs that have a gradient.
    pub fn differentiable<const D: usize>(
        self,
        output: Tensor<D>,
        derivative: impl FnOnce(Tensor<D>) -> Vec<Option<AnyTensor>> + Send + 'static,
    ) -> Tensor<D> {
        let Some(strategy) = self.strategy else {
            return if self.autodiff { output.autodiff() } else { output };
        };
        let derivative: Derivative<D> = Box::new(derivative);
        let balanced = strategy == GradientCheckpointingStrategy::Balanced;
        let device = output.device().without_autodiff();
        match (device.as_dispatch(), balanced) {
            #[cfg(feature = "cpu")]
            (DispatchDevice::Flex(_), false) => {
                record::<Flex, NoCheckpointing, D>(self.tracked, output, derivative)
            }
            #[cfg(feature = "cpu")]
            (DispatchDevice::Flex(_), true) => {
                record::<Flex, BalancedCheckpointing, D>(self.tracked, output, derivative)
            }
            #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
            (DispatchDevice::Cube(_), false) => {
                record::<Cube, NoCheckpointing, D>(self.tracked, output, derivative)
            }
            #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
            (DispatchDevice::Cube(_), true) => {
                record::<Cube, BalancedCheckpointing, D>(self.tracked, output, derivative)
            }
            #[allow(unreachable_patterns, reason = "depends on the devices built in")]
            (other, _) => unreachable!("no device of this kind was built in: {other:?}"),
        }
    }
}

/// The most inputs with a gradient that one operation can have.
const SLOTS: usize = 64;

fn record<B, C, const D: usize>(
    inputs: Vec<Option<AnyTensor>>,
    output: Tensor<D>,
    derivative: Derivative<D>,
) -> Tensor<D>
where
    B: Backend,
    C: CheckpointStrategy,
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B, C>>,
{
    let positions: Vec<usize> =
        inputs.iter().enumerate().filter_map(|(at, input)| input.as_ref().map(|_| at)).collect();
    assert!(positions.len() <= SLOTS, "an operation has at most {SLOTS} inputs with a gradient");
    let mut nodes = inputs.into_iter().flatten().map(|AnyTensor(input)| {
        let input =
            <DispatchTensor as DispatchKindConversion<Autodiff<B, C>>>::try_into_backend(input);
        match input {
            Ok(BackendTensor::Float(tensor)) => tensor.node(),
            Ok(other) => unreachable!("a tracked tensor is a float tensor, not {}", other.name()),
            Err(mismatch) => unreachable!("inputs and output lie on one device: {mismatch}"),
        }
    });
    let primitive = output.into_dispatch();
    let primitive = match <DispatchTensor as DispatchKindConversion<B>>::try_into_backend(primitive)
    {
        Ok(tensor) => tensor.float(),
        Err(mismatch) => unreachable!("the output has no graph: {mismatch}"),
    };
    // Slots that are not needed are held by a constant, to which no gradient flows.
    let constant = <Autodiff<B, C> as AutodiffBackend>::from_inner(primitive.clone());
    let slots: [_; SLOTS] =
        std::array::from_fn(|_| nodes.next().unwrap_or_else(|| constant.node()));
    let state = State { derivative: Arc::new(Mutex::new(Some(derivative))), positions };
    let recorded = match Custom::<D>.prepare::<C>(slots).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(state, primitive),
        OpsKind::UnTracked(prep) => prep.finish(primitive),
    };
    Tensor::from_primitive::<Autodiff<B, C>>(recorded)
}

#[derive(Debug)]
struct Custom<const D: usize>;

impl<B: Backend, const D: usize> Backward<B, SLOTS> for Custom<D>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = State<D>;

    fn backward(self, ops: Ops<State<D>, SLOTS>, grads: &mut Gradients, _: &mut Checkpointer) {
        let by_output = Tensor::from_primitive::<B>(grads.consume::<B>(&ops.node));
        let derivative = ops.state.derivative.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(derivative) = derivative else { return };
        let mut found = derivative(by_output);
        for (node, at) in ops.parents.into_iter().zip(ops.state.positions) {
            if let (Some(node), Some(AnyTensor(gradient))) = (node, found[at].take()) {
                let gradient =
                    <DispatchTensor as DispatchKindConversion<B>>::try_into_backend(gradient);
                match gradient {
                    Ok(gradient) => grads.register::<B>(node.id, gradient.float()),
                    Err(mismatch) => unreachable!("a gradient lies beside its input: {mismatch}"),
                }
            }
        }
    }
}

struct State<const D: usize> {
    derivative: Arc<Mutex<Option<Derivative<D>>>>,
    /// Which input each of the used slots is.
    positions: Vec<usize>,
}

impl<const D: usize> Clone for State<D> {
    fn clone(&self) -> Self {
        Self { derivative: Arc::clone(&self.derivative), positions: self.positions.clone() }
    }
}

impl<const D: usize> fmt::Debug for State<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("positions", &self.positions).finish_non_exhaustive()
    }
}
