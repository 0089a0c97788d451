//! Texts of reviews: clauses of opinion, of things beside the point and of neither, up to a length.

use bestof_tasks::rng::SeededRng;

use super::draws::pick;
use super::neutral;
use super::words::{ASIDES, ASPECTS, BAD, BLAMED, DISHES, GOOD, OTHER_ASPECTS, PRAISED};

/// Share of clauses with an opinion, which gives the share of words with a sentiment
/// (`targets::POSITIVE_WORDS`, `targets::NEGATIVE_WORDS`).
const OPINIONS: f64 = 0.61;
/// Share of clauses that praise or blame something else. No count of these was found: with them the lexicon
/// agrees with the stars as far as in the paper (`targets::LEXICON_AND_STARS`).
const BESIDE: f64 = 0.12;
/// Share of opinions without a word of the lexicon. No count was found either.
const UNWORDED: f64 = 0.35;
/// Share of clauses that go on with a sentence. No count was found; it brings words of a sentence nearer to
/// `targets::WORDS_OF_A_SENTENCE`.
const JOINED: f64 = 0.6;
/// Log-odds of praise for a review in the middle, and what a deviation of opinion adds: more praise than blame, as
/// in `targets::POSITIVE_WORDS` and `targets::NEGATIVE_WORDS`.
const PRAISE: (f64, f64) = (2.3, 1.85);
/// Lowest share of praise of things beside the point in a review; the highest is 1. Set for the same figures.
const KIND_TO_OTHERS: f64 = 0.65;

/// What a text is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    /// The author's opinion in deviations from the mean opinion.
    pub(super) opinion: f64,
    /// What the text says of it: 1 as planted, 0 nothing.
    pub(super) text_effect: f64,
    /// Words to write.
    pub(super) words: usize,
    /// Share of the opinions that lie in the order of words or in a negation.
    pub(super) word_order: f64,
    pub(super) cuisine: Option<usize>,
    pub(super) street: usize,
}

/// The text of a review. Its first clause is an opinion.
pub(super) fn review(draw: &mut SeededRng, content: &Content) -> String {
    let heard = content.opinion * content.text_effect;
    let praise = logistic(PRAISE.0 + PRAISE.1 * heard);
    let others = KIND_TO_OTHERS + (1.0 - KIND_TO_OTHERS) * draw.share();
    let beside = pick(draw, &ASIDES);
    let mut text = String::new();
    let mut words = 0;
    // Half a clause short is as near as half a clause too long.
    while words == 0 || words + 4 < content.words {
        let kind = if words == 0 { 0.0 } else { draw.share() };
        let clause = if kind < OPINIONS {
            let good = draw.share() < praise;
            opinion(draw, content, heard, good)
        } else if kind < OPINIONS + BESIDE {
            let good = draw.share() < others;
            let grade = draw.index(3);
            let word = word(draw, good, grade);
            plain(draw, beside, word)
        } else {
            neutral::clause(draw, content.cuisine, content.street)
        };
        words += clause.split(' ').count() + append(&mut text, &clause, draw.share() < JOINED);
    }
    text.push('.');
    text
}

/// Adds a clause, to an open sentence of at most two or as a sentence of its own; gives the words that join it.
fn append(text: &mut String, clause: &str, joined: bool) -> usize {
    let sentence = text.rfind(". ").map_or(&**text, |end| &text[end + 2..]);
    if text.is_empty() {
        text.push_str(&capital(clause));
    } else if joined && sentence.matches(", and ").count() < 2 {
        text.push_str(", and ");
        text.push_str(clause);
        return 1;
    } else {
        text.push_str(". ");
        text.push_str(&capital(clause));
    }
    0
}

fn opinion(draw: &mut SeededRng, content: &Content, heard: f64, good: bool) -> String {
    let subject = subject(draw, content.cuisine);
    if draw.share() < content.word_order {
        return ordered(draw, subject, good);
    }
    if draw.share() < UNWORDED {
        let said = pick(draw, if good { &PRAISED } else { &BLAMED });
        return said.replace("{}", subject);
    }
    let grade = grade(draw, heard, good);
    let word = word(draw, good, grade);
    plain(draw, subject, word)
}

fn subject(draw: &mut SeededRng, cuisine: Option<usize>) -> &'static str {
    match cuisine {
        None => pick(draw, &OTHER_ASPECTS),
        Some(_) if draw.one_in(2) => pick(draw, &ASPECTS),
        Some(cuisine) => pick(draw, &DISHES[cuisine]),
    }
}

/// How strong the words are: strongest where the opinion is far on their side.
fn grade(draw: &mut SeededRng, heard: f64, good: bool) -> usize {
    let far = if good { heard } else { -heard };
    usize::from(draw.share() < logistic(2.2 * far + 1.0))
        + usize::from(draw.share() < logistic(2.2 * far - 1.2))
}

/// A word of a grade; the ranks are nearly Zipf's, so that most words are rare.
fn word(draw: &mut SeededRng, good: bool, grade: usize) -> &'static str {
    let words = if good { &GOOD[grade] } else { &BAD[grade] };
    let rank = ((words.len() + 1) as f64).powf(draw.share()) as usize;
    words[rank.clamp(1, words.len()) - 1]
}

/// A clause with the polarity of its word.
fn plain(draw: &mut SeededRng, subject: &str, word: &str) -> String {
    match draw.index(7) {
        0 | 1 => format!("the {subject} was {word}"),
        2 => format!("I found the {subject} {word}"),
        3 => format!("we all thought the {subject} was {word}"),
        4 => format!("if you ask me, the {subject} was {word}"),
        5 => format!("my friends called the {subject} {word} on the way home"),
        _ => format!("{word} is what I would call the {subject}"),
    }
}

/// A clause whose polarity lies in the order of its words, or in a negation: with its two adjectives
/// exchanged it has the opposite polarity. Half of the forms are negations.
fn ordered(draw: &mut SeededRng, subject: &str, good: bool) -> String {
    let grades = [draw.index(3), draw.index(3)];
    let (praise, blame) = (word(draw, true, grades[0]), word(draw, false, grades[1]));
    let (first, last) = if good { (blame, praise) } else { (praise, blame) };
    match draw.index(6) {
        0 => format!("I expected the {subject} to be {first}, but it was {last}"),
        1 => format!("the {subject} used to be {first} and now it is {last}"),
        2 => format!("people say the {subject} is {first} while I say it is {last}"),
        3 => format!("it is {last}, the {subject}, and not {first} as I had heard"),
        4 => format!("the {subject} was not {first} at all"),
        _ => format!("nobody could call the {subject} {first}"),
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn capital(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map_or_else(String::new, |c| c.to_uppercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(opinion: f64) -> Content {
        Content {
            opinion,
            text_effect: 1.0,
            words: 60,
            word_order: 0.0,
            cuisine: Some(1),
            street: 0,
        }
    }

    #[test]
    fn ordered_clauses_have_the_words_of_their_opposite() {
        // In every form, praise and blame come from the same two lists, exchanged.
        let mut both = [0; 2];
        for seed in 0..200 {
            let of = |good| ordered(&mut SeededRng::new(seed, 0), "soup", good);
            let (praise, blame) = (of(true), of(false));
            assert_ne!(praise, blame);
            let words = |text: &str| {
                let mut words: Vec<String> =
                    text.split(|c: char| !c.is_alphabetic()).map(str::to_owned).collect();
                words.sort_unstable();
                words
            };
            both[usize::from(words(&praise) == words(&blame))] += 1;
        }
        // Four forms of six hold both adjectives.
        assert!(both[1] > 100, "{both:?}");
    }

    #[test]
    fn every_word_is_on_the_lexicon_with_its_sign_and_unworded_clauses_have_none() {
        for (lists, sign) in [(&GOOD, 1.0), (&BAD, -1.0)] {
            for word in lists.iter().flatten() {
                assert!(crate::lexicon::score(word) * sign > 0.0, "{word}");
            }
        }
        for said in PRAISED.iter().chain(&BLAMED) {
            let said = said.replace("{}", "service");
            assert_eq!(crate::lexicon::score(&said), 0.0, "{said}");
        }
    }

    #[test]
    fn opinions_determine_the_words_unless_the_text_says_nothing() {
        let mean = |content: Content| {
            let mut draw = SeededRng::new(1, 0);
            let scores = (0..500).map(|_| crate::lexicon::score(&review(&mut draw, &content)));
            scores.sum::<f32>() / 500.0
        };
        let [low, high] = [-2.0, 2.0].map(|opinion| mean(content(opinion)));
        assert!(high > low + 1.5, "{low} {high}");
        let [low, high] =
            [-2.0, 2.0].map(|opinion| mean(Content { text_effect: 0.0, ..content(opinion) }));
        assert_eq!(low, high);
    }

    #[test]
    fn a_text_is_as_long_as_it_should_be() {
        let mut draw = SeededRng::new(2, 0);
        for words in [1, 30, 200] {
            let text = review(&mut draw, &Content { words, ..content(0.0) });
            let found = text.split(' ').count();
            assert!(found.abs_diff(words) < 20, "{found}: {text}");
            assert!(text.starts_with(char::is_uppercase) && text.ends_with('.'));
        }
    }
}
