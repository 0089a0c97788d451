//! Grid puzzles that follow one rule.

use std::ops::RangeInclusive;

use serde_json::{Map, json};

use super::{PuzzleError, PuzzleSource};
use crate::grid::{Grid, GridExample, GridTask, MAX_SIDE};
use crate::rng::SeededRng;
use crate::rng::Split;
use crate::rows::AnswerRow;
use crate::verify::VerifierKind;

/// A rule that turns one grid into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GridRule {
    /// Mirrored, left and right swapped.
    MirrorLeftRight,
    /// Mirrored, top and bottom swapped.
    MirrorTopBottom,
    /// A quarter turn to the right.
    QuarterTurn,
    /// Half a turn.
    HalfTurn,
    /// Rows become columns.
    Transpose,
    /// Every cell moves right by this many, coming back on the left.
    ShiftRight(usize),
    /// The first colour becomes the second.
    Recolour(u8, u8),
    /// Colours fall to the bottom of their column, 0 being empty.
    Fall,
    /// The outermost cells take this colour.
    Frame(u8),
    /// Every cell becomes a square of this side.
    Enlarge(usize),
}

impl GridRule {
    /// The rule applied to `grid`; `None` if the result would exceed the largest size of a grid.
    pub fn apply(self, grid: &Grid) -> Option<Grid> {
        let (height, width) = (grid.height(), grid.width());
        let rows = grid.rows();
        let built = |height: usize, width: usize, cell: &dyn Fn(usize, usize) -> u8| {
            (0..height).map(|y| (0..width).map(|x| cell(y, x)).collect()).collect()
        };
        let cells: Vec<Vec<u8>> = match self {
            Self::MirrorLeftRight => built(height, width, &|y, x| rows[y][width - 1 - x]),
            Self::MirrorTopBottom => built(height, width, &|y, x| rows[height - 1 - y][x]),
            Self::QuarterTurn => built(width, height, &|y, x| rows[height - 1 - x][y]),
            Self::HalfTurn => built(height, width, &|y, x| rows[height - 1 - y][width - 1 - x]),
            Self::Transpose => built(width, height, &|y, x| rows[x][y]),
            Self::ShiftRight(by) => {
                built(height, width, &|y, x| rows[y][(x + width - by % width) % width])
            }
            Self::Recolour(from, to) => {
                built(height, width, &|y, x| if rows[y][x] == from { to } else { rows[y][x] })
            }
            Self::Fall => {
                let column = |x: usize| {
                    rows.iter().map(|row| row[x]).filter(|cell| *cell > 0).collect::<Vec<_>>()
                };
                let columns: Vec<Vec<u8>> = (0..width).map(column).collect();
                built(height, width, &|y, x| {
                    let empty = height - columns[x].len();
                    y.checked_sub(empty).map_or(0, |at| columns[x][at])
                })
            }
            Self::Frame(colour) => built(height, width, &|y, x| {
                let outermost = y == 0 || x == 0 || y + 1 == height || x + 1 == width;
                if outermost { colour } else { rows[y][x] }
            }),
            Self::Enlarge(side) => {
                let side = side.clamp(1, MAX_SIDE);
                built(height * side, width * side, &|y, x| rows[y / side][x / side])
            }
        };
        Grid::new(cells).ok()
    }

    fn drawn(rng: &mut SeededRng) -> Self {
        let colour = rng.between(1, 9) as u8;
        match rng.index(10) {
            0 => Self::MirrorLeftRight,
            1 => Self::MirrorTopBottom,
            2 => Self::QuarterTurn,
            3 => Self::HalfTurn,
            4 => Self::Transpose,
            5 => Self::ShiftRight(1 + rng.index(3)),
            6 => {
                let other = 1 + (colour + rng.between(0, 7) as u8) % 9;
                Self::Recolour(colour, other)
            }
            7 => Self::Fall,
            8 => Self::Frame(colour),
            _ => Self::Enlarge(2),
        }
    }
}

/// Puzzles in the shape of ARC-AGI tasks: three examples of one rule, and a grid to apply it to.
///
/// ```
/// use bestof_tasks::rng::Split;
/// use bestof_tasks::puzzles::{GridRules, PuzzleSource};
///
/// let puzzles = GridRules::new(1, Split::Train, 3..=6)?;
/// let row = puzzles.puzzle(0).unwrap();
/// let verifier = puzzles.verifier().for_row(&row)?;
/// assert_eq!(verifier.verify(&row.answer).reward, 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct GridRules {
    seed: u64,
    split: Split,
    side: RangeInclusive<usize>,
}

impl GridRules {
    /// Puzzles whose input grids have sides in this range, within 2 to 15.
    pub fn new(seed: u64, split: Split, side: RangeInclusive<usize>) -> Result<Self, PuzzleError> {
        if side.is_empty() || *side.start() < 2 || *side.end() > MAX_SIDE / 2 {
            let found = format!("{side:?}");
            return Err(PuzzleError::Setting {
                setting: "side",
                found,
                expected: "a range within 2..=15",
            });
        }
        Ok(Self { seed, split, side })
    }

    fn grid(&self, rule: GridRule, rng: &mut SeededRng) -> Option<Grid> {
        let mut side = || self.side.start() + rng.index(self.side.end() - self.side.start() + 1);
        let (height, width) = (side(), side());
        let mut palette: Vec<u8> = (1..=9).collect();
        rng.shuffle(&mut palette);
        palette.truncate(3);
        if let GridRule::Recolour(from, _) = rule {
            palette.push(from);
        }
        // Half of the cells are empty, as in most public tasks.
        let mut cell = || if rng.one_in(2) { 0 } else { palette[rng.index(palette.len())] };
        Grid::new((0..height).map(|_| (0..width).map(|_| cell()).collect()).collect()).ok()
    }
}

impl PuzzleSource for GridRules {
    fn verifier(&self) -> VerifierKind {
        VerifierKind::Grid
    }

    fn seed_and_split(&self) -> (u64, Split) {
        (self.seed, self.split)
    }

    fn attempt(&self, rng: &mut SeededRng) -> Option<(AnswerRow, String)> {
        let rule = GridRule::drawn(rng);
        let mut examples = Vec::with_capacity(4);
        for _ in 0..4 {
            let input = self.grid(rule, rng)?;
            let output = rule.apply(&input)?;
            // An example that changes nothing does not show the rule.
            if input == output {
                return None;
            }
            examples.push(GridExample { input, output });
        }
        let test = examples.pop()?;
        let task = GridTask { train: examples, test: vec![test.clone()] };
        let extra: Map<_, _> = [("rule".to_owned(), json!(rule)), ("task".to_owned(), json!(task))]
            .into_iter()
            .collect();
        let row = AnswerRow { extra, ..AnswerRow::new(task.prompt(0)?, test.output.to_string()) };
        let key = format!("{rule:?}{}", test.input);
        Some((row, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(text: &str) -> Grid {
        Grid::parse(text).unwrap()
    }

    #[test]
    fn rules_do_what_they_say() {
        let input = grid("1 0 2\n3 0 0");
        for (rule, expected) in [
            (GridRule::MirrorLeftRight, "2 0 1\n0 0 3"),
            (GridRule::MirrorTopBottom, "3 0 0\n1 0 2"),
            (GridRule::QuarterTurn, "3 1\n0 0\n0 2"),
            (GridRule::HalfTurn, "0 0 3\n2 0 1"),
            (GridRule::Transpose, "1 3\n0 0\n2 0"),
            (GridRule::ShiftRight(1), "2 1 0\n0 3 0"),
            (GridRule::ShiftRight(5), "0 2 1\n0 0 3"),
            (GridRule::Recolour(3, 7), "1 0 2\n7 0 0"),
            (GridRule::Fall, "1 0 0\n3 0 2"),
            (GridRule::Frame(5), "5 5 5\n5 5 5"),
            (GridRule::Enlarge(2), "110022\n110022\n330000\n330000"),
        ] {
            assert_eq!(rule.apply(&input), Some(grid(expected)), "{rule:?}");
        }
        assert_eq!(GridRule::Enlarge(20).apply(&input), None);
        assert_eq!(GridRule::Frame(5).apply(&grid("111\n111\n111")), Some(grid("555\n515\n555")));
        let four_turns =
            (0..4).try_fold(input.clone(), |grid, _| GridRule::QuarterTurn.apply(&grid));
        assert_eq!(four_turns, Some(input));
    }
}
