//! How far made-up reviews of restaurants are like published counts of real ones.

use serde::Serialize;

use super::targets::{self, OF_NEGATION, OF_SENTIMENT, OF_VOTES, OF_WORDS, PAPER};
use crate::lexicon;

/// A figure of the made-up reviews beside a published one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Likeness {
    /// What is counted, with its unit.
    pub figure: &'static str,
    /// Of real reviews.
    pub published: f64,
    /// Who published it, and of what.
    pub source: &'static str,
    /// Of the made-up ones; `None` where there are too few to tell.
    pub made_up: Option<f64>,
}

/// Words of a sentence or sentences of a review that are told apart; more count as this many.
const MOST: usize = 200;

/// Counts reviews one by one.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    stars: [u64; 5],
    /// Of each review: its words, and the shares of those with a sentiment.
    words: Vec<u16>,
    good: f64,
    bad: f64,
    sentences: [u64; MOST + 1],
    sentence_words: [u64; MOST + 1],
    negated: u64,
    useful: Moments<2>,
    /// Stars, lexicon's score, useful, funny, cool, characters.
    together: Moments<6>,
    /// Stars, good, bad and all words.
    regression: Moments<4>,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self {
            stars: [0; 5],
            words: Vec::new(),
            good: 0.0,
            bad: 0.0,
            sentences: [0; MOST + 1],
            sentence_words: [0; MOST + 1],
            negated: 0,
            useful: Moments::new(),
            together: Moments::new(),
            regression: Moments::new(),
        }
    }

    pub(super) fn add(&mut self, stars: u8, votes: [i64; 3], text: &str) {
        self.stars[usize::from(stars) - 1] += 1;
        let words = text.split_whitespace().count();
        self.words.push(words.min(usize::from(u16::MAX)) as u16);
        let [good, bad] = signs(text);
        self.good += good / words.max(1) as f64;
        self.bad += bad / words.max(1) as f64;
        let mut sentences = 0;
        for sentence in text.split_inclusive(['.', '!', '?']).map(str::trim) {
            if sentence.is_empty() {
                continue;
            }
            sentences += 1;
            self.sentence_words[sentence.split_whitespace().count().min(MOST)] += 1;
            self.negated += u64::from(is_negated(sentence));
        }
        self.sentences[sentences.min(MOST)] += 1;
        let stars = f64::from(stars);
        let [useful, funny, cool] = votes.map(|count| count as f64);
        self.useful.add([useful, 0.0]);
        let score = f64::from(lexicon::score(text));
        self.together.add([stars, score, useful, funny, cool, text.chars().count() as f64]);
        self.regression.add([stars, good, bad, words as f64]);
    }

    /// Every figure that a count was published of.
    pub(super) fn figures(&self) -> Vec<Likeness> {
        let mut found = Vec::new();
        let mut say = |figure, published, source, made_up: f64| {
            let made_up = made_up.is_finite().then_some(made_up);
            found.push(Likeness { figure, published, source, made_up });
        };
        let (reviews, published) =
            (self.stars.iter().sum::<u64>() as f64, targets::STARS.iter().sum::<u64>() as f64);
        for (stars, name) in
            ["one star, %", "two stars, %", "three stars, %", "four stars, %", "five stars, %"]
                .into_iter()
                .enumerate()
        {
            let share = |counts: &[u64; 5], all: f64| 100.0 * counts[stars] as f64 / all;
            say(name, share(&targets::STARS, published), PAPER, share(&self.stars, reviews));
        }
        let mut words = self.words.clone();
        words.sort_unstable();
        let [mean, deviation] = self.regression.mean_and_deviation(3);
        let [of_mean, of_deviation, of_median] = targets::WORDS;
        say("words of a review, mean", of_mean, OF_WORDS, mean);
        say("words of a review, deviation", of_deviation, OF_WORDS, deviation);
        let median = words.get(words.len() / 2).map_or(f64::NAN, |words| f64::from(*words));
        say("words of a review, median", of_median, OF_WORDS, median);
        let per_review = |sum: f64| 100.0 * sum / reviews;
        say(
            "positive words, % of words",
            targets::POSITIVE_WORDS,
            OF_SENTIMENT,
            per_review(self.good),
        );
        say(
            "negative words, % of words",
            targets::NEGATIVE_WORDS,
            OF_SENTIMENT,
            per_review(self.bad),
        );
        let explained = self.regression.explained();
        say(
            "stars explained by counts of words, share of variance",
            targets::EXPLAINED_BY_COUNTS,
            OF_SENTIMENT,
            explained,
        );
        let sentences = self.sentence_words.iter().sum::<u64>() as f64;
        say(
            "sentences with a negation, %",
            targets::NEGATED,
            OF_NEGATION,
            100.0 * self.negated as f64 / sentences,
        );
        say(
            "words of a sentence, 80th percentile",
            targets::WORDS_OF_A_SENTENCE,
            PAPER,
            percentile(&self.sentence_words),
        );
        say(
            "sentences of a review, 80th percentile",
            targets::SENTENCES,
            PAPER,
            percentile(&self.sentences),
        );
        for (name, published, (a, b)) in [
            ("correlation of the lexicon's score with stars", targets::LEXICON_AND_STARS, (1, 0)),
            ("correlation of useful votes with stars", targets::USEFUL_AND_STARS, (2, 0)),
            ("correlation of funny votes with stars", targets::FUNNY_AND_STARS, (3, 0)),
            ("correlation of cool votes with stars", targets::COOL_AND_STARS, (4, 0)),
            ("correlation of length with stars", targets::LENGTH_AND_STARS, (5, 0)),
            ("correlation of useful and funny votes", targets::USEFUL_AND_FUNNY, (2, 3)),
            ("correlation of useful and cool votes", targets::USEFUL_AND_COOL, (2, 4)),
            ("correlation of useful votes with length", targets::USEFUL_AND_LENGTH, (2, 5)),
        ] {
            say(name, published, PAPER, self.together.correlation(a, b));
        }
        let [mean, deviation] = self.useful.mean_and_deviation(0);
        say("useful votes, mean", targets::USEFUL[0], OF_VOTES, mean);
        say("useful votes, deviation", targets::USEFUL[1], OF_VOTES, deviation);
        found
    }
}

/// Words of the lexicon with a positive and with a negative score.
fn signs(text: &str) -> [f64; 2] {
    let mut counts = [0.0; 2];
    for word in text.split_whitespace() {
        let score = lexicon::score(word);
        counts[0] += f64::from(u8::from(score > 0.0));
        counts[1] += f64::from(u8::from(score < 0.0));
    }
    counts
}

fn is_negated(sentence: &str) -> bool {
    const CUES: [&str; 9] =
        ["not", "no", "never", "nobody", "nothing", "none", "neither", "nor", "without"];
    sentence.split(|c: char| !c.is_alphabetic() && c != '\'').any(|word| {
        let word = word.to_lowercase();
        CUES.contains(&word.as_str()) || word.ends_with("n't")
    })
}

/// The least number that four fifths do not exceed.
fn percentile(counts: &[u64]) -> f64 {
    let all: u64 = counts.iter().sum();
    let mut below = 0;
    for (number, count) in counts.iter().enumerate() {
        below += count;
        if all > 0 && 5 * below >= 4 * all {
            return number as f64;
        }
    }
    f64::NAN
}

/// Sums, and sums of products, of several numbers of each review.
#[derive(Debug, Clone)]
struct Moments<const N: usize> {
    count: f64,
    sums: [f64; N],
    products: [[f64; N]; N],
}

impl<const N: usize> Moments<N> {
    fn new() -> Self {
        Self { count: 0.0, sums: [0.0; N], products: [[0.0; N]; N] }
    }

    fn add(&mut self, values: [f64; N]) {
        self.count += 1.0;
        for (a, of_a) in values.iter().enumerate() {
            self.sums[a] += of_a;
            for (b, of_b) in values.iter().enumerate() {
                self.products[a][b] += of_a * of_b;
            }
        }
    }

    fn covariance(&self, a: usize, b: usize) -> f64 {
        self.products[a][b] / self.count - self.sums[a] / self.count * self.sums[b] / self.count
    }

    fn correlation(&self, a: usize, b: usize) -> f64 {
        self.covariance(a, b) / (self.covariance(a, a) * self.covariance(b, b)).sqrt()
    }

    fn mean_and_deviation(&self, a: usize) -> [f64; 2] {
        [self.sums[a] / self.count, self.covariance(a, a).sqrt()]
    }

    /// Share of the variance of the first number that a linear regression on the others explains.
    fn explained(&self) -> f64 {
        // Gauss's elimination of the others from the covariances leaves the residual variance.
        let mut left: Vec<Vec<f64>> =
            (0..N).map(|a| (0..N).map(|b| self.covariance(a, b)).collect()).collect();
        for pivot in (1..N).rev() {
            let row = left[pivot].clone();
            for other in left.iter_mut().take(pivot) {
                let factor = other[pivot] / row[pivot];
                for (value, of_pivot) in other.iter_mut().zip(&row) {
                    *value -= factor * of_pivot;
                }
            }
        }
        1.0 - left[0][0] / self.covariance(0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_sentences_and_negations_are_counted() {
        let mut counts = Counts::new();
        counts.add(5, [1, 0, 2], "The soup was great. We didn't wait.");
        counts.add(1, [3, 1, 0], "Bad soup!");
        let figures = counts.figures();
        let of =
            |name: &str| figures.iter().find(|one| one.figure == name).unwrap().made_up.unwrap();
        assert_eq!((of("one star, %"), of("two stars, %")), (50.0, 0.0));
        assert_eq!((of("words of a review, mean"), of("words of a review, deviation")), (4.5, 2.5));
        // great of seven; wait of seven and bad of two.
        assert!((of("positive words, % of words") - 100.0 / 14.0).abs() < 1e-9);
        assert!((of("negative words, % of words") - 100.0 * (1.0 / 7.0 + 0.5) / 2.0).abs() < 1e-9);
        assert!((of("sentences with a negation, %") - 100.0 / 3.0).abs() < 1e-9);
        assert_eq!((of("useful votes, mean"), of("useful votes, deviation")), (2.0, 1.0));
        assert!((of("correlation of cool votes with stars") - 1.0).abs() < 1e-9);
        assert!((of("correlation of useful votes with stars") + 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_regression_explains_what_is_linear() {
        // y = 2 a - b + e, with e orthogonal to both: of the variance 4 + 1 + 1, five are explained.
        let mut moments = Moments::new();
        for at in 0..8_u8 {
            let sign = |bit: u8| f64::from(at >> bit & 1) * 2.0 - 1.0;
            let (a, b, e) = (sign(0), sign(1), sign(2));
            moments.add([2.0 * a - b + e, a, b]);
        }
        assert!((moments.explained() - 5.0 / 6.0).abs() < 1e-12);
        assert!((moments.correlation(0, 1) - 2.0 / 6.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn of_nothing_nothing_is_told() {
        assert!(Counts::new().figures().iter().all(|one| one.made_up.is_none()));
    }
}
