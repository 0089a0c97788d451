//! Retrieval tasks that need a long input, and how their answers are scored.
//!
//! The three tasks of Giraffe (arXiv 2308.10882) and the usual smoke test: [`lines`] hides one
//! value in a record of lines, [`qa`] hides the answer to a question in documents (with the number
//! altered, so that a memorised answer is wrong), [`passkey`] hides a number in filler text. Each
//! produces [`RetrievalCase`]s: a prompt of a given length with the answer at a given depth, and a
//! scoring rule. A [`Suite`] makes them for lengths × depths, one at a time. [`ruler`] has the tasks of RULER.
//!
//! ```
//! use bestof_tasks::long_context::{
//!     Depths, QaSource, RetrievalTask, Suite, SuiteConfig, count_words,
//! };
//!
//! let config = SuiteConfig::new(RetrievalTask::AlteredNumericQa)
//!     .lengths(vec![200, 400])
//!     .depths(Depths::At(vec![0.0, 0.5, 1.0]))
//!     .cases_per_cell(2);
//! let mut suite = Suite::new(config, QaSource::Invented, &count_words)?;
//! for case in suite.by_ref() {
//!     let case = case?;
//!     assert!(count_words(case.prompt.last_text()) <= case.length_target.unwrap());
//!     assert!(case.score(&format!("It was {}.", case.answers[0])).correct);
//! }
//! assert!(suite.short_cells().is_empty(), "{}", suite.skips());
//! # Ok::<(), bestof_tasks::long_context::LongContextError>(())
//! ```
//!
//! Lengths are counted by the caller's [`TokenCounter`], so no tokenizer is needed here.

mod case;
pub mod documents;
mod error;
mod length;
pub mod lines;
mod numbers;
pub mod passkey;
mod position;
pub mod qa;
pub mod ruler;
mod score;
mod skip;
mod suite;
mod whole_prompt;

pub use case::{RetrievalCase, RetrievalTask};
pub use error::LongContextError;
pub use length::{MAX_LENGTH, TokenCounter, count_words};
pub use position::{DepthTarget, Placement, QuestionPosition, Variant};
pub use qa::QaSource;
pub use score::{AnswerRule, Score};
pub use skip::{Skip, SkipReason, Skips};
pub use suite::{Cell, Depths, ShortCell, Suite, SuiteConfig, build};
pub use whole_prompt::WholePromptRow;
