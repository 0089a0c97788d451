//! Plausible wrong versions of a number.

use crate::rng::SeededRng;

/// Longest number that can be corrupted, in digits.
const MAX_DIGITS: usize = 30;

/// Another number in the same notation (sign, separators, decimals) that a careless calculation
/// could have given: a neighbour, one wrong digit, two digits swapped, or off by ten.
///
/// `None` for text that is not a plain number or has more than 30 digits.
pub(crate) fn corrupt_number(number: &str, rng: &mut SeededRng) -> Option<String> {
    let notation = Notation::of(number)?;
    let mut kinds = [neighbours, wrong_digits, swapped_digits, off_by_ten];
    rng.shuffle(&mut kinds);
    kinds.into_iter().find_map(|kind| {
        let mut candidates = kind(&notation);
        // A result of zero would be conspicuous.
        candidates
            .retain(|candidate| *candidate != notation.digits && candidate.iter().any(|d| *d > 0));
        rng.choose(&candidates).map(|digits| notation.write(digits))
    })
}

/// A number's digits and the way it is written.
struct Notation {
    negative: bool,
    digits: Vec<u8>,
    decimals: usize,
    grouped: bool,
}

impl Notation {
    fn of(number: &str) -> Option<Self> {
        let (negative, rest) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number),
        };
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        let digits: Option<Vec<u8>> = whole
            .chars()
            .filter(|c| *c != ',')
            .chain(fraction.chars())
            .map(|c| c.to_digit(10).map(|digit| digit as u8))
            .collect();
        let digits = digits.filter(|digits| (1..=MAX_DIGITS).contains(&digits.len()))?;
        Some(Self { negative, digits, decimals: fraction.len(), grouped: whole.contains(',') })
    }

    fn value(&self) -> u128 {
        self.digits.iter().fold(0, |value, digit| value * 10 + u128::from(*digit))
    }

    /// Digits of `value`, padded so that a whole part remains if there was one.
    fn digits_of(&self, value: u128) -> Vec<u8> {
        let had_whole = self.digits.len() > self.decimals;
        let width = self.decimals + usize::from(had_whole);
        format!("{value:0width$}").bytes().map(|digit| digit - b'0').collect()
    }

    /// Whether the digits have a leading zero that a number would not have.
    fn has_stray_zero(&self, digits: &[u8]) -> bool {
        digits.len() > self.decimals + 1 && digits[0] == 0
    }

    fn write(&self, digits: &[u8]) -> String {
        let whole = digits.len() - self.decimals;
        let mut text = if self.negative { "-".to_owned() } else { String::new() };
        for (at, digit) in digits.iter().enumerate() {
            if at == whole {
                text.push('.');
            } else if self.grouped && at > 0 && at < whole && (whole - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(char::from(b'0' + digit));
        }
        text
    }
}

fn shifted(notation: &Notation, steps: &[i64]) -> Vec<Vec<u8>> {
    let value = notation.value();
    steps
        .iter()
        .filter_map(|step| value.checked_add_signed(i128::from(*step)))
        .map(|value| notation.digits_of(value))
        .collect()
}

fn neighbours(notation: &Notation) -> Vec<Vec<u8>> {
    shifted(notation, &[-2, -1, 1, 2])
}

fn off_by_ten(notation: &Notation) -> Vec<Vec<u8>> {
    if notation.digits.len() < 2 { Vec::new() } else { shifted(notation, &[-10, 10]) }
}

fn wrong_digits(notation: &Notation) -> Vec<Vec<u8>> {
    let mut candidates = Vec::new();
    for at in 0..notation.digits.len() {
        for digit in 0..=9 {
            let mut digits = notation.digits.clone();
            digits[at] = digit;
            if !notation.has_stray_zero(&digits) {
                candidates.push(digits);
            }
        }
    }
    candidates
}

fn swapped_digits(notation: &Notation) -> Vec<Vec<u8>> {
    (1..notation.digits.len())
        .map(|at| {
            let mut digits = notation.digits.clone();
            digits.swap(at - 1, at);
            digits
        })
        .filter(|digits| !notation.has_stray_zero(digits))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rational::Rational;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn value(text: &str) -> Rational {
        Rational::from_decimal(&text.replace(',', "")).unwrap()
    }

    #[test]
    fn all_four_kinds_occur() {
        let seen: HashSet<String> = (0..2000)
            .filter_map(|seed| corrupt_number("47", &mut SeededRng::new(seed, 0)))
            .collect();
        for expected in ["46", "48", "45", "49", "74", "37", "57", "42", "97"] {
            assert!(seen.contains(expected), "{expected} is missing");
        }
        assert!(!seen.contains("47"));
        assert!(!seen.contains("07"));
    }

    #[test]
    fn text_that_is_no_number_is_refused() {
        for text in ["", "-", ".", "1/2", "12a", "1.2.3", &"9".repeat(31)] {
            assert_eq!(corrupt_number(text, &mut SeededRng::new(0, 0)), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn notation_is_kept_and_the_value_changed(
            whole in 0_u32..2_000_000,
            decimals in prop::option::of("[0-9]{1,3}"),
            negative: bool,
            seed: u64,
        ) {
            let mut text = if negative { "-".to_owned() } else { String::new() };
            text += &whole.to_string();
            if let Some(decimals) = &decimals {
                text = format!("{text}.{decimals}");
            }
            let wrong = corrupt_number(&text, &mut SeededRng::new(seed, 0)).unwrap();
            prop_assert_ne!(value(&wrong), value(&text));
            prop_assert_eq!(wrong.starts_with('-'), negative);
            let places = |text: &str| text.split_once('.').map_or(0, |(_, d)| d.len());
            prop_assert_eq!(places(&wrong), places(&text));
            let unsigned = wrong.trim_start_matches('-');
            prop_assert!(!unsigned.starts_with("00") && !unsigned.starts_with('.'));
            if whole >= 10 && !unsigned.starts_with("0.") {
                prop_assert!(!unsigned.starts_with('0') || unsigned.len() == 1, "{} -> {}", text, wrong);
            }
        }

        #[test]
        fn separators_stay_where_they_belong(whole in 1000_u32..2_000_000, seed: u64) {
            let group = |value: u32| {
                let digits = value.to_string();
                let mut text = String::new();
                for (at, digit) in digits.chars().enumerate() {
                    if at > 0 && (digits.len() - at).is_multiple_of(3) {
                        text.push(',');
                    }
                    text.push(digit);
                }
                text
            };
            let wrong = corrupt_number(&group(whole), &mut SeededRng::new(seed, 0)).unwrap();
            prop_assert_eq!(group(wrong.replace(',', "").parse().unwrap()), wrong);
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,20}|[-0-9.,]{0,35}", seed: u64) {
            let _ = corrupt_number(&text, &mut SeededRng::new(seed, 0));
        }
    }
}
