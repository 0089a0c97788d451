//! Completions whose tokens' log-probabilities are in one list: their loss, and its derivatives by
//! every entry of the list.

use super::terms::{PolicyLoss, PolicyTerms, SampledCompletion};
use crate::LossError;

/// One completion among those whose tokens' log-probabilities are in one list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompletionTokens<'a> {
    /// Indices of the completion's tokens in the list, in their order.
    pub tokens: &'a [usize],
    /// As [`SampledCompletion::weight`].
    pub weight: f64,
    /// As [`SampledCompletion::share`].
    pub share: f64,
    /// As [`SampledCompletion::scale`].
    pub scale: f64,
    /// As [`SampledCompletion::old_logps`], one per token.
    pub old_logps: Option<&'a [f64]>,
    /// As [`SampledCompletion::sampler_weights`], one per token.
    pub sampler_weights: Option<&'a [f64]>,
    /// As [`SampledCompletion::reference`], one per token.
    pub reference: Option<&'a [f64]>,
}

impl Default for CompletionTokens<'_> {
    /// No tokens, of weight and share 0 and scale 1.
    fn default() -> Self {
        Self {
            tokens: &[],
            weight: 0.0,
            share: 0.0,
            scale: 1.0,
            old_logps: None,
            sampler_weights: None,
            reference: None,
        }
    }
}

/// The loss of several completions.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyBatch {
    /// Sum of the completions' losses over the divisor.
    pub loss: f64,
    /// Its derivative by every log-probability of the list.
    pub by_logp: Vec<f64>,
    /// Its derivative by every entropy of the list.
    pub by_entropy: Vec<f64>,
    /// The terms of each completion.
    pub terms: Vec<PolicyTerms>,
}

impl PolicyLoss {
    /// The loss of completions whose tokens' log-probabilities, and entropies if they are read, are
    /// in one list; `divisor` is the number of prompts in the step. An entry that several completions
    /// share gets the sum of their derivatives.
    ///
    /// # Errors
    /// [`LossError::InCompletion`] with what [`PolicyLoss::terms`] says and the completion's position,
    /// [`LossError::EmptyBatch`] without any completion.
    ///
    /// # Panics
    /// If a token's index is not below the length of the lists.
    pub fn batch(
        &self,
        logps: &[f64],
        entropies: Option<&[f64]>,
        completions: &[CompletionTokens<'_>],
        divisor: f64,
    ) -> Result<PolicyBatch, LossError> {
        if completions.is_empty() {
            return Err(LossError::EmptyBatch);
        }
        let mut batch = PolicyBatch {
            loss: 0.0,
            by_logp: vec![0.0; logps.len()],
            by_entropy: vec![0.0; logps.len()],
            terms: Vec::with_capacity(completions.len()),
        };
        for (index, completion) in completions.iter().enumerate() {
            let of =
                |list: &[f64]| completion.tokens.iter().map(|&at| list[at]).collect::<Vec<_>>();
            let (own_logps, own_entropies) = (of(logps), entropies.map(of));
            let sampled = SampledCompletion {
                weight: completion.weight,
                share: completion.share,
                scale: completion.scale,
                logprobs: &own_logps,
                old_logps: completion.old_logps,
                sampler_weights: completion.sampler_weights,
                reference: completion.reference,
                entropies: own_entropies.as_deref(),
            };
            let mut gradient = vec![0.0; own_logps.len()];
            let terms = self
                .terms(&sampled, &mut gradient)
                .map_err(|source| LossError::InCompletion { index, source: Box::new(source) })?;
            batch.loss += terms.loss / divisor;
            let by_entropy = terms.by_entropy / divisor;
            for (&at, slope) in completion.tokens.iter().zip(&gradient) {
                batch.by_logp[at] += slope / divisor;
                batch.by_entropy[at] += by_entropy;
            }
            batch.terms.push(terms);
        }
        Ok(batch)
    }
}
