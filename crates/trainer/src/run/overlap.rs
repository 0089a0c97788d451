//! Gradients that are sent to other ranks while the backward pass goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bestof_kernels::{GradientListener, host_values};
use bestof_models::parameters;
use burn::module::{Module, ParamId};
use burn::tensor::Tensor;

use crate::gradients::NamedGradients;

/// Hears of the gradients of an update's last backward pass, adds those of the passes before, and hands the sums on:
/// the loop's, for [`StepContext::pass`](super::StepContext::pass).
#[derive(Debug, Clone)]
pub struct Overlap(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    names: BTreeMap<ParamId, String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Sums of earlier passes, of parameters that have not been heard of.
    earlier: NamedGradients,
    heard: BTreeSet<String>,
    /// `None` once the pass is over.
    sums: Option<Sender<(String, Vec<f32>)>>,
}

impl Overlap {
    /// For the parameters of `model`; `earlier` are the sums of the update's micro-batches before.
    pub(super) fn new<M: Module>(
        model: &M,
        earlier: NamedGradients,
        sums: Sender<(String, Vec<f32>)>,
    ) -> Self {
        let names = parameters::trainable_ids(model);
        let state = State { earlier, heard: BTreeSet::new(), sums: Some(sums) };
        Self(Arc::new(Shared { names, state: Mutex::new(state) }))
    }

    /// Adds gradients of earlier passes of the micro-batch.
    pub(super) fn add(&self, gradients: BTreeMap<String, Tensor<1>>) {
        let mut state = self.0.state();
        for (name, gradient) in gradients {
            state.earlier.add(name, gradient);
        }
    }

    /// Ends the pass, if nothing else has, when it is dropped.
    pub(super) fn closing(&self) -> Closing<'_> {
        Closing(self)
    }

    pub(super) fn listener(&self) -> Arc<dyn GradientListener> {
        self.0.clone()
    }

    /// Ends the pass: what was not handed on, given what else the micro-batch has gradients of.
    pub(super) fn rest(&self, gradients: BTreeMap<String, Tensor<1>>) -> NamedGradients {
        let mut state = self.0.state();
        state.sums = None;
        let mut rest = std::mem::take(&mut state.earlier);
        for (name, gradient) in gradients {
            if !state.heard.contains(&name) {
                rest.add(name, gradient);
            }
        }
        rest
    }
}

pub(super) struct Closing<'a>(&'a Overlap);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.0.state().sums = None;
    }
}

impl Shared {
    /// A panic beside it leaves whole values.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GradientListener for Shared {
    fn heard(&self, parameter: ParamId, gradient: Tensor<1>) {
        let Some(name) = self.names.get(&parameter) else { return };
        let mut state = self.state();
        let sum = match state.earlier.remove(name) {
            Some(earlier) => earlier.add(gradient),
            None => gradient,
        };
        state.heard.insert(name.clone());
        if let Some(sums) = &state.sums {
            // Who takes them is there until the pass is over.
            let _ = sums.send((name.clone(), host_values(sum)));
        }
    }
}
