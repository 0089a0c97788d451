//! Columns of the data set that contain the answer.

/// Columns that contain the answer, each with the reason.
const REFUSED: &[(&str, &str)] = &[
    (
        "business_stars",
        "a restaurant's stars are the mean of its reviews, including the one to predict",
    ),
    ("average_stars", "an author's mean is taken over all reviews, including the one to predict"),
    (
        "user_average_stars",
        "it is the author's mean over all reviews, including the one to predict",
    ),
    ("business_review_count", "it counts all reviews, including later ones"),
    ("user_review_count", "it counts all reviews, including later ones"),
    ("review_count", "it counts all reviews, including later ones"),
    ("stars", "it is the label"),
    ("positive", "it is the label"),
    ("sentiment", "it is the target of the second head, computed from the same text"),
    ("sentiment_score", "it is the target of the second head, computed from the same text"),
];

/// The reason why `name` may not be an input; `None` if it may.
pub(super) fn refusal(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, why)| *why)
}
