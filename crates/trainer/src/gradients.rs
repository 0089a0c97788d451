//! The gradients of a step by parameter name, summed over micro-batches.

use std::collections::BTreeMap;

use bestof_kernels::square_sums;
use bestof_models::parameters;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::error::TrainError;

/// Gradients by parameter name. Each is flat, in the row-major order of its parameter, so that
/// the optimiser and what is sent to other ranks need one code path only.
#[derive(Debug, Clone, Default)]
pub(crate) struct NamedGradients {
    by_name: BTreeMap<String, Tensor<1>>,
}

impl NamedGradients {
    /// Adds the gradients of a micro-batch.
    pub(crate) fn accumulate<M: Module>(&mut self, model: &M, gradients: GradientsParams) {
        for (name, gradient) in parameters::named_gradients(model, gradients) {
            self.add(name, gradient);
        }
    }

    pub(crate) fn add(&mut self, name: String, gradient: Tensor<1>) {
        let sum = match self.by_name.remove(&name) {
            Some(kept) => kept.add(gradient),
            None => gradient,
        };
        self.by_name.insert(name, sum);
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Tensor<1>> {
        self.by_name.remove(name)
    }

    #[cfg(test)]
    pub(crate) fn of<M: Module>(model: &M, gradients: GradientsParams) -> Self {
        let mut sum = Self::default();
        sum.accumulate(model, gradients);
        sum
    }

    #[cfg(test)]
    pub(crate) fn values(&self, name: &str) -> Vec<f32> {
        self.by_name.get(name).cloned().map_or_else(Vec::new, bestof_kernels::host_values)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The Euclidean norm of all gradients together, summed in f64 in the order of the names: on the CPU the
    /// same to the last bit by any number of threads ([`square_sums`]).
    ///
    /// # Errors
    /// [`TrainError::GradientNotFinite`] naming the first parameter whose gradient is NaN or
    /// infinite.
    pub(crate) fn norm(&self) -> Result<f64, TrainError> {
        let gradients: Vec<_> = self.by_name.values().cloned().collect();
        let mut total = 0.0;
        for ((name, gradient), mut square) in self.by_name.iter().zip(square_sums(&gradients)) {
            if !square.is_finite() {
                // Squares beyond f32 are no reason to stop.
                square = gradient.to_data().iter::<f32>().map(|x| f64::from(x).powi(2)).sum();
            }
            if !square.is_finite() {
                return Err(TrainError::GradientNotFinite { parameter: name.clone() });
            }
            total += square;
        }
        Ok(total.sqrt())
    }
}

impl IntoIterator for NamedGradients {
    type Item = (String, Tensor<1>);
    type IntoIter = std::collections::btree_map::IntoIter<String, Tensor<1>>;

    fn into_iter(self) -> Self::IntoIter {
        self.by_name.into_iter()
    }
}

impl FromIterator<(String, Tensor<1>)> for NamedGradients {
    fn from_iter<I: IntoIterator<Item = (String, Tensor<1>)>>(iter: I) -> Self {
        let mut gradients = Self::default();
        for (name, gradient) in iter {
            gradients.add(name, gradient);
        }
        gradients
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn gradients(values: &[(&str, &[f32])]) -> NamedGradients {
        let flat = |g: &[f32]| Tensor::from_floats(g, &Device::flex());
        values.iter().map(|(name, g)| ((*name).to_owned(), flat(g))).collect()
    }

    #[test]
    fn the_norm_spans_all_parameters_and_names_the_bad_one() {
        let norm = gradients(&[("a", &[3.0]), ("b", &[0.0, 4.0])]).norm().unwrap();
        assert!((norm - 5.0).abs() < 1e-6);
        let big = gradients(&[("a", &[1e30, 1e30])]).norm().unwrap();
        assert!((big / (2f64.sqrt() * 1e30) - 1.0).abs() < 1e-6, "squares beyond f32");
        let error = gradients(&[("a", &[1.0]), ("b", &[f32::NAN])]).norm().unwrap_err();
        assert!(matches!(error, TrainError::GradientNotFinite { parameter } if parameter == "b"));
    }

    #[test]
    fn gradients_of_one_name_add_up() {
        let mut sum = gradients(&[("a", &[1.0, 2.0])]);
        sum.add("a".to_owned(), Tensor::from_floats([0.5, -4.0], &Device::flex()));
        let found = sum.remove("a").unwrap().into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(found, [1.5, -2.0]);
        assert!(sum.is_empty());
    }
}
