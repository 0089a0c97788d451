//! Verbs whose feature was left out of the build: listed, and refused by name.

use std::ffi::OsString;

use anyhow::{Result, bail};

/// Whatever was meant for the verb, its `--help` included.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Absent {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _unread: Vec<OsString>,
}

/// The error of a verb that is not there.
pub(super) fn refused(verb: &str, feature: &str) -> Result<()> {
    bail!(
        "`{verb}` is not in this program, which was built without the feature `{feature}`; `cargo xtask {verb}` builds \
         it in, and so does `cargo install --path crates/cli`"
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Absent, refused};

    #[derive(Parser)]
    struct Program {
        #[arg(short, long, global = true)]
        quiet: bool,
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(clap::Subcommand)]
    enum Verb {
        Sentiment(Absent),
    }

    #[test]
    fn an_absent_verb_is_known_whatever_follows_and_refused_with_what_brings_it() {
        for line in ["", "train --model svm", "--help", "-h", "--quiet train --lambda=2 -- x"] {
            let words = ["bestof", "sentiment"].into_iter().chain(line.split_whitespace());
            let program = Program::try_parse_from(words).map_err(|error| error.to_string());
            assert!(matches!(program.unwrap().verb, Verb::Sentiment(_)), "{line}");
        }
        let message = refused("sentiment", "reviews").unwrap_err().to_string();
        for part in ["`sentiment`", "`reviews`", "`cargo xtask sentiment`"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
