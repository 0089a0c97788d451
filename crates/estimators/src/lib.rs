#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod baseline;
mod by_pass_rate;
mod centred;
mod error;
mod estimate;
mod estimator;
mod interval;
mod k_schedule;
mod max_at_k;
mod numerics;
mod off_policy;
mod order;
mod pass_at_k;
mod pkpo;
mod transform;
mod workspace;

pub use baseline::{GroupMean, Grpo, MaxAtN, Normalization, Reinforce, Rloo};
pub use by_pass_rate::ByPassRate;
pub use centred::{Centred, Harmonic};
pub use error::EstimatorError;
pub use estimate::{Estimate, OffPolicyEstimate, estimate, estimate_off_policy, estimate_with};
pub use estimator::Estimator;
pub use interval::{
    Interval, mean_pass_at_k, mean_proportion, mean_with_interval, proportion_interval,
};
pub use k_schedule::{KSchedule, Schedule, UntilStall, UntilThreshold};
pub use max_at_k::{max_at_k, max_at_k_with};
pub use numerics::MAX_REWARD;
pub use off_policy::{OffPolicy, OffPolicyValue, OffPolicyWorkspace, Ratios, off_policy_max_at_k};
pub use pass_at_k::{pass_at_k, pass_at_k_variance};
pub use pkpo::{Binary, Loo, LooMinusOne, Plain};
pub use transform::{RewardTransform, Target};
pub use workspace::Workspace;
