//! An item split into the answering sentence and the text around it.

use super::super::SkipReason;
use super::alter::{Altered, alter};
use super::item::QaItem;
use super::matching::{Answer, any_within};
use super::units::{Join, Unit, of_document, one_line};
use crate::rng::SeededRng;

/// An item, ready to be placed.
#[derive(Debug, Clone)]
pub(in super::super) struct Prepared {
    pub(in super::super) item: usize,
    pub(super) title: Option<String>,
    /// The title as shown, unless it reveals the answer.
    pub(super) heading: Option<Unit>,
    pub(super) question: String,
    pub(in super::super) answers: Vec<String>,
    pub(super) before: Vec<Unit>,
    pub(super) needle: Unit,
    /// Byte range of the answer in the needle.
    pub(super) answer_at: std::ops::Range<usize>,
    pub(super) after: Vec<Unit>,
    /// What may occur nowhere else.
    pub(super) forbidden: Vec<Answer>,
}

/// The item, with another number in it for the altered task.
pub(in super::super) fn prepare(
    item: &QaItem,
    altered: bool,
    seed: u64,
) -> Result<Prepared, SkipReason> {
    let answers: Vec<&str> = item
        .answers
        .iter()
        .map(|answer| answer.trim())
        .filter(|answer| !answer.is_empty())
        .collect();
    if answers.is_empty() {
        return Err(SkipReason::NoAnswer);
    }
    if altered {
        let mut rng = SeededRng::new(seed.wrapping_add(2), item.item as u64);
        return prepare_altered(item, &answers, &mut rng);
    }
    let targets: Vec<Answer> = answers.iter().map(|answer| Answer::new(answer)).collect();
    take_apart(item, &item.document, &targets, &[])
}

fn prepare_altered(
    item: &QaItem,
    answers: &[&str],
    rng: &mut SeededRng,
) -> Result<Prepared, SkipReason> {
    let numeric: Vec<Answer> = answers
        .iter()
        .filter(|answer| super::matching::bare_number(answer).is_some())
        .map(|answer| Answer::new(answer))
        .collect();
    if numeric.is_empty() {
        return Err(SkipReason::NotNumeric);
    }
    if any_within(&item.question, &numeric) {
        return Err(SkipReason::QuestionHoldsAnswer);
    }
    let old = numeric
        .iter()
        .find(|answer| !answer.occurrences(&item.document).is_empty())
        .ok_or(SkipReason::AnswerNotInDocument)?;
    let Altered { document, answer } = alter(&item.question, &item.document, &old.text, rng)?;
    take_apart(item, &document, &[Answer::new(&answer)], &numeric)
}

fn take_apart(
    item: &QaItem,
    document: &str,
    targets: &[Answer],
    also_forbidden: &[Answer],
) -> Result<Prepared, SkipReason> {
    let question = one_line(&item.question);
    if any_within(&question, targets) {
        return Err(SkipReason::QuestionHoldsAnswer);
    }
    let mut units = of_document(None, document, targets);
    let shared = |text: &str| {
        let lower = text.to_lowercase();
        let words = question.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3);
        words.filter(|word| lower.contains(&word.to_lowercase())).count()
    };
    let holding =
        |unit: &Unit| targets.iter().any(|answer| !answer.occurrences(&unit.text).is_empty());
    let needle = units
        .iter()
        .enumerate()
        .filter(|(_, unit)| holding(unit))
        .max_by_key(|(index, unit)| (shared(&unit.text), std::cmp::Reverse(*index)))
        .map(|(index, _)| index)
        .ok_or(SkipReason::AnswerNotInDocument)?;
    let mut after = units.split_off(needle + 1);
    let needle = units.pop().ok_or(SkipReason::AnswerNotInDocument)?;
    if any_within(&needle.text, also_forbidden) {
        return Err(SkipReason::OldNumberRemains);
    }
    let mut answers: Vec<String> = targets.iter().map(|answer| answer.text.clone()).collect();
    let found =
        targets.iter().find_map(|answer| answer.occurrences(&needle.text).into_iter().next());
    let answer_at = found.unwrap_or(0..0);
    let as_written = needle.text[answer_at.clone()].to_owned();
    if !answers.contains(&as_written) {
        answers.push(as_written);
    }
    let forbidden: Vec<Answer> = targets.iter().chain(also_forbidden).cloned().collect();
    let clean = |unit: &Unit| !any_within(&unit.text, &forbidden);
    units.retain(clean);
    after.retain(clean);
    let heading = item
        .title
        .as_deref()
        .map(one_line)
        .filter(|title| !title.is_empty())
        .map(|text| Unit { text, join: Join::Paragraph })
        .filter(clean);
    Ok(Prepared {
        item: item.item,
        title: item.title.clone(),
        heading,
        question,
        answers,
        before: units,
        needle,
        answer_at,
        after,
        forbidden,
    })
}
