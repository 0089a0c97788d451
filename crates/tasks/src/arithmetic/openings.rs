//! The situations a word problem can begin with.

mod measures;
mod money;
mod people;
mod things;

use super::story::{Quantity, Story};

/// A situation, with the numbers of steps it can be told in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    pub(super) name: &'static str,
    pub(super) steps: &'static [usize],
    pub(super) tell: fn(&mut Story, usize) -> Quantity,
}

/// Every situation.
pub(super) const ALL: [&[Opening]; 4] =
    [money::OPENINGS, things::OPENINGS, measures::OPENINGS, people::OPENINGS];
