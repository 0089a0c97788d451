//! Every rule as one value that can be stored, compared and built.

use alloc::vec::Vec;

use crate::{
    Composed, DynamicNtk, Linear, Llama3, LongRope, Ntk, Power, PowerTruncated, Proportional,
    Randomized, RopeBasis, RopeError, RotaryShape, Thresholds, Truncated, Unscaled, XPos, Yarn,
};

/// A published rule with its parameters.
///
/// With feature `serde` it is read and written as a map with `rope_type` and the parameters of
/// [`crate::RopeParams`]; unknown keys are errors there.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum RopeScaling {
    /// `default`.
    #[default]
    Default,
    /// `linear`.
    Linear(Linear),
    /// `ntk`; exported as `default` with a larger base.
    Ntk(Ntk),
    /// `dynamic`.
    Dynamic(DynamicNtk),
    /// `yarn`.
    Yarn(Yarn),
    /// `llama3`.
    Llama3(Llama3),
    /// `longrope`.
    LongRope(LongRope),
    /// `proportional`.
    Proportional(Proportional),
    /// `power`; exported as `longrope`.
    Power(Power),
    /// `truncated`; exported as `longrope`.
    Truncated(Truncated),
    /// `power_truncated`; exported as `longrope`.
    PowerTruncated(PowerTruncated),
    /// `xpos`; cannot be exported.
    XPos(XPos),
    /// `randomized`; cannot be exported.
    Randomized(Randomized),
    /// `composed`: a scaling on top of the model's own.
    Composed(Composed),
}

impl RopeScaling {
    /// The rule itself.
    pub fn as_basis(&self) -> &dyn RopeBasis {
        match self {
            Self::Default => &Unscaled,
            Self::Linear(rule) => rule,
            Self::Ntk(rule) => rule,
            Self::Dynamic(rule) => rule,
            Self::Yarn(rule) => rule,
            Self::Llama3(rule) => rule,
            Self::LongRope(rule) => rule,
            Self::Proportional(rule) => rule,
            Self::Power(rule) => rule,
            Self::Truncated(rule) => rule,
            Self::PowerTruncated(rule) => rule,
            Self::XPos(rule) => rule,
            Self::Randomized(rule) => rule,
            Self::Composed(rule) => rule,
        }
    }

    /// Whether Hugging Face transformers 5 knows this `rope_type`.
    pub fn is_known_to_transformers(&self) -> bool {
        matches!(
            self,
            Self::Default
                | Self::Linear(_)
                | Self::Dynamic(_)
                | Self::Yarn(_)
                | Self::Llama3(_)
                | Self::LongRope(_)
                | Self::Proportional(_)
        )
    }

    /// Where the rule cuts, if it does.
    pub(crate) fn thresholds(&self) -> Option<&Thresholds> {
        match self {
            Self::Truncated(rule) => Some(&rule.thresholds),
            Self::PowerTruncated(rule) => Some(&rule.thresholds),
            _ => None,
        }
    }

    /// The length of pre-training the rule carries, if it carries one.
    pub fn original_max_position_embeddings(&self) -> Option<usize> {
        match self {
            Self::Dynamic(rule) => Some(rule.original_max_position_embeddings),
            Self::Yarn(rule) => Some(rule.original_max_position_embeddings),
            Self::Llama3(rule) => Some(rule.original_max_position_embeddings),
            Self::LongRope(rule) => Some(rule.original_max_position_embeddings),
            Self::Composed(rule) => rule.first.original_max_position_embeddings(),
            _ => None,
        }
    }
}

impl RopeBasis for RopeScaling {
    fn rope_type(&self) -> &'static str {
        self.as_basis().rope_type()
    }

    fn check(&self, shape: &RotaryShape) -> Result<(), RopeError> {
        self.as_basis().check(shape)
    }

    fn inv_freq(&self, shape: &RotaryShape, seq_len: usize) -> Vec<f64> {
        self.as_basis().inv_freq(shape, seq_len)
    }

    fn attention_factor(&self) -> f64 {
        self.as_basis().attention_factor()
    }

    fn length_key(&self, seq_len: usize) -> usize {
        self.as_basis().length_key(seq_len)
    }

    fn probe_lengths(&self) -> Vec<usize> {
        self.as_basis().probe_lengths()
    }

    fn decay(&self) -> Option<&XPos> {
        self.as_basis().decay()
    }

    fn training_positions(&self) -> Option<&Randomized> {
        self.as_basis().training_positions()
    }
}
