//! Derivatives of modules in double precision, against central differences.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bestof_models::parameters;
use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};

/// The same parameters in double precision.
pub(crate) struct Double;

impl ModuleMapper for Double {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let device = tensor.device();
            let data = tensor.into_data().convert::<f64>();
            Tensor::from_data(data, (&device, DType::F64)).require_grad()
        })
    }
}

/// A fixed number for each value, so that no direction of the output is left out.
pub(crate) fn weigh<const D: usize>(outputs: Tensor<D>) -> Tensor<1> {
    let count: usize = outputs.dims().iter().product();
    let weights: Vec<f64> = (0..count).map(|i| ((i * 37 + 11) % 101) as f64 / 50.0 - 1.0).collect();
    let device = outputs.device().without_autodiff();
    let weights = Tensor::<1>::from_data(&weights[..], (&device, DType::F64));
    outputs.reshape([-1]).mul(weights).sum()
}

/// Compares the derivative by the value of each parameter that matters most, and by the one in the
/// middle, with a central difference.
pub(crate) fn check_gradients<M: Module>(model: M, loss: impl Fn(&M) -> Tensor<1>) {
    let mut model = model.map(&mut Double);
    let gradients = GradientsParams::from_grads(loss(&model).backward(), &model);
    let gradients = parameters::named_gradients(&model, gradients);
    let names: Vec<String> = parameters::trainable(&model).into_iter().map(|i| i.name).collect();
    assert_eq!(names, gradients.keys().cloned().collect::<Vec<_>>());
    assert_eq!(names.len(), parameters::all(&model).len());
    for (name, gradient) in &gradients {
        let slopes: Vec<f64> = gradient.clone().into_data().try_into_vec().unwrap();
        // A key's bias moves all scores of a query alike, and softmax takes no notice.
        let matters = !name.ends_with("key.bias") && !name.ends_with("k_lin.bias");
        let steepest =
            (0..slopes.len()).max_by(|a, b| slopes[*a].abs().total_cmp(&slopes[*b].abs()));
        let steepest = steepest.unwrap();
        assert_eq!(slopes[steepest].abs() > 1e-6, matters, "{name}: {}", slopes[steepest]);
        for at in [steepest, slopes.len() / 2] {
            let step = 1e-5;
            let mut moved = |by: f64| {
                parameters::update(&mut model, &mut |updated, values| {
                    if updated != name {
                        return values;
                    }
                    let device = values.device();
                    let mut data: Vec<f64> = values.into_data().try_into_vec().unwrap();
                    data[at] += by;
                    Tensor::from_data(&data[..], (&device, DType::F64))
                });
                loss(&model).into_scalar::<f64>()
            };
            let (up, down) = (moved(step), moved(-2.0 * step));
            moved(step);
            let (difference, slope) = ((up - down) / (2.0 * step), slopes[at]);
            // Rounding of the loss over the step, and the step's square.
            let tolerance = 1e-7 * (1.0 + slope.abs());
            assert!((difference - slope).abs() < tolerance, "{name}[{at}]: {difference} {slope}");
        }
    }
}
