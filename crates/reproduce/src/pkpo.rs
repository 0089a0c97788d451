//! `pkpo`: a small LLaMA that is seldom right learns from its own samples, once for `k = 1` and
//! once for each of the ways to a better best of many.

mod arm;
mod claims;
mod compared;
mod kind;
mod numbers;
mod page;
mod puzzles;
mod recipe;
mod runs;
mod seed_files;
mod settings;
mod solves;
mod starting_point;
mod study;
mod updates;

pub(crate) use self::updates::PKPO_UPDATES;

use self::settings::Settings;
use self::study::Study;

/// The experiment `pkpo`.
pub(crate) static PKPO: Study = Study {
    name: "pkpo",
    about: "a small LLaMA learns countdown from its own samples: k = 1, fixed k, annealed k, all k",
    minutes: 39.0,
    settings: Settings::of,
    title: "PKPO on a small language model",
    source: "Walder and Karkhanis 2025, arXiv:2505.15201v4, section 5.2; harmonic weights arXiv:2602.02710, centred ones arXiv:2606.06080",
    choice: |settings| {
        format!(
            "k = 1, with the entropy bonus and without, is run at each of its learning rates and compared at the one with the \
             highest mean over seeds of pass@k on {} validation puzzles, chosen for each k by itself: whatever is compared, it has the \
             rate that suits it best. The other arms have one rate, fixed beforehand, and might do better at another.",
            2 * settings.validation,
        )
    },
    tried: "number of steps, the rate of the arms with one, the share of right demonstrations and the size of the bonus \
            were chosen after pilot runs from base models of other seeds; a bonus of 0.01 teaches to write without end",
    claims: claims::claims,
};

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::{Experiment, Options, Reproduction, Silent};

    fn few_steps(options: &Options) -> Settings {
        Settings {
            demonstrations: 64,
            epochs: 1.0,
            validation: 2,
            held_out: 3,
            samples: 32,
            steps: 2,
            prompts: 3,
            ..Settings::of(options)
        }
    }

    fn study(dir: &Path, change: impl Fn(Settings) -> Settings) -> Reproduction {
        let options = Options { seeds: Some(2), ..Options::new(dir) };
        PKPO.measure(&change(few_steps(&options)), &options, &mut Silent).unwrap()
    }

    #[test]
    fn a_study_of_a_few_steps_runs_to_its_end_and_repeats() {
        let dir = tempfile::tempdir().unwrap();
        let first = study(&dir.path().join("a"), |settings| settings);
        assert_eq!(first.all_claims().len(), 12);
        let numbers = first.to_json();
        assert_eq!(numbers["numbers"]["runs"].as_array().unwrap().len(), 13);
        first.write(dir.path()).unwrap();
        // Elsewhere, with runs that end in another order.
        assert_eq!(study(&dir.path().join("b"), |settings| settings).to_json(), numbers);
    }

    #[test]
    fn an_interrupted_study_goes_on_and_another_starts_anew() {
        let dir = tempfile::tempdir().unwrap();
        let whole = study(dir.path(), |settings| settings).to_json();
        let run = dir.path().join("seed0/k8-lr0.0003");
        let at = |name: &str| fs::metadata(run.join(name)).unwrap().modified().unwrap();
        let (first, lost) = (at("metrics.jsonl"), dir.path().join("seed1/k4-lr0.0003"));
        // What an interruption leaves of a run: everything but its outcome.
        fs::remove_file(lost.join("outcome.json")).unwrap();
        assert_eq!(study(dir.path(), |settings| settings).to_json(), whole);
        assert_eq!(at("metrics.jsonl"), first, "a finished run is taken up");
        assert!(lost.join("outcome.json").is_file(), "an unfinished one is made again");
        study(dir.path(), |settings| Settings { samples: settings.samples + 1, ..settings });
        assert_ne!(at("metrics.jsonl"), first, "one of other settings is not taken up");
    }

    #[test]
    fn a_disk_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        fs::write(&taken, "").unwrap();
        let error = PKPO.run(&Options::new(&taken), &mut Silent).unwrap_err().to_string();
        assert!(error.contains("cannot create") && error.contains("taken"), "{error}");
    }
}
