//! Countdown in few characters, demonstrations that are seldom right, and puzzles apart from them.

use std::collections::HashSet;

use bestof_tasks::puzzles::{CountdownPuzzles, PuzzleError, PuzzleSource};
use bestof_tasks::rng::Split;
use bestof_tasks::rows::{AnswerRow, CompletionRow};

use super::kind::Kind;
use super::settings::Settings;
use crate::ReproduceError;

/// Draws for each puzzle that is wanted; beyond, there are too few of its kind.
const DRAWS: u64 = 200;
/// What sets the draw of training puzzles apart from that of demonstrated ones.
const FRESH: u64 = 0x7261_696E;

/// The puzzles of one seed. No two of the sets share a puzzle, and none has one that the base model
/// was taught with: its numbers, in any order, with either its own target or the one shown instead.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Puzzles {
    pub(super) demonstrations: Vec<CompletionRow>,
    /// One for every prompt of every step.
    pub(super) train: Vec<AnswerRow>,
    /// Of each kind.
    pub(super) validation: [Vec<AnswerRow>; 2],
    /// Of each kind.
    pub(super) held_out: [Vec<AnswerRow>; 2],
}

/// Draws the puzzles of a seed.
pub(super) fn draw(settings: &Settings, seed: u64) -> Result<Puzzles, ReproduceError> {
    let half = settings.demonstrations / 2;
    let mut taken = HashSet::new();
    let mut demonstrations = Vec::new();
    for kind in &settings.kinds {
        let rows = taught(kind, half, seed)?;
        let shown = demonstrated(&rows, settings.right_every);
        taken.extend(rows.iter().map(|row| key(row.prompt.last_text())));
        taken.extend(shown.iter().map(|row| key(row.prompt.last_text())));
        demonstrations.extend(shown);
    }
    let mut puzzles = Puzzles {
        demonstrations,
        train: Vec::new(),
        validation: Default::default(),
        held_out: Default::default(),
    };
    for (at, (kind, train)) in settings.kinds.iter().zip(settings.train()).enumerate() {
        puzzles.train.extend(fresh(kind, train, seed ^ FRESH, Split::Train, &mut taken)?);
        let apart = settings.validation + settings.held_out;
        let mut apart = fresh(kind, apart, seed, Split::HeldOut, &mut taken)?;
        puzzles.held_out[at] = apart.split_off(settings.validation);
        puzzles.validation[at] = apart;
    }
    Ok(puzzles)
}

fn source(kind: &Kind, seed: u64, split: Split) -> Result<CountdownPuzzles, PuzzleError> {
    CountdownPuzzles::new(seed, split, kind.numbers..=kind.numbers, kind.largest)
}

/// Puzzles to demonstrate with, no two with the same prompt.
fn taught(kind: &Kind, count: usize, seed: u64) -> Result<Vec<AnswerRow>, PuzzleError> {
    Ok(source(kind, seed, Split::Train)?.take_distinct(count)?.into_iter().map(short).collect())
}

/// Puzzles that are not taken yet, and now are.
fn fresh(
    kind: &Kind,
    count: usize,
    seed: u64,
    split: Split,
    taken: &mut HashSet<String>,
) -> Result<Vec<AnswerRow>, PuzzleError> {
    let source = source(kind, seed, split)?;
    let rows: Vec<AnswerRow> = (0..DRAWS * count as u64)
        .filter_map(|index| source.puzzle(index))
        .map(short)
        .filter(|row| taken.insert(key(row.prompt.last_text())))
        .take(count)
        .collect();
    if rows.len() < count {
        return Err(PuzzleError::TooFew { found: rows.len(), requested: count });
    }
    Ok(rows)
}

/// The puzzle as `3 7 5 > 16` and a line break, its solution without spaces.
fn short(row: AnswerRow) -> AnswerRow {
    let numbers: Vec<String> =
        row.extra["numbers"].as_array().into_iter().flatten().map(ToString::to_string).collect();
    let prompt = format!("{} > {}\n", numbers.join(" "), row.extra["target"]);
    let answer = row.answer.replace(' ', "");
    AnswerRow { extra: row.extra, ..AnswerRow::new(prompt, answer) }
}

/// What makes two puzzles the same: the numbers in any order, and the target.
fn key(prompt: &str) -> String {
    let (numbers, target) = prompt.split_once('>').unwrap_or((prompt, ""));
    let mut numbers: Vec<&str> = numbers.split_whitespace().collect();
    numbers.sort_unstable();
    format!("{} > {}", numbers.join(" "), target.trim())
}

/// Demonstrations as `{"prompt", "completion"}`: one in `right_every` puzzles with its solution,
/// the others with the target of another puzzle, so that what is learned is to use the numbers
/// once each, and the target only a little.
fn demonstrated(puzzles: &[AnswerRow], right_every: usize) -> Vec<CompletionRow> {
    let target = |row: &AnswerRow| row.extra["target"].as_i64().unwrap_or_default();
    puzzles
        .iter()
        .enumerate()
        .map(|(at, row)| {
            let shown = if at % right_every == 0 {
                target(row)
            } else {
                target(&puzzles[(at + 1) % puzzles.len()])
            };
            let text = row.prompt.last_text();
            let numbers = text.split_once('>').map_or(text, |(numbers, _)| numbers);
            CompletionRow::new(format!("{numbers}> {shown}\n"), row.answer.as_str())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use bestof_tasks::verify::VerifierKind;

    use super::*;
    use crate::Options;
    use crate::pkpo::kind::ALPHABET;

    #[test]
    fn solutions_are_accepted_and_demonstrations_seldom_are() {
        let rows = taught(&Kind { numbers: 4, largest: 9 }, 200, 3).unwrap();
        let reward = |row: &AnswerRow, text: &str| {
            VerifierKind::Countdown.for_row(row).unwrap().verify(text).reward
        };
        for row in &rows {
            assert_eq!(reward(row, &row.answer), 1.0, "{row:?}");
            let prompt = row.prompt.last_text();
            assert!(prompt.chars().chain(row.answer.chars()).all(|c| ALPHABET.contains(c)));
        }
        let shown = demonstrated(&rows, 4);
        let as_shown = shown.iter().zip(&rows).filter(|(shown, row)| shown.prompt == row.prompt);
        // Every fourth keeps its target; few others have the same by chance.
        assert!((50..70).contains(&as_shown.count()));
    }

    #[test]
    fn a_puzzle_is_its_numbers_in_any_order_and_its_target() {
        assert_eq!(key("13 7 5 > 16\n"), key("5 13 7 > 16\n"));
        assert_ne!(key("3 7 5 > 16\n"), key("3 7 5 > 17\n"));
        assert_ne!(key("3 7 5 > 16\n"), key("3 7 7 > 16\n"));
    }

    /// At the sizes of the study itself: there are enough puzzles, each is used once, and nothing
    /// that is measured was taught, neither as it was shown nor as it was before its target was
    /// exchanged.
    #[test]
    fn no_two_sets_share_a_puzzle() {
        let settings = Settings::of(&Options::new("unused"));
        let puzzles = draw(&settings, 11).unwrap();
        assert_eq!(puzzles.train.len(), settings.steps * settings.prompts);
        let mut taught_keys: HashSet<String> =
            puzzles.demonstrations.iter().map(|row| key(row.prompt.last_text())).collect();
        for kind in &settings.kinds {
            let before = taught(kind, settings.demonstrations / 2, 11).unwrap();
            taught_keys.extend(before.iter().map(|row| key(row.prompt.last_text())));
        }
        let sets = [&puzzles.train].into_iter().chain(&puzzles.validation).chain(&puzzles.held_out);
        let mut seen = taught_keys;
        for row in sets.flatten() {
            assert!(seen.insert(key(row.prompt.last_text())), "{row:?}");
        }
        assert_eq!(puzzles.held_out.iter().map(Vec::len).sum::<usize>(), 512);
        assert_ne!(puzzles, draw(&settings, 12).unwrap());
    }

    #[test]
    fn too_small_a_kind_is_named() {
        let settings = Settings {
            kinds: [Kind { numbers: 2, largest: 5 }, Kind { numbers: 2, largest: 5 }],
            demonstrations: 8,
            ..Settings::of(&Options::new("unused"))
        };
        let error = draw(&settings, 0).unwrap_err().to_string();
        assert!(error.contains("different puzzles"), "{error}");
    }
}
