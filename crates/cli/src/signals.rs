//! Ctrl-C, SIGTERM and SIGUSR1: a training run ends its step and saves, everything else ends at once.

use std::ffi::{OsStr, OsString};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use anyhow::Result;
use bestof_trainer::TrainError;
use bestof_trainer::communicator::Launch;

use crate::console;
use crate::ranks::{of_run, ranks};

/// The signal that a training run was told to stop by; 0 while there is none.
static HEARD: AtomicI32 = AtomicI32::new(0);
/// Whether a run makes steps, after each of which it looks.
static STEPPING: AtomicBool = AtomicBool::new(false);

/// Added to a signal's number in an exit code, as shells do.
const ENDED_BY: i32 = 128;
/// The signal of `kill`, and of the schedulers of clusters, on every Unix system.
const TERMINATE: i32 = 15;

/// Begins to listen.
#[cfg(unix)]
pub(crate) fn listen() -> Result<()> {
    use std::sync::Arc;

    use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::iterator::Signals;
    let armed = Arc::new(AtomicBool::new(false));
    // The last is what launchers of ranks pass on.
    let handled = [SIGINT, SIGTERM, SIGUSR1];
    for signal in handled {
        // In the handler itself, so that a second signal ends the program whatever its threads are doing.
        signal_hook::flag::register_conditional_shutdown(signal, ENDED_BY + signal, armed.clone())?;
    }
    let mut signals = Signals::new(handled)?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            armed.store(true, Ordering::SeqCst);
            HEARD.store(signal, Ordering::SeqCst);
            if STEPPING.load(Ordering::SeqCst) {
                console::note("stopping after this step; another signal ends the run at once");
            } else {
                bestof_files::end_unfinished(|| signal_hook::low_level::exit(ENDED_BY + signal));
            }
        }
    });
    Ok(())
}

/// Signals are those of Unix.
#[cfg(not(unix))]
pub(crate) fn listen() -> Result<()> {
    Ok(())
}

/// Says whether a run that can be gone on with is making steps. One that is told to stop then does so itself.
pub(crate) fn stepping(stepping: bool) {
    STEPPING.store(stepping, Ordering::SeqCst);
}

/// Whether the run is to stop after this step.
pub(crate) fn wants_stop() -> bool {
    HEARD.load(Ordering::SeqCst) != 0
}

/// The exit code of a run that was stopped, on all ranks the same whichever heard of it.
///
/// # Errors
/// The ranks cannot exchange anything.
pub(crate) fn exit_code() -> Result<u8> {
    let heard =
        ranks().gather(HEARD.load(Ordering::SeqCst))?.into_iter().find(|&signal| signal != 0);
    Ok((ENDED_BY + heard.unwrap_or(TERMINATE)) as u8)
}

/// Whether a run was told to stop, and has.
pub(crate) fn stopped(error: &anyhow::Error) -> bool {
    matches!(of_run(error), Some(TrainError::Stopped { .. }))
}

/// Says what ended a verb. A run that was told to stop has not failed.
pub(crate) fn say(error: &anyhow::Error) {
    if stopped(error) {
        console::to_stderr(&format!("{error}\n{}", how_to_go_on()));
    } else {
        console::error(error);
    }
}

/// How to go on with the run that this process was started for.
fn how_to_go_on() -> String {
    let launch = Launch::found().filter(|launch| launch.size > 1);
    let command = command(
        std::env::args_os().collect(),
        std::env::var_os("BESTOF_INVOKED_AS").as_deref(),
        launch.map(|launch| (launch.by, launch.size)),
    );
    format!("go on with: {command}")
}

/// The command of these arguments with `--resume`, as a line for a shell.
fn command(
    mut args: Vec<OsString>,
    invoked_as: Option<&OsStr>,
    launch: Option<(&str, usize)>,
) -> String {
    if !args.iter().any(|arg| arg == "--resume") {
        args.push("--resume".into());
    }
    let mut words: Vec<String> = args.iter().map(|arg| quoted(&arg.to_string_lossy())).collect();
    if let Some(by) = invoked_as {
        words[0] = by.to_string_lossy().into_owned();
    }
    let ranks = launch.map(|(by, size)| match invoked_as {
        Some(_) => format!("{} mpi -n {size} --", std::mem::take(&mut words[0])),
        None => format!("{by} -n {size}"),
    });
    let words: Vec<String> =
        ranks.into_iter().chain(words).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_one_for_a_shell() {
        let args = |line: &[&str]| line.iter().map(Into::into).collect::<Vec<OsString>>();
        let run = args(&["bin/bestof", "sft", "--config", "my run.toml", "--set", "a='b'"]);
        let line = r"sft --config 'my run.toml' --set 'a='\''b'\''' --resume";
        assert_eq!(command(run.clone(), None, None), format!("bin/bestof {line}"));
        let xtask = Some(OsStr::new("cargo xtask"));
        assert_eq!(command(run.clone(), xtask, None), format!("cargo xtask {line}"));
        let two = Some(("mpirun", 2));
        assert_eq!(command(run.clone(), None, two), format!("mpirun -n 2 bin/bestof {line}"));
        assert_eq!(command(run, xtask, two), format!("cargo xtask mpi -n 2 -- {line}"));
        let resumed = args(&["bestof", "sft", "--resume", "--config", "a.toml"]);
        assert_eq!(command(resumed, None, None), "bestof sft --resume --config a.toml");
    }
}
