//! Outcomes that stay on disk, so that a study that was interrupted goes on where it was.

use std::fs;
use std::path::Path;

use bestof_files::write_file;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Options, Progress, ReproduceError};

/// An outcome in its run's folder, written when everything else of the run is there.
pub(crate) const OUTCOME_FILE: &str = "outcome.json";

/// Everything an outcome depends on, in words: kept beside it and compared whole, so that no
/// outcome of other settings can pass for this one. `settings` has what the study itself may vary.
pub(crate) fn made_with(options: &Options, seed: u64, settings: &str) -> String {
    format!(
        "bestof-reproduce {}, seed {seed}, device {}\n{settings}",
        env!("CARGO_PKG_VERSION"),
        options.device,
    )
}

/// What a file says of the outcome that is wanted.
#[derive(Debug, PartialEq)]
pub(crate) enum Kept<T> {
    /// There is no whole one.
    Missing,
    /// It was made with something else.
    Other,
    /// It was made with exactly this.
    Outcome(T),
}

/// The file's outcome, if it was made with exactly this.
pub(crate) fn look<T: DeserializeOwned>(file: &Path, made_with: &str) -> Kept<T> {
    let read = fs::read_to_string(file).ok().and_then(|text| serde_json::from_str(&text).ok());
    let Some(Value::Object(mut kept)) = read else { return Kept::Missing };
    if kept.get("made_with").and_then(Value::as_str) != Some(made_with) {
        return Kept::Other;
    }
    let outcome = kept.remove("outcome").unwrap_or_default();
    serde_json::from_value(outcome).map_or(Kept::Missing, Kept::Outcome)
}

/// The file's outcome, if it was made with exactly this; tells of one that was not.
pub(crate) fn taken_up<T: DeserializeOwned>(
    file: &Path,
    made_with: &str,
    progress: &mut dyn Progress,
) -> Option<T> {
    match look(file, made_with) {
        Kept::Outcome(outcome) => Some(outcome),
        Kept::Other => {
            progress.notice(&format!(
                "{} was made with other settings, and is made anew",
                file.display()
            ));
            None
        }
        Kept::Missing => None,
    }
}

/// Leaves an outcome in a file, whose folder is made.
pub(crate) fn keep<T: Serialize>(
    file: &Path,
    made_with: &str,
    outcome: &T,
) -> Result<(), ReproduceError> {
    let dir = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(ReproduceError::io("cannot create", dir))?;
    let kept = json!({"made_with": made_with, "outcome": outcome});
    Ok(write_file(file, format!("{kept}\n").as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Heard(Vec<String>);

    impl Progress for Heard {
        fn notice(&mut self, text: &str) {
            self.0.push(text.to_owned());
        }
    }

    #[test]
    fn only_an_outcome_of_the_same_settings_is_taken_up_and_another_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("passes/a.json");
        let options = Options::new(dir.path());
        let (same, mut heard) = (made_with(&options, 3, "steps 5"), Heard(Vec::new()));
        assert_eq!(taken_up::<Vec<u32>>(&file, &same, &mut heard), None);
        keep(&file, &same, &[1_u32, 2]).unwrap();
        assert_eq!(taken_up(&file, &same, &mut heard), Some(vec![1_u32, 2]));
        assert!(heard.0.is_empty());

        let elsewhere = Options { device: "cuda:0".to_owned(), ..options.clone() };
        let others = [
            made_with(&options, 3, "steps 6"),
            made_with(&elsewhere, 3, "steps 5"),
            made_with(&options, 4, "steps 5"),
        ];
        for other in &others {
            assert_eq!(look::<Vec<u32>>(&file, other), Kept::Other, "{other}");
            assert_eq!(taken_up::<Vec<u32>>(&file, other, &mut heard), None, "{other}");
        }
        assert_eq!(heard.0.len(), others.len());
        assert!(heard.0[0].contains("a.json was made with other settings"), "{:?}", heard.0);
        // Not what is asked for, and half a file.
        assert_eq!(look::<String>(&file, &same), Kept::Missing);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, &text[..text.len() / 2]).unwrap();
        assert_eq!(look::<Vec<u32>>(&file, &same), Kept::Missing);
    }
}
