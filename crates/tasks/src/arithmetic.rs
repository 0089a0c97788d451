//! Arithmetic word problems with worked steps, from a seed.
//!
//! A problem begins with one of many situations (shopping, travel, ages, tanks, ratios ...) and goes
//! on with turns that use the number it has reached, until it has the requested number of steps.
//! Solutions are written like GSM8K's (arXiv 2110.14168): one sentence per step, the calculation
//! annotated as `<<4*3=12>>`, and `#### N` at the end. The stories are data, in `data/arithmetic/`.

mod data;
mod integer;
mod script;
mod story;

use std::collections::HashSet;
use std::ops::RangeInclusive;

pub use story::{NumberSize, Step};

use crate::rng::{SeededRng, Split, split_of};
use crate::setters::setters;
use data::DATA;
use story::Story;

/// Largest number of steps of a problem.
pub const MAX_STEPS: usize = 6;

/// Attempts at one problem before its index is skipped.
const ATTEMPTS: u64 = 400;

/// Which problems are generated.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArithmeticConfig {
    /// Seed; equal seeds give equal problems in every release.
    pub seed: u64,
    /// Numbers of steps, drawn uniformly; within `1..=6`.
    pub steps: RangeInclusive<usize>,
    /// How large the numbers are.
    pub size: NumberSize,
    /// Training or held-out problems; they share none.
    pub split: Split,
}

setters!(ArithmeticConfig { seed: u64, steps: RangeInclusive<usize>, size: NumberSize, split: Split });

impl Default for ArithmeticConfig {
    fn default() -> Self {
        Self { seed: 0, steps: 2..=4, size: NumberSize::Medium, split: Split::Train }
    }
}

/// Why problems cannot be generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArithmeticError {
    /// A range of steps that is empty or not within `1..=6`.
    #[error("steps {low}..={high} are not a range within 1..={MAX_STEPS}")]
    Steps {
        /// Its lower end.
        low: usize,
        /// Its upper end.
        high: usize,
    },
    /// More problems than could be found without repeating one.
    #[error(
        "only {found} different problems found, {requested} requested; allow more steps or larger numbers"
    )]
    TooFew {
        /// Number found.
        found: usize,
        /// Number requested.
        requested: usize,
    },
}

/// A word problem and its worked solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordProblem {
    /// The situation's name, such as `shopping`.
    pub situation: &'static str,
    /// The text of the problem, which ends with the question.
    pub question: String,
    /// The steps of the solution, in order.
    pub steps: Vec<Step>,
    /// The answer: the value of the last step.
    pub answer: i64,
}

impl WordProblem {
    /// The solution as GSM8K writes it, with `<<4*3=12>>` annotations and `#### 12` at the end.
    pub fn annotated_solution(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            text.push_str(&step.sentence);
            text.push('\n');
        }
        text + &format!("#### {}", self.answer)
    }

    /// The situation and the calculations: equal for problems that differ only in wording.
    pub fn skeleton(&self) -> String {
        let mut text = self.situation.to_owned();
        for step in &self.steps {
            text.push('|');
            text.push_str(&step.expression);
        }
        text
    }

    /// Whether the problem is for training or held out.
    pub fn split(&self) -> Split {
        split_of(&self.skeleton())
    }
}

/// Names of all situations, such as `shopping`.
pub fn situations() -> Vec<&'static str> {
    DATA.situations.iter().flatten().map(|situation| situation.name.as_str()).collect()
}

/// An endless sequence of problems; `problem(i)` depends only on the settings and `i`.
#[derive(Debug, Clone)]
pub struct ArithmeticProblems {
    config: ArithmeticConfig,
}

impl ArithmeticProblems {
    /// The problems that `config` describes.
    pub fn new(config: ArithmeticConfig) -> Result<Self, ArithmeticError> {
        let (low, high) = (*config.steps.start(), *config.steps.end());
        if low == 0 || low > high || high > MAX_STEPS {
            return Err(ArithmeticError::Steps { low, high });
        }
        Ok(Self { config })
    }

    /// Problem number `index`; `None` in the rare case that no attempt succeeded.
    pub fn problem(&self, index: u64) -> Option<WordProblem> {
        let mut chooser = SeededRng::new(self.config.seed, index.wrapping_mul(2));
        let (low, high) = (*self.config.steps.start(), *self.config.steps.end());
        let steps = low + chooser.index(high - low + 1);
        // A separate stream for stories, so that their draws do not change the numbers of steps.
        let mut source = SeededRng::new(self.config.seed, index.wrapping_mul(2) | 1);
        (0..ATTEMPTS)
            .filter_map(|_| {
                let seed = source.between(0, i64::MAX) as u64;
                tell(SeededRng::new(seed, 0), steps, self.config.size)
            })
            .find(|problem| problem.split() == self.config.split)
    }

    /// The first `count` problems, no two with the same text.
    ///
    /// ```
    /// use bestof_tasks::arithmetic::{ArithmeticConfig, ArithmeticProblems};
    ///
    /// let problems = ArithmeticProblems::new(ArithmeticConfig::default())?.take_distinct(3)?;
    /// assert!(problems[0].annotated_solution().ends_with(&format!("#### {}", problems[0].answer)));
    /// # Ok::<(), bestof_tasks::arithmetic::ArithmeticError>(())
    /// ```
    pub fn take_distinct(&self, count: usize) -> Result<Vec<WordProblem>, ArithmeticError> {
        let mut seen = HashSet::new();
        let limit = (count as u64).saturating_mul(20).saturating_add(200);
        let problems: Vec<WordProblem> = (0..limit)
            .filter_map(|index| self.problem(index))
            .filter(|problem| seen.insert(problem.question.clone()))
            .take(count)
            .collect();
        if problems.len() < count {
            return Err(ArithmeticError::TooFew { found: problems.len(), requested: count });
        }
        Ok(problems)
    }
}

/// One story with exactly `steps` steps, or `None` if this attempt ends earlier.
fn tell(rng: SeededRng, steps: usize, size: NumberSize) -> Option<WordProblem> {
    let mut story = Story::new(rng, size);
    let situation = open(&mut story, steps)?;
    let mut told = Vec::new();
    while story.len() < steps {
        go_on(&mut story, steps, &mut told)?;
    }
    if story.len() != steps {
        return None;
    }
    let (question, steps) = story.finish();
    let answer = steps.last()?.value;
    Some(WordProblem { situation, question, steps, answer })
}

/// Tells a random situation in at most `steps` steps and returns its name.
fn open(story: &mut Story, steps: usize) -> Option<&'static str> {
    let group = story.rng.choose(&DATA.situations)?;
    let situation = story.rng.choose(group)?;
    let lengths: Vec<usize> = situation.steps.iter().copied().filter(|n| *n <= steps).collect();
    let length = *story.rng.choose(&lengths)?;
    story.tell(&situation.story, length)?;
    Some(&situation.name)
}

/// Tells a random turn that has not been told and fits the steps left; `None` if there is none.
fn go_on(story: &mut Story, steps: usize, told: &mut Vec<&'static str>) -> Option<()> {
    let meaning = story.meaning()?;
    let fitting: Vec<_> = DATA
        .turns
        .iter()
        .filter(|turn| turn.after.contains(&meaning) && story.len() + turn.steps <= steps)
        .filter(|turn| !told.contains(&turn.name.as_str()))
        .collect();
    let turn = *story.rng.choose(&fitting)?;
    told.push(&turn.name);
    story.tell(&turn.story, turn.steps)
}
