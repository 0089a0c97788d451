//! RULER (arXiv 2404.06654): needles in a haystack, variable tracking, common and frequent words.
//!
//! Prompts have the wording and the numbers of the published `synthetic.yaml`
//! ([NVIDIA/RULER](https://github.com/NVIDIA/RULER)): what is hidden, how often, and how many tokens may be
//! answered. Words are from lists of our own, and where RULER takes the essays of Paul Graham a haystack is
//! running text of ours or of the caller's ([`Essay`]). Keys, values and names of a prompt are all
//! different, and no answer occurs in its haystack, which RULER leaves to chance.
//!
//! ```
//! use bestof_tasks::long_context::count_words;
//! use bestof_tasks::long_context::ruler::{RulerConfig, RulerSuite, RulerTask};
//!
//! let config = RulerConfig::new(vec![RulerTask::NiahMultivalue]).lengths(vec![600]).cases(2);
//! for case in RulerSuite::new(config, &count_words)? {
//!     let case = case?;
//!     let said = format!("They are {}.", case.outputs[..3].join(", "));
//!     assert_eq!(case.score(&said), 0.75); // three of the four values
//! }
//! # Ok::<(), bestof_tasks::long_context::LongContextError>(())
//! ```
//!
//! The question answering of RULER (`qa_1`, `qa_2`) is read from rows ([`RulerRow`]) and not generated:
//! [`qa`](super::qa) makes questions about documents.

mod case;
mod coded_words;
mod common_words;
mod essay;
mod filling;
mod matching;
mod needles;
mod row;
mod suite;
mod task;
mod values;
mod variables;

pub use case::RulerCase;
pub use essay::Essay;
pub use matching::{Matching, printable};
pub use row::RulerRow;
pub use suite::{RulerConfig, RulerSuite};
pub use task::RulerTask;
