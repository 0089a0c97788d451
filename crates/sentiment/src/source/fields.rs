//! Parsing of the data set's fields.

use std::collections::HashSet;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::labels::Label;
use super::left_out::{LineProblem, Reason};
use crate::review::BusinessMetadata;

/// A review as it is in the file, not yet joined with its business and its author.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct RawReview {
    pub(crate) id: String,
    pub(crate) business_id: String,
    pub(crate) user_id: String,
    pub(crate) text: String,
    pub(crate) label: Option<Label>,
    pub(crate) date: Option<i64>,
    /// The start of a date that cannot be read.
    pub(crate) unread_date: Option<String>,
    pub(crate) useful: Option<i64>,
    pub(crate) funny: Option<i64>,
    pub(crate) cool: Option<i64>,
    /// What a column `part` of the same row says; empty without one.
    pub(crate) part: String,
    /// City of the business, if the same row names it.
    pub(crate) city: String,
    /// Metadata of the business in the same row; empty for rows of the published files.
    pub(crate) metadata: BusinessMetadata,
}

impl RawReview {
    /// Refuses a row without text or with one of more than `longest` characters.
    pub(crate) fn check_text(&self, longest: usize) -> Result<(), LineProblem> {
        if self.text.trim().is_empty() {
            return Err(LineProblem::new(Reason::EmptyText, "the review has no text"));
        }
        // A text has at least as many bytes as characters: most texts need no count.
        if self.text.len() > longest {
            let found = self.text.chars().count();
            if found > longest {
                let message =
                    format!("the review has {found} characters, and the limit is {longest}");
                return Err(LineProblem::new(Reason::TooLong, message));
            }
        }
        Ok(())
    }

    /// The label, which training rows must have.
    pub(crate) fn required_label(&self) -> Result<Label, LineProblem> {
        self.label.ok_or_else(|| LineProblem::new(Reason::MissingField, "field `stars` is missing"))
    }
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

/// The date, or the start of a text that is none: the row is kept without a date.
pub(crate) fn date_or_unread(text: Option<&str>) -> (Option<i64>, Option<String>) {
    let date = text.and_then(date_of);
    let unread = text.filter(|text| date.is_none() && !text.trim().is_empty());
    (date, unread.map(|text| text.trim().chars().take(24).collect()))
}

/// Categories in lower case, trimmed, without duplicates, of `"Thai, Restaurants"` or of a Python list as
/// `"['Thai', 'Restaurants']"`.
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

/// Number of years in `"2012,2013"`; some releases have `20,20` for 2020. Other texts are ignored.
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

/// The content of a Python literal, as in `attributes`: `"2"`, `"u'free'"`, `"None"`.
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
    fn unusual_values_of_the_published_files() {
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
    fn empty_and_long_texts_are_refused() {
        let row = |text: String| RawReview { text, ..RawReview::default() };
        assert_eq!(row(" \n".into()).check_text(10).unwrap_err().reason, Reason::EmptyText);
        assert!(row("ä".repeat(10)).check_text(10).is_ok());
        let problem = row("ä".repeat(11)).check_text(10).unwrap_err();
        assert_eq!((problem.reason, problem.message.contains("11")), (Reason::TooLong, true));
    }
}
