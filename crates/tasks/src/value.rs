//! Mathematical answers as values: numbers, relations, intervals, sets, tuples, matrices.

mod amount;
mod brackets;
mod compare;
mod names;
mod read;
mod relations;

pub(crate) use compare::same;
pub(crate) use names::is_name;
pub(crate) use read::{option_label, readings};

use crate::algebra::Expression;
use crate::latex::{Token, spelled};
use crate::units::Unit;

/// Largest number of parts that are compared.
pub(crate) const MAX_PARTS: usize = 50;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    /// What it is the value of, as in `x = 5`, if that is a symbol.
    pub(crate) name: Option<String>,
    /// Its tokens, spelled out: equal spellings are equal answers.
    pub(crate) text: String,
    /// The sign and `left - right` if it was written as an equation or inequality.
    pub(crate) relation: Option<(char, Expression)>,
    /// What it is.
    pub(crate) kind: Kind,
}

/// The kinds of answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A number or an expression with what belongs to it.
    Amount(Amount),
    /// Parts in order between brackets: a tuple or an interval.
    Sequence {
        /// `(` or `[`.
        open: char,
        /// The parts; the ends of an interval.
        parts: Vec<Value>,
        /// `)` or `]`.
        close: char,
    },
    /// Parts in any order: a set or a list.
    Set(Vec<Value>),
    /// A union of sets, in any order.
    Union(Vec<Value>),
    /// Another operation on sets, in order.
    Operation(char, Vec<Value>),
    /// `a : b`, also a time of day.
    Ratio(Vec<Value>),
    /// A matrix by rows, or a determinant.
    Matrix {
        /// The environment.
        kind: &'static str,
        /// The cells.
        rows: Vec<Vec<Value>>,
    },
    /// An equation or inequality, as what is compared with zero.
    Relation {
        /// `=`, `<`, `≤` or `≠`.
        sign: char,
        /// `left - right`.
        difference: Expression,
    },
    /// `x ≠ a`.
    Not(Box<Value>),
    /// Words.
    Text,
}

/// A number or expression, and its percent sign and unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Amount {
    /// The number.
    pub(crate) expression: Expression,
    /// Whether a percent sign follows it.
    pub(crate) percent: bool,
    /// The unit, if it is a known one.
    pub(crate) unit: Option<Unit>,
    /// A modulus or a half of the day, spelled out: different ones make different answers.
    pub(crate) qualifier: Option<String>,
}

impl Value {
    /// The value of these tokens that is nothing but `kind`.
    fn of(tokens: &[Token], kind: Kind) -> Self {
        Self { name: None, text: spelled(tokens), relation: None, kind }
    }

    /// Whether no part of it is words alone.
    pub(crate) fn is_mathematical(&self) -> bool {
        match &self.kind {
            Kind::Text => false,
            Kind::Amount(_) | Kind::Relation { .. } => true,
            Kind::Not(value) => value.is_mathematical(),
            Kind::Sequence { parts, .. }
            | Kind::Set(parts)
            | Kind::Union(parts)
            | Kind::Operation(_, parts)
            | Kind::Ratio(parts) => parts.iter().all(Self::is_mathematical),
            Kind::Matrix { rows, .. } => rows.iter().flatten().all(Self::is_mathematical),
        }
    }
}
