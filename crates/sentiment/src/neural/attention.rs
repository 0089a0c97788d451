//! Pools the states of a sequence into one vector by learned attention.

use bestof_models::ModelError;
use bestof_models::encoder::{Dense, Fill, Loader};
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use super::init::Init;
use super::padding::padded_indices;
use bestof_kernels::{constant, indices};

/// Attention pooling with a learned context vector `c`.
///
/// ```text
/// u_t = tanh(W h_t + b)     a = softmax_t(u_t . c)     s = sum_t a_t h_t
/// ```
///
/// Source: Yang et al. 2016, "Hierarchical Attention Networks for Document Classification", NAACL,
/// equations 5 to 7.
#[derive(Module, Debug)]
pub(super) struct AttentionPooling {
    pub(super) dense: Dense,
    /// `[width]`
    pub(super) context: Param<Tensor<1>>,
}

/// The score of padding: far below any other, and finite, since some devices have no infinity.
const PADDING_SCORE: f32 = -1e30;

impl AttentionPooling {
    pub(super) fn load(
        loader: &mut Loader<'_>,
        init: Init,
        name: &str,
        width: usize,
    ) -> Result<Self, ModelError> {
        let dense = init.dense(loader, &format!("{name}.dense"), [width, width])?;
        let context = loader.parameter(&format!("{name}.context"), [width], Fill::Normal)?;
        Ok(Self { dense, context })
    }

    /// One vector per sequence, `[sequences, width]`, of the states `[tokens, width]` of
    /// concatenated sequences, none empty.
    pub(super) fn forward(&self, states: Tensor<2>, lengths: &[usize]) -> Tensor<2> {
        let [tokens, width] = states.dims();
        let device = states.device();
        let u = self.dense.forward(states.clone()).tanh();
        let scores = u.matmul(self.context.val().reshape([width, 1]));
        let padded = padded_indices(lengths, tokens);
        let (count, longest) = (lengths.len(), padded.len() / lengths.len().max(1));
        let padded = indices(&padded, &device);
        let scores = Tensor::cat(vec![scores, constant(vec![PADDING_SCORE], [1, 1], &device)], 0);
        let scores = scores.select(0, padded.clone()).reshape([count, longest]);
        let shares: Tensor<3> = softmax(scores, 1).reshape([count, 1, longest]);
        let zeros = constant(vec![0.0; width], [1, width], &device);
        let states = Tensor::cat(vec![states, zeros], 0).select(0, padded);
        shares.matmul(states.reshape([count, longest, width])).reshape([count, width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bestof_kernels::host_values;
    use bestof_models::Device;

    #[test]
    fn weighted_sums_are_those_of_each_sequence_by_itself_in_f64() {
        let device = Device::flex();
        let mut loader = Loader::drawing(5, 0.8, &device);
        let attention = AttentionPooling::load(&mut loader, Init::Random(5), "attend", 3).unwrap();
        let lengths = [1, 4, 2];
        let values: Vec<f32> = (0..21).map(|i| (i as f32 * 1.3).cos() * 2.0).collect();
        let found =
            host_values(attention.forward(constant(values.clone(), [7, 3], &device), &lengths));
        let (weight, bias) =
            (host_values(attention.dense.weight.val()), host_values(attention.dense.bias.val()));
        let context = host_values(attention.context.val());
        let mut start = 0;
        for (sequence, length) in lengths.into_iter().enumerate() {
            let states: Vec<&[f32]> = values[start * 3..(start + length) * 3].chunks(3).collect();
            start += length;
            let score = |h: &[f32]| -> f64 {
                (0..3)
                    .map(|i| {
                        let sum: f64 =
                            (0..3).map(|j| f64::from(weight[i * 3 + j]) * f64::from(h[j])).sum();
                        (sum + f64::from(bias[i])).tanh() * f64::from(context[i])
                    })
                    .sum()
            };
            let exps: Vec<f64> = states.iter().map(|h| score(h).exp()).collect();
            let total: f64 = exps.iter().sum();
            for i in 0..3 {
                let expected: f64 =
                    states.iter().zip(&exps).map(|(h, e)| f64::from(h[i]) * e / total).sum();
                assert!((f64::from(found[sequence * 3 + i]) - expected).abs() < 1e-6);
            }
        }
    }
}
