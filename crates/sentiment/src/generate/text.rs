//! Texts of reviews: single aspects, each praised or criticised.

use bestof_tasks::rng::SeededRng;

/// Streets, named in some reviews.
pub(super) const STREETS: [&str; 8] =
    ["Oak", "Main", "River", "Mill", "Park", "Lake", "Hill", "Cedar"];

/// Dishes of each cuisine, in the order of the cuisines.
const DISHES: [[&str; 3]; 12] = [
    ["green curry", "papaya salad", "noodle soup"],
    ["lasagna", "risotto", "tiramisu"],
    ["tacos", "enchiladas", "salsa"],
    ["ramen", "sushi", "tempura"],
    ["brisket", "ribs", "coleslaw"],
    ["cheeseburger", "fries", "milkshake"],
    ["nuggets", "wrap", "soda"],
    ["margherita", "calzone", "garlic bread"],
    ["lentil bowl", "tofu scramble", "beet salad"],
    ["grilled trout", "clam chowder", "shrimp"],
    ["pancakes", "omelette", "coffee"],
    ["carving station", "salad bar", "dessert table"],
];

const ASPECTS: [&str; 10] = [
    "service",
    "waiter",
    "room",
    "price",
    "atmosphere",
    "staff",
    "terrace",
    "wine list",
    "kitchen",
    "host",
];

/// Aspects of businesses other than restaurants.
const OTHER_ASPECTS: [&str; 4] = ["appointment", "front desk", "work", "bill"];

const GOOD: [&str; 18] = [
    "great",
    "excellent",
    "wonderful",
    "superb",
    "delightful",
    "fantastic",
    "lovely",
    "good",
    "outstanding",
    "impressive",
    "charming",
    "perfect",
    "pleasant",
    "terrific",
    "generous",
    "memorable",
    "fresh",
    "nice",
];

const BAD: [&str; 18] = [
    "bland",
    "terrible",
    "awful",
    "disappointing",
    "slow",
    "rude",
    "dreadful",
    "bad",
    "stale",
    "overpriced",
    "dirty",
    "poor",
    "careless",
    "horrible",
    "cold",
    "mediocre",
    "greasy",
    "tasteless",
];

const FILLERS: [&str; 14] = [
    "We came on a weekday evening with friends.",
    "There were four of us.",
    "Parking is around the corner.",
    "We sat by the window.",
    "It was our first visit.",
    "I ordered what the table next to us had.",
    "They open at eleven.",
    "My sister picked the spot.",
    "It rained that day.",
    "We had a reservation for seven.",
    "They take cards.",
    "The menu has two pages.",
    "I had read about it before.",
    "We walked there from the hotel.",
];

/// The text of a review with this opinion, in stars (0.5 to 5.5).
pub(super) fn review(
    draw: &mut SeededRng,
    opinion: f64,
    cuisine: Option<usize>,
    street: usize,
    word_order: f64,
) -> String {
    let mut sentences = Vec::new();
    if draw.one_in(3) {
        let street = STREETS[street];
        sentences.push(format!("This is the one on {street} Street."));
    }
    // The share of praise is a logistic function of the opinion, steepest near the middle of the scale.
    let praise = 1.0 / (1.0 + (-1.6 * (opinion - 3.3)).exp());
    for _ in 0..draw.between(2, 5) {
        if draw.one_in(4) {
            sentences.push(one(draw, &FILLERS).to_owned());
        }
        let good = chance(draw, praise);
        let subject = subject(draw, cuisine);
        sentences.push(if chance(draw, word_order) {
            ordered(draw, subject, good)
        } else {
            plain(draw, subject, good, opinion)
        });
    }
    sentences.join(" ")
}

fn subject(draw: &mut SeededRng, cuisine: Option<usize>) -> &'static str {
    match cuisine {
        None => one(draw, &OTHER_ASPECTS),
        Some(_) if draw.one_in(2) => one(draw, &ASPECTS),
        Some(cuisine) => one(draw, &DISHES[cuisine]),
    }
}

/// A sentence with the polarity of its words.
fn plain(draw: &mut SeededRng, subject: &str, good: bool, opinion: f64) -> String {
    let word = one(draw, if good { &GOOD } else { &BAD });
    let strength = match (opinion - 3.0).abs() {
        far if far > 1.5 => "really ",
        far if far < 0.5 => "rather ",
        _ => "",
    };
    match draw.index(4) {
        0 => format!("The {subject} was {strength}{word}."),
        1 => format!("{} {subject}.", capital(word)),
        2 => format!("I found the {subject} {strength}{word}."),
        _ => format!("We all thought the {subject} was {strength}{word}."),
    }
}

/// A sentence whose polarity lies in the order of its words, or in a negation: with its two adjectives
/// exchanged it has the opposite polarity.
fn ordered(draw: &mut SeededRng, subject: &str, good: bool) -> String {
    let (praise, blame) = (one(draw, &GOOD), one(draw, &BAD));
    let (first, last) = if good { (blame, praise) } else { (praise, blame) };
    match draw.index(6) {
        0 => format!("I expected the {subject} to be {first}, but it was {last}."),
        1 => format!("The {subject} used to be {first} and now it is {last}."),
        2 => format!("People say the {subject} is {first}; I say it is {last}."),
        3 => format!("It is {last}, the {subject}, and not {first} as I had heard."),
        4 => format!("The {subject} was not {first} at all."),
        _ => format!("Nobody could call the {subject} {first}."),
    }
}

fn one<'a>(draw: &mut SeededRng, items: &[&'a str]) -> &'a str {
    items[draw.index(items.len())]
}

fn chance(draw: &mut SeededRng, share: f64) -> bool {
    (draw.index(1 << 20) as f64) < share * f64::from(1 << 20)
}

fn capital(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map_or_else(String::new, |c| c.to_uppercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordered_sentences_have_the_words_of_their_opposite() {
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
    fn opinions_determine_the_words() {
        let mean = |opinion: f64| {
            let mut draw = SeededRng::new(1, 0);
            let scores = (0..500)
                .map(|_| crate::lexicon::score(&review(&mut draw, opinion, Some(1), 0, 0.0)));
            scores.sum::<f32>() / 500.0
        };
        assert!(mean(5.0) > 1.5 && mean(1.0) < -1.5 && mean(3.3).abs() < 1.0);
    }
}
