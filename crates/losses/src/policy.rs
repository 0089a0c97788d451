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
//! and every quantity of a completion (`surrogate`, `KL`, `H`) is a sum over its tokens. The weights
//! are not averaged again; the penalties, which belong to the expectation over completions and not to
//! the estimator, are averaged over the `n` samples. Nothing is divided by lengths unless an
//! [`Aggregation`] says so: it gives each completion a scale, which multiplies its part of the
//! bracket, penalties included. A scale that depends on the completion's length changes the
//! objective.
//!
//! # Completions that are older than the policy
//! The ratios of a [`RatioLevel`] correct for the updates since the completions were sampled, as a
//! [`Surrogate`] bounds them; [`truncated_sampler_weights`] correct for a sampler that was another
//! distribution to begin with. Estimators whose weights depend on the policy, as off-policy max@k's
//! do, give a new `weight` at every update: the factor of a completion *without* its own ratio, which
//! comes with [`RatioLevel::Sequence`].

mod aggregation;
mod batch;
mod kl;
mod ratio;
mod sampler;
mod surrogate;
mod terms;

pub use aggregation::Aggregation;
pub use batch::{CompletionTokens, PolicyBatch};
pub use kl::KlEstimator;
pub use ratio::{Clip, RatioLevel};
pub use sampler::truncated_sampler_weights;
pub use surrogate::Surrogate;
pub use terms::{PolicyLoss, PolicyTerms, SampledCompletion};
