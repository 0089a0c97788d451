//! Gradients by parameter name.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};

/// The gradients of a model's trainable parameters, by parameter name.
///
/// Each is kept flat, in the row-major order of its parameter, so that an optimiser and an
/// all-reduce need one code path only.
#[derive(Debug, Clone, Default)]
pub struct Gradients {
    by_name: BTreeMap<String, Tensor<1>>,
}

impl Gradients {
    /// No gradients.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `gradient` to what is kept under `name`.
    pub fn add_to(&mut self, name: impl Into<String>, gradient: Tensor<1>) {
        let name = name.into();
        let sum = match self.by_name.remove(&name) {
            Some(kept) => kept.add(gradient),
            None => gradient,
        };
        self.by_name.insert(name, sum);
    }

    /// Adds the gradients of another pass: gradient accumulation.
    pub fn accumulate(&mut self, other: Self) {
        for (name, gradient) in other.by_name {
            self.add_to(name, gradient);
        }
    }

    /// Multiplies all by `factor`.
    #[must_use]
    pub fn scale(self, factor: f64) -> Self {
        let scaled = self.by_name.into_iter().map(|(name, g)| (name, g.mul_scalar(factor)));
        Self { by_name: scaled.collect() }
    }

    /// The Euclidean norm of all gradients together. Not finite if any of them is not.
    pub fn global_norm(&self) -> f64 {
        self.by_name
            .values()
            .map(|g| g.clone().dot(g.clone()).into_scalar::<f64>())
            .sum::<f64>()
            .sqrt()
    }

    /// The gradient of a parameter.
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.by_name.get(name)
    }

    /// Takes the gradient of a parameter out.
    pub fn remove(&mut self, name: &str) -> Option<Tensor<1>> {
        self.by_name.remove(name)
    }

    /// Names and gradients, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<1>)> {
        self.by_name.iter().map(|(name, gradient)| (name.as_str(), gradient))
    }

    /// The number of parameters with a gradient.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether no parameter has a gradient.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

/// A flat tensor with these values, without automatic differentiation: what
/// [`crate::Trainable::update_parameters`] takes back.
pub fn tensor_from(values: &[f32], device: &Device) -> Tensor<1> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    Tensor::from_data(data, &device.clone().without_autodiff())
}

impl IntoIterator for Gradients {
    type Item = (String, Tensor<1>);
    type IntoIter = std::collections::btree_map::IntoIter<String, Tensor<1>>;

    fn into_iter(self) -> Self::IntoIter {
        self.by_name.into_iter()
    }
}

impl FromIterator<(String, Tensor<1>)> for Gradients {
    fn from_iter<I: IntoIterator<Item = (String, Tensor<1>)>>(iter: I) -> Self {
        let mut gradients = Self::new();
        for (name, gradient) in iter {
            gradients.add_to(name, gradient);
        }
        gradients
    }
}
