//! Errors of rewards, counts, k and buffers.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use crate::estimator::Estimator;
use crate::numerics::MAX_REWARD;

/// What an estimator rejects, with the values that caused it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EstimatorError {
    /// `k` is zero: the best of no samples is not defined.
    ZeroK,
    /// The estimator needs a larger `k` (leave-one-out-minus-one takes a maximum over `k - 1`).
    KTooSmall {
        /// The estimator's name.
        estimator: &'static str,
        /// The `k` that was asked for.
        k: usize,
        /// The smallest `k` that is defined.
        min: usize,
    },
    /// `k` exceeds the number of samples; no unbiased estimate exists then.
    KExceedsSamples {
        /// The `k` that was asked for.
        k: usize,
        /// Samples in the group.
        n: usize,
    },
    /// More correct samples than samples.
    CorrectExceedsSamples {
        /// Correct samples.
        c: usize,
        /// Samples in the group.
        n: usize,
    },
    /// The group is too small for the estimator's baseline.
    TooFewSamples {
        /// The estimator's name.
        estimator: &'static str,
        /// The smallest group it is defined for.
        needed: usize,
        /// Samples in the group.
        n: usize,
    },
    /// A reward is NaN or infinite.
    NonFiniteReward {
        /// Its index.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// A reward's magnitude exceeds [`MAX_REWARD`](crate::MAX_REWARD), where differences overflow.
    RewardTooLarge {
        /// Its index.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// A reward of the binary estimator is neither 0 nor 1.
    NotBinary {
        /// Its index.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// The buffer for the weights has another length than the rewards.
    WrongBufferLength {
        /// The number of rewards.
        expected: usize,
        /// The length of the buffer.
        found: usize,
    },
    /// Offsets of a batch do not start at 0, or decrease.
    BadOffset {
        /// Index within the offsets.
        index: usize,
        /// The value found.
        found: usize,
        /// The smallest valid value; offset 0 must be exactly 0.
        expected_at_least: usize,
    },
    /// Offsets of a batch do not end at the number of rewards.
    OffsetsEnd {
        /// The number of rewards.
        expected: usize,
        /// The last offset, 0 if there is none.
        found: usize,
    },
    /// One group of a batch was rejected.
    InGroup {
        /// Which group, counted from 0.
        group: usize,
        /// Why; its indices count from the start of the group.
        source: Box<EstimatorError>,
    },
    /// The epsilon of [`Grpo`](crate::Grpo) is negative, NaN or infinite.
    BadEpsilon {
        /// The value found.
        value: f64,
    },
    /// The order of [`Harmonic`](crate::Harmonic) is zero: the sum would be empty.
    ZeroOrder,
    /// An order was given to an estimator that has none.
    OrderNotUsed {
        /// The estimator's name.
        estimator: &'static str,
    },
    /// The number of ratios differs from that of the rewards.
    RatioCount {
        /// The number of rewards.
        rewards: usize,
        /// The number of ratios.
        ratios: usize,
    },
    /// A log-ratio is NaN or positive infinity.
    BadLogRatio {
        /// Its index.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// A ratio is NaN, infinite or negative.
    BadRatio {
        /// Its index.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// The largest product of ratios that may occur, times the largest reward, is beyond `exp(700)`.
    ProductTooLarge {
        /// The index of the largest ratio.
        index: usize,
        /// Its logarithm.
        log_ratio: f64,
        /// Ratios in a product.
        k: usize,
    },
    /// No `k` of the other samples have a product of ratios above the smallest normal number, so
    /// that the baseline of `centred` and `harmonic` is not defined.
    NoOverlap {
        /// The sample that lacks a baseline.
        index: usize,
        /// Ratios in a product.
        k: usize,
    },
    /// The cap of the partners' ratios is not a positive finite number.
    BadCap {
        /// The value found.
        value: f64,
    },
    /// A cap was given to an estimator whose weights have no ratios of other samples.
    CapNotUsed {
        /// The estimator's name.
        estimator: &'static str,
    },
    /// The estimator has no unbiased off-policy form here.
    NotOffPolicy {
        /// The estimator's name.
        estimator: &'static str,
        /// What to do about it.
        instead: &'static str,
    },
    /// There is no value to average.
    NoValues,
    /// A value that must be a proportion lies outside `[0, 1]`.
    NotAProportion {
        /// Its index.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// No estimator has this name.
    UnknownEstimator(
        /// The name that was given.
        String,
    ),
}

impl fmt::Display for EstimatorError {
    #[expect(clippy::too_many_lines, reason = "a sentence for each variant")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroK => write!(f, "k is 0: choose k from 1 to the number of samples"),
            Self::KTooSmall { estimator, k, min } => {
                write!(
                    f,
                    "`{estimator}` needs k of at least {min}, found {k}: raise k, or use `rloo` for k = 1"
                )
            }
            Self::KExceedsSamples { k, n } => {
                write!(f, "k = {k} exceeds the {n} samples: draw at least {k} samples or lower k")
            }
            Self::CorrectExceedsSamples { c, n } => {
                write!(f, "{c} correct out of {n} samples: the counts are swapped or wrong")
            }
            Self::TooFewSamples { estimator, needed, n } => {
                write!(
                    f,
                    "`{estimator}` needs at least {needed} samples per group, found {n}: draw more samples or lower k"
                )
            }
            Self::NonFiniteReward { index, value } => {
                write!(f, "reward {index} is {value}: every reward must be a finite number")
            }
            Self::RewardTooLarge { index, value } => {
                write!(f, "reward {index} is {value:e}: scale rewards to below {MAX_REWARD:e}")
            }
            Self::NotBinary { index, value } => {
                write!(
                    f,
                    "reward {index} is {value}: `binary` takes 0 and 1 only, use `plain` for other rewards"
                )
            }
            Self::WrongBufferLength { expected, found } => {
                write!(f, "the buffer for weights holds {found}, but there are {expected} rewards")
            }
            Self::BadOffset { index: 0, found, .. } => {
                write!(f, "offset 0 is {found}: offsets must start at 0")
            }
            Self::BadOffset { index, found, expected_at_least } => {
                write!(
                    f,
                    "offset {index} is {found}: offsets must not decrease, expected at least {expected_at_least}"
                )
            }
            Self::OffsetsEnd { expected, found } => {
                write!(
                    f,
                    "offsets end at {found}, but there are {expected} rewards: the last offset must be their number"
                )
            }
            Self::InGroup { group, source } => write!(f, "group {group}: {source}"),
            Self::BadEpsilon { value } => {
                write!(f, "epsilon is {value}: choose a finite number that is not negative")
            }
            Self::ZeroOrder => write!(f, "the order is 0: choose an order from 1 to n - 1"),
            Self::OrderNotUsed { estimator } => {
                write!(f, "`{estimator}` has no order: only `harmonic` does")
            }
            Self::RatioCount { rewards, ratios } => {
                write!(f, "{ratios} ratios for {rewards} rewards: give one ratio per reward")
            }
            Self::BadLogRatio { index, value } => write!(
                f,
                "log-ratio {index} is {value}: it must be a number below infinity, \
                 the log-probability under the policy minus that under the sampler"
            ),
            Self::BadRatio { index, value } => {
                write!(f, "ratio {index} is {value}: a ratio is finite and not negative")
            }
            Self::ProductTooLarge { index, log_ratio, k } => write!(
                f,
                "log-ratio {index} is {log_ratio}: products of {k} ratios and a reward may exceed exp(700); \
                 the policy is too far from the sampler, or the ratios are wrong"
            ),
            Self::NoOverlap { index, k } => write!(
                f,
                "sample {index} has no baseline: the product of any {k} ratios of the other samples is 0; \
                 `loo-minus-one` and `rloo` need none of it"
            ),
            Self::BadCap { value } => {
                write!(f, "the cap is {value}: choose a positive finite number")
            }
            Self::CapNotUsed { estimator } => write!(
                f,
                "`{estimator}` uses no ratio but the sample's own: there is nothing to cap"
            ),
            Self::NotOffPolicy { estimator, instead } => {
                write!(f, "`{estimator}` has no off-policy form: {instead}")
            }
            Self::NoValues => write!(f, "nothing to average: give at least one value"),
            Self::NotAProportion { index, value } => {
                write!(f, "value {index} is {value}: a proportion lies between 0 and 1")
            }
            Self::UnknownEstimator(name) => {
                write!(f, "no estimator is called `{name}`; there are:")?;
                for (i, estimator) in Estimator::ALL.iter().enumerate() {
                    write!(f, "{} {estimator}", if i == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

impl core::error::Error for EstimatorError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::InGroup { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}
