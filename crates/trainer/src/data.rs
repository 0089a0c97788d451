//! From lines of JSON to token ids: reading, encoding, checking and ordering training data.
//!
//! # Shapes
//! TRL's: `{"prompt", "chosen", "rejected"}`, `{"prompt", "completion"}`, the same with a `"label"`,
//! `{"text"}` (or `{"messages"}`) and `{"prompt", "answer"}`. A value is a string, or a list of chat messages that
//! the model's own template renders. Without `prompt`, a pair's prompt is what its two answers
//! begin with (see [`PreferenceRow`](bestof_tasks::rows::PreferenceRow)).
//!
//! # The boundary rule
//! The ids of a prompt are those of the prompt alone, with the tokens that the tokenizer puts
//! before every text: what the model is given when it has to answer. The ids of a completion are
//! those that follow them in the whole text `prompt + completion`. Where the tokenizer merges the
//! prompt's end with the completion's beginning (a prompt that ends in a space, mostly), the whole
//! text does not begin with the prompt's ids; then the completion's ids are those of the completion
//! alone, so that the prompt stays what the model will be given and no character is lost or
//! counted twice. Such completions are counted ([`Boundary::Separate`]). The rule is the same for
//! training, scoring and inspection.
//!
//! # First and last tokens
//! A beginning-of-text token comes from the tokenizer's own post-processor, and never twice: text
//! that already begins with it is left alone, and rendered conversations get none, as the template
//! writes it where the model expects it. An end-of-text token is appended to plain completions in
//! training, not in scoring; a conversation ends as its template ends a turn.
//!
//! # The loss mask
//! The trained tokens are the completion's by *position*, never by token id: an end-of-text token
//! that doubles as padding is learned like every other.

mod edit;
mod encoded;
mod encoder;
mod error;
mod inspect;
mod load;
mod mix;
mod options;
mod order;
mod report;
#[cfg(test)]
mod tests;
mod windows;

pub use edit::{edit_distance, normalised_edit_distance};
pub use encoded::{
    Boundary, DropReason, EncodedCompletion, EncodedLabelled, EncodedPair, EncodedRow,
};
pub use encoder::Encoder;
pub use error::DataError;
pub use inspect::{
    AnswerView, BadLine, Colour, Counts, Dropped, Duplicates, EditDistances, Example, Inspection,
    LengthSummary, Lengths, Match, Sharing, TokenChecks, TokenView, inspect, inspect_from,
};
pub(crate) use load::load_each;
pub use load::{
    Loaded, load_labelled, load_labelled_from, load_pairs, load_pairs_from, load_rows,
    load_rows_from, load_supervised, load_supervised_from,
};
pub use mix::Mix;
pub use options::{EncodeOptions, Refusal, Truncation};
pub use order::{DataOrder, OrderState};
pub use report::{DataReport, DropCount};
pub use windows::{TextWindows, load_windows};
