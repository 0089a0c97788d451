//! Whether an experiment has been measured already, so that a series of them goes on where it
//! stopped.

use std::fs;

use serde_json::Value;

use crate::{CLAIMS_FILE, Experiment, Options, REPORT_FILE};

/// The claims and numbers in the folder of these options, if the experiment was measured there by
/// this version with the same options.
///
/// A folder without them, of another version or other options, half a file or a missing page give
/// `None`: the experiment has to be run.
pub fn finished(experiment: &dyn Experiment, options: &Options) -> Option<Value> {
    if !options.out.join(REPORT_FILE).is_file() {
        return None;
    }
    let text = fs::read_to_string(options.out.join(CLAIMS_FILE)).ok()?;
    let found: Value = serde_json::from_str(&text).ok()?;
    let same =
        found["reproduction"] == experiment.name() && found["made_with"] == options.made_with();
    same.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;
    use crate::dpop::Dpop;
    use crate::pkpo_toy::PkpoToy;

    #[test]
    fn only_the_same_experiment_with_the_same_options_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { seeds: Some(2), ..Options::new(dir.path()) };
        assert_eq!(finished(&PkpoToy, &options), None);
        let outcome = PkpoToy.run(&options, &mut Silent).unwrap();
        outcome.write(dir.path()).unwrap();
        assert_eq!(finished(&PkpoToy, &options), Some(outcome.to_json()));

        assert_eq!(finished(&Dpop, &options), None);
        for other in [
            Options { seed: 1, ..options.clone() },
            Options { seeds: None, ..options.clone() },
            Options { full: true, ..options.clone() },
            Options { device: "cuda:0".into(), ..options.clone() },
            Options { data: Some("reviews.csv".into()), ..options.clone() },
        ] {
            assert_eq!(finished(&PkpoToy, &other), None, "{other:?}");
        }
        fs::remove_file(dir.path().join(REPORT_FILE)).unwrap();
        assert_eq!(finished(&PkpoToy, &options), None);
    }
}
