//! `bench --compare`: what became slower than it was in another commit, both measured in turns.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{process, workspace};

/// The arguments that select every bench of the workspace.
pub(crate) const BENCHES: [&str; 5] =
    ["--package", "bestof-benches", "--package", "bestof-estimators", "--benches"];
/// What counts as slower.
const SLOWER: f64 = 1.05;
const ROUNDS: usize = 2;
/// Seconds of each bench: its rounds are in turns, and of their medians the least counts, so that criterion's own 3 and 5 bring little and
/// take an hour more.
const TIMES: [&str; 4] = ["--warm-up-time", "0.5", "--measurement-time", "1"];
/// Figures that were kept, in nanoseconds by bench.
const KEPT: &str = "benches/baseline.json";

/// The least median of each bench over rounds, in nanoseconds.
type Figures = BTreeMap<String, f64>;

/// `bench --compare [--against COMMIT] [--keep] [FILTER]`
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (mut against, mut keep, mut filter) = (None, false, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--against" => against = Some(args.next().context("--against needs a commit")?.clone()),
            "--keep" => keep = true,
            flag if flag.starts_with('-') => {
                bail!("unknown flag `{flag}`; known: --against COMMIT, --keep")
            }
            text if filter.is_none() => filter = Some(text.to_owned()),
            text => bail!("one filter at a time, not `{text}` too"),
        }
    }
    ensure!(!keep || filter.is_none(), "--keep keeps all benches, so that it takes no filter");
    // What is not committed is compared with what is.
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let against = against.unwrap_or_else(|| if changed { "HEAD" } else { "HEAD^" }.to_owned());
    let commit = git(&["rev-parse", "--verify", &format!("{against}^{{commit}}")])?;
    let folder = workspace::metadata()?.target_directory.join("compare");
    let tree = tree_of(&commit, &folder)?;
    let (before, now) = in_turns(&tree, &folder, filter.as_deref())?;
    ensure!(!now.is_empty(), "no bench has {:?} in its name", filter.unwrap_or_default());
    let kept = kept()?;
    process::print(&table(&before, &now, kept.as_ref(), &commit));
    if keep {
        let file = process::root().join(KEPT);
        let text = json!({"processor": processor(), "nanoseconds": now});
        fs::write(&file, format!("{text:#}\n"))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn git(args: &[&str]) -> Result<String> {
    let output = Command::new("git").current_dir(process::root()).args(args).output();
    let output = output.context("could not start git")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {}: {}", args.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A worktree of the commit. It stays, so that the next comparison builds only what differs.
fn tree_of(commit: &str, folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let tree = folder.join("before");
    let path = tree.to_string_lossy();
    // Of one that was removed by hand git still knows.
    git(&["worktree", "prune"])?;
    if tree.exists() {
        git(&["-C", &path, "checkout", "--quiet", "--force", "--detach", commit])?;
    } else {
        git(&["worktree", "add", "--quiet", "--detach", &path, commit])?;
    }
    Ok(tree)
}

fn in_turns(tree: &Path, folder: &Path, filter: Option<&str>) -> Result<(Figures, Figures)> {
    let sides = [(tree.to_path_buf(), "before"), (process::root(), "now")];
    let mut built = Vec::new();
    for (root, side) in &sides {
        process::report(&format!("\n=== building the benches, {side}"));
        let mut build = process::cargo();
        build.current_dir(root).args(["bench", "--no-run"]).args(BENCHES);
        // The folder that both share, so that what they depend on is built once.
        build.env("CARGO_TARGET_DIR", folder.parent().unwrap_or(folder));
        built.push(process::benches(&mut build)?);
    }
    let mut figures = [Figures::new(), Figures::new()];
    for round in 1..=ROUNDS {
        for ((root, side), (programs, figures)) in sides.iter().zip(built.iter().zip(&mut figures))
        {
            let home = folder.join(format!("criterion-{side}"));
            // Figures of an earlier comparison are not those of this one.
            if home.exists() {
                fs::remove_dir_all(&home)
                    .with_context(|| format!("cannot empty {}", home.display()))?;
            }
            for program in programs {
                let mut bench = Command::new(program);
                bench.current_dir(root).env("CRITERION_HOME", &home);
                bench.args(["--bench", "--noplot"]).args(TIMES).args(filter);
                process::step(
                    &format!("round {round}, {side}"),
                    process::keeping_memory(&mut bench),
                )?;
            }
            gather(&home, figures)?;
        }
    }
    let [before, now] = figures;
    Ok((before, now))
}

/// The medians that criterion left in a folder.
fn gather(folder: &Path, figures: &mut Figures) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name == "new") {
            let id = read(&path.join("benchmark.json"))?["full_id"].as_str().map(str::to_owned);
            let median = read(&path.join("estimates.json"))?["median"]["point_estimate"].as_f64();
            let (id, median) = id
                .zip(median)
                .with_context(|| format!("{} is not as criterion writes it", path.display()))?;
            let least = figures.entry(id).or_insert(median);
            *least = least.min(median);
        } else if path.is_dir() {
            gather(&path, figures)?;
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Value> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))
}

/// What was kept on a processor like this one.
fn kept() -> Result<Option<Figures>> {
    let file: PathBuf = process::root().join(KEPT);
    if !file.is_file() {
        return Ok(None);
    }
    let kept = read(&file)?;
    if kept["processor"] != processor() {
        process::report(&format!("{KEPT} is of another processor: {}", kept["processor"]));
        return Ok(None);
    }
    let figures = serde_json::from_value(kept["nanoseconds"].clone());
    figures.map(Some).with_context(|| format!("{KEPT} has no `nanoseconds`"))
}

fn processor() -> String {
    let known = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| {
        let line = known.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, value)| value.trim())
    };
    format!("{}, family {}, model {}", value("model name"), value("cpu family"), value("model\t"))
}

/// A line a bench, and those that became slower by name.
fn table(before: &Figures, now: &Figures, kept: Option<&Figures>, commit: &str) -> String {
    let of = |figures: Option<&Figures>, id: &str| figures.and_then(|all| all.get(id)).copied();
    let ratio = |now: f64, then: Option<f64>| {
        then.map_or_else(|| "new".to_owned(), |then| format!("{:.2}", now / then))
    };
    let commit = &commit[..12.min(commit.len())];
    let mut lines = vec![
        format!("| bench | now, µs | of {commit} | of {KEPT} |"),
        "|---|---|---|---|".to_owned(),
    ];
    let mut slower = Vec::new();
    for (id, &time) in now {
        let then = of(Some(before), id);
        if then.is_some_and(|then| is_slower(time, then)) {
            slower.push(format!("{id} ({})", ratio(time, then)));
        }
        let kept = kept.map_or("–".to_owned(), |kept| ratio(time, of(Some(kept), id)));
        lines.push(format!("| {id} | {:.3} | {} | {kept} |", time / 1000.0, ratio(time, then)));
    }
    let gone = before.keys().filter(|id| !now.contains_key(*id));
    lines.extend(gone.map(|id| format!("| {id} | gone | | |")));
    let percent = 100.0 * (SLOWER - 1.0);
    lines.push(String::new());
    lines.push(match slower.len() {
        0 => format!("Nothing is slower by more than {percent:.0} %."),
        _ => format!("Slower by more than {percent:.0} %: {}", slower.join("; ")),
    });
    lines.join("\n") + "\n"
}

/// Also where one of them is not a number.
fn is_slower(now: f64, then: f64) -> bool {
    now > SLOWER * then || now.is_nan() || then.is_nan()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(all: &[(&str, f64)]) -> Figures {
        all.iter().map(|(id, time)| ((*id).to_owned(), *time)).collect()
    }

    #[test]
    fn what_became_slower_is_named_and_nothing_else() {
        let before = figures(&[("a", 100.0), ("b", 100.0), ("c", 100.0), ("gone", 1.0)]);
        let now = figures(&[("a", 104.9), ("b", 106.0), ("c", f64::NAN), ("made", 1.0)]);
        let text = table(&before, &now, Some(&before), "0123456789abcdef");
        assert!(text.contains("of 0123456789ab |"), "{text}");
        assert!(text.ends_with("Slower by more than 5 %: b (1.06); c (NaN)\n"), "{text}");
        assert!(text.contains("| made | 0.001 | new | new |"), "{text}");
        assert!(text.contains("| gone | gone |"), "{text}");
        let text = table(&before, &before, None, "0");
        assert!(text.ends_with("Nothing is slower by more than 5 %.\n"), "{text}");
    }
}
