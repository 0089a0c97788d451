//! Several ranks of a user verb under MPI, and the tests of them.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::user_verb;
use crate::workspace::of_workspace;

/// `mpi -n N [options of mpirun] VERB …`: builds `bestof` with MPI and starts it so many times.
pub(crate) fn run(features: &[String], args: &[String]) -> ExitCode {
    let outcome = Started::from_args(args).and_then(|started| {
        let mut features = features.to_vec();
        features.push("mpi".to_owned());
        features.extend(user_verb::wanted_feature(started.verb));
        let binary = user_verb::build(&features)?;
        let mut command = launcher(started.ranks)?;
        command.args(started.options).arg(binary).args(started.verb);
        command.env("BESTOF_INVOKED_AS", "cargo xtask");
        process::become_or_wait(&mut command).context("could not start mpirun")
    });
    user_verb::exit_code(outcome)
}

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
struct Started<'a> {
    ranks: &'a str,
    /// For `mpirun`, such as `--hostfile FILE`.
    options: &'a [String],
    verb: &'a [String],
}

impl<'a> Started<'a> {
    fn from_args(args: &'a [String]) -> Result<Self> {
        let usage = "mpi -n RANKS [options of mpirun --] VERB …, as in `cargo xtask mpi -n 2 prefer --config run.toml`";
        let (ranks, rest) = match args {
            [flag, ranks, rest @ ..] if ["-n", "-np"].contains(&flag.as_str()) => (ranks, rest),
            _ => anyhow::bail!("{usage}"),
        };
        ensure!(
            ranks.parse::<usize>().is_ok_and(|n| n > 0),
            "-n {ranks}: a number from 1; {usage}"
        );
        let (options, verb) = match rest.iter().position(|arg| arg == "--") {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (&rest[..0], rest),
        };
        ensure!(!verb.is_empty(), "{usage}");
        Ok(Self { ranks, options, verb })
    }
}

/// `mpirun` for so many ranks of this machine, more than it has processors if need be.
pub(crate) fn launcher(ranks: &str) -> Result<Command> {
    let missing = "there is no mpirun on the PATH; Debian's packages openmpi-bin, libopenmpi-dev and libclang-dev \
                   bring what ranks need";
    let version = Command::new("mpirun").arg("--version").output().context(missing)?;
    let mut command = Command::new("mpirun");
    command.args(["-n", ranks]);
    if String::from_utf8_lossy(&version.stdout).contains("Open MPI") {
        // Ranks that wait leave the processor to those that compute.
        command.args(["--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]);
        if is_root() {
            // Containers are seldom anyone else's.
            command.arg("--allow-run-as-root");
        }
    }
    Ok(command)
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    user.and_then(|ids| ids.split_whitespace().next()).is_some_and(|id| id == "0")
}

/// The tests of ranks under MPI. Nothing is installed; what is missing is named.
pub(crate) fn test(features: &[String]) -> Result<()> {
    launcher("1")?;
    let mut command = process::cargo();
    let mut features = features.to_vec();
    if !features.iter().any(|feature| feature == "mpi") {
        features.push("mpi".to_owned());
    }
    command.args(["test", "--release", "--workspace", "--test", "ranks"]);
    command.args(of_workspace(&features, &[]));
    process::step("tests of ranks", &mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_of_mpirun_stand_before_two_dashes() {
        let all = args("-n 4 --hostfile hosts -- prefer --config a.toml");
        let found = Started::from_args(&all).unwrap();
        assert_eq!((found.ranks, found.options, found.verb), ("4", &all[2..4], &all[5..]));
        let plain = args("-n 2 sft --config a.toml");
        let found = Started::from_args(&plain).unwrap();
        assert_eq!((found.options.len(), found.verb), (0, &plain[2..]));
        for wrong in ["", "-n", "-n 0 sft", "-n two sft", "sft", "-n 2", "-n 2 --hostfile a --"] {
            assert!(Started::from_args(&args(wrong)).is_err(), "{wrong}");
        }
    }
}
