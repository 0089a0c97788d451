#![doc = include_str!("../README.md")]

#[cfg(feature = "burn")]
mod attach;
mod by_name;
mod error;
mod logistic;
mod name;
pub mod policy;
pub mod preference;

#[cfg(feature = "burn")]
pub use attach::{Attached, AttachedPolicy, PairConstants, attach, attach_policy, with_gradient};
pub use by_name::LossParameters;
pub use error::LossError;
pub use name::LossName;
pub use policy::{
    Aggregation, Clip, CompletionTokens, KlEstimator, PolicyBatch, PolicyLoss, PolicyTerms,
    RatioLevel, SampledCompletion, Surrogate, truncated_sampler_weights,
};
pub use preference::{
    Averaging, Cdpo, Dpo, Dpop, DpopCdpo, Hinge, Ipo, KtoPair, Orpo, PairLogps, PreferenceLoss,
    PreferenceTerms, RobustDpo, Simpo, terms_of_batch,
};
