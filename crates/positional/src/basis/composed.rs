//! A second scaling on top of a model's own.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::linear::divide;
use super::power::raise;
use crate::{Randomized, RopeBasis, RopeError, RopeScaling, RotaryShape, XPos};

/// The frequencies of one basis, scaled again by a rule that acts on frequencies.
///
/// `then` is linear, power, truncated or their combination; these read a table and return a table,
/// so they can stand on any other basis. Attention factor, decay and drawn positions are `first`'s.
/// [`crate::RopeConfig::extend`] makes one where it is told to compose.
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    /// The scaling the model came with.
    pub first: Box<RopeScaling>,
    /// The scaling put on top.
    pub then: Box<RopeScaling>,
}

impl Composed {
    /// Whether a rule can stand on another one's table.
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

/// Applies a rule to a table, up to the point where truncation would follow.
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
            thresholds.cut(&mut table);
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
