//! Outcomes that stay on disk, so that a study that was interrupted goes on where it was.

use std::fs;
use std::path::Path;

use bestof_files::write_file;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Options, ReproduceError};

/// An outcome in its run's folder, written when everything else of the run is there.
const OUTCOME_FILE: &str = "outcome.json";

/// Everything an outcome depends on, in words: kept beside it and compared whole, so that no
/// outcome of other settings can pass for this one. `settings` has what the study itself may vary.
pub(crate) fn made_with(options: &Options, seed: u64, settings: &str) -> String {
    format!(
        "bestof-reproduce {}, seed {seed}, device {}\n{settings}",
        env!("CARGO_PKG_VERSION"),
        options.device,
    )
}

/// The outcome in a run's folder, if there is one and it was made with exactly this.
pub(crate) fn taken_up<T: DeserializeOwned>(run: &Path, made_with: &str) -> Option<T> {
    let text = fs::read_to_string(run.join(OUTCOME_FILE)).ok()?;
    let mut kept: Value = serde_json::from_str(&text).ok()?;
    if kept["made_with"] != made_with {
        return None;
    }
    serde_json::from_value(kept["outcome"].take()).ok()
}

/// Leaves an outcome in its run's folder.
pub(crate) fn keep<T: Serialize>(
    run: &Path,
    made_with: &str,
    outcome: &T,
) -> Result<(), ReproduceError> {
    let kept = json!({"made_with": made_with, "outcome": outcome});
    Ok(write_file(&run.join(OUTCOME_FILE), format!("{kept}\n").as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_outcome_of_the_same_settings_is_taken_up() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new(dir.path());
        let same = made_with(&options, 3, "steps 5");
        assert_eq!(taken_up::<Vec<u32>>(dir.path(), &same), None);
        keep(dir.path(), &same, &[1_u32, 2]).unwrap();
        assert_eq!(taken_up(dir.path(), &same), Some(vec![1_u32, 2]));

        let elsewhere = Options { device: "cuda:0".to_owned(), ..options.clone() };
        for other in [
            made_with(&options, 3, "steps 6"),
            made_with(&elsewhere, 3, "steps 5"),
            made_with(&options, 4, "steps 5"),
        ] {
            assert_eq!(taken_up::<Vec<u32>>(dir.path(), &other), None, "{other}");
        }
        // Not what is asked for, and half a file.
        assert_eq!(taken_up::<String>(dir.path(), &same), None);
        let text = fs::read_to_string(dir.path().join(OUTCOME_FILE)).unwrap();
        fs::write(dir.path().join(OUTCOME_FILE), &text[..text.len() / 2]).unwrap();
        assert_eq!(taken_up::<Vec<u32>>(dir.path(), &same), None);
    }
}
