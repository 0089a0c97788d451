//! Worked solutions against the same with one intermediate result corrupted.

use crate::arithmetic::WordProblem;
use crate::corrupt::corrupt_number;
use crate::distance::EditDistance;
use crate::rng::SeededRng;
use crate::sets::{Gsm8kRow, MetaMathRow};
use crate::worked::WorkedSolution;

use super::prompt::{PromptStyle, Shot, completion};
use super::{Change, MAX_CHARACTERS, PairError, PairOptions, PairSet, PreferencePair, Unusable};

/// A question with its worked solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkedItem {
    /// Name of the row.
    pub id: String,
    /// The question.
    pub question: String,
    /// The worked solution, annotated or not.
    pub solution: String,
}

impl WorkedItem {
    /// A generated problem; `index` becomes part of its name.
    pub fn from_problem(index: usize, problem: &WordProblem) -> Self {
        Self {
            id: format!("{}-{index}", problem.situation),
            question: problem.question.clone(),
            solution: problem.annotated_solution(),
        }
    }

    /// A GSM8K line, named by its number in the file.
    pub fn from_gsm8k(line: usize, row: &Gsm8kRow) -> Self {
        Self {
            id: format!("line-{line}"),
            question: row.question.clone(),
            solution: row.answer.clone(),
        }
    }

    /// A `MetaMathQA` line, named by its number in the file.
    pub fn from_metamath(line: usize, row: &MetaMathRow) -> Self {
        Self {
            id: format!("line-{line}"),
            question: row.query.clone(),
            solution: row.response.clone(),
        }
    }
}

/// One pair for each worked solution: chosen is the solution, rejected the same with exactly one
/// intermediate result corrupted; later text and the final answer stay as they are.
///
/// ```
/// use bestof_tasks::arithmetic::{ArithmeticConfig, ArithmeticProblems};
/// use bestof_tasks::pairs::{PairOptions, WorkedItem, corrupted_pairs};
///
/// let problems = ArithmeticProblems::new(ArithmeticConfig::default())?.take_distinct(20)?;
/// let items: Vec<_> =
///     problems.iter().enumerate().map(|(i, p)| WorkedItem::from_problem(i, p)).collect();
/// let set = corrupted_pairs(&items, &PairOptions::default().shots(2))?;
/// assert_eq!(set.pairs.len(), 20);
/// assert!(set.mean_distance().unwrap().characters < 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn corrupted_pairs(items: &[WorkedItem], options: &PairOptions) -> Result<PairSet, PairError> {
    if options.shots >= items.len().max(1) {
        return Err(PairError::TooFewRows { shots: options.shots, rows: items.len() });
    }
    let solutions: Vec<WorkedSolution> = items
        .iter()
        .map(|item| WorkedSolution::parse(&item.solution, options.annotations))
        .collect();
    let mut set = PairSet { rows: items.len(), ..PairSet::default() };
    for (index, (item, solution)) in items.iter().zip(&solutions).enumerate() {
        let mut rng = SeededRng::new(options.seed, index as u64);
        match corrupted(solution, &mut rng) {
            Err(reason) => set.unusable.push((item.id.clone(), reason)),
            Ok((rejected, change)) => {
                let shots: Vec<Shot<'_>> = others(items.len(), index, options.shots, &mut rng)
                    .map(|i| Shot { question: &items[i].question, answer: &solutions[i].text })
                    .collect();
                let style = PromptStyle::QuestionAnswer;
                set.pairs.push(PreferencePair {
                    prompt: style.prompt(options.form, &shots, &item.question),
                    chosen: completion(options.form, &solution.text),
                    rejected: completion(options.form, &rejected),
                    id: item.id.clone(),
                    distance: EditDistance::between(&solution.text, &rejected),
                    change,
                });
            }
        }
    }
    Ok(set)
}

/// `count` different rows other than `index`.
pub(super) fn others(
    rows: usize,
    index: usize,
    count: usize,
    rng: &mut SeededRng,
) -> impl Iterator<Item = usize> + use<> {
    let chosen = rng.sample(rows.saturating_sub(1), count);
    chosen.into_iter().map(move |other| if other < index { other } else { other + 1 })
}

fn corrupted(solution: &WorkedSolution, rng: &mut SeededRng) -> Result<(String, Change), Unusable> {
    if solution.text.len() > MAX_CHARACTERS {
        return Err(Unusable::TooLong);
    }
    if solution.answer.is_none() {
        return Err(Unusable::NoFinalAnswer);
    }
    if solution.results.is_empty() {
        return Err(Unusable::NoCalculation);
    }
    let mut order: Vec<usize> = (0..solution.intermediate().len()).collect();
    if order.is_empty() {
        return Err(Unusable::NoIntermediateResult);
    }
    rng.shuffle(&mut order);
    order
        .into_iter()
        .find_map(|step| {
            let before = solution.text[solution.results[step].shown.clone()].to_owned();
            let after = corrupt_number(&before, rng)?;
            let rejected = solution.with_result(step, &after)?;
            let steps = solution.results.len();
            Some((rejected, Change::Result { corrupted_step: step + 1, steps, before, after }))
        })
        .ok_or(Unusable::NotCorruptible)
}
