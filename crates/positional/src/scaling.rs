//! All rules as one type that can be stored, compared and built, compositions included.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::basis::linear::divide;
use crate::basis::power::raise;
use crate::{
    DroPe, DynamicNtk, Linear, Llama3, LongRope, NoPe, Ntk, Power, PowerTruncated, Proportional,
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
    /// `nope`; exported as `longrope`.
    NoPe(NoPe),
    /// `drope`; exported as `longrope`.
    DroPe(DroPe),
    /// `composed`: a scaling on top of the model's own.
    Composed(Composed),
}

impl RopeScaling {
    /// The rule as a trait object.
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
            Self::NoPe(rule) => rule,
            Self::DroPe(rule) => rule,
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

    /// The truncation thresholds of the rule, if it truncates.
    pub(crate) fn thresholds(&self) -> Option<&Thresholds> {
        match self {
            Self::Truncated(rule) => Some(&rule.thresholds),
            Self::PowerTruncated(rule) => Some(&rule.thresholds),
            _ => None,
        }
    }

    /// The length of pre-training that is a parameter of the rule, in tokens, if it has one.
    pub fn original_max_position_embeddings(&self) -> Option<usize> {
        match self {
            Self::Dynamic(rule) => Some(rule.original_max_position_embeddings),
            Self::Yarn(rule) => Some(rule.original_max_position_embeddings),
            Self::Llama3(rule) => Some(rule.original_max_position_embeddings),
            Self::LongRope(rule) => Some(rule.original_max_position_embeddings),
            Self::DroPe(rule) => Some(rule.original_max_position_embeddings),
            Self::Composed(rule) => rule.first.original_max_position_embeddings(),
            _ => None,
        }
    }

    /// How many times longer the rule makes the context; `None` for a rule without a factor.
    pub fn factor(&self) -> Option<f64> {
        match self {
            Self::Default | Self::XPos(_) | Self::NoPe(_) => None,
            Self::Linear(rule) => Some(rule.factor),
            Self::Ntk(rule) => Some(rule.factor),
            Self::Dynamic(rule) => Some(rule.factor),
            Self::Yarn(rule) => Some(rule.factor),
            Self::Llama3(rule) => Some(rule.factor),
            Self::LongRope(rule) => rule.factor,
            Self::Proportional(rule) => Some(rule.factor),
            Self::Power(rule) => Some(rule.factor),
            Self::Truncated(rule) => Some(rule.factor),
            Self::PowerTruncated(rule) => Some(rule.factor),
            Self::Randomized(rule) => Some(rule.factor),
            Self::DroPe(rule) => Some(rule.factor),
            Self::Composed(rule) => match (rule.first.factor(), rule.then.factor()) {
                (Some(first), Some(then)) => Some(first * then),
                (first, then) => first.or(then),
            },
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

/// The frequencies of one basis, scaled again by a rule that acts on frequencies.
///
/// `then` is linear, power, truncated or their combination; these read a table and return a table,
/// so they can follow any other basis. Attention factor, decay and drawn positions are `first`'s.
/// [`crate::RopeConfig::extend`] makes one for [`crate::OnScaled::Compose`].
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    /// The scaling applied first, the model's own.
    pub first: Box<RopeScaling>,
    /// The scaling applied to the result.
    pub then: Box<RopeScaling>,
}

impl Composed {
    /// Whether a rule can be applied to another one's table.
    pub(crate) fn can_follow(rule: &RopeScaling) -> bool {
        matches!(
            rule,
            RopeScaling::Linear(_)
                | RopeScaling::Power(_)
                | RopeScaling::Truncated(_)
                | RopeScaling::PowerTruncated(_)
        )
    }
}

/// Applies a rule to a table, without its truncation.
fn scale(rule: &RopeScaling, table: &mut [f64], shape: &RotaryShape) {
    match rule {
        RopeScaling::Linear(rule) => divide(table, rule.factor),
        RopeScaling::Truncated(rule) => divide(table, rule.factor),
        RopeScaling::Power(rule) => {
            divide(table, rule.factor);
            raise(table, rule.power, shape);
        }
        RopeScaling::PowerTruncated(rule) => {
            divide(table, rule.factor);
            raise(table, rule.power, shape);
        }
        _ => {}
    }
}

impl RopeBasis for Composed {
    fn rope_type(&self) -> &'static str {
        "composed"
    }

    fn check(&self, shape: &RotaryShape) -> Result<(), RopeError> {
        self.first.check(shape)?;
        if !Self::can_follow(&self.then) {
            let (current, requested) = (self.first.rope_type(), self.then.rope_type());
            return Err(RopeError::CannotCompose { current, requested });
        }
        self.then.check(shape)?;
        if let Some(thresholds) = self.then.thresholds() {
            for length in self.first.probe_lengths() {
                let mut table = self.first.inv_freq(shape, length);
                scale(&self.then, &mut table, shape);
                thresholds.check(self.rope_type(), &table)?;
            }
        }
        Ok(())
    }

    fn inv_freq(&self, shape: &RotaryShape, seq_len: usize) -> Vec<f64> {
        let mut table = self.first.inv_freq(shape, seq_len);
        scale(&self.then, &mut table, shape);
        if let Some(thresholds) = self.then.thresholds() {
            thresholds.truncate(&mut table);
        }
        table
    }

    fn attention_factor(&self) -> f64 {
        self.first.attention_factor()
    }

    fn length_key(&self, seq_len: usize) -> usize {
        self.first.length_key(seq_len)
    }

    fn probe_lengths(&self) -> Vec<usize> {
        self.first.probe_lengths()
    }

    fn decay(&self) -> Option<&XPos> {
        self.first.decay()
    }

    fn training_positions(&self) -> Option<&Randomized> {
        self.first.training_positions()
    }
}
