//! Verifiers: a completion in, a reward in a stated range out, with the reason.
//!
//! A verifier is made for one problem, from its answer. When it cannot judge a completion it says
//! so and gives the lowest reward of its range: an unreadable answer never pays.

mod choice;
mod countdown;
mod formula;
mod grid;
mod kind;
mod leftover;
mod math;
mod number;
mod program;
mod quantity;
mod text;
mod verification;

pub use choice::ChoiceVerifier;
pub use countdown::{CountdownReward, CountdownVerifier};
pub use grid::{GridReward, GridVerifier};
pub use kind::VerifierKind;
pub use math::MathVerifier;
pub use number::NumberVerifier;
pub use program::ProgramVerifier;
pub(crate) use program::check_range;
pub use text::{TextMatch, TextVerifier};
pub use verification::{Verification, VerificationOutcome, Verifier, VerifierError};
