//! A review with the metadata of its business and its author, read and checked.

/// Most stars of a review.
pub(crate) const MAX_STARS: u8 = 5;

/// In place of the stars of a review that has none.
pub(crate) const UNKNOWN_STARS: u8 = 0;

/// Least stars of a positive review; three stars are negative (Table 1 of arXiv 2201.07999 has no
/// neutral class).
const POSITIVE_FROM: u8 = 4;

/// Whether a review of this many stars is positive.
pub(crate) fn is_positive(stars: u8) -> bool {
    stars >= POSITIVE_FROM
}

/// One review, joined with the metadata of its business and its author.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Review {
    /// The data set's id of the review; may be empty.
    pub(crate) id: String,
    /// The data set's id of the business.
    pub(crate) business_id: String,
    /// The data set's id of the author; may be empty.
    pub(crate) user_id: String,
    pub(crate) text: String,
    /// 1 to 5; 0 if unknown, in a review to predict.
    pub(crate) stars: u8,
    /// Seconds since 1970-01-01 in UTC.
    pub(crate) date: Option<i64>,
    /// Votes of other users; the published files have some of -1.
    pub(crate) useful: Option<i64>,
    pub(crate) funny: Option<i64>,
    pub(crate) cool: Option<i64>,
    pub(crate) business: BusinessMetadata,
    pub(crate) author: AuthorMetadata,
}

/// Metadata of a business that may be inputs.
///
/// Its mean rating and its number of reviews are not read: both are taken over all reviews, including
/// the ones to predict.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct BusinessMetadata {
    /// In lower case, trimmed, without duplicates, in the order of the file.
    pub(crate) categories: Vec<String>,
    /// Degrees north.
    pub(crate) latitude: Option<f64>,
    /// Degrees east.
    pub(crate) longitude: Option<f64>,
    /// Price range, 1 to 4.
    pub(crate) price: Option<u8>,
}

/// Metadata of an author that may be inputs; means and counts of ratings are not read, as with
/// [`BusinessMetadata`].
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct AuthorMetadata {
    /// When the account was created, in seconds since 1970-01-01 in UTC.
    pub(crate) since: Option<i64>,
    /// Number of years with elite status.
    pub(crate) elite_years: Option<u32>,
    pub(crate) fans: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_and_five_stars_are_positive() {
        assert_eq!([1, 2, 3, 4, 5].map(is_positive), [false, false, false, true, true]);
    }
}
