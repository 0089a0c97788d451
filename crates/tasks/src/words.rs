//! Numbers in English words.

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// A number below one hundred in English words, tens and ones with `joint` between them; `None`
/// from one hundred on.
///
/// ```
/// use bestof_tasks::words::number_words;
///
/// assert_eq!(number_words(42, "-").as_deref(), Some("forty-two"));
/// assert_eq!(number_words(7, "-").as_deref(), Some("seven"));
/// assert_eq!(number_words(90, " ").as_deref(), Some("ninety"));
/// assert_eq!(number_words(100, " "), None);
/// ```
pub fn number_words(number: usize, joint: &str) -> Option<String> {
    let tens = TENS.get(number / 10)?;
    Some(match (number, number % 10) {
        (0..20, _) => SMALL[number].to_owned(),
        (_, 0) => (*tens).to_owned(),
        (_, ones) => format!("{tens}{joint}{}", SMALL[ones]),
    })
}
