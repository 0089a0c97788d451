//! Classes instead of stars: 0 to 4, as in `yelp_review_full`, or 1 to 5.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::SentimentError;

/// How a column writes stars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum StarCoding {
    /// As they are, 1 to 5.
    #[default]
    Stars,
    /// One less, 0 to 4.
    FromZero,
}

impl StarCoding {
    /// The stars of a written number.
    pub(super) fn stars(self, written: f64) -> f64 {
        match self {
            Self::Stars => written,
            Self::FromZero => written + 1.0,
        }
    }

    /// The coding of a column with these numbers, which only 0 or 5 tells.
    ///
    /// # Errors
    /// [`SentimentError::Labels`] for two classes, and for numbers that fit both codings or none.
    pub(super) fn of(
        numbers: &BTreeSet<i64>,
        column: &str,
        path: &Path,
    ) -> Result<Self, SentimentError> {
        let wrong = |why| SentimentError::Labels {
            path: path.to_owned(),
            column: column.to_owned(),
            found: numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", "),
            why,
        };
        match (numbers.contains(&0), numbers.contains(&5)) {
            (true, true) => Err(wrong("they are six classes")),
            (false, true) => Ok(Self::Stars),
            (true, false) if numbers.last() <= Some(&1) => {
                Err(wrong("they are two classes at most, as in `yelp_polarity`, and no stars"))
            }
            (true, false) => Ok(Self::FromZero),
            // Not one number from 0 to 5: every row is listed with what it holds.
            (false, false) if numbers.is_empty() => Ok(Self::Stars),
            (false, false) => {
                Err(wrong("without a 0 or a 5 it is unclear whether they count from 0 or from 1"))
            }
        }
    }
}

/// The number in `4`, `4.0` or `4 stars`, the name of a class in `yelp_review_full`.
pub(super) fn stars_in(text: &str) -> Option<f64> {
    let text = text.trim();
    let number = text.strip_suffix("stars").or_else(|| text.strip_suffix("star")).unwrap_or(text);
    number.trim_end().parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_or_five_tells() {
        let of = |numbers: &[i64]| {
            let numbers = numbers.iter().copied().collect();
            StarCoding::of(&numbers, "label", "y.csv".as_ref()).map_err(|error| error.to_string())
        };
        assert_eq!(of(&[0, 1, 2, 3, 4]), Ok(StarCoding::FromZero));
        assert_eq!(of(&[0, 3]), Ok(StarCoding::FromZero));
        assert_eq!(of(&[1, 5]), Ok(StarCoding::Stars));
        for (numbers, part) in [
            (&[0, 1][..], "two classes"),
            (&[0], "two classes"),
            (&[2, 3], "unclear"),
            (&[0, 5], "six"),
        ] {
            let error = of(numbers).unwrap_err();
            assert!(error.contains(part) && error.contains("`label`"), "{error}");
        }
    }

    #[test]
    fn numbers_and_names_of_classes() {
        assert_eq!(
            ["4", " 4.0", "4 stars", "1 star"].map(stars_in),
            [Some(4.0), Some(4.0), Some(4.0), Some(1.0)]
        );
        assert_eq!(["", "stars", "good", "NaN", "4 points"].map(stars_in), [None; 5]);
    }
}
