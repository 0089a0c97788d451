//! The data set's JSON lines.

use bestof_tasks::rows::{Fields, ReadOptions, Row, RowProblem, RowReader};
use serde_json::Value;

use super::bytes::Opened;
use super::fields::{self, RawReview, categories_of, literal, normalised};
use super::labels::{Label, stars_of};
use super::left_out::{LineProblem, Reason};
use crate::review::{AuthorMetadata, BusinessMetadata};

/// Longest line, in bytes: an author's list of friends can have megabytes.
const LONGEST_LINE: usize = 16 << 20;

/// The rows of a JSON lines file, each with its line.
pub(crate) struct JsonRows<R> {
    reader: RowReader<Opened, Line<R>>,
    line: u64,
}

/// A JSON object, as a row or with what is wrong with it.
struct Line<R>(Result<R, LineProblem>);

/// A row of one of the files.
pub(crate) trait FromLine: Sized {
    const SHAPE: &'static str;
    fn from_line(fields: Fields) -> Result<Self, LineProblem>;
}

impl<R: FromLine> Row for Line<R> {
    const SHAPE: &'static str = R::SHAPE;

    fn from_fields(fields: Fields) -> Result<Self, RowProblem> {
        Ok(Self(R::from_line(fields)))
    }
}

impl<R: FromLine> JsonRows<R> {
    pub(crate) fn new(source: Opened) -> Self {
        let options = ReadOptions::default().max_line_bytes(LONGEST_LINE);
        Self { reader: RowReader::new(source, &options), line: 0 }
    }

    /// The I/O error that ended the rows early, if there was one.
    pub(crate) fn io_error(&mut self) -> Option<std::io::Error> {
        self.reader.io_error()
    }
}

impl<R: FromLine> Iterator for JsonRows<R> {
    /// The line, counted from 1, and the row or why it cannot be used.
    type Item = (u64, Result<R, LineProblem>);

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.reader.next()?;
        Some(match next {
            Ok((line, row)) => {
                self.line = line as u64;
                (self.line, row.0)
            }
            Err(bad) => (bad.line as u64, Err(bad.problem.into())),
        })
    }
}

/// A line of the business file.
pub(crate) struct BusinessLine {
    pub(crate) id: String,
    pub(crate) city: String,
    pub(crate) metadata: BusinessMetadata,
}

impl FromLine for BusinessLine {
    const SHAPE: &'static str = r#"{"business_id", "categories", ...}"#;

    fn from_line(mut fields: Fields) -> Result<Self, LineProblem> {
        let id = fields.text("business_id")?;
        Ok(Self { id, city: optional_text(&mut fields, "city"), metadata: metadata(&mut fields)? })
    }
}

/// A line of the user file.
pub(crate) struct UserLine {
    pub(crate) id: String,
    pub(crate) author: AuthorMetadata,
}

impl FromLine for UserLine {
    const SHAPE: &'static str = r#"{"user_id", "yelping_since", ...}"#;

    fn from_line(mut fields: Fields) -> Result<Self, LineProblem> {
        let id = fields.text("user_id")?;
        let since = match fields.take_optional("yelping_since") {
            Some(Value::String(text)) => fields::date_of(&text),
            _ => None,
        };
        let elite_years = match fields.take_optional("elite") {
            Some(Value::String(text)) => Some(fields::elite_years(&text)),
            Some(Value::Array(years)) => {
                let years: Vec<String> = years.iter().map(text_of).collect();
                Some(fields::elite_years(&years.join(",")))
            }
            _ => None,
        };
        let fans = integer(&mut fields, "fans")?.map(|fans| fans.max(0) as u64);
        Ok(Self { id, author: AuthorMetadata { since, elite_years, fans } })
    }
}

/// A line of the review file, or of a file of reviews to predict.
pub(crate) struct ReviewLine(pub(crate) RawReview);

impl FromLine for ReviewLine {
    const SHAPE: &'static str = r#"{"text", "stars", "date", ...}"#;

    fn from_line(mut fields: Fields) -> Result<Self, LineProblem> {
        let text = fields.text("text")?;
        let stars = match fields.take_optional("stars") {
            None => None,
            Some(value) => {
                let number = number_of(&value).ok_or_else(|| {
                    LineProblem::new(
                        Reason::WrongType,
                        "field `stars`: expected a number from 1 to 5",
                    )
                })?;
                Some(stars_of(number)?)
            }
        };
        let (date, unread_date) = match fields.take_optional("date") {
            None => (None, None),
            Some(value) => fields::date_or_unread(Some(&text_of(&value))),
        };
        let id = match optional_text(&mut fields, "review_id") {
            id if id.is_empty() => optional_text(&mut fields, "id"),
            id => id,
        };
        let business_id = optional_text(&mut fields, "business_id");
        let user_id = optional_text(&mut fields, "user_id");
        // Releases of 2014 to 2016 nest the votes.
        let mut nested = match fields.take_optional("votes") {
            None => Fields::new(serde_json::Map::new()),
            Some(Value::Object(votes)) => Fields::new(votes),
            Some(_) => {
                let message = r#"field `votes`: expected {"useful", "funny", "cool"}"#;
                return Err(LineProblem::new(Reason::WrongType, message));
            }
        };
        let mut votes = |name| match integer(&mut fields, name)? {
            Some(count) => Ok::<_, LineProblem>(Some(count)),
            None => integer(&mut nested, name),
        };
        let (useful, funny, cool) = (votes("useful")?, votes("funny")?, votes("cool")?);
        let metadata = metadata(&mut fields)?;
        Ok(Self(RawReview {
            id,
            business_id,
            user_id,
            text,
            label: stars.map(Label::Stars),
            part: String::new(),
            date,
            unread_date,
            useful,
            funny,
            cool,
            city: String::new(),
            metadata,
        }))
    }
}

/// The metadata of a business, from its own line or from a review's.
fn metadata(fields: &mut Fields) -> Result<BusinessMetadata, LineProblem> {
    let categories = match fields.take_optional("categories") {
        None => Vec::new(),
        Some(Value::String(text)) => categories_of(&text),
        Some(Value::Array(items)) => normalised(items.iter().filter_map(Value::as_str)),
        Some(_) => {
            let message = "field `categories`: expected a text, a list of texts or null";
            return Err(LineProblem::new(Reason::WrongType, message));
        }
    };
    let mut degrees = |name| fields.take_optional(name).and_then(|value| number_of(&value));
    let (latitude, longitude) = (degrees("latitude"), degrees("longitude"));
    let attributes = fields.take_optional("attributes");
    let price = attributes.as_ref().and_then(|value| value.get("RestaurantsPriceRange2"));
    let price = price.map(text_of).and_then(|text| literal(&text).parse().ok());
    let price = price.filter(|price| (1..=4).contains(price));
    Ok(BusinessMetadata { categories, latitude, longitude, price })
}

/// A text or number as text; empty if it is missing.
fn optional_text(fields: &mut Fields, name: &str) -> String {
    match fields.take_optional(name) {
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// An integer, which the files also write as `3.0`; `None` if it is missing.
fn integer(fields: &mut Fields, name: &str) -> Result<Option<i64>, LineProblem> {
    let Some(value) = fields.take_optional(name) else { return Ok(None) };
    let number = number_of(&value).filter(|number| number.fract() == 0.0);
    let wrong =
        || LineProblem::new(Reason::WrongType, format!("field `{name}`: expected a whole number"));
    number.map(|number| Some(number as i64)).ok_or_else(wrong)
}

fn number_of(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    number.filter(|number: &f64| number.is_finite())
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<R: FromLine>(text: &str) -> Result<R, LineProblem> {
        let Value::Object(values) = serde_json::from_str(text).unwrap() else { panic!("{text}") };
        R::from_line(Fields::new(values))
    }

    #[test]
    fn a_business_with_strings_as_attributes() {
        let found: BusinessLine = line(
            r#"{"business_id": "b1", "city": "Tampa", "latitude": 27.5, "longitude": "-80.25",
                "stars": 4.5, "review_count": 9, "attributes": {"RestaurantsPriceRange2": "u'2'"},
                "categories": "Thai, Restaurants"}"#,
        )
        .unwrap();
        assert_eq!((found.metadata.price, found.metadata.latitude), (Some(2), Some(27.5)));
        assert_eq!(found.metadata.longitude, Some(-80.25));
        assert_eq!(found.metadata.categories, ["thai", "restaurants"]);
        let bare: BusinessLine =
            line(r#"{"business_id": "b2", "categories": null, "attributes": null}"#).unwrap();
        assert_eq!(bare.metadata, BusinessMetadata::default());
    }

    #[test]
    fn a_user_with_the_unusual_values_of_2020() {
        let found: UserLine = line(
            r#"{"user_id": "u", "yelping_since": "2009-02-03 04:05:06", "elite": "2019,20,20",
                "friends": "None", "fans": 3, "average_stars": 4.1}"#,
        )
        .unwrap();
        assert_eq!((found.author.elite_years, found.author.fans), (Some(2), Some(3)));
        assert_eq!(found.author.since, fields::date_of("2009-02-03 04:05:06"));
    }

    #[test]
    fn reviews_name_what_is_wrong() {
        let good = r#"{"review_id": "r", "text": "Fine.", "stars": 4.0, "date": "2014-12-03", "useful": -1}"#;
        let ReviewLine(row) = line(good).unwrap();
        assert_eq!((row.label, row.useful, row.funny), (Some(Label::Stars(4)), Some(-1), None));
        let nested =
            r#"{"text": "x", "date": "1/2/2014", "votes": {"funny": 1, "useful": 2, "cool": 0}}"#;
        let ReviewLine(row) = line(nested).unwrap();
        assert_eq!((row.useful, row.funny, row.cool), (Some(2), Some(1), Some(0)));
        assert_eq!((row.date, row.unread_date.as_deref()), (None, Some("1/2/2014")));
        let reason = |text: &str| line::<ReviewLine>(text).map(|_| ()).unwrap_err().reason;
        assert_eq!(reason(r#"{"txt": "x"}"#), Reason::MissingField);
        assert_eq!(reason(r#"{"text": 5}"#), Reason::WrongType);
        assert_eq!(reason(r#"{"text": "x", "stars": 9}"#), Reason::Stars);
        assert_eq!(reason(r#"{"text": "x", "stars": "good"}"#), Reason::WrongType);
        assert_eq!(reason(r#"{"text": "x", "votes": 3}"#), Reason::WrongType);
        assert_eq!(reason(r#"{"text": "x", "useful": 1.5}"#), Reason::WrongType);
    }
}
