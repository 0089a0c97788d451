//! What can be wrong with a loss's name, its parameters or the numbers it is given.

use crate::LossName;

/// Why a loss could not be built or evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// No loss has this name.
    #[error("no preference loss is called `{found}`{}; the losses are {}", did_you_mean(*nearest), names())]
    UnknownLoss {
        /// The name that was asked for.
        found: String,
        /// The known name closest to it, if one is close.
        nearest: Option<LossName>,
    },
    /// `beta` is not a positive finite number.
    #[error("{loss}: beta must be a finite number above 0, got {found}")]
    Beta {
        /// The loss that was being built.
        loss: &'static str,
        /// The value that was given.
        found: f64,
    },
    /// `lambda` is negative or not finite.
    #[error("{loss}: lambda must be a finite number of at least 0, got {found}")]
    Lambda {
        /// The loss that was being built.
        loss: &'static str,
        /// The value that was given.
        found: f64,
    },
    /// `gamma` is negative or not finite.
    #[error("{loss}: gamma must be a finite number of at least 0, got {found}")]
    Gamma {
        /// The loss that was being built.
        loss: &'static str,
        /// The value that was given.
        found: f64,
    },
    /// `label_smoothing` lies outside the range in which the loss prefers the chosen answer.
    #[error(
        "{loss}: label_smoothing must be at least 0 and below 0.5, got {found}; it is the share of labels that are wrong"
    )]
    LabelSmoothing {
        /// The loss that was being built.
        loss: &'static str,
        /// The value that was given.
        found: f64,
    },
    /// `kto_z0` is not finite.
    #[error("{loss}: kto_z0 must be a finite number, got {found}")]
    ReferencePoint {
        /// The loss that was being built.
        loss: &'static str,
        /// The value that was given.
        found: f64,
    },
    /// The alpha of the alpha divergence lies outside its open range.
    #[error(
        "dpo: the alpha of the divergence must be above 0 and below 1, got {found}; its limits are reverse-kl at 0 and forward-kl at 1"
    )]
    DivergenceAlpha {
        /// The value that was given.
        found: f64,
    },
    /// `sft_alpha` is negative or not finite.
    #[error("{loss}: sft_alpha must be a finite number of at least 0, got {found}")]
    SftAlpha {
        /// The loss that was being mixed.
        loss: &'static str,
        /// The value that was given.
        found: f64,
    },
    /// `ld_alpha` lies outside `[0, 1]`.
    #[error("ld_alpha must be at least 0 and at most 1, got {found}")]
    LdAlpha {
        /// The value that was given.
        found: f64,
    },
    /// A sum of losses has no parts.
    #[error("a sum of losses needs at least one loss")]
    EmptySum,
    /// The weight of a part of a sum is not a positive finite number.
    #[error("{loss}: the weight in a sum must be a finite number above 0, got {found}")]
    SumWeight {
        /// The loss whose weight it is.
        loss: &'static str,
        /// The value that was given.
        found: f64,
    },
    /// The weight of a label is negative or not finite.
    #[error("kto: {field} must be a finite number of at least 0, got {found}")]
    ClassWeight {
        /// Which of the two weights.
        field: &'static str,
        /// The value that was given.
        found: f64,
    },
    /// A log-probability is NaN or infinite.
    #[error(
        "{field} is {found}; a log-probability must be finite (an empty completion or an overflow upstream gives such a value)"
    )]
    NotFinite {
        /// Which log-probability.
        field: &'static str,
        /// Its value.
        found: f64,
    },
    /// A loss that averages over tokens was given no token count.
    #[error(
        "{loss} averages over the tokens of each completion, but {field} is 0; give the number of completion tokens"
    )]
    ZeroLength {
        /// The loss that averages.
        loss: &'static str,
        /// Which of the two lengths.
        field: &'static str,
    },
    /// The rejected completion has probability 1, so that its odds are infinite.
    #[error(
        "orpo: the rejected completion has log-probability {found}, that is probability 1; its odds are infinite"
    )]
    InfiniteOdds {
        /// The average log-probability of the rejected completion.
        found: f64,
    },
    /// The inputs are finite, but the loss or a gradient is not.
    #[error(
        "{loss}: the loss or its gradient overflows for these log-probabilities (chosen {chosen}, rejected {rejected})"
    )]
    Overflow {
        /// The loss that overflowed.
        loss: &'static str,
        /// The policy's log-probability of the chosen completion.
        chosen: f64,
        /// The policy's log-probability of the rejected completion.
        rejected: f64,
    },
    /// The inputs are finite, but the loss of a labelled completion or its gradient is not.
    #[error(
        "kto: the loss or its gradient overflows for the log-probability {logp} and the reference's {ref_logp}"
    )]
    UnpairedOverflow {
        /// The policy's log-probability.
        logp: f64,
        /// The reference's log-probability.
        ref_logp: f64,
    },
    /// One pair of a batch cannot be evaluated.
    #[error("pair {index} of the batch: {source}")]
    InPair {
        /// Position in the batch, from 0.
        index: usize,
        /// What is wrong with that pair.
        source: Box<LossError>,
    },
    /// One completion of a batch cannot be evaluated.
    #[error("completion {index} of the batch: {source}")]
    InCompletion {
        /// Position in the batch, from 0.
        index: usize,
        /// What is wrong with that completion.
        source: Box<LossError>,
    },
    /// Lists that should have one entry a row differ in length.
    #[error("{found} entries of {what} for {expected} rows")]
    BatchSize {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many pairs or completions there are.
        expected: usize,
    },
    /// A setting of a policy-gradient loss is out of range.
    #[error("policy loss: {setting} must be {expected}, got {found}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// The value that was given.
        found: f64,
        /// What is allowed.
        expected: &'static str,
    },
    /// A setting of a policy-gradient loss names nothing known.
    #[error("`{found}` is not known as {setting}; known are {known}")]
    UnknownChoice {
        /// The setting.
        setting: &'static str,
        /// The name that was given.
        found: String,
        /// The names there are.
        known: &'static str,
    },
    /// A setting was given to something that does not read it.
    #[error("{by} does not read {setting}; leave it out")]
    NotRead {
        /// The setting.
        setting: &'static str,
        /// What does not read it.
        by: &'static str,
    },
    /// A token's sampler weight is negative, NaN or infinite.
    #[error(
        "the sampler weight of token {token} is {found}; it must be a finite number of at least 0"
    )]
    SamplerWeight {
        /// Position in the completion, from 0.
        token: usize,
        /// The weight that was given.
        found: f64,
    },
    /// Something that the loss reads was not given.
    #[error("the loss reads {field}, and none were given")]
    Missing {
        /// What is missing.
        field: &'static str,
    },
    /// A list has not one entry a token.
    #[error("{found} entries of {field} for {expected} tokens; give one each")]
    TokenCount {
        /// Which list.
        field: &'static str,
        /// Its length.
        found: usize,
        /// Tokens of the completion.
        expected: usize,
    },
    /// The inputs are finite, but the loss of a completion or its gradient is not.
    #[error(
        "the loss of a completion of log-probability {logprob} is not finite: the policy has moved too far from the one that sampled; lower the learning rate or the number of updates a batch"
    )]
    PolicyOverflow {
        /// Log-probability of the completion.
        logprob: f64,
    },
    /// A batch without pairs or completions has no loss.
    #[error("the batch is empty, so it has no loss")]
    EmptyBatch,
}

fn did_you_mean(nearest: Option<LossName>) -> String {
    nearest.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

fn names() -> String {
    LossName::ALL.map(LossName::as_str).join(", ")
}
