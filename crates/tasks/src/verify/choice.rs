//! The letter of a multiple-choice option.

use crate::extract::answer_text;

use super::verification::{Verification, Verifier, VerifierError};

/// Rewards naming the right option's letter, and no other.
///
/// In the marked answer part the letter may come first (`B`, `(B)`, `B. The sun`). Without a
/// marker the completion must begin with the letter, or contain only one distinct letter in
/// brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChoiceVerifier {
    letter: char,
}

impl ChoiceVerifier {
    /// Verifier for an option's letter `A` to `Z`, in either case, with or without brackets.
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
        match leading_letter(answer) {
            Some(letter) => Ok(Self { letter }),
            None => Err(VerifierError::Answer {
                found: answer.to_owned(),
                expected: "the letter of an option",
            }),
        }
    }
}

impl Verifier for ChoiceVerifier {
    fn verify(&self, completion: &str) -> Verification {
        let (part, marker) = answer_text(completion);
        let mut named = bracketed(part);
        let leading = leading_letter(part);
        if let Some(letter) = leading.filter(|letter| !named.contains(letter)) {
            named.push(letter);
        }
        named.extend(alternatives(part, leading).filter(|letter| Some(*letter) != leading));
        named.dedup();
        match (named.as_slice(), marker) {
            ([], _) => Verification::cannot_tell("no option is named"),
            ([letter], _) if *letter == self.letter => {
                Verification::right(format!("{letter} is right"))
            }
            ([letter], _) => Verification::wrong(format!("{letter} is not {}", self.letter)),
            _ => Verification::cannot_tell("several options are named"),
        }
    }
}

/// A letter that comes first and alone: `B`, `(b)`, `B.`, `B) text`, `**B**: text`.
fn leading_letter(text: &str) -> Option<char> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || "([{*\"'$:".contains(c));
    let text = text.strip_prefix("\\text{").unwrap_or(text);
    let mut symbols = text.chars();
    let letter = symbols.next().filter(char::is_ascii_alphabetic)?;
    let rest = symbols.as_str();
    let alone = match rest.chars().next() {
        None => true,
        Some(next) if next.is_whitespace() => {
            // "A cat" and "I think" are words; "B is right" and "B or C" name options.
            let word = rest.split_whitespace().next().unwrap_or_default();
            word.is_empty() || matches!(word, "or" | "and" | "is" | "because" | "since" | "-" | "–")
        }
        Some(next) => ")]}.:,*\"'$;".contains(next),
    };
    alone.then(|| letter.to_ascii_uppercase())
}

/// The different capital letters in brackets, in order.
fn bracketed(text: &str) -> Vec<char> {
    let symbols: Vec<char> = text.chars().collect();
    let mut letters: Vec<char> = Vec::new();
    for window in symbols.windows(3) {
        if let ['(' | '[' | '{', letter, ')' | ']' | '}'] = window
            && letter.is_ascii_uppercase()
            && !letters.contains(letter)
        {
            letters.push(*letter);
        }
    }
    letters
}

/// Letters after the leading one that are offered as well: "B or C", "A, B and C".
fn alternatives(text: &str, leading: Option<char>) -> impl Iterator<Item = char> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',' || c == '/').skip(1);
    let named = words.map_while(|word| match word {
        "or" | "and" | "" => Some(None),
        other => {
            let mut symbols = other.trim_end_matches(['.', ')']).chars();
            let letter = symbols.next().filter(char::is_ascii_uppercase);
            letter.filter(|_| symbols.next().is_none()).map(Some)
        }
    });
    named.flatten().filter(move |_| leading.is_some()).collect::<Vec<_>>().into_iter()
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
            ("A, B, C, D", CannotTell),
            ("B/C", CannotTell),
            ("(A) (B)", CannotTell),
            ("the sun", CannotTell),
            ("Because it is hot", CannotTell),
            ("A sun is hot", CannotTell),
            ("I think it is (B)", Right),
            ("", CannotTell),
            ("#### ", CannotTell),
        ] {
            let verdict = ChoiceVerifier::new("B").unwrap().verify(completion);
            assert_eq!(verdict.outcome, outcome, "{completion:?}: {}", verdict.reason);
        }
        assert!(ChoiceVerifier::new("(c)").is_ok());
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
