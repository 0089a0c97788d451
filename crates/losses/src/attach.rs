//! A loss on tensors: the value and the gradient of the formula, without a graph of the formula.

use burn::tensor::{Tensor, TensorData};

use crate::{LossError, PairLogps, PreferenceLoss, PreferenceTerms, terms_of_batch};

/// What a loss needs of a pair besides the policy's two log-probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PairConstants {
    /// Reference, chosen completion.
    pub ref_chosen: f64,
    /// Reference, rejected completion.
    pub ref_rejected: f64,
    /// Tokens of the chosen completion.
    pub chosen_len: usize,
    /// Tokens of the rejected completion.
    pub rejected_len: usize,
}

/// The mean loss of a batch as a tensor, and what the formula said about each pair.
#[derive(Debug, Clone)]
pub struct Attached {
    /// Mean loss over the pairs, `[1]`; its gradient is the analytic one.
    pub loss: Tensor<1>,
    /// The terms of each pair, for logging.
    pub terms: Vec<PreferenceTerms>,
}

/// The mean of `loss` over the pairs, as a tensor that can be differentiated.
///
/// ```text
/// s = sum_i (chosen_i dL_i/dchosen_i + rejected_i dL_i/drejected_i) / pairs, derivatives constant
/// value: mean_i L_i        gradient: that of s
/// ```
/// The formula is evaluated in f64 from the tensors' values, so that any [`PreferenceLoss`] works,
/// and so that nothing is lost in `f32` where the tensor library's log-sigmoid would underflow.
/// Source: the derivative of each loss as documented on its type.
///
/// # Shapes
/// - chosen, rejected: `[pairs]`, on one device and of one float type
/// - constants: one entry a pair
/// - output: `[1]`
///
/// # Errors
/// [`LossError::BatchSize`], [`LossError::EmptyBatch`], or what [`PreferenceLoss::terms`] says,
/// with the pair's position.
pub fn attach(
    loss: &dyn PreferenceLoss,
    chosen: Tensor<1>,
    rejected: Tensor<1>,
    constants: &[PairConstants],
) -> Result<Attached, LossError> {
    let (chosen_values, rejected_values) = (values(&chosen), values(&rejected));
    let expected = chosen_values.len();
    for (what, found) in
        [("rejected log-probabilities", rejected_values.len()), ("constants", constants.len())]
    {
        if found != expected {
            return Err(LossError::BatchSize { what, found, expected });
        }
    }
    if expected == 0 {
        return Err(LossError::EmptyBatch);
    }
    let pairs: Vec<PairLogps> = constants
        .iter()
        .zip(chosen_values.iter().zip(&rejected_values))
        .map(|(constant, (&chosen, &rejected))| PairLogps {
            chosen,
            rejected,
            ref_chosen: constant.ref_chosen,
            ref_rejected: constant.ref_rejected,
            chosen_len: constant.chosen_len,
            rejected_len: constant.rejected_len,
        })
        .collect();
    let terms = terms_of_batch(loss, &pairs)?;
    let share = 1.0 / expected as f64;
    let mean = terms.iter().map(|term| term.loss).sum::<f64>() * share;
    let grad_chosen = constant(&chosen, terms.iter().map(|t| t.grad_chosen * share).collect());
    let grad_rejected =
        constant(&rejected, terms.iter().map(|t| t.grad_rejected * share).collect());
    let value = constant(&chosen, vec![mean]);
    let surrogate = (chosen * grad_chosen).sum() + (rejected * grad_rejected).sum();
    let loss = (surrogate.clone() - surrogate.detach()) + value;
    Ok(Attached { loss, terms })
}

fn values(tensor: &Tensor<1>) -> Vec<f64> {
    tensor.clone().detach().into_data().iter::<f64>().collect()
}

/// Numbers beside `like`: on its device, of its type, outside any graph.
fn constant(like: &Tensor<1>, numbers: Vec<f64>) -> Tensor<1> {
    let length = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [length]), (&like.device(), like.dtype())).detach()
}
