//! Fuzzing of everything that reads a file: built by the stable compiler with the coverage that libFuzzer reads,
//! each target a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{process, workspace};

/// Where targets, seeds and findings are.
const FOLDER: &str = "fuzz";
/// The environment variable that names the target of a process.
const TARGET: &str = "BESTOF_FUZZ_TARGET";
/// Seconds for a target unless told otherwise.
const SECONDS: u64 = 60;
/// Address space of a process in KiB: an allocation beyond is a finding, whether or not it is touched.
const MEMORY: u64 = 8 << 20;
/// What has LLVM count edges and note comparisons.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// `fuzz [--seconds N] [TARGET…]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut seconds = SECONDS;
    let mut wanted = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--seconds" => {
                let given = rest.next().context("--seconds needs a number")?;
                seconds = given.parse().with_context(|| format!("--seconds {given}"))?;
                ensure!(seconds > 0, "--seconds 0 would never end");
            }
            flag if flag.starts_with('-') => bail!("unknown flag `{flag}`; known: --seconds"),
            target => wanted.push(target),
        }
    }
    let root = process::root().join(FOLDER);
    let work = workspace::metadata()?.target_directory.join(FOLDER);
    let program = build(&root, &work)?;
    let known = targets(&program)?;
    if let Some(unknown) = wanted.iter().find(|name| !known.iter().any(|known| known == *name)) {
        bail!("`{unknown}` is no target; known: {}", known.join(", "));
    }
    let mut found = Vec::new();
    for target in known.iter().filter(|name| wanted.is_empty() || wanted.contains(&name.as_str())) {
        if !fuzz(target, &program, &root, &work, seconds)? {
            found.push(target.as_str());
        }
    }
    ensure!(
        found.is_empty(),
        "inputs that break {} lie in {FOLDER}/findings; one runs again by\n  \
         {TARGET}=NAME {} FILE",
        found.join(", "),
        program.display()
    );
    Ok(())
}

/// The names of the targets.
fn targets(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program).env_remove(TARGET).output();
    let output = output.with_context(|| format!("could not start {}", program.display()))?;
    let names: Vec<String> =
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    ensure!(!names.is_empty(), "{} names no targets", program.display());
    Ok(names)
}

fn build(root: &Path, work: &Path) -> Result<PathBuf> {
    process::report("\n=== building the fuzz targets");
    let mut build = process::cargo();
    build.current_dir(root).args(["build", "--release", "--locked"]);
    // Named, the host is a target whose flags build scripts do not get.
    build.args(["--target", &host()?]);
    build.env("CARGO_TARGET_DIR", work);
    build.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}"));
    process::executable(&mut build, "the fuzz targets")
}

/// The compiler's own platform.
fn host() -> Result<String> {
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arg("-vV")
        .output()
        .context("could not start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

/// Runs a target; whether it found nothing.
fn fuzz(target: &str, program: &Path, root: &Path, work: &Path, seconds: u64) -> Result<bool> {
    let seeds = root.join("seeds").join(target);
    ensure!(
        seeds.is_dir(),
        "{target} has nothing to begin with; put inputs into {}",
        seeds.display()
    );
    let (corpus, findings) = (work.join("corpus").join(target), root.join("findings"));
    fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
    fs::create_dir_all(&findings).with_context(|| format!("cannot make {}", findings.display()))?;
    // Files that readers open are best in memory.
    let shared = Path::new("/dev/shm");
    let files =
        if shared.is_dir() { shared } else { work }.join(format!("fuzz-{}", std::process::id()));
    fs::create_dir_all(&files).with_context(|| format!("cannot make {}", files.display()))?;
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -v {MEMORY} && exec \"$0\" \"$@\"")).arg(program);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/{target}-", findings.display()));
    command.args(["-print_final_stats=1", "-timeout=20", "-rss_limit_mb=2048", "-max_len=65536"]);
    command.arg(&corpus).arg(&seeds);
    command.env(TARGET, target).env("TMPDIR", &files);
    // A thread more for each core is memory that is not to be found.
    command.env("RAYON_NUM_THREADS", "1");
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let _ = fs::remove_dir_all(&files);
    let output = output.with_context(|| format!("could not start {}", program.display()))?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        let inputs =
            log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        let inputs =
            inputs.with_context(|| format!("{target} does not say how many inputs it saw"))?;
        process::report(&format!("{target}: {} inputs", inputs.trim()));
        return Ok(true);
    }
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(40);
    process::report(&format!("{target}: {}\n{}", output.status, lines[from..].join("\n")));
    Ok(false)
}
