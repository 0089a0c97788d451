//! Scores that stay on disk, so that a study that was interrupted goes on where it was.

use std::fs;
use std::path::Path;

use bestof_files::write_file;
use serde_json::{Value, json};

use super::score::Score;
use crate::ReproduceError;

/// What a file says of the score that is wanted.
#[derive(Debug, PartialEq)]
pub(super) enum Kept {
    /// There is no whole one.
    Missing,
    /// It was made with something else.
    Other,
    Score(Score),
}

/// The score in a file, if it was made with exactly this.
pub(super) fn taken_up(path: &Path, made_with: &str) -> Kept {
    let read = || {
        let text = fs::read_to_string(path).ok()?;
        let kept: Value = serde_json::from_str(&text).ok()?;
        Some((kept["made_with"] == made_with, serde_json::from_value(kept["score"].clone()).ok()?))
    };
    match read() {
        None => Kept::Missing,
        Some((false, _)) => Kept::Other,
        Some((true, score)) => Kept::Score(score),
    }
}

/// Leaves a score in a file.
pub(super) fn keep(path: &Path, made_with: &str, score: &Score) -> Result<(), ReproduceError> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(ReproduceError::io("cannot create", dir))?;
    }
    let kept = json!({"made_with": made_with, "score": score});
    Ok(write_file(path, format!("{kept}\n").as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_score_of_the_same_settings_is_taken_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.json");
        let score = Score::of(vec![true, false], vec![false, true], None);
        assert_eq!(taken_up(&path, "x"), Kept::Missing);
        keep(&path, "x", &score).unwrap();
        assert_eq!(taken_up(&path, "x"), Kept::Score(score));
        assert_eq!(taken_up(&path, "y"), Kept::Other);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert_eq!(taken_up(&path, "x"), Kept::Missing);
    }
}
