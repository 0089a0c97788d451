//! Policy-gradient losses: one sampled completion in, the loss and its derivative by every
//! token's log-probability out.
//!
//! # Convention
//! The `n` completions of one prompt carry weights `w_i` that are made to be *summed*, as
//! `bestof-estimators` gives them. With `P` prompts in a step,
//!
//! ```text
//! loss = 1/P sum_prompts [ sum_i w_i surrogate_i + 1/n sum_i (c_kl KL_i - c_H H_i) ]
//! ```
//!
//! and every quantity of a completion (`surrogate`, `KL`, `H`) is a sum over its tokens. Nothing
//! is divided by lengths. The weights are not averaged again; the penalties, which belong to the
//! expectation over completions and not to the estimator, are averaged over the `n` samples.

mod batch;
mod kl;
mod ratio;
mod terms;

pub use batch::{CompletionTokens, PolicyBatch};
pub use kl::KlEstimator;
pub use ratio::{Clip, RatioLevel};
pub use terms::{PolicyLoss, PolicyTerms, SampledCompletion};
