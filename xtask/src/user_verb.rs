//! Verbs of `bestof`, which is built in release with the features that its device needs, and run.
//!
//! Where nothing is built yet, `quickstart` builds what it uses, without Parquet, Zstandard, reviews and reproductions: a
//! newcomer waits for it. Every other verb builds everything, and from then on so does `quickstart`: verbs in turns
//! would otherwise build the difference again and again.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result};

use crate::{process, workspace};

/// In the version of a program that lacks some of the default features.
const LACKS: &str = ", without ";

/// How much of `bestof` a program holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    /// There is no program.
    Nothing,
    /// What `quickstart` uses: of the default features `cpu` alone.
    Quickstart,
    /// All default features.
    Everything,
}

impl Extent {
    /// What a verb needs.
    fn of_verb(args: &[String]) -> Self {
        match args.iter().find(|arg| !arg.starts_with('-')) {
            Some(verb) if verb == "quickstart" => Self::Quickstart,
            _ => Self::Everything,
        }
    }

    /// What stands in the target folder.
    fn built() -> Result<Self> {
        let program = format!("bestof{}", std::env::consts::EXE_SUFFIX);
        Ok(Self::of_program(&workspace::metadata()?.target_directory.join("release").join(program)))
    }

    /// By the program's own word, whoever built it; one that cannot be started is none.
    fn of_program(program: &Path) -> Self {
        match Command::new(program).arg("--version").output() {
            Ok(said) if said.status.success() => {
                Self::of_version(&String::from_utf8_lossy(&said.stdout))
            }
            _ => Self::Nothing,
        }
    }

    fn of_version(version: &str) -> Self {
        if version.contains(LACKS) { Self::Quickstart } else { Self::Everything }
    }
}

/// Builds `bestof`, runs it with `args` and returns its exit code.
pub(crate) fn run(features: &[String], args: &[String]) -> ExitCode {
    let mut features = features.to_vec();
    features.extend(wanted_feature(args));
    exit_code(build_extent(&features, Extent::of_verb(args)).and_then(|binary| {
        let mut command = Command::new(&binary);
        command.args(args).env("BESTOF_INVOKED_AS", "cargo xtask");
        process::become_or_wait(&mut command)
            .with_context(|| format!("could not start {}", binary.display()))
    }))
}

/// The exit code of a program that was run.
pub(crate) fn exit_code(outcome: Result<ExitStatus>) -> ExitCode {
    match outcome {
        // A process ended by a signal has no code; 1 means failure.
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)),
        Err(error) => {
            process::report(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The cargo feature that these arguments and the environment ask for.
pub(crate) fn wanted_feature(args: &[String]) -> Option<String> {
    device_feature(args, std::env::var("BESTOF_DEVICE").ok().as_deref())
}

/// The cargo feature behind `--device NAME[:n]`, or behind `BESTOF_DEVICE`; none for the CPU.
pub(crate) fn device_feature(args: &[String], from_env: Option<&str>) -> Option<String> {
    let flag = args.iter().enumerate().find_map(|(i, arg)| {
        arg.strip_prefix("--device=")
            .map(str::to_owned)
            .or_else(|| (arg == "--device").then(|| args.get(i + 1).cloned()).flatten())
    });
    let device = flag.or_else(|| from_env.map(str::to_owned))?;
    let kind = device.split(':').next().unwrap_or_default();
    matches!(kind, "wgpu" | "vulkan" | "cuda").then(|| kind.to_owned())
}

/// Builds `bestof` with all default features in release and returns the path of the binary.
pub(crate) fn build(features: &[String]) -> Result<PathBuf> {
    build_extent(features, Extent::Everything)
}

/// Builds as much as is wanted, or as was built before if that is more.
fn build_extent(features: &[String], wanted: Extent) -> Result<PathBuf> {
    let built = Extent::built()?;
    let mut command = process::cargo();
    command.args(["build", "--release", "--package", "bestof", "--bin", "bestof"]);
    command.args(feature_flags(features, wanted.max(built)));
    // What was not built yet takes minutes, and cargo shows how far it is.
    if std::env::var_os("CARGO_TERM_QUIET").is_none() && built >= wanted {
        command.arg("--quiet");
    }
    process::executable(&mut command, "`bestof`")
}

fn feature_flags(features: &[String], extent: Extent) -> Vec<String> {
    let mut features = features.to_vec();
    let mut flags = Vec::new();
    if extent != Extent::Everything {
        flags.push("--no-default-features".to_owned());
        features.insert(0, "cpu".to_owned());
    }
    if !features.is_empty() {
        flags.extend(["--features".to_owned(), features.join(",")]);
    }
    flags
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Extent, device_feature, feature_flags};
    use crate::process;

    fn args(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_device_brings_its_feature() {
        assert_eq!(device_feature(&args("sft --device cuda:1"), None), Some("cuda".into()));
        assert_eq!(device_feature(&args("sft --device=wgpu"), None), Some("wgpu".into()));
        assert_eq!(device_feature(&args("sft --device cpu"), Some("cuda")), None);
        assert_eq!(device_feature(&args("sft"), Some("vulkan")), Some("vulkan".into()));
        assert_eq!(device_feature(&args("sft --device"), None), None);
    }

    #[test]
    fn quickstart_alone_is_built_small_and_only_until_everything_is_built() {
        use Extent::{Everything, Nothing, Quickstart};
        for line in ["quickstart", "-v quickstart --full"] {
            assert_eq!(Extent::of_verb(&args(line)), Quickstart, "{line}");
        }
        for line in ["", "--help", "help quickstart", "prefer --out quickstart"] {
            assert_eq!(Extent::of_verb(&args(line)), Everything, "{line}");
        }
        let small = args("--no-default-features --features cpu");
        for (built, expected) in [(Nothing, &small), (Quickstart, &small), (Everything, &vec![])] {
            assert_eq!(&feature_flags(&[], Quickstart.max(built)), expected, "{built:?}");
            assert!(feature_flags(&[], Everything.max(built)).is_empty(), "{built:?}");
        }
        let device = feature_flags(&args("wgpu"), Quickstart);
        assert_eq!(device.last().map(String::as_str), Some("cpu,wgpu"));
    }

    #[test]
    fn the_small_program_is_made_of_the_dependencies_of_the_whole_one() {
        let packages = |extent| -> BTreeSet<String> {
            let mut tree = process::cargo();
            tree.args(["tree", "--offline", "--package", "bestof", "--edges", "normal,build"]);
            tree.args(["--prefix", "none", "--format", "{p} {f}"]);
            tree.args(feature_flags(&[], extent));
            let tree = tree.output().unwrap();
            assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
            let lines = String::from_utf8(tree.stdout).unwrap();
            lines.lines().map(|line| line.trim_end_matches(" (*)").trim_end().to_owned()).collect()
        };
        let (small, whole) = (packages(Extent::Quickstart), packages(Extent::Everything));
        let only_small: Vec<&str> = small.difference(&whole).map(String::as_str).collect();
        let names = only_small.iter().map(|line| line.split(' ').next().unwrap_or_default());
        assert_eq!(names.collect::<Vec<_>>(), ["bestof", "bestof-tasks"], "{only_small:?}");
        for absent in ["parquet ", "zstd ", "bestof-sentiment ", "bestof-reproduce "] {
            assert!(whole.iter().any(|line| line.starts_with(absent)), "{absent}");
            assert!(!small.iter().any(|line| line.starts_with(absent)), "{absent}");
        }
    }

    #[test]
    fn a_program_says_what_it_lacks() {
        assert_eq!(Extent::of_version("bestof 0.1.0\n"), Extent::Everything);
        let lacking = "bestof 0.1.0, without parquet, reviews, reproduce\n";
        assert_eq!(Extent::of_version(lacking), Extent::Quickstart);
        let missing = std::env::temp_dir().join("no-such-program");
        assert_eq!(Extent::of_program(&missing), Extent::Nothing);
    }
}
