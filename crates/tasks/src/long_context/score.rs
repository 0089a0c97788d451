//! Scoring of retrieved answers: by the papers' rules, and more strictly.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::numbers::{numbers, value};

/// Longest quoted part of a completion, in characters.
const QUOTED: usize = 200;

/// How a completion is compared with the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerRule {
    /// The first run of digits equals the answer as a whole number (Giraffe, LongChat-Lines).
    FirstInteger,
    /// The last run of digits does (`LongEval`).
    LastInteger,
    /// The answer is a substring of the completion (Giraffe's presence accuracy). Accepts `12` in
    /// `2012` and lists of guesses, and is case-sensitive: see [`Score::strict`].
    Presence,
    /// The words of the answer occur in the completion, as in [`Score::strict`].
    StrictPresence,
}

/// The score of a completion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Whether it is right by the case's rule.
    pub correct: bool,
    /// Whether it is right by the strict rule: for integers the same as `correct`. For texts the
    /// answer's words occur in the completion as consecutive whole words, ignoring case,
    /// punctuation and thousands separators; a numeric answer must be the completion's first number.
    pub strict: bool,
    /// Greatest F1 of words between an answer and the completion's first line that is not blank,
    /// as `SQuAD` counts it: without case, punctuation and articles.
    pub f1: f64,
    /// What was read as the answer, if anything.
    pub extracted: Option<String>,
}

impl AnswerRule {
    /// The score of a completion; without answers nothing is right.
    ///
    /// ```
    /// use bestof_tasks::long_context::AnswerRule;
    ///
    /// let answers = ["12".to_owned()];
    /// let score = AnswerRule::Presence.score("In 2012.", &answers);
    /// assert!(score.correct && !score.strict);
    /// let answers = ["2416".to_owned()];
    /// assert!(AnswerRule::FirstInteger.score("<2416>, not <7>", &answers).correct);
    /// assert!(!AnswerRule::LastInteger.score("<2416>, not <7>", &answers).correct);
    /// ```
    pub fn score(self, completion: &str, answers: &[String]) -> Score {
        let line = completion.lines().map(str::trim).find(|line| !line.is_empty());
        let f1 = answers
            .iter()
            .map(|answer| token_f1(line.unwrap_or_default(), answer))
            .max_by(f64::total_cmp)
            .unwrap_or(0.0);
        if matches!(self, Self::FirstInteger | Self::LastInteger) {
            let mut runs =
                completion.split(|c: char| !c.is_ascii_digit()).filter(|r| !r.is_empty());
            let run = if self == Self::FirstInteger { runs.next() } else { runs.next_back() };
            let right = |run: &str| answers.iter().any(|answer| value(answer.trim()) == value(run));
            let correct = run.is_some_and(right);
            let extracted = run.map(|run| run.chars().take(QUOTED).collect());
            return Score { correct, strict: correct, f1, extracted };
        }
        let said = words(completion);
        let strict = answers.iter().find(|answer| strictly_in(&said, completion, answer));
        let present = answers.iter().find(|answer| {
            let answer = answer.trim();
            !answer.is_empty() && completion.contains(answer)
        });
        let extracted = strict
            .or(present)
            .map(|answer| answer.trim().to_owned())
            .or_else(|| line.map(|line| line.chars().take(QUOTED).collect()));
        let correct = if self == Self::Presence { present.is_some() } else { strict.is_some() };
        Score { correct, strict: strict.is_some(), f1, extracted }
    }
}

fn strictly_in(said: &[String], completion: &str, answer: &str) -> bool {
    let expected = words(answer);
    if expected.is_empty() || !said.windows(expected.len()).any(|window| window == expected) {
        return false;
    }
    let all_number = numbers(answer).len() == 1 && expected.len() == 1;
    let first = numbers(completion).into_iter().next();
    !all_number || first.is_some_and(|number| value(&completion[number.range]) == expected[0])
}

/// Lower-case words without punctuation and articles; numbers whole and without separators.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = 0;
    let plain = |part: &str, words: &mut Vec<String>| {
        for word in part.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let word = word.to_lowercase();
            if !matches!(word.as_str(), "a" | "an" | "the") {
                words.push(word);
            }
        }
    };
    for number in numbers(text).into_iter().filter(|number| !number.glued) {
        plain(&text[rest..number.range.start], &mut words);
        words.push(value(&text[number.range.clone()]));
        rest = number.range.end;
    }
    plain(&text[rest..], &mut words);
    words
}

/// F1 between the words of two texts, without case, punctuation and articles; 1 when both have
/// none.
fn token_f1(said: &str, answer: &str) -> f64 {
    let (said, expected) = (words(said), words(answer));
    if said.is_empty() || expected.is_empty() {
        return f64::from(u8::from(said.is_empty() && expected.is_empty()));
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in &expected {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0_usize;
    for word in &said {
        if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    2.0 * common as f64 / (said.len() + expected.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn score(rule: AnswerRule, completion: &str, answer: &str) -> Score {
        rule.score(completion, &[answer.to_owned()])
    }

    #[test]
    fn integers() {
        use AnswerRule::{FirstInteger, LastInteger};
        for (rule, completion, correct, extracted) in [
            (FirstInteger, "The <REGISTER_CONTENT> in line a-b is <2416>.", true, Some("2416")),
            (FirstInteger, "02416", true, Some("02416")),
            (FirstInteger, "2,416", false, Some("2")),
            (FirstInteger, "24160", false, Some("24160")),
            (FirstInteger, "line 7 holds 2416", false, Some("7")),
            (LastInteger, "line 7 holds 2416", true, Some("2416")),
            (LastInteger, "2416 or 5", false, Some("5")),
            (FirstInteger, "none", false, None),
            (FirstInteger, "", false, None),
            (FirstInteger, "٢٤١٦", false, None),
        ] {
            let score = score(rule, completion, "2416");
            assert_eq!(
                (score.correct, score.extracted.as_deref()),
                (correct, extracted),
                "{completion}"
            );
        }
    }

    #[test]
    fn presence_and_its_strict_reading() {
        for (completion, answer, correct, strict) in [
            ("It was 1984.", "1984", true, true),
            ("It was 1984 or 1985.", "1984", true, true),
            ("It was 1983 or 1984.", "1984", true, false),
            ("In 2012", "12", true, false),
            ("in the 1984s", "1984", true, false),
            ("about 12480 people", "12,480", false, true),
            ("12,480", "12,480", true, true),
            ("12.5", "12", true, false),
            ("the tower of velmora", "Tower of Velmora", false, true),
            ("Towers of Velmora", "Tower of Velmora", false, false),
            ("Ilvane  Torsk", "Ilvane Torsk", false, true),
            ("Wilhelm Röntgen", "Wilhelm Röntgen", true, true),
            ("anything", "", false, false),
            ("anything", "  ", false, false),
        ] {
            let score = score(AnswerRule::Presence, completion, answer);
            assert_eq!(
                (score.correct, score.strict),
                (correct, strict),
                "{completion:?} {answer:?}"
            );
        }
        assert!(!AnswerRule::Presence.score("x", &[]).correct);
    }

    #[test]
    fn f1_against_counts_by_hand() {
        for (said, answer, expected) in [
            ("red fox", "the red fox", 1.0),
            ("the Tower of Velmora", "Velmora", 0.5),
            ("a red red fox", "red fox fox", 2.0 / 3.0),
            ("blue", "red", 0.0),
            ("", "red", 0.0),
            ("the", "an", 1.0),
            ("12,480 people", "12480", 2.0 / 3.0),
        ] {
            assert!((token_f1(said, answer) - expected).abs() < 1e-12, "{said} {answer}");
        }
    }

    proptest! {
        #[test]
        fn integers_agree_with_brute_force(text in "[0-9 <>,.a-c]{0,30}", answer in 0_u32..200) {
            let mut runs = vec![String::new()];
            for c in text.chars() {
                if c.is_ascii_digit() { runs.last_mut().unwrap().push(c) } else { runs.push(String::new()) }
            }
            runs.retain(|run| !run.is_empty());
            let equal = |run: Option<&String>| run.is_some_and(|run| run.parse::<u128>() == Ok(answer.into()));
            let answer = answer.to_string();
            prop_assert_eq!(score(AnswerRule::FirstInteger, &text, &answer).correct, equal(runs.first()));
            prop_assert_eq!(score(AnswerRule::LastInteger, &text, &answer).correct, equal(runs.last()));
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,60}", answer in "\\PC{0,20}") {
            for rule in [AnswerRule::FirstInteger, AnswerRule::LastInteger, AnswerRule::Presence, AnswerRule::StrictPresence] {
                let score = score(rule, &text, &answer);
                prop_assert!((0.0..=1.0).contains(&score.f1));
            }
            let whole = score(AnswerRule::Presence, &answer, &answer);
            prop_assert_eq!(whole.correct, !answer.trim().is_empty());
        }
    }
}
