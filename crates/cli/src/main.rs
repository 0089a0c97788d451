//! `bestof`: one module per verb. A verb parses, calls a crate and prints; the maths is in the crates.

mod bounds;
mod console;
mod device;
mod fetch;
mod input;
mod model;
mod progress;
mod ranks;
mod signals;
mod verbs;

use std::process::ExitCode;
use std::sync::LazyLock;

use clap::Parser;

use crate::verbs::Verb;

/// Post-train language models: preference optimisation without forgetting, best-of-k, longer
/// context.
#[derive(Debug, Parser)]
#[command(name = "bestof", version = version(), arg_required_else_help = true)]
struct Cli {
    /// Say more: `-v` for steps, `-vv` for details. `RUST_LOG` sets it finely.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// No progress bars and no hints.
    #[arg(short, long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    verb: Verb,
}

/// The version of this build.
fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        version_with(&[
            ("parquet", cfg!(feature = "parquet")),
            ("reviews", cfg!(feature = "reviews")),
            ("reproduce", cfg!(feature = "reproduce")),
            ("zstd", cfg!(feature = "zstd")),
        ])
    });
    &VERSION
}

/// The version, and which of the default features a build lacks: `cargo xtask` reads that.
fn version_with(features: &[(&str, bool)]) -> String {
    let lacking = features.iter().filter(|(_, is_built)| !is_built);
    let lacking: Vec<&str> = lacking.map(|(name, _)| *name).collect();
    let version = env!("CARGO_PKG_VERSION");
    match &lacking[..] {
        [] => version.to_owned(),
        lacking => format!("{version}, without {}", lacking.join(", ")),
    }
}

#[global_allocator]
static ALLOCATOR: bestof_memory::TensorMemory = bestof_memory::TensorMemory;

fn main() -> ExitCode {
    bestof_memory::keep_freed();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            ranks::wait_for_the_first();
            return console::parse_outcome(&error);
        }
    };
    let joined = ranks::join(cli.verb.alone());
    console::init(cli.verbose, cli.quiet, ranks::is_first());
    let outcome =
        joined.and_then(|()| signals::listen()).and_then(|()| ranks::guarded(|| cli.verb.run()));
    let code = exit_code(&outcome);
    ranks::end(&outcome, signals::say);
    ExitCode::from(code)
}

fn exit_code(outcome: &anyhow::Result<()>) -> u8 {
    match outcome {
        Ok(()) => 0,
        Err(error) if signals::stopped(error) => signals::exit_code().unwrap_or(1),
        Err(error) if error.chain().any(<dyn std::error::Error>::is::<console::Usage>) => 2,
        Err(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::version_with;

    #[test]
    fn a_version_names_what_the_build_lacks() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(version_with(&[("parquet", true)]), version);
        let lacking = version_with(&[("parquet", false), ("a", true), ("reviews", false)]);
        assert_eq!(lacking, format!("{version}, without parquet, reviews"));
    }
}
