//! Replacing a numeric answer by another number, everywhere in a document.

use std::collections::HashSet;

use super::super::SkipReason;
use super::super::numbers::{numbers, value, with_separators};
use super::matching::{Answer, any_within, bare_number};
use crate::rng::SeededRng;

/// Years that are altered as years (Giraffe): these, without separators.
const YEARS: std::ops::RangeInclusive<i64> = 1000..=2100;

/// Largest distance of the new year from the old one.
const YEARS_AWAY: i64 = 10;

/// Attempts at drawing a new number.
const DRAWS: usize = 400;

/// A document in which the answer was replaced by another number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Altered {
    pub(super) document: String,
    /// The new answer, in the form of the old one.
    pub(super) answer: String,
}

/// The document with the number of `answer` altered.
pub(super) fn alter(
    question: &str,
    document: &str,
    answer: &str,
    rng: &mut SeededRng,
) -> Result<Altered, SkipReason> {
    let range = bare_number(answer).ok_or(SkipReason::NotNumeric)?;
    let written = &answer[range.clone()];
    let old = value(written);
    let taken: HashSet<String> = [question, document]
        .iter()
        .flat_map(|text| numbers(text).into_iter().map(|number| value(&text[number.range])))
        .collect();
    let free = |digits: &str| {
        let new = value(digits);
        new != old
            && !taken.contains(&new)
            // In words it may stand there too.
            && (new.len() > 2 || !any_within(document, &[Answer::new(&new)]))
    };
    let digits = other_number(written, free, rng).ok_or(SkipReason::NoReplacement)?;
    let form =
        |like: &str| if like.contains(',') { with_separators(&digits) } else { digits.clone() };
    let mut altered = String::with_capacity(document.len());
    let mut rest = 0;
    for number in numbers(document) {
        let found = &document[number.range.clone()];
        if !number.glued && value(found) == old {
            altered.push_str(&document[rest..number.range.start]);
            altered.push_str(&form(found));
            rest = number.range.end;
        }
    }
    altered.push_str(&document[rest..]);
    let answer = format!("{}{}{}", &answer[..range.start], form(written), &answer[range.end..]);
    Ok(Altered { document: altered, answer })
}

/// Digits, without separators, of another number in the same form.
fn other_number(written: &str, free: impl Fn(&str) -> bool, rng: &mut SeededRng) -> Option<String> {
    let year =
        written.parse::<i64>().ok().filter(|year| YEARS.contains(year) && written.len() == 4);
    if let Some(year) = year {
        let mut years: Vec<i64> =
            (year - YEARS_AWAY..=year + YEARS_AWAY).filter(|year| YEARS.contains(year)).collect();
        rng.shuffle(&mut years);
        return years.into_iter().map(|year| year.to_string()).find(|year| free(year));
    }
    let digits: Vec<char> = written.chars().filter(|c| *c != ',').collect();
    // The zero of `0.5` stays; a first digit is no zero otherwise.
    let keeps_zero = digits.starts_with(&['0', '.']);
    (0..DRAWS)
        .map(|_| {
            let digit = |(index, c): (usize, &char)| match (index, c) {
                (_, '.') => '.',
                (0, _) if keeps_zero => '0',
                (0, _) => char::from(b'1' + rng.index(9) as u8),
                _ => char::from(b'0' + rng.index(10) as u8),
            };
            digits.iter().enumerate().map(digit).collect::<String>()
        })
        .find(|digits| free(digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn altered(document: &str, answer: &str) -> Result<Altered, SkipReason> {
        alter("When?", document, answer, &mut SeededRng::new(4, 0))
    }

    #[test]
    fn years_stay_near_and_other_numbers_keep_their_form() {
        for seed in 0..200 {
            let mut rng = SeededRng::new(seed, 0);
            let mut new = |answer: &str| {
                alter("?", "in 1500 or 1,500 or 0.50 or 7", answer, &mut rng).unwrap()
            };
            let year: i64 = new("1500").answer.parse().unwrap();
            assert!(year != 1500 && (1490..=1510).contains(&year));
            let count = new("1,500").answer;
            assert_eq!((count.len(), &count[1..2]), (5, ","));
            assert_ne!(count, "1,500");
            let small = new("0.50").answer;
            assert!(small.starts_with("0.") && small.len() == 4 && small != "0.50");
            let one: u32 = new("7").answer.parse().unwrap();
            assert!((1..=9).contains(&one) && one != 7);
        }
        let edge = altered("2100", "2100").unwrap().answer.parse::<i64>().unwrap();
        assert!((2090..2100).contains(&edge));
    }

    #[test]
    fn every_form_is_replaced_and_nothing_else() {
        let document =
            "1,234 men; 1234 tons. 12345, 51234, 1,234,567, 1234.5, 1234s and x1234. (1234)";
        let Altered { document: new, answer } = altered(document, "1,234").unwrap();
        let plain = answer.replace(',', "");
        assert_eq!(
            new,
            format!(
                "{answer} men; {plain} tons. 12345, 51234, 1,234,567, 1234.5, 1234s and x1234. ({plain})"
            )
        );
        let money = altered("It cost $1,000.", "$1,000").unwrap();
        assert_eq!(money.document, format!("It cost {}.", money.answer));
    }

    #[test]
    fn what_cannot_be_altered_is_said() {
        assert_eq!(altered("fourteen", "fourteen"), Err(SkipReason::NotNumeric));
        assert_eq!(altered("1 2 3 4 5 6 7 8 9", "4"), Err(SkipReason::NoReplacement));
        assert_eq!(
            altered("4: one two three five six seven eight nine 1", "4"),
            Err(SkipReason::NoReplacement)
        );
        let years: Vec<String> =
            (1890..=1910).filter(|y| *y != 1904).map(|y| y.to_string()).collect();
        let document = years.join(" ");
        assert_eq!(altered(&document, "1900").unwrap().answer, "1904");
    }

    proptest! {
        #[test]
        fn the_new_number_is_new_and_the_old_one_gone(
            parts in prop::collection::vec((0_u32..3000, 0..4), 0..20),
            answer in 2_u32..3000,
            seed in any::<u64>(),
        ) {
            let mut document = format!("It is {answer}.");
            for (number, form) in parts {
                let part = match form {
                    0 => format!(" {number},"),
                    1 => format!(" {}", with_separators(&number.to_string())),
                    2 => format!(" a{number}"),
                    _ => format!(" {number}.5"),
                };
                document.push_str(&part);
            }
            let old = answer.to_string();
            if let Ok(new) = alter("How many?", &document, &old, &mut SeededRng::new(seed, 1)) {
                let count = |text: &str, answer: &str| Answer::new(answer).occurrences(text).len();
                prop_assert_eq!(count(&document, &new.answer), 0);
                prop_assert_eq!(count(&new.document, &old), 0);
                prop_assert_eq!(count(&new.document, &new.answer), count(&document, &old));
                prop_assert_eq!(numbers(&new.document).len(), numbers(&document).len());
            }
        }

        #[test]
        fn nothing_makes_it_panic(document in "\\PC{0,60}", answer in "\\PC{0,8}|[0-9.,]{1,30}") {
            let _ = altered(&document, &answer);
        }
    }
}
