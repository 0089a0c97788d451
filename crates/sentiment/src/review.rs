//! What a review, its business and its author are, once read and checked.

use serde::{Deserialize, Serialize};

/// The most stars a review gives.
pub const MAX_STARS: u8 = 5;

/// Reviews of this many stars and more count as positive; three stars are negative (Table 1 of
/// arXiv 2201.07999 knows no neutral class).
pub const POSITIVE_FROM: u8 = 4;

/// `true` for the label of four and five stars.
///
/// ```
/// use bestof_sentiment::review::is_positive;
///
/// assert_eq!([1, 2, 3, 4, 5].map(is_positive), [false, false, false, true, true]);
/// ```
pub fn is_positive(stars: u8) -> bool {
    stars >= POSITIVE_FROM
}

/// One review, joined with what is known about its business and its author.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Review {
    /// The data set's name of the review; empty where rows have none.
    pub id: String,
    /// The data set's name of the restaurant.
    pub business: String,
    /// The data set's name of the author; empty where rows have none.
    pub user: String,
    /// What was written.
    pub text: String,
    /// Stars given, 1 to 5.
    pub stars: u8,
    /// Seconds since 1970-01-01 in UTC.
    pub date: i64,
    /// Votes of other users; the published files hold some of -1.
    pub useful: i64,
    /// As `useful`.
    pub funny: i64,
    /// As `useful`.
    pub cool: i64,
    /// Facts about the restaurant that do not depend on its ratings.
    pub place: Place,
    /// Facts about the author that do not depend on the ratings given.
    pub author: Author,
}

impl Review {
    /// The label of four and five stars.
    pub fn is_positive(&self) -> bool {
        is_positive(self.stars)
    }
}

/// Facts about a restaurant that may be inputs.
///
/// Its mean rating and its number of reviews are left out when the file is read: both are taken
/// over all reviews, the ones to be predicted among them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Place {
    /// Categories in lower case, trimmed, without repeats, in the order of the file.
    pub categories: Vec<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// Price range, 1 to 4.
    pub price: Option<u8>,
}

/// Facts about an author that may be inputs; means and counts of ratings are left out, as with
/// [`Place`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Author {
    /// Seconds since 1970-01-01 in UTC when the account was made.
    pub since: Option<i64>,
    /// How many years the author was of the elite.
    pub elite_years: Option<u32>,
    /// Number of fans.
    pub fans: Option<u64>,
}
