//! Passkey retrieval, the usual smoke test: a five-digit number hidden in filler text.
//!
//! The wording is that of Mohtashami and Jaggi (arXiv 2305.16300), used by position interpolation
//! (arXiv 2306.15595) and most later work. It is a necessary test only: a model that fails it does
//! not use long inputs, but passing it shows little.

use super::case::prompt;
use super::length::{Fill, TokenCounter, fit};
use super::lines::{check_depth, check_length};
use super::{
    AnswerRule, DepthTarget, LongContextError, QuestionPosition, RetrievalCase, RetrievalTask,
    Variant,
};
use crate::rng::{SeededRng, Split, split_of};

const TASK: &str = "There is an important info hidden inside a lot of irrelevant text. Find it and \
    memorize them. I will quiz you about the important information there.";
const NOISE: &str = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and \
    back again.";
const QUESTION: &str = "What is the pass key? The pass key is";

/// Case number `item` of `seed`: a prompt of at most `length` tokens without room for another
/// repetition of the filler. Held-out keys never occur in training cases.
///
/// ```
/// use bestof_tasks::long_context::{DepthTarget, count_words, passkey};
///
/// let case = passkey::case(1, 0, Default::default(), 500, DepthTarget::At(0.25), false, &count_words)?;
/// assert!(case.tokens.unwrap() <= 500);
/// assert!(case.score(&format!(" {}.", case.answers[0])).correct);
/// # Ok::<(), bestof_tasks::long_context::LongContextError>(())
/// ```
///
/// # Errors
/// [`LongContextError::TooShort`] when the key and the question do not fit,
/// [`LongContextError::Setting`] for a depth outside 0 to 1.
pub fn case(
    seed: u64,
    item: u64,
    split: Split,
    length: usize,
    depth: DepthTarget,
    chat: bool,
    counter: &dyn TokenCounter,
) -> Result<RetrievalCase, LongContextError> {
    check_depth(depth)?;
    check_length(length)?;
    let mut rng = SeededRng::new(seed, item);
    let share = rng.share();
    let key = loop {
        let key = rng.between(10_000, 99_999).to_string();
        if split_of(&key) == split {
            break key;
        }
    };
    let unit = counter.count(&format!("{NOISE}\n"));
    let mut filling = Filling { key: &key, unit, depth, share, counter };
    let too_short =
        |needed| LongContextError::TooShort { task: RetrievalTask::Passkey, length, needed };
    let (units, tokens) = fit(&mut filling, length).map_err(too_short)?;
    let before = depth.index(units + 1, share);
    Ok(RetrievalCase {
        task: RetrievalTask::Passkey,
        prompt: prompt(render(&key, before, units - before), chat),
        answers: vec![key],
        rule: AnswerRule::FirstInteger,
        length_target: Some(length),
        tokens: Some(tokens),
        depth: Some(if units == 0 { 0.0 } else { before as f64 / units as f64 }),
        depth_target: depth.depth(),
        variant: Variant { placement: depth.placement(), question: QuestionPosition::After },
        item: item as usize,
    })
}

fn render(key: &str, before: usize, after: usize) -> String {
    let noise = |times: usize| format!("{NOISE}\n").repeat(times);
    format!(
        "{TASK}\n{}The pass key is {key}. Remember it. {key} is the pass key.\n{}{QUESTION}",
        noise(before),
        noise(after),
    )
}

struct Filling<'a> {
    key: &'a str,
    unit: usize,
    depth: DepthTarget,
    share: f64,
    counter: &'a dyn TokenCounter,
}

impl Fill for Filling<'_> {
    fn cost(&mut self, _: usize) -> Option<usize> {
        Some(self.unit)
    }

    fn total(&mut self, units: usize) -> usize {
        let before = self.depth.index(units + 1, self.share);
        self.counter.count(&render(self.key, before, units - before))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Placement, count_words};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_case_reads_as_usual() {
        let case = case(0, 0, Split::Train, 90, DepthTarget::At(0.0), true, &count_words).unwrap();
        let key = case.answer();
        assert_eq!(
            case.prompt.last_text(),
            format!(
                "{TASK}\nThe pass key is {key}. Remember it. {key} is the pass key.\n{NOISE}\n\
                 {NOISE}\nWhat is the pass key? The pass key is"
            )
        );
        assert_eq!(case.to_completion_row().completion.last_text(), key);
    }

    #[test]
    fn lengths_and_depths_that_cannot_be_are_named() {
        let make = |length, depth| case(0, 0, Split::Train, length, depth, false, &count_words);
        let error = make(20, DepthTarget::Uniform).unwrap_err();
        assert_eq!(
            error.to_string(),
            "passkey in 20 tokens: the shortest prompt has 47; request more, or reserve fewer"
        );
        assert!(make(47, DepthTarget::Uniform).is_ok());
        assert!(make(100, DepthTarget::At(1.5)).is_err());
    }

    proptest! {
        #[test]
        fn keys_stand_where_asked(seed in any::<u64>(), length in 200_usize..2000, place in 0_usize..3) {
            let placement = Placement::ALL[place];
            let make = |split| case(seed, 4, split, length, DepthTarget::Placement(placement), false, &count_words);
            let (case, other) = (make(Split::HeldOut).unwrap(), make(Split::Train).unwrap());
            let text = case.prompt.last_text();
            prop_assert_eq!(count_words(text), case.tokens.unwrap());
            prop_assert!(case.tokens.unwrap() <= length && length - case.tokens.unwrap() < 19);
            prop_assert!(placement.holds(case.depth.unwrap()));
            prop_assert_eq!(text.matches(case.answer()).count(), 2);
            prop_assert_eq!(split_of(case.answer()), Split::HeldOut);
            prop_assert_eq!(split_of(other.answer()), Split::Train);
            prop_assert_eq!(make(Split::HeldOut).unwrap(), case);
        }
    }
}
