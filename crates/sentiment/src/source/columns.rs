//! Which column of a table holds what: the names in use, one table of them.

use std::path::Path;

use bestof_files::FileKind;

use super::labels::{StarCoding, stars_in};
use crate::error::SentimentError;

/// The columns that are read, each with the other names that tables give it. Names are compared in
/// lower case, with `_` for spaces, hyphens and dots.
///
/// `text` is required, and so is `stars` unless rows are to be predicted. `id` is used where there is
/// no `review_id`.
pub const COLUMNS: [(&str, &[&str]); 16] = [
    ("text", &["review_text", "review", "review_body", "content", "body", "comment"]),
    (STARS, &["star", "rating", "star_rating", "review_stars", "review_rating", "overall"]),
    (LABEL, &["labels", "class", "class_index"]),
    ("review_id", &["reviewid"]),
    ("id", &[]),
    ("business_id", &["businessid", "restaurant_id"]),
    ("user_id", &["userid", "author_id"]),
    ("date", &["review_date"]),
    ("useful", &["votes_useful", "useful_votes", "review_useful"]),
    ("funny", &["votes_funny", "funny_votes", "review_funny"]),
    ("cool", &["votes_cool", "cool_votes", "review_cool"]),
    ("categories", &["category", "business_categories"]),
    ("city", &["business_city", "restaurant_city"]),
    ("latitude", &["lat"]),
    ("longitude", &["lon", "lng", "long"]),
    (PART, &[]),
];

const STARS: &str = "stars";

/// Which part of a given split a row is in.
pub(crate) const PART: &str = "part";

/// A class instead of stars: 0 to 4, 1 to 5, or 0 and 1, which only the whole column tells.
const LABEL: &str = "label";

/// Where a table has each column.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Columns {
    /// The header as written; empty for a file without one.
    header: Vec<String>,
    /// Index of each column that is read, by its name in [`COLUMNS`].
    found: Vec<(&'static str, usize)>,
    /// How stars are written.
    pub(super) coding: StarCoding,
}

impl Columns {
    /// Finds the columns of a header.
    ///
    /// # Errors
    /// [`SentimentError::AmbiguousColumn`] if two columns could be one; [`SentimentError::MissingColumn`].
    pub(super) fn of_header(
        header: Vec<String>,
        path: &Path,
        stars: bool,
    ) -> Result<Self, SentimentError> {
        let names: Vec<String> = header.iter().map(|name| normalised(name)).collect();
        let at = |wanted: &str| -> Vec<usize> {
            (0..names.len()).filter(|&index| names[index] == wanted).collect()
        };
        let mut found = Vec::new();
        for (name, aliases) in COLUMNS {
            let own = at(name);
            let mut places = if own.is_empty() {
                aliases.iter().flat_map(|alias| at(alias)).collect()
            } else {
                own
            };
            // Stars themselves say more than a class does.
            if name == LABEL && found.iter().any(|(name, _)| *name == STARS) {
                places.clear();
            }
            if places.len() > 1 {
                let found: Vec<&str> = places.iter().map(|&at| header[at].trim()).collect();
                return Err(SentimentError::AmbiguousColumn {
                    path: path.to_owned(),
                    column: name,
                    found: found.join("`, `"),
                });
            }
            found.extend(places.first().map(|&index| (name, index)));
        }
        let mut columns = Self { header, found, coding: StarCoding::Stars };
        let mut required = vec!["text"];
        if stars {
            if columns.index_of(LABEL).is_none() {
                required.push(STARS);
            }
        } else {
            columns.found.retain(|(name, _)| ![STARS, LABEL].contains(name));
        }
        for column in required {
            columns.require(column, path)?;
        }
        Ok(columns)
    }

    /// The columns of a file of classes and texts without a header, `None` if `first` is another row.
    pub(super) fn without_header(first: &[String], stars: bool) -> Option<Self> {
        let (label, text) = match first {
            [label, text] if stars_in(label).is_some() && stars_in(text).is_none() => (0, 1),
            [text, label] if stars_in(label).is_some() && stars_in(text).is_none() => (1, 0),
            _ => return None,
        };
        let mut found = vec![("text", text)];
        if stars {
            found.push((LABEL, label));
        }
        Some(Self { header: Vec::new(), found, coding: StarCoding::Stars })
    }

    /// Whether a first line can only be a row: it has no known name, and a number.
    pub(super) fn is_row(first: &[String]) -> bool {
        let known = first.iter().any(|name| is_known(name));
        !known
            && first
                .iter()
                .any(|cell| cell.trim().parse::<f64>().is_ok() || stars_in(cell).is_some())
    }

    /// How many names of a header are known.
    pub(super) fn known(header: impl Iterator<Item = impl AsRef<str>>) -> usize {
        header.filter(|name| is_known(name.as_ref())).count()
    }

    /// Fails unless the table has `column`.
    pub(crate) fn require(&self, column: &str, path: &Path) -> Result<(), SentimentError> {
        if self.index_of(column).is_some() {
            return Ok(());
        }
        if self.header.is_empty() {
            let found = FileKind::Empty;
            return Err(SentimentError::NoText { path: path.to_owned(), found });
        }
        let found = self.header.iter().map(|name| name.trim()).collect::<Vec<_>>().join(", ");
        Err(SentimentError::MissingColumn {
            path: path.to_owned(),
            column: column.to_owned(),
            found,
        })
    }

    /// Index of a column, by its name in [`COLUMNS`].
    pub(super) fn index_of(&self, column: &str) -> Option<usize> {
        self.found.iter().find(|(name, _)| *name == column).map(|(_, index)| *index)
    }

    /// The column whose classes must be looked at before rows are read, as it is called in the file.
    pub(super) fn label(&self) -> Option<(usize, String)> {
        self.index_of(LABEL).map(|index| (index, self.name_at(index)))
    }

    /// The column with stars or classes.
    pub(super) fn stars(&self) -> Option<usize> {
        self.index_of(STARS).or_else(|| self.index_of(LABEL))
    }

    fn name_at(&self, index: usize) -> String {
        self.header
            .get(index)
            .map_or_else(|| format!("{}", index + 1), |name| name.trim().to_owned())
    }

    /// What a reader of the file should know of how it was read.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.header.is_empty() && !self.found.is_empty() {
            let text = self.index_of("text").unwrap_or(0) + 1;
            notes.push(format!("the file has no header; column {text} is read as `text`"));
        }
        for (name, index) in self.found.iter().filter(|(name, _)| *name != LABEL) {
            if self.header.get(*index).is_some_and(|found| normalised(found) != *name) {
                notes.push(format!("column `{}` is read as `{name}`", self.name_at(*index)));
            }
        }
        if let Some((_, name)) = self.label() {
            notes.push(match self.coding {
                StarCoding::FromZero => format!("column `{name}` holds 0 to 4; stars are one more"),
                StarCoding::Stars => format!("column `{name}` holds 1 to 5 and is read as `stars`"),
                StarCoding::TwoClasses => format!(
                    "column `{name}` holds 0 and 1: two classes, 1 is positive, and there are no \
                     stars; train with `--labels binary`"
                ),
            });
        }
        let unread: Vec<String> = (0..self.header.len())
            .filter(|index| !self.found.iter().any(|(_, found)| found == index))
            .map(|index| format!("`{}`", self.name_at(index)))
            .collect();
        if !unread.is_empty() {
            notes.push(format!("columns not read: {}", unread.join(", ")));
        }
        notes
    }
}

fn is_known(name: &str) -> bool {
    let name = normalised(name);
    COLUMNS.iter().any(|(known, aliases)| *known == name || aliases.contains(&name.as_str()))
}

fn normalised(name: &str) -> String {
    let name = name.strip_prefix('\u{feff}').unwrap_or(name);
    name.trim().to_lowercase().replace([' ', '-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &str, stars: bool) -> Result<Columns, String> {
        let names = names.split(',').map(str::to_owned).collect();
        Columns::of_header(names, "y.csv".as_ref(), stars).map_err(|error| error.to_string())
    }

    #[test]
    fn names_by_meaning_and_what_is_not_read() {
        let columns = header("\u{feff}Review Text,Rating,votes.useful,type", true).unwrap();
        assert_eq!(
            ["text", "stars", "useful", "label"].map(|name| columns.index_of(name)),
            [Some(0), Some(1), Some(2), None]
        );
        let notes = columns.notes().join("; ");
        for part in ["`Rating` is read as `stars`", "`votes.useful`", "not read: `type`"] {
            assert!(notes.contains(part), "{notes}");
        }
        assert!(header("text,label", false).unwrap().stars().is_none());
    }

    #[test]
    fn stars_win_over_a_class_and_two_of_a_kind_are_refused() {
        let columns = header("label,stars,text", true).unwrap();
        assert_eq!((columns.stars(), columns.label()), (Some(1), None));
        assert!(columns.notes().contains(&"columns not read: `label`".to_owned()));
        let error = header("review,comment,stars", true).unwrap_err();
        assert!(error.contains("`text`") && error.contains("`review`, `comment`"), "{error}");
        let error = header("id,judgement,words", true).unwrap_err();
        assert!(error.contains("`text`") && error.contains("id, judgement, words"), "{error}");
    }

    #[test]
    fn a_first_line_that_is_a_row() {
        let cells = |line: &[&str]| line.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        assert!(Columns::is_row(&cells(&["5", "Good"])));
        assert!(!Columns::is_row(&cells(&["stars", "words"])));
        assert!(!Columns::is_row(&cells(&["first", "second"])));
        let columns = Columns::without_header(&cells(&["Good", "5 stars"]), true).unwrap();
        assert_eq!((columns.index_of("text"), columns.stars()), (Some(0), Some(1)));
        assert_eq!(Columns::without_header(&cells(&["5", "Good", "x"]), true), None);
    }
}
