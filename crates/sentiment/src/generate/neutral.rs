//! Clauses that say nothing of good or bad: who came, when, and what was ordered.

use bestof_tasks::rng::SeededRng;

use super::draws::pick;
use super::words::{DISHES, STREETS};

/// Share of these clauses that hold a negation, so that with those of opinions a fifth of all sentences do
/// (`targets::NEGATED`).
const DENIED: f64 = 0.10;

const DENIALS: [&str; 12] = [
    "we did not have a reservation",
    "they do not take checks",
    "I had never been in this part of town",
    "there is no parking behind the house",
    "the menu does not name the farms",
    "nobody in our group had been here before",
    "we did not order from the back page",
    "there was no music on that evening",
    "they don't open before eleven",
    "my brother does not eat meat",
    "we couldn't stay for a second round",
    "I did not look at the clock",
];

const WHO: [&str; 10] = [
    "we",
    "my sister",
    "two of my friends",
    "our whole group",
    "my parents",
    "a colleague",
    "the four of us",
    "my cousin from out of town",
    "our neighbors",
    "my roommate",
];

const WHEN: [&str; 10] = [
    "on a Tuesday evening",
    "after a ball game",
    "for a birthday",
    "around noon",
    "on the way to the airport",
    "right after church",
    "at the end of March",
    "before a show downtown",
    "during the holidays",
    "on my day off",
];

const PLACE: [&str; 8] = [
    "by the window",
    "at the bar",
    "in a booth near the door",
    "at a table in the back",
    "out on the patio",
    "next to the open kitchen",
    "under the big clock",
    "upstairs",
];

const PLAIN: [&str; 12] = [
    "parking is around the corner",
    "they open at eleven on weekdays",
    "the menu has two pages and a list of drinks",
    "I had read about it in the paper",
    "they take cards",
    "the building used to be a bank",
    "it rained that day",
    "somebody at work had told me of it",
    "the bus stops in front of it",
    "there is a second room behind the curtain",
    "the lot next to it belongs to a pharmacy",
    "I checked in at the counter",
];

/// A clause without a full stop and without a capital.
pub(super) fn clause(draw: &mut SeededRng, cuisine: Option<usize>, street: usize) -> String {
    if draw.share() < DENIED {
        return pick(draw, &DENIALS).to_owned();
    }
    let (who, when) = (pick(draw, &WHO), pick(draw, &WHEN));
    match (draw.index(6), cuisine) {
        (0, _) => format!("this is the one on {} Street", STREETS[street]),
        (1, _) => format!("{who} came here {when}"),
        (2, _) => format!("{who} sat {} {when}", pick(draw, &PLACE)),
        (3 | 4, Some(cuisine)) => {
            let (first, second) = (pick(draw, &DISHES[cuisine]), pick(draw, &DISHES[cuisine]));
            format!("{who} ordered the {first} and then the {second}")
        }
        _ => pick(draw, &PLAIN).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_of_good_or_bad() {
        let mut draw = SeededRng::new(3, 0);
        for _ in 0..500 {
            let said = clause(&mut draw, Some(2), 1);
            assert_eq!(crate::lexicon::score(&said), 0.0, "{said}");
        }
    }
}
