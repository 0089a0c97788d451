//! Cases for every task, length and depth.

use std::collections::VecDeque;

use serde::Serialize;

use super::super::DepthTarget;
use super::super::LongContextError;
use super::super::length::TokenCounter;
use super::super::lines::{check_depth, check_length};
use super::coded_words::CodedWords;
use super::common_words::{CommonWords, Vocabulary};
use super::filling::{Rendered, fill};
use super::needles::{Haystack, NeedlePrompt};
use super::variables::VariablePrompt;
use super::{Essay, RulerCase, RulerTask};
use crate::rng::{SeededRng, stable_hash};
use crate::setters::setters;

/// Largest number of cases of a task at one length and depth.
const MAX_CASES: usize = 1_000_000;

/// Which cases are generated.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RulerConfig {
    /// The tasks.
    pub tasks: Vec<RulerTask>,
    /// Lengths in tokens, of prompt and answer together.
    pub lengths: Vec<usize>,
    /// Tokens of each length reserved for a chat template and special tokens.
    pub reserve: usize,
    /// Tokens of an answer in place of the tasks' own.
    pub max_new_tokens: Option<usize>,
    /// Depths of the needle, 0 to 1, for the tasks that have one; any depth if empty, as in RULER.
    pub depths: Vec<f64>,
    /// Number of cases for each task, length and depth.
    pub cases: usize,
    /// Seed; equal seeds give equal cases in every release.
    pub seed: u64,
}

setters!(RulerConfig { tasks: Vec<RulerTask>, lengths: Vec<usize>, reserve: usize, max_new_tokens: Option<usize>, depths: Vec<f64>, cases: usize, seed: u64 });

impl RulerConfig {
    /// 500 cases at 4,096 tokens, as RULER has them, at any depth.
    pub fn new(tasks: Vec<RulerTask>) -> Self {
        Self {
            tasks,
            lengths: vec![4096],
            reserve: 0,
            max_new_tokens: None,
            depths: Vec::new(),
            cases: 500,
            seed: 0,
        }
    }

    fn check(&self) -> Result<(), LongContextError> {
        let setting = |setting, found: String, expected: &str| {
            Err(LongContextError::Setting { setting, found, expected: expected.to_owned() })
        };
        if self.tasks.is_empty() {
            return setting("tasks", "empty".to_owned(), "at least one task");
        }
        if let Some(task) = self.tasks.iter().find(|task| !RulerTask::GENERATED.contains(task)) {
            return setting("tasks", task.to_string(), "a task that is generated; give rows of it");
        }
        if self.lengths.is_empty() {
            return setting("lengths", "empty".to_owned(), "at least one length");
        }
        if self.cases == 0 || self.cases > MAX_CASES {
            return setting("cases", self.cases.to_string(), "1 to 1000000");
        }
        self.lengths.iter().try_for_each(|length| check_length(*length))?;
        self.depths.iter().try_for_each(|depth| check_depth(DepthTarget::At(*depth)))
    }
}

/// A task at a length and a depth.
#[derive(Debug, Clone, Copy)]
struct Cell {
    task: RulerTask,
    length: usize,
    depth: DepthTarget,
}

/// Iterator over the cases, made one at a time; an error ends it.
///
/// Case `i` of a task hides the same at every length and depth, so that these are comparable,
/// except for common words, where a longer list may need words of another kind.
pub struct RulerSuite<'a> {
    config: RulerConfig,
    essay: Essay,
    /// As much running text as any prompt has, once it is needed.
    hay: Option<String>,
    counter: &'a dyn TokenCounter,
    cells: VecDeque<Cell>,
    made: usize,
}

impl std::fmt::Debug for RulerSuite<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RulerSuite").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<'a> RulerSuite<'a> {
    /// The cases that `config` describes, with generated running text.
    ///
    /// # Errors
    /// [`LongContextError::Setting`] for a setting outside its range.
    pub fn new(
        config: RulerConfig,
        counter: &'a dyn TokenCounter,
    ) -> Result<Self, LongContextError> {
        config.check()?;
        let mut cells = VecDeque::new();
        for &task in &config.tasks {
            for &length in &config.lengths {
                let any = vec![DepthTarget::Uniform];
                let depths = if task.has_depth() && !config.depths.is_empty() {
                    config.depths.iter().map(|depth| DepthTarget::At(*depth)).collect()
                } else {
                    any
                };
                cells.extend(depths.into_iter().map(|depth| Cell { task, length, depth }));
            }
        }
        let essay = Essay::invented(config.seed);
        Ok(Self { essay, hay: None, config, counter, cells, made: 0 })
    }

    /// The same with other running text.
    #[must_use]
    pub fn with_essay(self, essay: Essay) -> Self {
        Self { essay, hay: None, ..self }
    }

    /// Number of cases still to come.
    pub fn expected(&self) -> usize {
        self.cells.len() * self.config.cases - self.made
    }

    fn case(&mut self, cell: Cell, index: usize) -> Result<RulerCase, LongContextError> {
        let Cell { task, length, depth } = cell;
        let answer = self.config.max_new_tokens.unwrap_or(task.max_new_tokens());
        let beside = self.config.reserve + answer;
        let room = length.saturating_sub(beside);
        let too_short = |needed: usize| LongContextError::RulerTooShort {
            task,
            length,
            needed: needed + beside,
        };
        let seed = self.config.seed ^ stable_hash(task.name());
        let stream = |part: u64| SeededRng::new(seed, 2 * index as u64 + part);
        let counter = self.counter;
        let (rendered, tokens, outputs) = if let Some(needles) = task.needles() {
            let hay = if needles.haystack == Haystack::Essay {
                // As many words as tokens are more than are used. That of the longest prompt, for what is
                // hidden must not depend on the length.
                let longest = self.config.lengths.iter().copied().max().unwrap_or(length);
                self.hay.get_or_insert_with(|| self.essay.text(longest)).as_str()
            } else {
                ""
            };
            let draws = [stream(0), stream(1)];
            let mut prompt = NeedlePrompt::new(needles, draws, depth, &mut self.essay, hay);
            let (rendered, _, tokens) = fill(&mut prompt, room, counter).map_err(too_short)?;
            (rendered, tokens, prompt.outputs())
        } else if task == RulerTask::Vt {
            let mut prompt = VariablePrompt::new(stream(0), counter);
            let (rendered, _, tokens) = fill(&mut prompt, room, counter).map_err(too_short)?;
            (rendered, tokens, prompt.outputs())
        } else if task == RulerTask::Cwe {
            let mut prompt = CommonWords::new(stream(0), length, Vocabulary::Single);
            let (mut rendered, units, mut tokens) =
                fill(&mut prompt, room, counter).map_err(too_short)?;
            if units == prompt.units() {
                prompt = CommonWords::new(stream(0), length, Vocabulary::Compound);
                (rendered, _, tokens) = fill(&mut prompt, room, counter).map_err(too_short)?;
            }
            (rendered, tokens, prompt.outputs())
        } else {
            let mut prompt = CodedWords::new(stream(0), room);
            let (rendered, _, tokens) = fill(&mut prompt, room, counter).map_err(too_short)?;
            (rendered, tokens, prompt.outputs())
        };
        let Rendered { input, answer_prefix, depth: found } = rendered;
        Ok(RulerCase {
            task,
            index,
            input,
            answer_prefix,
            outputs,
            max_new_tokens: answer,
            length: Some(length),
            tokens: Some(tokens),
            depth: found,
            depth_target: depth.depth(),
        })
    }
}

impl Iterator for RulerSuite<'_> {
    type Item = Result<RulerCase, LongContextError>;

    fn next(&mut self) -> Option<Self::Item> {
        let cell = *self.cells.front()?;
        let case = self.case(cell, self.made);
        self.made += 1;
        if case.is_err() {
            self.cells.clear();
            self.made = 0;
        } else if self.made == self.config.cases {
            self.cells.pop_front();
            self.made = 0;
        }
        Some(case)
    }
}
