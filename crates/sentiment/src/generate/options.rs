//! How much is generated, and how strong the planted effects are.

use crate::error::SentimentError;

/// Meta effects with which nothing is left to the occasion.
const MOST_META_EFFECTS: f64 = 2.0;
/// With more, nearly every text is all praise or all blame.
const MOST_TEXT_EFFECT: f64 = 4.0;

/// How much is generated.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GenerateOptions {
    /// Number of reviews, about one in eight of them of businesses other than restaurants.
    pub reviews: u64,
    /// Number of businesses. Default: one per 30 reviews, 12 to 150,000.
    pub businesses: u32,
    /// Number of authors. Default: one per 12 reviews, 20 to 2,000,000.
    pub users: u32,
    /// Seed; equal seeds give equal files. Default 0.
    pub seed: u64,
    /// Share of the opinions whose polarity lies in the order of words or in a negation, 0 to 1. Half of them are
    /// negations. Default 0.25, for which a fifth of all sentences hold a negation.
    pub word_order: f64,
    /// Factor of all planted effects that meta features show (restaurant, author, lean of the votes), 0 to 2. The
    /// occasion's part makes up for it, so that the shares of the stars stay. Default 1.
    pub meta_effects: f64,
    /// Factor of what a text says of its author's opinion, 0 to 4. Default 1.
    pub text_effect: f64,
}

impl GenerateOptions {
    /// The defaults for this many reviews.
    pub fn new(reviews: u64) -> Self {
        Self {
            reviews,
            businesses: (reviews / 30).clamp(12, 150_000) as u32,
            users: (reviews / 12).clamp(20, 2_000_000) as u32,
            seed: 0,
            word_order: 0.25,
            meta_effects: 1.0,
            text_effect: 1.0,
        }
    }

    /// # Errors
    /// [`SentimentError::NothingToGenerate`] for no businesses or authors; [`SentimentError::Strength`] for a share
    /// or an effect out of its range.
    pub(super) fn check(&self) -> Result<(), SentimentError> {
        if self.businesses == 0 || self.users == 0 {
            let (businesses, users) = (self.businesses, self.users);
            return Err(SentimentError::NothingToGenerate { businesses, users });
        }
        for (what, found, most) in [
            ("share of word order", self.word_order, 1.0),
            ("factor of meta effects", self.meta_effects, MOST_META_EFFECTS),
            ("factor of the text's effect", self.text_effect, MOST_TEXT_EFFECT),
        ] {
            if !(0.0..=most).contains(&found) {
                return Err(SentimentError::Strength { what, found, most });
            }
        }
        Ok(())
    }
}
