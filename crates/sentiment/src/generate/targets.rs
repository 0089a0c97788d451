//! Published counts of Yelp reviews, and of negation, that made-up reviews are made after.
//!
//! Where no count was found for a constant of the generator, its comment says so.

/// Reviews of one to five stars in the test part of the paper (Guda, Srivastava and Karkhanis 2022,
/// arXiv:2201.07999, figure 7c, sums of rows).
pub(super) const STARS: [u64; 5] = [463, 572, 840, 1796, 1833];
/// Where those sums are from.
pub(super) const PAPER: &str = "Guda et al. 2022, arXiv:2201.07999";
/// Normal quantiles of the shares of [`STARS`] up to one, two, three and four stars.
pub(super) const THRESHOLDS: [f64; 4] = [-1.377_877, -0.885_123, -0.410_659, 0.431_560];

/// Words of a review: mean, deviation, median, and the least and most.
pub(super) const WORDS: [f64; 3] = [125.6, 115.5, 92.0];
pub(super) const MOST_WORDS: f64 = 1047.0;
/// 1,569,264 reviews of the Yelp Dataset Challenge of 2015: mean 125.6013, deviation 115.4981,
/// quartiles 48, 92 and 165, maximum 1047.
pub(super) const OF_WORDS: &str = "coursescholars.com/analyzing-yelp-reviews-statistical-summaries-and-insights, 1,569,264 reviews";
/// Deviation of the logarithm of the words, for which a lognormal distribution with that median has that mean.
pub(super) const LOG_WORDS: f64 = 0.79;

/// Shares of a review's words that the opinion lexicon of Hu and Liu calls positive and negative, means over
/// 1,125,458 reviews of the Yelp Dataset Challenge of 2014.
pub(super) const POSITIVE_WORDS: f64 = 5.6;
pub(super) const NEGATIVE_WORDS: f64 = 2.0;
/// Share of the variance of stars that a linear regression on counts of positive, negative and all words
/// explains there.
pub(super) const EXPLAINED_BY_COUNTS: f64 = 0.2589;
pub(super) const OF_SENTIMENT: &str =
    "minimaxir.com/2014/09/one-star-five-stars, 1,125,458 reviews";

/// Sentences with a negation: 3,528 of the 17,672 of the SFU Review corpus (Konstantinova et al. 2012), as the
/// data set card of rcds/MultiLegalNeg counts them. They are reviews of eight kinds of things, no Yelp reviews; for
/// those no count was found.
pub(super) const NEGATED: f64 = 100.0 * 3528.0 / 17_672.0;
pub(super) const OF_NEGATION: &str =
    "SFU Review corpus, counts of huggingface.co/datasets/rcds/MultiLegalNeg";

/// Correlation of a lexicon's score with the stars (the paper's correlations of its 36,692 reviews; its lexicon is
/// AFINN).
pub(super) const LEXICON_AND_STARS: f64 = 0.5256;
/// Correlations of votes and length in characters with the stars, and with each other, there.
pub(super) const USEFUL_AND_STARS: f64 = -0.0418;
pub(super) const FUNNY_AND_STARS: f64 = -0.0583;
pub(super) const COOL_AND_STARS: f64 = 0.1176;
pub(super) const LENGTH_AND_STARS: f64 = -0.1478;
pub(super) const USEFUL_AND_FUNNY: f64 = 0.6223;
pub(super) const USEFUL_AND_COOL: f64 = 0.7230;
pub(super) const USEFUL_AND_LENGTH: f64 = 0.3302;
/// 80th percentiles of words of a sentence and sentences of a review, to which the paper's code cuts texts
/// for its HAN.
pub(super) const WORDS_OF_A_SENTENCE: f64 = 28.0;
pub(super) const SENTENCES: f64 = 13.0;

/// Votes for useful: mean and deviation over 6,990,124 reviews of the Yelp Open Dataset; of funny and cool no
/// mean was found.
pub(super) const USEFUL: [f64; 2] = [1.18, 3.25];
pub(super) const OF_VOTES: &str =
    "github.com/alexandre-sdd/HelpfulLens, reports/eda_refined, 6,990,124 reviews";

#[cfg(test)]
mod tests {
    use super::*;

    /// The normal distribution, by its integral.
    fn normal_share(below: f64) -> f64 {
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (from, steps) = (-9.0, 40_000);
        let width = (below - from) / f64::from(steps);
        (0..steps).map(|at| width * density(from + width * (f64::from(at) + 0.5))).sum()
    }

    #[test]
    fn thresholds_cut_the_normal_distribution_into_the_shares_of_the_stars() {
        let all = STARS.iter().sum::<u64>() as f64;
        let mut below = 0;
        for (stars, threshold) in STARS.iter().zip(THRESHOLDS) {
            below += stars;
            assert!((normal_share(threshold) - below as f64 / all).abs() < 1e-6, "{threshold}");
        }
    }

    #[test]
    fn the_lognormal_distribution_has_the_published_mean_and_deviation() {
        let [mean, deviation, median] = WORDS;
        let variance = LOG_WORDS * LOG_WORDS;
        assert!((median * (0.5 * variance).exp() / mean - 1.0).abs() < 0.01);
        assert!((mean * (variance.exp() - 1.0).sqrt() / deviation - 1.0).abs() < 0.03);
    }
}
