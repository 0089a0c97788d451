//! The values of the data set's fields, from JSON or from text.

use std::collections::HashSet;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::left_out::{Problem, Reason};
use crate::review::Place;

/// A review before it is joined with its business and its author.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct RawRow {
    pub(crate) id: String,
    pub(crate) business: String,
    pub(crate) user: String,
    pub(crate) text: String,
    pub(crate) stars: Option<u8>,
    pub(crate) date: Option<i64>,
    pub(crate) useful: Option<i64>,
    pub(crate) funny: Option<i64>,
    pub(crate) cool: Option<i64>,
    /// What a row that stands alone says of its restaurant.
    pub(crate) place: Place,
}

impl RawRow {
    /// Refuses a row without text or with one of more than `longest` characters.
    pub(crate) fn check_text(&self, longest: usize) -> Result<(), Problem> {
        if self.text.trim().is_empty() {
            return Err(Problem::new(Reason::EmptyText, "the review has no text"));
        }
        // A character has at most four bytes: most texts need no count.
        if self.text.len() > longest {
            let found = self.text.chars().count();
            if found > longest {
                let message =
                    format!("the review has {found} characters, and the limit is {longest}");
                return Err(Problem::new(Reason::TooLong, message));
            }
        }
        Ok(())
    }

    /// The stars, which rows to learn from need.
    pub(crate) fn labelled(&self) -> Result<u8, Problem> {
        self.stars.ok_or_else(|| Problem::new(Reason::MissingField, "field `stars` is missing"))
    }
}

/// Stars as the files write them: `4`, `4.0` or `"4"`.
pub(crate) fn stars_of(value: f64) -> Result<u8, Problem> {
    let whole = (1.0..=5.0).contains(&value) && value.fract() == 0.0;
    let message = || format!("field `stars`: found {value}, expected a whole number from 1 to 5");
    if whole { Ok(value as u8) } else { Err(Problem::new(Reason::Stars, message())) }
}

/// Seconds since 1970 in UTC of `2017-01-09` or `2017-01-09 08:12:31`, taken as UTC.
pub(crate) fn date_of(text: &str) -> Option<i64> {
    let text = text.trim();
    let time: DateTime = match text.parse() {
        Ok(time) => time,
        Err(_) => {
            text.parse::<jiff::civil::Date>().ok()?.to_datetime(jiff::civil::Time::midnight())
        }
    };
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// The date of a field, or what is wrong with it.
pub(crate) fn date_field(text: &str) -> Result<i64, Problem> {
    date_of(text).ok_or_else(|| {
        let start: String = text.chars().take(24).collect();
        let message =
            format!("field `date`: found {start:?}, expected YYYY-MM-DD or YYYY-MM-DD HH:MM:SS");
        Problem::new(Reason::WrongType, message)
    })
}

/// Categories in lower case, trimmed, each once, of `"Thai, Restaurants"` or of a Python list
/// such as `"['Thai', 'Restaurants']"`.
pub(crate) fn categories_of(text: &str) -> Vec<String> {
    let text = text.trim();
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    normalised(inside.unwrap_or(text).split(',').map(|name| {
        let name = name.trim();
        if inside.is_some() { name.trim_matches(['\'', '"']) } else { name }
    }))
}

pub(super) fn normalised<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = HashSet::new();
    names
        .map(|name| name.trim().to_lowercase())
        .filter(|name| !name.is_empty() && seen.insert(name.clone()))
        .collect()
}

/// Years of `"2012,2013"`; some releases write 2020 as `20,20`. Years that are none do not count.
pub(super) fn elite_years(text: &str) -> u32 {
    let mut years = HashSet::new();
    let mut pieces = text.split(',').map(str::trim).peekable();
    while let Some(piece) = pieces.next() {
        if piece == "20" && pieces.peek() == Some(&"20") {
            pieces.next();
            years.insert(2020);
        } else if let Ok(year @ 2004..=2100) = piece.parse::<u32>() {
            years.insert(year);
        }
    }
    years.len() as u32
}

/// A value of `attributes`, which are Python literals in strings: `"2"`, `"u'free'"`, `"None"`.
pub(super) fn literal(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('u')
        .filter(|rest| rest.starts_with(['\'', '"']))
        .unwrap_or(text)
        .trim_matches(['\'', '"'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_utc_with_and_without_a_time() {
        // 2017-01-09 is 17,175 days after 1970-01-01.
        assert_eq!(date_of("2017-01-09"), Some(17_175 * 86_400));
        assert_eq!(date_of("2017-01-09 08:12:31"), Some(17_175 * 86_400 + 8 * 3600 + 12 * 60 + 31));
        assert_eq!(date_of("2017-01-09T08:12:31"), date_of("2017-01-09 08:12:31"));
        for bad in ["", "2017-02-30", "9/1/2017", "yesterday", "20170"] {
            assert_eq!(date_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn stars_are_whole_numbers_from_one_to_five() {
        assert_eq!([1.0, 4.0, 5.0].map(|x| stars_of(x).unwrap()), [1, 4, 5]);
        for bad in [0.0, 6.0, 3.5, -1.0, f64::NAN] {
            assert_eq!(stars_of(bad).unwrap_err().reason, Reason::Stars);
        }
    }

    #[test]
    fn odd_values_of_the_published_files() {
        assert_eq!(elite_years("2018,2019,20,20,2021"), 4);
        assert_eq!(elite_years("20,20"), 1);
        assert_eq!([elite_years(""), elite_years("None"), elite_years("2012,2012")], [0, 0, 1]);
        assert_eq!(
            ["u'free'", "'2'", "2", "\"x\"", "union"].map(literal),
            ["free", "2", "2", "x", "union"]
        );
        assert_eq!(categories_of(" Thai,Restaurants ,, thai"), ["thai", "restaurants"]);
        assert_eq!(categories_of("['Thai', \"Soup\"]"), ["thai", "soup"]);
        assert_eq!(categories_of(""), Vec::<String>::new());
    }

    #[test]
    fn texts_have_a_least_and_a_greatest_length() {
        let row = |text: String| RawRow { text, ..RawRow::default() };
        assert_eq!(row(" \n".into()).check_text(10).unwrap_err().reason, Reason::EmptyText);
        assert!(row("ä".repeat(10)).check_text(10).is_ok());
        let problem = row("ä".repeat(11)).check_text(10).unwrap_err();
        assert_eq!((problem.reason, problem.message.contains("11")), (Reason::TooLong, true));
    }
}
