//! A loss on tensors: the value and the gradient of the formula, without a graph of the formula.

use burn::tensor::{Tensor, TensorData};

use crate::{
    CompletionTokens, Kto, Label, LossError, PairLogps, PolicyLoss, PolicyTerms, PreferenceLoss,
    PreferenceTerms, UnpairedLogps, UnpairedTerms, terms_of_batch,
};

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
/// - constants: one entry per pair
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
    let slopes = |slope: fn(&PreferenceTerms) -> f64| -> Vec<f64> {
        terms.iter().map(|terms| slope(terms) * share).collect()
    };
    let by_chosen = slopes(|terms| terms.grad_chosen);
    let by_rejected = slopes(|terms| terms.grad_rejected);
    let loss = with_gradient(mean, [(chosen, by_chosen), (rejected, by_rejected)]);
    Ok(Attached { loss, terms })
}

/// What [`Kto`] needs of a completion besides the policy's log-probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnpairedConstants {
    /// The reference's log-probability.
    pub ref_logp: f64,
    /// What the completion was judged to be.
    pub label: Label,
}

/// The mean loss of labelled completions as a tensor, and what the formula said about each.
#[derive(Debug, Clone)]
pub struct AttachedUnpaired {
    /// Mean loss over the completions, `[1]`; its gradient is the analytic one.
    pub loss: Tensor<1>,
    /// The terms of each completion, for logging.
    pub terms: Vec<UnpairedTerms>,
}

/// The mean of `loss` over labelled completions with the reference point `z0`, as a tensor that can
/// be differentiated. Evaluated as [`attach`] does.
///
/// # Shapes
/// - logps: `[completions]`
/// - constants: one entry per completion
/// - output: `[1]`
///
/// # Errors
/// [`LossError::BatchSize`], [`LossError::EmptyBatch`], or what [`Kto::batch`] says.
pub fn attach_unpaired(
    loss: &Kto,
    logps: Tensor<1>,
    constants: &[UnpairedConstants],
    z0: f64,
) -> Result<AttachedUnpaired, LossError> {
    let logp_values = values(&logps);
    let (found, expected) = (constants.len(), logp_values.len());
    if found != expected {
        return Err(LossError::BatchSize { what: "constants", found, expected });
    }
    if expected == 0 {
        return Err(LossError::EmptyBatch);
    }
    let rows: Vec<UnpairedLogps> = constants
        .iter()
        .zip(logp_values)
        .map(|(&UnpairedConstants { ref_logp, label }, logp)| UnpairedLogps {
            logp,
            ref_logp,
            label,
        })
        .collect();
    let terms = loss.batch(&rows, z0)?;
    let share = 1.0 / expected as f64;
    let mean = terms.iter().map(|term| term.loss).sum::<f64>() * share;
    let slopes = terms.iter().map(|term| term.grad * share).collect();
    Ok(AttachedUnpaired { loss: with_gradient(mean, [(logps, slopes)]), terms })
}

/// A tensor `[1]` of a value whose derivatives by some tensors are known numbers:
///
/// ```text
/// s = sum_j <x_j, g_j>,   result = value + (s - stop_gradient(s))
/// ```
///
/// # Shapes
/// - each `x_j` and its derivatives `g_j` have one length; all tensors lie on one device
///
/// # Panics
/// Without any tensor, or if a tensor and its derivatives differ in length.
pub fn with_gradient(
    value: f64,
    tensors: impl IntoIterator<Item = (Tensor<1>, Vec<f64>)>,
) -> Tensor<1> {
    let mut surrogate: Option<Tensor<1>> = None;
    for (tensor, derivatives) in tensors {
        assert_eq!(tensor.dims(), [derivatives.len()], "one derivative per entry");
        let derivatives = constant(&tensor, derivatives);
        let part = (tensor * derivatives).sum();
        surrogate = Some(match surrogate {
            Some(sum) => sum + part,
            None => part,
        });
    }
    let surrogate = surrogate.expect("a loss depends on some tensor");
    let value = constant(&surrogate, vec![value]);
    (surrogate.clone() - surrogate.detach()) + value
}

/// The policy-gradient loss of a batch as a tensor, and what the formula said of each completion.
#[derive(Debug, Clone)]
pub struct AttachedPolicy {
    /// Sum of the completions' losses over the divisor, `[1]`; its gradient is the analytic one.
    pub loss: Tensor<1>,
    /// The terms of each completion, for logging.
    pub terms: Vec<PolicyTerms>,
}

/// The policy-gradient loss of a batch of completions, as a tensor that can be differentiated.
/// `divisor` is the number of prompts in the step.
///
/// Like [`attach`], the formula is evaluated in f64 from the tensors' values, by
/// [`PolicyLoss::batch`].
///
/// # Shapes
/// - `logps`, `entropies`: `[targets]`, on one device and of one float type
/// - output: `[1]`
///
/// # Errors
/// What [`PolicyLoss::batch`] says.
///
/// # Panics
/// If a token's index is not below the length of `logps`.
pub fn attach_policy(
    loss: &PolicyLoss,
    logps: Tensor<1>,
    entropies: Option<Tensor<1>>,
    completions: &[CompletionTokens<'_>],
    divisor: f64,
) -> Result<AttachedPolicy, LossError> {
    let entropies = entropies.filter(|_| loss.needs_entropies());
    let entropy_values = entropies.as_ref().map(values);
    let batch = loss.batch(&values(&logps), entropy_values.as_deref(), completions, divisor)?;
    let mut tensors = vec![(logps, batch.by_logp)];
    tensors.extend(entropies.map(|entropies| (entropies, batch.by_entropy)));
    Ok(AttachedPolicy { loss: with_gradient(batch.loss, tensors), terms: batch.terms })
}

fn values(tensor: &Tensor<1>) -> Vec<f64> {
    tensor.clone().detach().into_data().iter::<f64>().collect()
}

/// Numbers beside `like`: on its device, of its type, outside any graph.
fn constant(like: &Tensor<1>, numbers: Vec<f64>) -> Tensor<1> {
    let length = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [length]), (&like.device(), like.dtype())).detach()
}
