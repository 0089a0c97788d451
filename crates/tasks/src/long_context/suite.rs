//! Cases for every length and depth.

use std::collections::{HashSet, VecDeque};

use serde::Serialize;

use super::case::prompt;
use super::length::TokenCounter;
use super::lines::{LineRecord, check_depth, check_length};
use super::qa::{Assembled, Padding, Prepared, QaItem, Request, assemble, prepare};
use super::{
    AnswerRule, DepthTarget, LongContextError, Placement, QaSource, QuestionPosition,
    RetrievalCase, RetrievalTask, Skip, SkipReason, Skips, Variant, passkey,
};
use crate::rng::{SeededRng, Split};
use crate::setters::setters;

/// Largest number of cases in a cell.
const MAX_CASES: usize = 1_000_000;

/// At which depths the answer is placed.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depths {
    /// Anywhere, as in LongChat-Lines.
    Uniform,
    /// At each of these depths, 0 to 1, as for a heat map.
    At(Vec<f64>),
    /// At each of these placements, as in the paper's question answering.
    Placements(Vec<Placement>),
}

/// Which cases are generated.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SuiteConfig {
    /// The task.
    pub task: RetrievalTask,
    /// Lengths in tokens.
    pub lengths: Vec<usize>,
    /// Tokens of each length reserved for a chat template, special tokens and the answer: the
    /// prompt's text has at most `length - reserve` tokens.
    pub reserve: usize,
    /// Depths of the answer.
    pub depths: Depths,
    /// Positions of the question; ignored by LongChat-Lines and passkey, which ask last.
    pub questions: Vec<QuestionPosition>,
    /// Number of cases for each length, depth and position of the question.
    pub cases_per_cell: usize,
    /// Seed; equal seeds give equal cases in every release.
    pub seed: u64,
    /// Training or held-out keys and invented documents; they share none. Data files are split
    /// by [`QaPool::part`](super::qa::QaPool::part).
    pub split: Split,
    /// Whether prompts are user messages instead of plain text.
    pub chat: bool,
}

setters!(SuiteConfig { task: RetrievalTask, lengths: Vec<usize>, reserve: usize, depths: Depths, questions: Vec<QuestionPosition>, cases_per_cell: usize, seed: u64, split: Split, chat: bool });

impl SuiteConfig {
    /// 50 held-out cases at 2,048, 4,096 and 8,192 tokens, as plain text, nothing reserved: at any
    /// depth, or the paper's six variants for questions about documents.
    pub fn new(task: RetrievalTask) -> Self {
        let (depths, questions) = if task.needs_documents() {
            let questions = vec![QuestionPosition::After, QuestionPosition::Before];
            (Depths::Placements(Placement::ALL.to_vec()), questions)
        } else {
            (Depths::Uniform, vec![QuestionPosition::After])
        };
        Self {
            task,
            lengths: vec![2048, 4096, 8192],
            reserve: 0,
            depths,
            questions,
            cases_per_cell: 50,
            seed: 0,
            split: Split::HeldOut,
            chat: false,
        }
    }

    fn check(&self) -> Result<(), LongContextError> {
        let setting = |setting, found: String, expected: &str| {
            Err(LongContextError::Setting { setting, found, expected: expected.to_owned() })
        };
        if self.lengths.is_empty() {
            return setting("lengths", "empty".to_owned(), "at least one length");
        }
        for length in &self.lengths {
            check_length(*length)?;
            if self.reserve >= *length {
                let expected = format!("less than the length {length}");
                return setting("reserve", self.reserve.to_string(), &expected);
            }
        }
        if self.cases_per_cell == 0 || self.cases_per_cell > MAX_CASES {
            return setting("cases_per_cell", self.cases_per_cell.to_string(), "1 to 1000000");
        }
        if self.questions.is_empty() {
            return setting("questions", "empty".to_owned(), "`after`, `before` or both");
        }
        if self.depth_targets().is_empty() {
            return setting("depths", "empty".to_owned(), "at least one depth or placement");
        }
        self.depth_targets().into_iter().try_for_each(check_depth)
    }

    fn depth_targets(&self) -> Vec<DepthTarget> {
        match &self.depths {
            Depths::Uniform => vec![DepthTarget::Uniform],
            Depths::At(depths) => depths.iter().copied().map(DepthTarget::At).collect(),
            Depths::Placements(placements) => {
                placements.iter().copied().map(DepthTarget::Placement).collect()
            }
        }
    }
}

/// A combination of length, depth and position of the question.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cell {
    /// Length in tokens, the reserve included.
    pub length: usize,
    /// Depth of the answer.
    pub depth: DepthTarget,
    /// Position of the question.
    pub question: QuestionPosition,
}

/// A cell with fewer cases than requested.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ShortCell {
    /// The cell.
    pub cell: Cell,
    /// Number of cases.
    pub cases: usize,
}

/// Iterator over the cases of all cells, made one at a time.
///
/// The same questions are used in every cell, so that cells are comparable. Documents from which no
/// case can be made are skipped, counted and listed in [`skips`](Self::skips); cells that run out of
/// documents are in [`short_cells`](Self::short_cells). An error ends the iteration.
pub struct Suite<'a> {
    config: SuiteConfig,
    source: QaSource<'a>,
    counter: &'a dyn TokenCounter,
    order: Vec<usize>,
    cells: VecDeque<Cell>,
    /// Cases of the current cell so far, and the next item to try.
    made: usize,
    next: usize,
    skips: Skips,
    skipped: HashSet<usize>,
    short: Vec<ShortCell>,
}

impl std::fmt::Debug for Suite<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<'a> Suite<'a> {
    /// The cases that `config` describes. `source` is used by the tasks with documents only.
    ///
    /// # Errors
    /// [`LongContextError::Setting`] for a setting outside its range.
    pub fn new(
        config: SuiteConfig,
        source: QaSource<'a>,
        counter: &'a dyn TokenCounter,
    ) -> Result<Self, LongContextError> {
        config.check()?;
        let questions = if config.task.needs_documents() {
            config.questions.clone()
        } else {
            vec![QuestionPosition::After]
        };
        let mut cells = VecDeque::new();
        for length in &config.lengths {
            for depth in config.depth_targets() {
                for question in &questions {
                    cells.push_back(Cell { length: *length, depth, question: *question });
                }
            }
        }
        // Invented documents are endless; three per case are more than are ever needed.
        let order = source.order(config.seed, (config.cases_per_cell * 3).max(50));
        Ok(Self {
            config,
            source,
            counter,
            order,
            cells,
            made: 0,
            next: 0,
            skips: Skips::default(),
            skipped: HashSet::new(),
            short: Vec::new(),
        })
    }

    /// The documents skipped so far.
    pub fn skips(&self) -> &Skips {
        &self.skips
    }

    /// Finished cells with fewer cases than requested.
    pub fn short_cells(&self) -> &[ShortCell] {
        &self.short
    }

    /// Number of cases still to come if nothing is skipped.
    pub fn expected(&self) -> usize {
        self.cells.len() * self.config.cases_per_cell - self.made
    }

    fn next_generated(&mut self, cell: Cell) -> Result<RetrievalCase, LongContextError> {
        let SuiteConfig { seed, split, chat, reserve, .. } = self.config;
        let (item, length) = (self.next as u64, cell.length - reserve);
        self.next += 1;
        let case = if self.config.task == RetrievalTask::LongchatLines {
            LineRecord::generate_to_length(seed, item, split, length, cell.depth, self.counter)?
                .case(chat)
        } else {
            passkey::case(seed, item, split, length, cell.depth, chat, self.counter)?
        };
        Ok(RetrievalCase { length_target: Some(cell.length), ..case })
    }

    /// The next case of a cell made from documents; `None` when they have run out.
    fn next_from_documents(&mut self, cell: Cell) -> Option<RetrievalCase> {
        let numeric = self.config.task == RetrievalTask::AlteredNumericQa;
        let SuiteConfig { seed, split, .. } = self.config;
        while let Some(index) = self.order.get(self.next).copied() {
            self.next += 1;
            let Some(item) = self.source.item(index, seed, split, numeric) else { continue };
            let prepared = match prepare(&item, numeric, seed) {
                Ok(prepared) => prepared,
                Err(reason) => {
                    // The same in every cell, and reported once.
                    if self.skipped.insert(item.item) {
                        self.skips.push(Skip { item: item.item, length: None, reason });
                    }
                    continue;
                }
            };
            match self.assemble(&item, &prepared, cell) {
                Ok(case) => return Some(case),
                Err(reason) => {
                    self.skips.push(Skip { item: item.item, length: Some(cell.length), reason });
                }
            }
        }
        None
    }

    fn assemble(
        &self,
        item: &QaItem,
        prepared: &Prepared,
        cell: Cell,
    ) -> Result<RetrievalCase, SkipReason> {
        let SuiteConfig { task, seed, split, chat, reserve, .. } = self.config;
        let mut rng = SeededRng::new(seed.wrapping_add(3), item.item as u64);
        let share = rng.share();
        let request = Request {
            length: cell.length - reserve,
            depth: cell.depth.aim(share),
            placement: cell.depth.placement(),
            question: cell.question,
            chat,
        };
        let padding = Padding::new(self.source, prepared, seed, split);
        let Assembled { text, tokens, depth } =
            assemble(prepared, padding, &request, self.counter)?;
        Ok(RetrievalCase {
            task,
            prompt: prompt(text, chat),
            answers: prepared.answers.clone(),
            rule: AnswerRule::Presence,
            length_target: Some(cell.length),
            tokens: Some(tokens),
            depth: Some(depth),
            depth_target: cell.depth.depth(),
            variant: Variant { placement: cell.depth.placement(), question: cell.question },
            item: prepared.item,
        })
    }
}

impl Iterator for Suite<'_> {
    type Item = Result<RetrievalCase, LongContextError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let cell = *self.cells.front()?;
            let case = if self.made == self.config.cases_per_cell {
                None
            } else if self.config.task.needs_documents() {
                self.next_from_documents(cell)
            } else {
                match self.next_generated(cell) {
                    Ok(case) => Some(case),
                    Err(error) => {
                        self.cells.clear();
                        return Some(Err(error));
                    }
                }
            };
            if let Some(case) = case {
                self.made += 1;
                return Some(Ok(case));
            }
            if self.made < self.config.cases_per_cell {
                self.short.push(ShortCell { cell, cases: self.made });
            }
            self.cells.pop_front();
            (self.made, self.next) = (0, 0);
        }
    }
}

/// All cases that `config` describes, the documents skipped, and the cells with too few cases.
///
/// All cases are in memory together; to make one at a time, iterate over a [`Suite`].
///
/// # Errors
/// [`LongContextError::NoCases`] if no case can be made.
pub fn build(
    config: SuiteConfig,
    source: QaSource<'_>,
    counter: &dyn TokenCounter,
) -> Result<(Vec<RetrievalCase>, Skips, Vec<ShortCell>), LongContextError> {
    let task = config.task;
    let mut suite = Suite::new(config, source, counter)?;
    let cases = suite.by_ref().collect::<Result<Vec<_>, _>>()?;
    if cases.is_empty() {
        return Err(LongContextError::NoCases { task, skips: suite.skips });
    }
    Ok((cases, suite.skips, suite.short))
}
