//! The letter of a multiple-choice option.

use crate::answer::{given_answer, offer};
use crate::units::denies;

use super::verification::{Verification, Verifier, VerifierError};

/// Bytes of an answer part, or of an unmarked completion's end, that are read.
const MAX_LENGTH: usize = 2000;

/// Most words by which an alternative follows an option.
const MAX_LINK: usize = 4;

/// Rewards naming the right option's letter, and no other.
///
/// In the marked answer part or, without a marker, in the completion, the letter may come first
/// (`B`, `(B)`, `B. The sun`), in brackets, or after "option" and the like; otherwise the only
/// capital that stands alone counts. An option that is denied, or several, pay nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChoiceVerifier {
    label: char,
}

impl ChoiceVerifier {
    /// Verifier for an option's letter `A` to `Z`, in either case, or its digit, with or without
    /// brackets.
    ///
    /// ```
    /// use bestof_tasks::verify::{ChoiceVerifier, Verifier};
    ///
    /// let verifier = ChoiceVerifier::new("B")?;
    /// assert_eq!(verifier.verify("The answer is (B).").reward, 1.0);
    /// assert_eq!(verifier.verify("It is (A) or (B).").reward, 0.0);
    /// # Ok::<(), bestof_tasks::verify::VerifierError>(())
    /// ```
    pub fn new(answer: &str) -> Result<Self, VerifierError> {
        let text = plain(&given_answer(answer));
        let words = words(&text);
        match words.first().and_then(|word| word.label).filter(|_| leads(&words)) {
            Some(label) => Ok(Self { label }),
            None => Err(VerifierError::Answer {
                found: answer.to_owned(),
                expected: "the letter of an option",
            }),
        }
    }

    fn judge(self, part: &str) -> Verification {
        let start = part.ceil_char_boundary(part.len().saturating_sub(MAX_LENGTH));
        let text = plain(&part[start..]);
        let words = words(&text);
        // What comes first after a cut does not come first.
        let lead = start == 0 && leads(&words);
        match named(&words, lead, self.label.is_ascii_digit()).as_slice() {
            [] => Verification::cannot_tell("no option is named"),
            [None] => Verification::cannot_tell("the text says which option is wrong"),
            [Some(label)] if *label == self.label => {
                Verification::right(format!("{label} is right")).reading(label)
            }
            [Some(label)] => {
                Verification::wrong(format!("{label} is not {}", self.label)).reading(label)
            }
            several => {
                let labels: String = several.iter().flatten().collect();
                Verification::cannot_tell("several options are named").reading(labels)
            }
        }
    }
}

impl Verifier for ChoiceVerifier {
    fn verify(&self, completion: &str) -> Verification {
        match offer(completion) {
            Ok(offer) => {
                Verification::common(offer.answers.iter().map(|answer| self.judge(answer)))
            }
            Err(reason) => Verification::cannot_tell(reason.to_string()),
        }
    }
}

/// The text without emphasis, mathematical delimiters and LaTeX commands.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut symbols = text.chars().peekable();
    while let Some(symbol) = symbols.next() {
        match symbol {
            '\\' if symbols.peek().is_some_and(char::is_ascii_alphabetic) => {
                let letters = std::iter::from_fn(|| symbols.next_if(char::is_ascii_alphabetic));
                let command: String = letters.collect();
                // A stroke through a letter denies it.
                plain.push_str(if command == "not" { " not " } else { " " });
            }
            '\\' => {
                symbols.next();
                plain.push(' ');
            }
            '{' | '}' | '$' | '*' | '`' | '"' | '\'' | '’' | '~' => {}
            '/' => plain.push_str(" or "),
            ')' | ']' => plain.extend([symbol, ' ']),
            _ => plain.push(symbol),
        }
    }
    // Punctuation belongs to the word before it.
    for sign in [".", ",", ":", ";"] {
        plain = plain.replace(&format!(") {sign}"), &format!("){sign} "));
    }
    plain
}

/// A word, and the option that it may name.
#[derive(Debug, Clone, Copy)]
struct Word<'t> {
    text: &'t str,
    label: Option<char>,
    bracketed: bool,
    capital: bool,
}

fn words(text: &str) -> Vec<Word<'_>> {
    let of = |text| {
        let core = text_of(text);
        let mut symbols = core.chars();
        let label = symbols.next().filter(char::is_ascii_alphanumeric);
        let label = label.filter(|_| symbols.next().is_none());
        Word {
            text,
            label: label.map(|label| label.to_ascii_uppercase()),
            bracketed: text.starts_with(['(', '[']) && text.contains([')', ']']),
            capital: label.is_some_and(|label| !label.is_ascii_lowercase()),
        }
    };
    let words = text.split_whitespace().map(of);
    words.skip_while(|word| text_of(word.text).is_empty()).collect()
}

/// A word without brackets and punctuation.
fn text_of(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

/// Whether the first word names an option: `B`, `(b)`, `B.`, `B) text`, `B is right`, but not "A
/// cat" and "I think".
fn leads(words: &[Word<'_>]) -> bool {
    let Some(first) = words.first().filter(|word| word.label.is_some()) else { return false };
    let Some(next) = words.get(1) else { return true };
    let punctuated = first.text.ends_with([')', ']', '.', ':', ',', ';']);
    let after = next.text.to_lowercase();
    let follows =
        matches!(after.as_str(), "or" | "and" | "is" | "was" | "because" | "since" | "-" | "–");
    let article = matches!(first.label, Some('A' | 'I')) || !first.capital;
    punctuated || (follows && first.label != Some('I')) || !article
}

/// Words before the letter of an option.
const INTRODUCING: [&str; 6] = ["option", "choice", "answer", "letter", "options", "choices"];

/// Words after which other options are named for another reason.
const EXPLAINING: [&str; 6] = ["because", "since", "as", "while", "but", "where"];

/// Words that deny the option before them, beside those that deny whatever follows.
const DENYING: [&str; 4] = ["except", "wrong", "incorrect", "false"];

/// The different options that are named; `None` stands for one that is denied.
fn named(words: &[Word<'_>], lead: bool, digits: bool) -> Vec<Option<char>> {
    let label = |at: usize| {
        let found = words.get(at).and_then(|word| word.label);
        found.filter(|label| label.is_ascii_digit() == digits)
    };
    let is = |at: Option<usize>, names: &[&str]| {
        at.and_then(|at| words.get(at))
            .is_some_and(|word| names.contains(&text_of(word.text).to_lowercase().as_str()))
    };
    let strong = |at: usize| {
        words[at].capital && (words[at].bracketed || is(at.checked_sub(1), &INTRODUCING))
    };
    let mut chosen: Vec<usize> = (0..words.len()).filter(|at| label(*at).is_some()).collect();
    let all = chosen.clone();
    chosen.retain(|at| strong(*at) || (*at == 0 && lead));
    if chosen.is_empty() {
        let article = |at: usize| {
            let last = at + 1 == words.len() || words[at].text.ends_with([',', '.', ')', ';']);
            label(at) == Some('I') || (label(at) == Some('A') && !last)
        };
        chosen.extend(all.iter().filter(|at| words[**at].capital && !article(**at)));
    }
    // Alternatives: "B or C", "A, B and C", "both A and B".
    let first_choice = chosen.clone();
    for at in &all {
        let linked = |other: usize| {
            let (low, high) = (other.min(*at), other.max(*at));
            let between = low + 1..high;
            let ends = words[low].text.chars().next_back();
            let bare = lead && low == 0 && !matches!(ends, Some('.' | ':'));
            let listed = matches!(ends, Some(',' | ';')) || bare;
            let explained = between.clone().any(|at| is(Some(at), &EXPLAINING))
                || (low..high).any(|at| words[at].text.ends_with('.'));
            (high == low + 1 && listed && words[*at].capital)
                || (high == low + 2 && is(Some(low + 1), &["or", "and"]))
                || (high - low <= MAX_LINK
                    && words[*at].capital
                    && !explained
                    && between.clone().any(|at| is(Some(at), &["or", "and"])))
        };
        if first_choice.iter().any(|other| other != at && linked(*other)) {
            chosen.push(*at);
        }
    }
    let mut options: Vec<Option<char>> = chosen
        .iter()
        .map(|at| {
            let before = (1..=3).any(|back| {
                let back = at.checked_sub(back);
                back.is_some_and(|at| denies(words[at].text)) || is(back, &["except"])
            });
            let denied = |at: usize| {
                words.get(at).is_some_and(|word| denies(word.text)) || is(Some(at), &DENYING)
            };
            let verb = is(Some(at + 1), &["is", "was", "are", "can", "could"]);
            let after = denied(at + 1) || (verb && denied(at + 2));
            label(*at).filter(|_| !before && !after)
        })
        .collect();
    options.sort_unstable();
    options.dedup();
    options
}

#[cfg(test)]
mod tests {
    use super::super::VerificationOutcome::{CannotTell, Right, Wrong};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hard_cases() {
        for (completion, outcome) in [
            ("B", Right),
            ("b", Right),
            ("(B)", Right),
            ("B.", Right),
            ("B) the sun", Right),
            ("B: the sun", Right),
            ("**B**", Right),
            ("C", Wrong),
            ("The answer is B.", Right),
            ("The answer is (B) the sun.", Right),
            ("The answer is (C), although (B) is near.", CannotTell),
            ("Answer: B", Right),
            ("#### B", Right),
            ("\\boxed{B}", Right),
            ("\\boxed{\\text{B}}", Right),
            ("<answer>(B)</answer>", Right),
            ("(A) is dark. (C) is cold.\n#### B", Right),
            ("B or C", CannotTell),
            ("It isn't B.", CannotTell),
            ("It isn’t B.", CannotTell),
            ("It is never B.", CannotTell),
            ("It cannot be B.", CannotTell),
            ("B isn’t right.", CannotTell),
            ("A, B, C, D", CannotTell),
            ("B/C", CannotTell),
            ("(A) (B)", CannotTell),
            ("the sun", CannotTell),
            ("Because it is hot", CannotTell),
            ("A sun is hot", CannotTell),
            ("I think it is (B)", Right),
            ("", CannotTell),
            ("#### ", CannotTell),
            ("The answer is option B.", Right),
            ("Option B is correct.", Right),
            ("The correct choice is `B`.", Right),
            ("Because B is valid", Right),
            ("\\boxed{\\textbf{(B) } 12}", Right),
            ("\\boxed{B. 12}", Right),
            ("The answer is:\n\nB", Right),
            ("Answer - B", Right),
            ("b) the sun", Right),
            ("The answer is (B) the sun (A star)", Right),
            ("Answer: C. Option B is a trap.", Wrong),
            ("(A) and (C) are wrong, so (B)", CannotTell),
            ("The answer is not B.", CannotTell),
            ("It is not B", CannotTell),
            ("It is $\\not B$.", CannotTell),
            ("It is \\(\\not B\\).", CannotTell),
            ("B is wrong", CannotTell),
            ("\\boxed{A} or \\boxed{B}", CannotTell),
            ("\\boxed{A}. Or rather \\boxed{B}", CannotTell),
            ("Both A and B", CannotTell),
            ("B or maybe C", CannotTell),
            ("The answer is B or perhaps even (C)", CannotTell),
            ("B because A and C are wrong", Right),
            ("B. A and C are wrong", Right),
            ("<think>B</think>", CannotTell),
        ] {
            let verdict = ChoiceVerifier::new("B").unwrap().verify(completion);
            assert_eq!(verdict.outcome, outcome, "{completion:?}: {}", verdict.reason);
        }
        assert!(ChoiceVerifier::new("(c)").is_ok());
        assert_eq!(ChoiceVerifier::new("2").unwrap().verify("Option 2.").outcome, Right);
        assert_eq!(ChoiceVerifier::new("2").unwrap().verify("2 or 3").outcome, CannotTell);
        assert!(ChoiceVerifier::new("").is_err());
        assert!(ChoiceVerifier::new("the sun").is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}|[ABab()., /or]{0,20}") {
            let _ = ChoiceVerifier::new("B").unwrap().verify(&text);
            let _ = ChoiceVerifier::new(&text);
        }
    }
}
