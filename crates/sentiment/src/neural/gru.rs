//! Bidirectional gated recurrent units over sequences of different lengths, without padding.

use bestof_models::encoder::{Dense, Loader};
use bestof_models::{Device, ModelError};
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::init::Init;
use bestof_kernels::{constant, indices};

/// The parameters of one direction.
///
/// ```text
/// r = sigmoid(W_r x + b_r + U_r h + c_r)     z = sigmoid(W_z x + b_z + U_z h + c_z)
/// n = tanh(W_n x + b_n + r (U_n h + c_n))    h' = n + z (h - n)
/// ```
///
/// Source: Cho et al. 2014, arXiv:1406.1078, with the gate inside the candidate as `torch.nn.GRU`
/// has it.
#[derive(Module, Debug)]
pub(super) struct Direction {
    /// `W` of r, z and n: `[3 hidden, in]`
    pub(super) input: Dense,
    /// `U` of r, z and n: `[3 hidden, hidden]`
    pub(super) recurrent: Dense,
}

/// A recurrence from the first token to the last and one back.
#[derive(Module, Debug)]
pub(super) struct BiGru {
    pub(super) forward: Direction,
    pub(super) backward: Direction,
}

/// The order in which the tokens of sequences of different lengths are computed: the first token of
/// every sequence, then the second of every sequence that has one, and so on, longest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Steps {
    /// Number of sequences that have a token at each step.
    active: Vec<usize>,
    /// Token computed at each position of that order, reading forward.
    forward: Vec<u32>,
    /// The same, reading backward.
    backward: Vec<u32>,
    /// Position of each token in that order, reading forward: the inverse of `forward`.
    forward_positions: Vec<u32>,
    /// The same, reading backward.
    backward_positions: Vec<u32>,
}

impl Steps {
    /// The steps of concatenated sequences, none of them empty.
    pub(super) fn of(lengths: &[usize]) -> Self {
        let tokens: usize = lengths.iter().sum();
        let mut starts = Vec::with_capacity(lengths.len());
        let mut next = 0;
        for length in lengths {
            starts.push(next);
            next += length;
        }
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|&sequence| std::cmp::Reverse(lengths[sequence]));
        let longest = order.first().map_or(0, |&sequence| lengths[sequence]);
        let mut steps = Self {
            active: Vec::with_capacity(longest),
            forward: Vec::with_capacity(tokens),
            backward: Vec::with_capacity(tokens),
            forward_positions: vec![0; tokens],
            backward_positions: vec![0; tokens],
        };
        let mut active = order.len();
        for step in 0..longest {
            while active > 0 && lengths[order[active - 1]] <= step {
                active -= 1;
            }
            steps.active.push(active);
            for &sequence in &order[..active] {
                let ahead = starts[sequence] + step;
                let back = starts[sequence] + lengths[sequence] - 1 - step;
                let position = steps.forward.len() as u32;
                steps.forward_positions[ahead] = position;
                steps.backward_positions[back] = position;
                steps.forward.push(ahead as u32);
                steps.backward.push(back as u32);
            }
        }
        steps
    }
}

impl BiGru {
    pub(super) fn load(
        loader: &mut Loader<'_>,
        init: Init,
        name: &str,
        inputs: usize,
        hidden: usize,
    ) -> Result<Self, ModelError> {
        let mut direction = |side: &str| {
            let mut part = |part: &str, inputs| {
                init.dense(loader, &format!("{name}.{side}.{part}"), [inputs, 3 * hidden])
            };
            Ok::<_, ModelError>(Direction {
                input: part("input", inputs)?,
                recurrent: part("recurrent", hidden)?,
            })
        };
        Ok(Self { forward: direction("forward")?, backward: direction("backward")? })
    }

    /// The hidden states of both directions at every token, `[tokens, 2 hidden]`, of the tokens `x`,
    /// `[tokens, in]`, of concatenated sequences.
    pub(super) fn forward(&self, x: &Tensor<2>, steps: &Steps) -> Tensor<2> {
        let device = x.device();
        let (ahead, back) = (&self.forward, &self.backward);
        let input = |side: &Direction, order: &[u32]| {
            side.input.forward(x.clone().select(0, indices(order, &device)))
        };
        let inputs: Tensor<3> =
            Tensor::stack(vec![input(ahead, &steps.forward), input(back, &steps.backward)], 0);
        let weights: Tensor<3> = Tensor::stack(
            vec![ahead.recurrent.weight.val().transpose(), back.recurrent.weight.val().transpose()],
            0,
        );
        let biases: Tensor<2> =
            Tensor::stack(vec![ahead.recurrent.bias.val(), back.recurrent.bias.val()], 0);
        let [_, tokens, triple] = inputs.dims();
        let hidden = triple / 3;
        let biases = biases.reshape([2, 1, triple]);
        let outputs = recur(&inputs, &weights, &biases, &steps.active, &device);
        let side = |number: usize, positions: &[u32]| {
            let side = outputs.clone().slice_dim(0, number..number + 1).reshape([tokens, hidden]);
            side.select(0, indices(positions, &device))
        };
        Tensor::cat(vec![side(0, &steps.forward_positions), side(1, &steps.backward_positions)], 1)
    }
}

/// The hidden states of both directions in the order of the steps, `[2, tokens, hidden]`.
fn recur(
    inputs: &Tensor<3>,
    weights: &Tensor<3>,
    biases: &Tensor<3>,
    active: &[usize],
    device: &Device,
) -> Tensor<3> {
    let hidden = inputs.dims()[2] / 3;
    let first = active.first().copied().unwrap_or(0);
    let mut state = constant(vec![0.0; 2 * first * hidden], [2, first, hidden], device);
    let mut outputs = Vec::with_capacity(active.len());
    let mut from = 0;
    for &count in active {
        let x = inputs.clone().slice_dim(1, from..from + count);
        from += count;
        if state.dims()[1] > count {
            state = state.slice_dim(1, 0..count);
        }
        let u = state.clone().matmul(weights.clone()).add(biases.clone());
        let part = |all: &Tensor<3>, from: usize, to: usize| {
            all.clone().slice_dim(2, from * hidden..to * hidden)
        };
        let gates = sigmoid(part(&x, 0, 2).add(part(&u, 0, 2)));
        let (r, z) = (part(&gates, 0, 1), part(&gates, 1, 2));
        let n = part(&x, 2, 3).add(r.mul(part(&u, 2, 3))).tanh();
        state = n.clone().add(z.mul(state.sub(n)));
        outputs.push(state.clone());
    }
    Tensor::cat(outputs, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bestof_kernels::host_values;

    #[test]
    fn steps_visit_every_token_once_in_both_directions() {
        let steps = Steps::of(&[2, 4, 1]);
        assert_eq!(steps.active, [3, 2, 1, 1]);
        // Sequences start at tokens 0, 2 and 6; the longest is the second.
        assert_eq!(steps.forward, [2, 0, 6, 3, 1, 4, 5]);
        assert_eq!(steps.backward, [5, 1, 6, 4, 0, 3, 2]);
        assert_eq!(steps.forward_positions, [1, 4, 0, 3, 5, 6, 2]);
        assert_eq!(steps.backward_positions, [4, 1, 6, 5, 3, 0, 2]);
    }

    fn sigmoid64(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// The states of one direction, token by token, in f64.
    fn by_hand(side: &Direction, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let read = |dense: &Dense| {
            let [rows, width] = dense.weight.dims();
            let weight = host_values(dense.weight.val());
            let bias = host_values(dense.bias.val());
            move |x: &[f64]| -> Vec<f64> {
                (0..rows)
                    .map(|row| {
                        let w = &weight[row * width..(row + 1) * width];
                        let sum: f64 = w.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum();
                        sum + f64::from(bias[row])
                    })
                    .collect()
            }
        };
        let (input, recurrent) = (read(&side.input), read(&side.recurrent));
        let hidden = side.recurrent.weight.dims()[1];
        let mut state = vec![0.0; hidden];
        x.iter()
            .map(|x| {
                let (w, u) = (input(x), recurrent(&state));
                state = (0..hidden)
                    .map(|i| {
                        let r = sigmoid64(w[i] + u[i]);
                        let z = sigmoid64(w[hidden + i] + u[hidden + i]);
                        let n = (w[2 * hidden + i] + r * u[2 * hidden + i]).tanh();
                        (1.0 - z) * n + z * state[i]
                    })
                    .collect();
                state.clone()
            })
            .collect()
    }

    #[test]
    fn states_are_those_of_each_sequence_by_itself_in_f64() {
        let device = Device::flex();
        let mut loader = Loader::drawing(3, 0.5, &device);
        let gru = BiGru::load(&mut loader, Init::Random(3), "gru", 5, 4).unwrap();
        let lengths = [2, 6, 1, 6, 3];
        let tokens: usize = lengths.iter().sum();
        let values: Vec<f32> = (0..tokens * 5).map(|i| (i as f32 * 0.7).sin()).collect();
        let x = constant(values.clone(), [tokens, 5], &device);
        let found = host_values(gru.forward(&x, &Steps::of(&lengths)));
        let rows: Vec<Vec<f64>> =
            values.chunks(5).map(|row| row.iter().map(|v| f64::from(*v)).collect()).collect();
        let mut start = 0;
        for length in lengths {
            let sequence = &rows[start..start + length];
            let ahead = by_hand(&gru.forward, sequence);
            let reversed: Vec<Vec<f64>> = sequence.iter().rev().cloned().collect();
            let mut back = by_hand(&gru.backward, &reversed);
            back.reverse();
            for (at, (ahead, back)) in ahead.iter().zip(&back).enumerate() {
                let found = &found[(start + at) * 8..(start + at + 1) * 8];
                for (found, expected) in found.iter().zip(ahead.iter().chain(back)) {
                    assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} {expected}");
                }
            }
            start += length;
        }
    }
}
