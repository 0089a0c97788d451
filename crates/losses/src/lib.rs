#![doc = include_str!("../README.md")]

#[cfg(feature = "burn")]
mod attach;
mod by_name;
mod error;
mod logistic;
mod name;
pub mod policy;
pub mod preference;
pub mod unpaired;

#[cfg(feature = "burn")]
pub use attach::{
    Attached, AttachedPolicy, AttachedUnpaired, PairConstants, UnpairedConstants, attach,
    attach_policy, attach_unpaired, with_gradient,
};
pub use by_name::LossParameters;
pub use error::LossError;
pub use name::LossName;
pub use policy::{
    Aggregation, Clip, CompletionTokens, KlEstimator, PolicyBatch, PolicyLoss, PolicyTerms,
    RatioLevel, SampledCompletion, Surrogate, truncated_sampler_weights,
};
pub use preference::{
    Averaging, Cdpo, Divergence, Dpo, Dpop, DpopCdpo, Hinge, Ipo, KtoPair, LengthFactors, Orpo,
    PairLogps, PreferenceLoss, PreferenceTerms, RobustDpo, SftMixed, Simpo, WeightedLoss,
    WeightedSum, length_desensitised, terms_of_batch,
};
pub use unpaired::{Kto, Label, UnpairedLogps, UnpairedTerms};
