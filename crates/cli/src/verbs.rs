//! The verbs, one module each.

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
mod reproduce;
mod rope;
mod score;
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
    Sentiment(sentiment::Sentiment),
    Parity(parity::Parity),
    Reproduce(reproduce::Reproduce),
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
            Self::Sentiment(verb) => return verb.alone(),
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
            Self::Sentiment(verb) => verb.run(),
            Self::Parity(verb) => verb.run(),
            Self::Reproduce(verb) => verb.run(),
            Self::Report(verb) => verb.run(),
        }
    }
}
