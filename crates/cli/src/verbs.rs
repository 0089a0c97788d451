//! The verbs, one module each.

#[cfg(any(test, not(all(feature = "reviews", feature = "reproduce"))))]
mod absent;
mod convert;
mod estimate;
mod evaluate;
mod extend;
mod fetch;
mod generate;
mod inspect;
mod judge;
mod loss;
mod pairs;
mod parity;
mod puzzles;
mod quickstart;
mod report;
#[cfg(feature = "reproduce")]
mod reproduce;
mod rope;
mod score;
#[cfg(feature = "reviews")]
mod sentiment;
mod tokenize;
mod train;

use anyhow::Result;

/// Every verb of the program.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    Quickstart(quickstart::Quickstart),
    Fetch(fetch::Fetch),
    Convert(convert::Convert),
    Tokenize(tokenize::Tokenize),
    Loss(loss::Loss),
    Estimate(estimate::Estimate),
    Judge(judge::Judge),
    Rope(rope::Rope),
    Pairs(pairs::Pairs),
    Puzzles(puzzles::Puzzles),
    Inspect(inspect::Inspect),
    Score(score::Score),
    Generate(generate::Generate),
    Sft(train::Sft),
    Prefer(train::Prefer),
    Reinforce(train::Reinforce),
    Extend(extend::Extend),
    Evaluate(evaluate::Evaluate),
    #[cfg(feature = "reviews")]
    Sentiment(sentiment::Sentiment),
    /// Not in this program, which was built without the feature `reviews`
    #[cfg(not(feature = "reviews"))]
    Sentiment(absent::Absent),
    Parity(parity::Parity),
    #[cfg(feature = "reproduce")]
    Reproduce(reproduce::Reproduce),
    /// Not in this program, which was built without the feature `reproduce`
    #[cfg(not(feature = "reproduce"))]
    Reproduce(absent::Absent),
    Report(report::ReportVerb),
}

impl Verb {
    /// The name of a verb that is done by one process, even where several were started.
    pub(crate) fn alone(&self) -> Option<&'static str> {
        Some(match self {
            Self::Score(_)
            | Self::Generate(_)
            | Self::Sft(_)
            | Self::Prefer(_)
            | Self::Reinforce(_)
            | Self::Evaluate(_) => return None,
            Self::Extend(verb) => return verb.alone(),
            #[cfg(feature = "reviews")]
            Self::Sentiment(verb) => return verb.alone(),
            #[cfg(not(feature = "reviews"))]
            Self::Sentiment(_) => "sentiment",
            Self::Quickstart(_) => "quickstart",
            Self::Fetch(_) => "fetch",
            Self::Convert(_) => "convert",
            Self::Tokenize(_) => "tokenize",
            Self::Loss(_) => "loss",
            Self::Estimate(_) => "estimate",
            Self::Judge(_) => "judge",
            Self::Rope(_) => "rope",
            Self::Pairs(_) => "pairs",
            Self::Puzzles(_) => "puzzles",
            Self::Inspect(_) => "inspect",
            Self::Parity(_) => "parity",
            Self::Reproduce(_) => "reproduce",
            Self::Report(_) => "report",
        })
    }

    /// Does what the verb says.
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Quickstart(verb) => verb.run(),
            Self::Fetch(verb) => verb.run(),
            Self::Convert(verb) => verb.run(),
            Self::Tokenize(verb) => verb.run(),
            Self::Loss(verb) => verb.run(),
            Self::Estimate(verb) => verb.run(),
            Self::Judge(verb) => verb.run(),
            Self::Rope(verb) => verb.run(),
            Self::Pairs(verb) => verb.run(),
            Self::Puzzles(verb) => verb.run(),
            Self::Inspect(verb) => verb.run(),
            Self::Score(verb) => verb.run(),
            Self::Generate(verb) => verb.run(),
            Self::Sft(verb) => verb.run(),
            Self::Prefer(verb) => verb.run(),
            Self::Reinforce(verb) => verb.run(),
            Self::Extend(verb) => verb.run(),
            Self::Evaluate(verb) => verb.run(),
            #[cfg(feature = "reviews")]
            Self::Sentiment(verb) => verb.run(),
            #[cfg(not(feature = "reviews"))]
            Self::Sentiment(_) => absent::refused("sentiment", "reviews"),
            Self::Parity(verb) => verb.run(),
            #[cfg(feature = "reproduce")]
            Self::Reproduce(verb) => verb.run(),
            #[cfg(not(feature = "reproduce"))]
            Self::Reproduce(_) => absent::refused("reproduce", "reproduce"),
            Self::Report(verb) => verb.run(),
        }
    }
}
