//! The data set's JSON lines.

use bestof_tasks::rows::{Fields, ReadOptions, Row, RowProblem, RowReader};
use serde_json::Value;

use super::bytes::Opened;
use super::fields::{self, RawRow, categories_of, literal, normalised};
use super::left_out::{Problem, Reason};
use crate::review::{Author, Place};

/// Longest line, in bytes: an author's list of friends alone can have megabytes.
const LONGEST_LINE: usize = 16 << 20;

/// Rows of a JSON lines file, each with its line.
pub(crate) struct JsonRows<R> {
    reader: RowReader<Opened, Line<R>>,
    line: u64,
}

/// A line that is a JSON object and that may still not be a row.
struct Line<R>(Result<R, Problem>);

/// What a line of one of the files says.
pub(crate) trait FromLine: Sized {
    const SHAPE: &'static str;
    fn from_line(fields: Fields) -> Result<Self, Problem>;
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

    /// The read error that ended the rows early, if one did.
    pub(crate) fn io_error(&mut self) -> Option<std::io::Error> {
        self.reader.io_error()
    }
}

impl<R: FromLine> Iterator for JsonRows<R> {
    /// Line from 1, with the row or what is wrong with it.
    type Item = (u64, Result<R, Problem>);

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
    pub(crate) place: Place,
}

impl FromLine for BusinessLine {
    const SHAPE: &'static str = r#"{"business_id", "categories", ...}"#;

    fn from_line(mut fields: Fields) -> Result<Self, Problem> {
        let id = fields.text("business_id")?;
        Ok(Self { id, city: optional_text(&mut fields, "city"), place: place(&mut fields)? })
    }
}

/// A line of the user file.
pub(crate) struct UserLine {
    pub(crate) id: String,
    pub(crate) author: Author,
}

impl FromLine for UserLine {
    const SHAPE: &'static str = r#"{"user_id", "yelping_since", ...}"#;

    fn from_line(mut fields: Fields) -> Result<Self, Problem> {
        let id = fields.text("user_id")?;
        let since = match fields.take_optional("yelping_since") {
            Some(Value::String(text)) => fields::date_of(&text),
            _ => None,
        };
        let elite_years = match fields.take_optional("elite") {
            Some(Value::String(text)) => Some(fields::elite_years(&text)),
            Some(Value::Array(years)) => {
                let years: Vec<String> = years.iter().map(plain).collect();
                Some(fields::elite_years(&years.join(",")))
            }
            _ => None,
        };
        let fans = whole(&mut fields, "fans")?.map(|fans| fans.max(0) as u64);
        Ok(Self { id, author: Author { since, elite_years, fans } })
    }
}

/// A line of the review file, or of a file of reviews to predict.
pub(crate) struct ReviewLine(pub(crate) RawRow);

impl FromLine for ReviewLine {
    const SHAPE: &'static str = r#"{"text", "stars", "date", ...}"#;

    fn from_line(mut fields: Fields) -> Result<Self, Problem> {
        let text = fields.text("text")?;
        let stars = match fields.take_optional("stars") {
            None => None,
            Some(value) => {
                let number = number_of(&value).ok_or_else(|| {
                    Problem::new(Reason::WrongType, "field `stars`: expected a number from 1 to 5")
                })?;
                Some(fields::stars_of(number)?)
            }
        };
        let date = match fields.take_optional("date") {
            None => None,
            Some(Value::String(text)) => Some(fields::date_field(&text)?),
            Some(_) => {
                return Err(Problem::new(Reason::WrongType, "field `date`: expected a text"));
            }
        };
        let id = match optional_text(&mut fields, "review_id") {
            id if id.is_empty() => optional_text(&mut fields, "id"),
            id => id,
        };
        let business = optional_text(&mut fields, "business_id");
        let user = optional_text(&mut fields, "user_id");
        let useful = whole(&mut fields, "useful")?;
        let funny = whole(&mut fields, "funny")?;
        let cool = whole(&mut fields, "cool")?;
        let place = place(&mut fields)?;
        Ok(Self(RawRow { id, business, user, text, stars, date, useful, funny, cool, place }))
    }
}

/// The facts of a restaurant, from its own line or from a row that stands alone.
fn place(fields: &mut Fields) -> Result<Place, Problem> {
    let categories = match fields.take_optional("categories") {
        None => Vec::new(),
        Some(Value::String(text)) => categories_of(&text),
        Some(Value::Array(items)) => normalised(items.iter().filter_map(Value::as_str)),
        Some(_) => {
            let message = "field `categories`: expected a text, a list of texts or null";
            return Err(Problem::new(Reason::WrongType, message));
        }
    };
    let mut degrees = |name| fields.take_optional(name).and_then(|value| number_of(&value));
    let (latitude, longitude) = (degrees("latitude"), degrees("longitude"));
    let attributes = fields.take_optional("attributes");
    let price = attributes.as_ref().and_then(|value| value.get("RestaurantsPriceRange2"));
    let price = price.map(plain).and_then(|text| literal(&text).parse().ok());
    let price = price.filter(|price| (1..=4).contains(price));
    Ok(Place { categories, latitude, longitude, price })
}

/// A text that may be missing.
fn optional_text(fields: &mut Fields, name: &str) -> String {
    match fields.take_optional(name) {
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A whole number that may be missing; the files also write it as `3.0`.
fn whole(fields: &mut Fields, name: &str) -> Result<Option<i64>, Problem> {
    let Some(value) = fields.take_optional(name) else { return Ok(None) };
    let number = number_of(&value).filter(|number| number.fract() == 0.0);
    let wrong =
        || Problem::new(Reason::WrongType, format!("field `{name}`: expected a whole number"));
    number.map(|number| Some(number as i64)).ok_or_else(wrong)
}

fn number_of(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    number.filter(|number: &f64| number.is_finite())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<R: FromLine>(text: &str) -> Result<R, Problem> {
        let Value::Object(values) = serde_json::from_str(text).unwrap() else { unreachable!() };
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
        assert_eq!((found.place.price, found.place.latitude), (Some(2), Some(27.5)));
        assert_eq!(found.place.longitude, Some(-80.25));
        assert_eq!(found.place.categories, ["thai", "restaurants"]);
        let bare: BusinessLine =
            line(r#"{"business_id": "b2", "categories": null, "attributes": null}"#).unwrap();
        assert_eq!(bare.place, Place::default());
    }

    #[test]
    fn a_user_with_the_odd_values_of_2020() {
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
        assert_eq!((row.stars, row.useful, row.funny), (Some(4), Some(-1), None));
        let reason = |text: &str| line::<ReviewLine>(text).map(|_| ()).unwrap_err().reason;
        assert_eq!(reason(r#"{"txt": "x"}"#), Reason::MissingField);
        assert_eq!(reason(r#"{"text": 5}"#), Reason::WrongType);
        assert_eq!(reason(r#"{"text": "x", "stars": 9}"#), Reason::Stars);
        assert_eq!(reason(r#"{"text": "x", "stars": "good"}"#), Reason::WrongType);
        assert_eq!(reason(r#"{"text": "x", "date": "soon"}"#), Reason::WrongType);
        assert_eq!(reason(r#"{"text": "x", "useful": 1.5}"#), Reason::WrongType);
    }
}
