//! `cargo xtask …`: work on the repository, and every user verb.
//!
//! `test`, `tidy`, `package`, `bench`, `fuzz` and `check-cuda` are done here. Any other verb is the user's: it is
//! handed to the `bestof` binary, built in release with the features that its `--device` asks for, once or,
//! by `mpi`, several times.

mod bench;
mod compare;
mod device;
mod fuzz;
mod package;
mod process;
mod ranks;
mod test;
mod tidy;
mod user_verb;
mod workspace;

use std::process::ExitCode;

const HELP: &str = "\
Work on the repository:
  cargo xtask test [--real-models] [--quick]   everything CI checks; --real-models adds the tests on fetched models
  cargo xtask test --device wgpu               the tests that hold a device to the CPU, on that device; nothing is
                                               installed for it
  cargo xtask test --ranks                     the tests of several ranks under MPI; nothing is installed for it
  cargo xtask tidy [--circles]                 the repository's own rules: dependencies, sizes, docs, paths;
                                               --circles lists files of a crate that use each other
  cargo xtask package [--all]                  packages every crate, and lints the packages of those without
                                               tensors (--all: of all) by themselves
  cargo xtask bench [FILTER]                   criterion benches
  cargo xtask bench --compare [FILTER]         the same benches in the parent commit too, in turns, and what became slower
                                               by more than 5 %; --against COMMIT, --keep writes benches/baseline.json
  cargo xtask bench side-by-side --python P    the same preference training in TRL, and the ratios
  cargo xtask bench grpo-side-by-side --python P
                                               a step of PKPO, and one of TRL's GRPO
  cargo xtask bench rollouts --python P        samples of a model, and those of transformers and llama.cpp
  cargo xtask bench encoder-side-by-side --python P
                                               an encoder's prediction and fine-tuning, and PyTorch's
  cargo xtask bench classical-side-by-side --python P [--cost 2000,5000,10000]
                                               the classical models and scikit-learn's, on the same features
  cargo xtask bench sentences --python P --data FILE.tsv --encoder FOLDER --out FOLDER
                                               labelled sentences by cross-validation, and scikit-learn and
                                               transformers on the same folds
  cargo xtask bench device-side-by-side --device D --python P
                                               a device: parity, LoRA DPO, sampling, and TRL; see
                                               benches/device_side_by_side.py
  cargo xtask bench estimators --python P      the reward transformations, NumPy, and the sort alone
  cargo xtask bench scaling --python P         one rank and two, measured, and up to 512 on paper
  cargo xtask fuzz [--seconds N] [TARGET…]     every reader of files on mutated input, N seconds each (60), with the stable
                                               compiler; needs a C++ compiler
  cargo xtask check-cuda                       type-check the `cuda` feature (linking it needs the CUDA tool chain)

Everything else is a verb of `bestof`, built in release first:
  cargo xtask quickstart
  cargo xtask help                             the list of verbs
  cargo xtask VERB --help                      one verb, with an example
  cargo xtask mpi -n N [OPTIONS --] VERB …     the verb by N ranks; OPTIONS are for mpirun, as --hostfile FILE

Options before the verb:
  --features F      extra features of the `bestof` crate (wgpu, vulkan, cuda, mpi); `--device` and
                    BESTOF_DEVICE already bring theirs. With `test` everything is built with them, once
";

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut features = Vec::new();
    while args.first().is_some_and(|a| a == "--features") {
        if args.len() < 2 {
            return usage("--features needs a value, such as `wgpu`");
        }
        features.extend(args[1].split([',', ' ']).map(str::to_owned));
        args.drain(..2);
    }
    let Some(verb) = args.first().cloned() else {
        return usage("a verb is missing");
    };
    let rest = &args[1..];
    let done = match verb.as_str() {
        "test" => test::run(&features, rest),
        "tidy" => tidy::run(rest),
        "package" => package::run(rest),
        "bench" => bench::run(rest),
        "check-cuda" => device::check_cuda(),
        "fuzz" => fuzz::run(rest),
        "mpi" => return ranks::run(&features, rest),
        "-h" | "--help" => {
            process::print(HELP);
            return ExitCode::SUCCESS;
        }
        _ => return user_verb::run(&features, &args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process::report(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn usage(problem: &str) -> ExitCode {
    process::report(&format!("error: {problem}\n\n{HELP}"));
    ExitCode::from(2)
}
