//! A multi-layer perceptron: hidden layers of 256 and 128 with `ReLU`, Adam at a learning rate of 0.001.
//!
//! Written here because rows of TF-IDF weights are nearly all zeros: the first layer touches the
//! weights of non-zero columns only.

use bestof_tasks::rng::SeededRng;
use serde::{Deserialize, Serialize};

use super::logistic::softmax;
use super::matrix::Matrix;
use super::tabular::TabularClassifier;
use crate::error::SentimentError;

const HIDDEN: [usize; 2] = [256, 128];
const RATE: f32 = 1e-3;
const BATCH: usize = 32;
const EPOCHS: usize = 10;

/// Three layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Perceptron {
    layers: Vec<Layer>,
}

/// `y = x W + b`; `weights` is `[inputs][outputs]`, row-major.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Layer {
    inputs: usize,
    outputs: usize,
    weights: Vec<f32>,
    biases: Vec<f32>,
}

impl Layer {
    /// Weights uniform within `sqrt(6 / inputs)` (He et al. 2015), biases 0.
    fn new(inputs: usize, outputs: usize, draw: &mut SeededRng) -> Self {
        let bound = (6.0 / inputs.max(1) as f32).sqrt();
        let mut weight = || (draw.index(1 << 24) as f32 / (1 << 23) as f32 - 1.0) * bound;
        let weights = (0..inputs * outputs).map(|_| weight()).collect();
        Self { inputs, outputs, weights, biases: vec![0.0; outputs] }
    }

    fn zeros_like(&self) -> Self {
        let (weights, biases) = (vec![0.0; self.weights.len()], vec![0.0; self.outputs]);
        Self { weights, biases, ..*self }
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let mut y = self.biases.clone();
        for (&x, weights) in x.iter().zip(self.weights.chunks_exact(self.outputs)) {
            if x != 0.0 {
                for (y, weight) in y.iter_mut().zip(weights) {
                    *y += x * weight;
                }
            }
        }
        y
    }

    /// Adds the gradients of a row with input `x` and output gradient `dy` to `sums`, and returns the
    /// gradient of the input, empty unless `needs_input`.
    fn backward(&self, x: &[f32], dy: &[f32], sums: &mut Self, needs_input: bool) -> Vec<f32> {
        let mut dx = vec![0.0; if needs_input { self.inputs } else { 0 }];
        for (input, &x) in x.iter().enumerate() {
            if x == 0.0 {
                // The gradient of a ReLU whose output is 0 is 0 too.
                continue;
            }
            let span = input * self.outputs..(input + 1) * self.outputs;
            let weights = self.weights[span.clone()].iter();
            let sums = sums.weights[span].iter_mut();
            let mut back = 0.0;
            for ((sum, dy), weight) in sums.zip(dy).zip(weights) {
                *sum += x * dy;
                back += weight * dy;
            }
            if needs_input {
                dx[input] = back;
            }
        }
        for (sum, dy) in sums.biases.iter_mut().zip(dy) {
            *sum += dy;
        }
        dx
    }
}

impl Perceptron {
    fn new(width: usize, classes: usize, seed: u64) -> Self {
        let mut draw = SeededRng::new(seed, 4);
        let sizes = [width, HIDDEN[0], HIDDEN[1], classes];
        let layers = sizes.windows(2).map(|pair| Layer::new(pair[0], pair[1], &mut draw)).collect();
        Self { layers }
    }

    /// The outputs of every layer, after `ReLU` except for the last.
    fn activations(&self, x: &[f32]) -> Vec<Vec<f32>> {
        let mut outputs: Vec<Vec<f32>> = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let mut y = layer.forward(outputs.last().map_or(x, Vec::as_slice));
            if index + 1 < self.layers.len() {
                for y in &mut y {
                    *y = y.max(0.0);
                }
            }
            outputs.push(y);
        }
        outputs
    }

    fn probabilities(&self, x: &[f32]) -> Vec<f32> {
        let outputs = self.activations(x);
        let scores: Vec<f64> =
            outputs.last().into_iter().flatten().copied().map(f64::from).collect();
        softmax(&scores)
    }

    /// Adds the gradients of `-ln p[class]` to `sums`.
    fn add_gradients(&self, x: &[f32], class: u8, sums: &mut [Layer]) {
        let outputs = self.activations(x);
        let scores: Vec<f64> =
            outputs.last().into_iter().flatten().copied().map(f64::from).collect();
        let mut gradient = softmax(&scores);
        gradient[usize::from(class)] -= 1.0;
        for layer in (0..self.layers.len()).rev() {
            let input = if layer == 0 { x } else { &outputs[layer - 1] };
            gradient = self.layers[layer].backward(input, &gradient, &mut sums[layer], layer > 0);
        }
    }
}

/// First and second moments of the gradients (Kingma and Ba 2015).
struct Adam {
    first: Vec<Layer>,
    second: Vec<Layer>,
    step: i32,
}

impl Adam {
    fn update(&mut self, layers: &mut [Layer], sums: &[Layer], rows: usize) {
        self.step += 1;
        let scale = 1.0 / rows as f32;
        let rate =
            RATE * (1.0 - 0.999_f32.powi(self.step)).sqrt() / (1.0 - 0.9_f32.powi(self.step));
        let each = |values: &mut [f32], sums: &[f32], first: &mut [f32], second: &mut [f32]| {
            for (((value, sum), m), v) in values.iter_mut().zip(sums).zip(first).zip(second) {
                let g = sum * scale;
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                *value -= rate * *m / (v.sqrt() + 1e-8);
            }
        };
        for (((layer, sum), m), v) in
            layers.iter_mut().zip(sums).zip(&mut self.first).zip(&mut self.second)
        {
            each(&mut layer.weights, &sum.weights, &mut m.weights, &mut v.weights);
            each(&mut layer.biases, &sum.biases, &mut m.biases, &mut v.biases);
        }
    }
}

impl TabularClassifier for Perceptron {
    const MAX_ROWS: Option<usize> = None;

    fn fit(x: &Matrix, y: &[u8], classes: usize, seed: u64) -> Result<Self, SentimentError> {
        let mut model = Self::new(x.width(), classes, seed);
        let zeros = || model.layers.iter().map(Layer::zeros_like).collect::<Vec<_>>();
        let mut adam = Adam { first: zeros(), second: zeros(), step: 0 };
        let mut sums = zeros();
        let mut order: Vec<usize> = (0..x.rows()).collect();
        let mut draw = SeededRng::new(seed, 5);
        for _ in 0..EPOCHS {
            draw.shuffle(&mut order);
            for batch in order.chunks(BATCH) {
                for sum in &mut sums {
                    sum.weights.fill(0.0);
                    sum.biases.fill(0.0);
                }
                for &row in batch {
                    model.add_gradients(x.row(row), y[row], &mut sums);
                }
                adam.update(&mut model.layers, &sums, batch.len());
            }
        }
        Ok(model)
    }

    fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError> {
        Ok((0..x.rows()).map(|row| self.probabilities(x.row(row))).collect())
    }

    fn check(&self, width: usize, classes: usize) -> Result<(), SentimentError> {
        let chained = self.layers.windows(2).all(|pair| pair[0].outputs == pair[1].inputs);
        let whole = |layer: &Layer| {
            layer.outputs > 0
                && layer.biases.len() == layer.outputs
                && layer.inputs.checked_mul(layer.outputs) == Some(layer.weights.len())
        };
        let ends = self.layers.first().map(|layer| layer.inputs) == Some(width)
            && self.layers.last().map(|layer| layer.outputs) == Some(classes);
        let sound = chained && ends && self.layers.iter().all(whole);
        if sound { Ok(()) } else { Err(SentimentError::damaged("multi-layer perceptron")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut draw = SeededRng::new(1, 0);
        let layers = vec![
            Layer::new(3, 5, &mut draw),
            Layer::new(5, 4, &mut draw),
            Layer::new(4, 3, &mut draw),
        ];
        let model = Perceptron { layers };
        let (x, class) = ([0.7, 0.0, -1.3], 2);
        let mut sums: Vec<Layer> = model.layers.iter().map(Layer::zeros_like).collect();
        model.add_gradients(&x, class, &mut sums);
        let loss = |model: &Perceptron| -f64::from(model.probabilities(&x)[2]).ln();
        let mut met = 0;
        for (layer, sum) in sums.iter().enumerate() {
            for weight in 0..model.layers[layer].weights.len() {
                let moved = |by: f32| {
                    let mut moved = model.clone();
                    moved.layers[layer].weights[weight] += by;
                    loss(&moved)
                };
                let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                let found = f64::from(sum.weights[weight]);
                assert!((found - expected).abs() < 2e-3, "{layer} {weight}: {found} {expected}");
                met += usize::from(found.abs() > 1e-3);
            }
        }
        assert!(met > 5, "{met}");
        let sum: f32 = sums[2].biases.iter().sum();
        assert!(sum.abs() < 1e-6, "softmax gradients sum to zero: {sum}");
    }
}
