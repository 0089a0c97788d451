//! Grids of colours and the tasks of ARC-AGI (arXiv 1911.01547).

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

/// Largest number of rows and columns.
pub const MAX_SIDE: usize = 30;

/// A rectangle of colours 0 to 9, at most 30 by 30, never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Vec<u8>>", into = "Vec<Vec<u8>>")]
pub struct Grid {
    rows: Vec<Vec<u8>>,
}

/// Why rows of numbers are not a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// No cells, or more than 30 rows or columns.
    #[error("a grid has 1 to {MAX_SIDE} rows and columns, found {rows} rows and {columns} columns")]
    Size {
        /// Number of rows found.
        rows: usize,
        /// Number of columns in the first row.
        columns: usize,
    },
    /// Rows of different lengths.
    #[error("row {row} has {found} cells, the first row has {expected}")]
    Ragged {
        /// The row, counted from 1.
        row: usize,
        /// Number of its cells.
        found: usize,
        /// Number of cells of the first row.
        expected: usize,
    },
    /// A colour above 9.
    #[error("cells are colours 0 to 9, found {found}")]
    Colour {
        /// The number found.
        found: u8,
    },
    /// Text without a grid.
    #[error("no grid in the text; expected rows of digits or a JSON list of lists")]
    NoGrid,
}

impl Grid {
    /// The grid with these rows.
    pub fn new(rows: Vec<Vec<u8>>) -> Result<Self, GridError> {
        let columns = rows.first().map_or(0, Vec::len);
        if !(1..=MAX_SIDE).contains(&rows.len()) || !(1..=MAX_SIDE).contains(&columns) {
            return Err(GridError::Size { rows: rows.len(), columns });
        }
        for (index, row) in rows.iter().enumerate() {
            if row.len() != columns {
                return Err(GridError::Ragged {
                    row: index + 1,
                    found: row.len(),
                    expected: columns,
                });
            }
            if let Some(&found) = row.iter().find(|cell| **cell > 9) {
                return Err(GridError::Colour { found });
            }
        }
        Ok(Self { rows })
    }

    /// The last grid in a text: a JSON list of lists of digits, or else the last block of lines
    /// that hold digits only, with or without separators.
    ///
    /// ```
    /// use bestof_tasks::grid::Grid;
    ///
    /// assert_eq!(Grid::parse("Output:\n1 0\n0 1")?, Grid::parse("[[1, 0], [0, 1]]")?);
    /// # Ok::<(), bestof_tasks::grid::GridError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, GridError> {
        match last_json_rows(text).or_else(|| last_digit_rows(text)) {
            Some(rows) => Self::new(rows),
            None => Err(GridError::NoGrid),
        }
    }

    /// The rows.
    pub fn rows(&self) -> &[Vec<u8>] {
        &self.rows
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.rows.len()
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.rows[0].len()
    }

    /// Share of cells in which both grids agree; `None` when their shapes differ.
    pub fn agreement(&self, other: &Self) -> Option<f64> {
        if self.height() != other.height() || self.width() != other.width() {
            return None;
        }
        let pairs = self.rows.iter().flatten().zip(other.rows.iter().flatten());
        let equal = pairs.filter(|(a, b)| a == b).count();
        Some(equal as f64 / (self.height() * self.width()) as f64)
    }
}

impl TryFrom<Vec<Vec<u8>>> for Grid {
    type Error = GridError;

    fn try_from(rows: Vec<Vec<u8>>) -> Result<Self, GridError> {
        Self::new(rows)
    }
}

impl From<Grid> for Vec<Vec<u8>> {
    fn from(grid: Grid) -> Self {
        grid.rows
    }
}

impl fmt::Display for Grid {
    /// Writes one line per row, digits separated by spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            for (column, cell) in row.iter().enumerate() {
                let space = if column > 0 { " " } else { "" };
                write!(f, "{space}{cell}")?;
            }
        }
        Ok(())
    }
}

/// The last `[[...]]` of the text that is a list of lists of small numbers.
fn last_json_rows(text: &str) -> Option<Vec<Vec<u8>>> {
    let end = text.rfind(']')? + 1;
    // Only the innermost opening pair before the end can be the start; a text of brackets alone
    // would otherwise be parsed once for each of them.
    let mut starts = text[..end]
        .match_indices('[')
        .map(|(at, _)| at)
        .filter(|at| text[at + 1..end].trim_start().starts_with('['));
    let start = starts.next_back()?;
    serde_json::from_str(&text[start..end]).ok()
}

fn last_digit_rows(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut block: Vec<Vec<u8>> = Vec::new();
    for line in text.lines().rev() {
        match digit_row(line) {
            Some(row) if block.len() <= MAX_SIDE => block.push(row),
            None if block.is_empty() => {}
            _ => break,
        }
    }
    block.reverse();
    (!block.is_empty()).then_some(block)
}

fn digit_row(line: &str) -> Option<Vec<u8>> {
    let line = line.trim().trim_matches(['[', ']', '|', '`', ',']);
    let separated = line.contains([' ', ',', '|', '\t']);
    let cells: Option<Vec<u8>> = if separated {
        let words = line.split([' ', ',', '|', '\t']).filter(|word| !word.is_empty());
        words.map(|word| word.parse().ok()).collect()
    } else {
        line.chars().map(|c| c.to_digit(10).map(|digit| digit as u8)).collect()
    };
    cells.filter(|cells| !cells.is_empty() && cells.len() <= 4 * MAX_SIDE)
}

/// An input grid and its output grid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridExample {
    /// The input grid.
    pub input: Grid,
    /// The output grid.
    pub output: Grid,
}

/// A task: examples of a rule, and inputs to apply it to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridTask {
    /// Examples that show the rule.
    pub train: Vec<GridExample>,
    /// Examples to solve.
    pub test: Vec<GridExample>,
}

/// Why a file of tasks cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a file of grid tasks: {0}; expected {{\"train\": [...], \"test\": [...]}}, or such tasks by name"
)]
pub struct TaskFileError(#[from] serde_json::Error);

/// The tasks of a JSON text by name: one public ARC-AGI task (named `""`), or an object of them.
pub fn read_tasks(json: &str) -> Result<BTreeMap<String, GridTask>, TaskFileError> {
    let value: serde_json::Value = serde_json::from_str(json)?;
    if value.get("train").is_some() {
        return Ok([(String::new(), serde_json::from_value(value)?)].into());
    }
    Ok(serde_json::from_value(value)?)
}

impl GridTask {
    /// A prompt with the examples and the input of test `test` (from 0); `None` if there is no such
    /// test.
    pub fn prompt(&self, test: usize) -> Option<String> {
        let mut text =
            "Find the rule that turns each input grid into its output grid.\n".to_owned();
        for (index, GridExample { input, output }) in self.train.iter().enumerate() {
            let _ = write!(text, "\nExample {}\nInput:\n{input}\nOutput:\n{output}\n", index + 1);
        }
        let question = &self.test.get(test)?.input;
        Some(text + &format!("\nApply the rule to this grid.\nInput:\n{question}\nOutput:\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid(rows: &[&[u8]]) -> Grid {
        Grid::new(rows.iter().map(|row| row.to_vec()).collect()).unwrap()
    }

    #[test]
    fn grids_are_read_in_every_notation() {
        let expected = grid(&[&[1, 0, 2], &[3, 3, 9]]);
        for text in [
            "1 0 2\n3 3 9",
            "102\n339",
            "1,0,2\n3,3,9\n",
            "[[1,0,2],[3,3,9]]",
            "[[1, 0, 2],\n [3, 3, 9]]",
            "First [[5]].\nOutput: [[1,0,2],[3,3,9]] as asked.",
            "Input:\n7 7\n\nOutput:\n1 0 2\n3 3 9\n\nDone.",
            "```\n1 0 2\n3 3 9\n```",
            "[1, 0, 2]\n[3, 3, 9]",
            "|1|0|2|\n|3|3|9|",
        ] {
            assert_eq!(Grid::parse(text).as_ref(), Ok(&expected), "{text}");
        }
        assert_eq!(Grid::parse(&expected.to_string()), Ok(expected));
    }

    #[test]
    fn what_is_no_grid_is_named() {
        assert_eq!(Grid::parse("no grid"), Err(GridError::NoGrid));
        assert_eq!(Grid::parse("1 2\n3"), Err(GridError::Ragged { row: 2, found: 1, expected: 2 }));
        assert_eq!(Grid::parse("1 12"), Err(GridError::Colour { found: 12 }));
        assert_eq!(Grid::new(vec![vec![]]), Err(GridError::Size { rows: 1, columns: 0 }));
        assert_eq!(Grid::parse(&"1\n".repeat(40)), Err(GridError::Size { rows: 31, columns: 1 }));
        assert_eq!(Grid::parse(&"[".repeat(100_000)), Err(GridError::NoGrid));
        assert_eq!(Grid::parse(&"[[]".repeat(100_000)), Err(GridError::NoGrid));
    }

    #[test]
    fn public_task_files_are_read() {
        let task = r#"{"train":[{"input":[[1]],"output":[[2]]}],"test":[{"input":[[1,1]],"output":[[2,2]]}]}"#;
        let one = read_tasks(task).unwrap();
        let many = read_tasks(&format!(r#"{{"a":{task},"b":{task}}}"#)).unwrap();
        assert_eq!((one.len(), many.len()), (1, 2));
        assert_eq!(one[""], many["b"]);
        let prompt = one[""].prompt(0).unwrap();
        assert!(
            prompt.contains("Input:\n1\nOutput:\n2\n")
                && prompt.ends_with("Input:\n1 1\nOutput:\n")
        );
        assert_eq!(one[""].prompt(1), None);
        for wrong in [
            "",
            "[]",
            r#"{"train":[]}"#,
            r#"{"a":{"train":[],"test":[{"input":[[10]],"output":[[1]]}]}}"#,
        ] {
            assert!(read_tasks(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}|[0-9\\[\\], \\n|]{0,60}") {
            let _ = Grid::parse(&text);
            let _ = read_tasks(&text);
        }
    }
}
