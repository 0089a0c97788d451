//! Right against wrong options of multiple-choice questions.

use crate::distance::EditDistance;
use crate::rng::SeededRng;
use crate::sets::ChoiceItem;

use super::corrupted::others;
use super::prompt::{PromptStyle, Shot, completion};
use super::{Change, MAX_CHARACTERS, PairError, PairOptions, PairSet, PreferencePair, Unusable};

/// One pair for each wrong option: chosen is the right option's text, rejected the wrong one's.
///
/// Use [`PromptStyle::QuestionAnswer`] for ARC and [`PromptStyle::Continuation`] for HellaSwag.
/// All pairs of one question share their worked examples. Rows without a name are named by their
/// position, counted from 1.
///
/// ```
/// use bestof_tasks::pairs::{PairOptions, PromptStyle, choice_pairs};
/// use bestof_tasks::sets::ChoiceItem;
///
/// let item = ChoiceItem {
///     id: None,
///     stem: "Which of these gives light by itself?".into(),
///     options: vec!["a mirror".into(), "the sun".into(), "the moon".into()],
///     right: 1,
/// };
/// let set = choice_pairs(&[item], PromptStyle::QuestionAnswer, &PairOptions::default())?;
/// assert_eq!(set.pairs.len(), 2);
/// assert_eq!(set.pairs[0].chosen.last_text(), " the sun");
/// # Ok::<(), bestof_tasks::pairs::PairError>(())
/// ```
pub fn choice_pairs(
    items: &[ChoiceItem],
    style: PromptStyle,
    options: &PairOptions,
) -> Result<PairSet, PairError> {
    if options.shots >= items.len().max(1) {
        return Err(PairError::TooFewRows { shots: options.shots, rows: items.len() });
    }
    let mut set = PairSet { rows: items.len(), ..PairSet::default() };
    for (index, item) in items.iter().enumerate() {
        let id = item.id.clone().unwrap_or_else(|| format!("row-{}", index + 1));
        let mut rng = SeededRng::new(options.seed, index as u64);
        let shots: Vec<Shot<'_>> = others(items.len(), index, options.shots, &mut rng)
            .filter_map(|other| {
                let other = &items[other];
                let answer = other.options.get(other.right)?;
                Some(Shot { question: &other.stem, answer })
            })
            .collect();
        let prompt = style.prompt(options.form, &shots, &item.stem);
        let Some(right) = item.options.get(item.right) else {
            set.unusable.push((id, Unusable::NoFinalAnswer));
            continue;
        };
        if item.options.len() < 2 {
            set.unusable.push((id.clone(), Unusable::NoWrongOption));
        }
        for (wrong_option, wrong) in item.options.iter().enumerate() {
            if wrong_option == item.right {
                continue;
            }
            if let Err(reason) = comparable(right, wrong) {
                set.unusable.push((id.clone(), reason));
                continue;
            }
            set.pairs.push(PreferencePair {
                prompt: prompt.clone(),
                chosen: completion(options.form, right),
                rejected: completion(options.form, wrong),
                id: id.clone(),
                distance: EditDistance::between(right, wrong),
                change: Change::Option { wrong_option, right_option: item.right },
            });
        }
    }
    Ok(set)
}

fn comparable(right: &str, wrong: &str) -> Result<(), Unusable> {
    match (right.trim(), wrong.trim()) {
        ("", _) | (_, "") => Err(Unusable::EmptyText),
        (right, wrong) if right == wrong => Err(Unusable::EqualOptions),
        _ if right.len().max(wrong.len()) > MAX_CHARACTERS => Err(Unusable::TooLong),
        _ => Ok(()),
    }
}
