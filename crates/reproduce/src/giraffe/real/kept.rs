//! Outcomes that stay on disk, so that a study of hours that was interrupted goes on where it was.

use std::fs;
use std::path::{Path, PathBuf};

use bestof_files::write_file;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Progress, ReproduceError};

/// What a file holds.
pub(super) enum Found<T> {
    /// An outcome made with the same settings.
    Same(T),
    /// One of other settings.
    Other,
    /// None that can be read.
    Nothing,
}

/// The file's outcome, if it was made with exactly these settings.
pub(super) fn look<T: DeserializeOwned>(file: &Path, made_with: &str) -> Found<T> {
    let read = fs::read_to_string(file).ok().and_then(|text| serde_json::from_str(&text).ok());
    let Some(Value::Object(mut kept)) = read else { return Found::Nothing };
    if kept.get("made_with").and_then(Value::as_str) != Some(made_with) {
        return Found::Other;
    }
    let outcome = kept.remove("outcome").unwrap_or_default();
    serde_json::from_value(outcome).map_or(Found::Nothing, Found::Same)
}

/// The outcome of a file if it was made with exactly these settings; tells of one that was not.
pub(super) fn taken_up<T: DeserializeOwned>(
    file: &Path,
    made_with: &str,
    progress: &mut dyn Progress,
) -> Option<T> {
    match look(file, made_with) {
        Found::Same(outcome) => Some(outcome),
        Found::Other => {
            progress.notice(&format!(
                "{} was made with other settings, and is made anew",
                file.display()
            ));
            None
        }
        Found::Nothing => None,
    }
}

/// Leaves an outcome in a file, whose folder is made.
pub(super) fn keep<T: Serialize>(
    file: &Path,
    made_with: &str,
    outcome: &T,
) -> Result<(), ReproduceError> {
    let dir: PathBuf = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    fs::create_dir_all(&dir).map_err(ReproduceError::io("cannot create", &dir))?;
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
        let mut heard = Heard(Vec::new());
        assert_eq!(taken_up::<Vec<u32>>(&file, "x", &mut heard), None);
        keep(&file, "x", &[1_u32, 2]).unwrap();
        assert_eq!(taken_up(&file, "x", &mut heard), Some(vec![1_u32, 2]));
        assert!(heard.0.is_empty());
        assert_eq!(taken_up::<Vec<u32>>(&file, "y", &mut heard), None);
        assert!(heard.0[0].contains("a.json was made with other settings"), "{:?}", heard.0);
        // Not what is asked for, and half a file.
        assert_eq!(taken_up::<String>(&file, "x", &mut heard), None);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, &text[..text.len() / 2]).unwrap();
        assert_eq!(taken_up::<Vec<u32>>(&file, "x", &mut heard), None);
        assert_eq!(heard.0.len(), 1);
    }
}
