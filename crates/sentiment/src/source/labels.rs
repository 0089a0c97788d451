//! Classes instead of stars: 0 to 4, as in `yelp_review_full`, 1 to 5, or two, 0 and 1.

use std::collections::BTreeSet;
use std::path::Path;

use super::left_out::{LineProblem, Reason};
use crate::error::SentimentError;
use crate::review::{UNKNOWN_STARS, is_positive};

/// How a column writes the label of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum StarCoding {
    /// Stars as they are, 1 to 5.
    #[default]
    Stars,
    /// Stars less one, 0 to 4.
    FromZero,
    /// No stars: 1 for positive reviews, 0 for negative ones.
    TwoClasses,
}

/// What a row says of its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// Stars, 1 to 5.
    Stars(u8),
    /// Whether it is positive, in a table of two classes.
    Positive(bool),
}

impl Label {
    /// The stars; 0 in a table of two classes.
    pub(crate) fn stars(self) -> u8 {
        match self {
            Self::Stars(stars) => stars,
            Self::Positive(_) => UNKNOWN_STARS,
        }
    }

    /// Whether the review is positive: by its stars, four or five are.
    pub(crate) fn positive(self) -> bool {
        match self {
            Self::Stars(stars) => is_positive(stars),
            Self::Positive(positive) => positive,
        }
    }
}

impl StarCoding {
    /// The label that a number writes.
    pub(super) fn label(self, written: f64) -> Result<Label, LineProblem> {
        match self {
            Self::Stars => stars_of(written).map(Label::Stars),
            Self::FromZero => stars_of(written + 1.0).map(Label::Stars),
            Self::TwoClasses if written == 0.0 || written == 1.0 => {
                Ok(Label::Positive(written == 1.0))
            }
            Self::TwoClasses => {
                let message =
                    format!("the class is {written}, expected 0 (negative) or 1 (positive)");
                Err(LineProblem::new(Reason::Class, message))
            }
        }
    }

    /// The coding of a column with these numbers, which only 0 or 5 tells.
    ///
    /// # Errors
    /// [`SentimentError::Labels`] for one class, and for numbers that fit both codings of stars or none.
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
            (true, false) if numbers.last() == Some(&0) => Err(wrong("they are a single class")),
            (true, false) if numbers.last() == Some(&1) => Ok(Self::TwoClasses),
            (true, false) => Ok(Self::FromZero),
            // Not one number from 0 to 5: every row is listed with what it holds.
            (false, false) if numbers.is_empty() => Ok(Self::Stars),
            (false, false) => {
                Err(wrong("without a 0 or a 5 it is unclear whether they count from 0 or from 1"))
            }
        }
    }
}

/// Stars, an integer from 1 to 5.
pub(crate) fn stars_of(value: f64) -> Result<u8, LineProblem> {
    let whole = (1.0..=5.0).contains(&value) && value.fract() == 0.0;
    let message = || format!("field `stars`: found {value}, expected a whole number from 1 to 5");
    if whole { Ok(value as u8) } else { Err(LineProblem::new(Reason::Stars, message())) }
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
        assert_eq!(of(&[0, 1]), Ok(StarCoding::TwoClasses));
        for (numbers, part) in [(&[0][..], "single class"), (&[1, 2], "unclear"), (&[0, 5], "six")]
        {
            let error = of(numbers).unwrap_err();
            assert!(error.contains(part) && error.contains("`label`"), "{error}");
        }
    }

    #[test]
    fn a_label_says_stars_or_a_class() {
        let five = StarCoding::FromZero.label(4.0).unwrap();
        assert_eq!((five, five.stars(), five.positive()), (Label::Stars(5), 5, true));
        let bad = StarCoding::TwoClasses.label(0.0).unwrap();
        assert_eq!((bad, bad.stars(), bad.positive()), (Label::Positive(false), 0, false));
        assert!(StarCoding::TwoClasses.label(1.0).unwrap().positive());
        for other in [2.0, 0.5, -1.0, f64::NAN] {
            let problem = StarCoding::TwoClasses.label(other).unwrap_err();
            assert_eq!(problem.reason, Reason::Class);
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
    fn numbers_and_names_of_classes() {
        assert_eq!(
            ["4", " 4.0", "4 stars", "1 star"].map(stars_in),
            [Some(4.0), Some(4.0), Some(4.0), Some(1.0)]
        );
        assert_eq!(["", "stars", "good", "NaN", "4 points"].map(stars_in), [None; 5]);
    }
}
