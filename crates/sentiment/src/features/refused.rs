//! Columns of the data set that contain the answer.

/// Columns that are refused as inputs, each with the reason.
pub const REFUSED: &[(&str, &str)] = &[
    (
        "business_stars",
        "a restaurant's stars are the mean of its reviews, the one to predict among them",
    ),
    ("average_stars", "an author's mean is taken over all reviews, the one to predict among them"),
    ("user_average_stars", "it is the author's mean over all reviews, the one to predict too"),
    ("business_review_count", "it counts all reviews, also those written after this one"),
    ("user_review_count", "it counts all reviews, also those written after this one"),
    ("review_count", "it counts all reviews, also those written after this one"),
    ("stars", "it is the label"),
    ("positive", "it is the label"),
    ("sentiment", "it is the target of the second head, and is read off the same text"),
    ("sentiment_score", "it is the target of the second head, and is read off the same text"),
];

/// Why `name` may be no input, if it may not.
///
/// ```
/// use bestof_sentiment::features::refusal;
///
/// assert!(refusal("average_stars").is_some_and(|why| why.contains("mean")));
/// assert!(refusal("useful").is_none());
/// ```
pub fn refusal(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, why)| *why)
}
