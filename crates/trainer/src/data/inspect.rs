//! The data doctor: what a file of rows will be to a model, before anything is trained.

mod duplicates;
mod inspection;
mod text;
mod tokens;
mod values;

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

use bestof_tasks::rows::{
    AnswerRow, CompletionRow, Content, DataRow, FileRows, LabelledRow, OnBadRow, PreferenceRow,
    ReadOptions, RowProblem, SupervisedRow,
};

pub use duplicates::{Duplicates, Match};
pub use inspection::{BadLine, Counts, Dropped, Inspection, Sharing, TokenChecks};
pub use tokens::{AnswerView, Colour, Example, TokenView};
pub use values::{EditDistances, LengthSummary, Lengths};

use super::load::each_row;
use super::{Boundary, DataError, DataReport, EncodedCompletion, EncodedPair, Encoder, Refusal};
use duplicates::Seen;
use values::Lists;

/// Looks at the file at `path`; the first `examples` kept rows are shown token by token.
///
/// Bad rows are always counted and listed here, whatever `options` says about them.
///
/// # Errors
/// The file cannot be read or holds no line at all, a conversation meets a model without chat
/// template, or the tokenizer fails.
pub fn inspect(
    path: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
    examples: usize,
) -> Result<Inspection, DataError> {
    look_at(FileRows::open(path, options)?, path, encoder, options, examples)
}

/// Looks at the rows of `source`; `name` stands for it in messages. As [`inspect`].
pub fn inspect_from(
    source: impl Read,
    name: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
    examples: usize,
) -> Result<Inspection, DataError> {
    look_at(FileRows::of_source(source, name, options)?, name, encoder, options, examples)
}

fn look_at(
    rows: FileRows<'_, DataRow>,
    name: &Path,
    encoder: &Encoder<'_>,
    options: &ReadOptions,
    examples: usize,
) -> Result<Inspection, DataError> {
    let options = options.clone().on_bad_row(OnBadRow::Skip);
    let mut doctor = Doctor::new(encoder, examples);
    let report = each_row(rows, name, &options, |(_, line), row: DataRow, report| {
        doctor.look(line, &row, report)
    })?;
    Ok(doctor.findings(&report))
}

/// What is gathered while the rows go by.
struct Doctor<'e, 'm> {
    encoder: &'e Encoder<'m>,
    max_examples: usize,
    shapes: BTreeMap<&'static str, usize>,
    lists: Lists,
    tokens: TokenChecks,
    seen: Seen,
    sharing: Sharing,
    answer_tokens: (usize, usize),
    special: HashMap<u32, bool>,
    examples: Vec<Example>,
}

/// Lines remembered for a finding.
const LINES_LISTED: usize = 5;

impl<'e, 'm> Doctor<'e, 'm> {
    fn new(encoder: &'e Encoder<'m>, max_examples: usize) -> Self {
        let tokens = TokenChecks {
            tokenizer_adds: encoder.tokenizer().pieces(encoder.leading_ids()),
            ..TokenChecks::default()
        };
        Self {
            encoder,
            max_examples,
            shapes: BTreeMap::new(),
            lists: Lists::default(),
            tokens,
            seen: Seen::default(),
            sharing: Sharing::default(),
            answer_tokens: (0, 0),
            special: HashMap::new(),
            examples: Vec::new(),
        }
    }

    fn look(&mut self, line: usize, row: &DataRow, report: &mut DataReport) -> Result<(), Refusal> {
        match row {
            DataRow::Pair(row) => self.pair(line, row, report)?,
            DataRow::Supervised(row) => self.supervised(line, row, report)?,
            DataRow::Labelled(row) => self.labelled(line, row, report)?,
            DataRow::Answer(row) => self.answer(line, row, report)?,
        }
        *self.shapes.entry(row.kind()).or_default() += 1;
        Ok(())
    }

    fn pair(
        &mut self,
        line: usize,
        row: &PreferenceRow,
        report: &mut DataReport,
    ) -> Result<(), Refusal> {
        let encoder = self.encoder.for_row(&row.template)?;
        let pair = encoder.encode_pair(&row.prompt, &row.chosen, &row.rejected)?;
        report.keep(pair.has_separate_boundary(), pair.truncated);
        self.seen.pair(line, row);
        self.prompt(&row.prompt, Some(&row.chosen), &pair.prompt_ids);
        for (ids, boundary) in
            [(&pair.chosen_ids, pair.chosen_boundary), (&pair.rejected_ids, pair.rejected_boundary)]
        {
            self.completion(line, ids, boundary);
        }
        self.lists.pair(&pair);
        self.tokens.truncated += usize::from(pair.truncated);
        let (apart, shared) = pair.tokens_apart_and_shared();
        self.sharing.tokens_apart += apart;
        self.sharing.tokens_shared += shared;
        self.answer_tokens.0 += 2 * pair.shared_answer_tokens();
        self.answer_tokens.1 += pair.chosen_ids.len() + pair.rejected_ids.len();
        self.example(|tokenizer| Example::of_pair(tokenizer, line, &pair));
        Ok(())
    }

    fn supervised(
        &mut self,
        line: usize,
        row: &SupervisedRow,
        report: &mut DataReport,
    ) -> Result<(), Refusal> {
        let item = self.encoder.encode_supervised(row)?;
        report.keep(item.boundary == Boundary::Separate, item.truncated);
        match row {
            SupervisedRow::Completion(CompletionRow { prompt, completion, .. }) => {
                self.seen.texts(line, &[prompt, completion]);
                self.prompt(prompt, Some(completion), &item.prompt_ids);
            }
            SupervisedRow::Text(row) => {
                self.seen.texts(line, &[&row.text]);
                self.beginning(&item.sequence());
            }
        }
        self.encoded(line, &item);
        Ok(())
    }

    fn labelled(
        &mut self,
        line: usize,
        row: &LabelledRow,
        report: &mut DataReport,
    ) -> Result<(), Refusal> {
        let encoder = self.encoder.for_row(&row.template)?;
        let item = encoder.encode_completion(&row.prompt, &row.completion)?;
        report.keep(item.boundary == Boundary::Separate, item.truncated);
        self.seen.texts(line, &[&row.prompt, &row.completion]);
        self.prompt(&row.prompt, Some(&row.completion), &item.prompt_ids);
        self.encoded(line, &item);
        Ok(())
    }

    fn encoded(&mut self, line: usize, item: &EncodedCompletion) {
        self.completion(line, &item.completion_ids, item.boundary);
        self.lists.completion(item);
        self.tokens.truncated += usize::from(item.truncated);
        self.example(|tokenizer| Example::of_completion(tokenizer, line, item));
    }

    fn answer(
        &mut self,
        line: usize,
        row: &AnswerRow,
        report: &mut DataReport,
    ) -> Result<(), Refusal> {
        if row.answer.trim().is_empty() {
            return Err(Refusal::Bad(RowProblem::Empty { field: "answer".to_owned() }));
        }
        let prompt_ids = self.encoder.for_row(&row.template)?.encode_prompt(&row.prompt)?;
        report.keep(false, false);
        self.seen.texts(line, &[&row.prompt, &row.answer.as_str().into()]);
        self.prompt(&row.prompt, None, &prompt_ids);
        self.lists.prompt(&prompt_ids);
        self.example(|tokenizer| Example::of_prompt(tokenizer, line, &prompt_ids));
        Ok(())
    }

    fn prompt(&mut self, prompt: &Content, answer: Option<&Content>, ids: &[u32]) {
        if let Content::Text(prompt) = prompt
            && !answer.is_some_and(Content::is_chat)
        {
            let spaced = prompt.ends_with(char::is_whitespace);
            let answer = answer.map_or("", Content::last_text);
            let glued = !prompt.is_empty() && answer.starts_with(|c: char| !c.is_whitespace());
            self.tokens.prompt_ends_in_space += usize::from(spaced);
            self.tokens.nothing_between += usize::from(glued && !spaced);
        }
        self.beginning(ids);
    }

    fn beginning(&mut self, ids: &[u32]) {
        let Some(bos) = self.encoder.tokenizer().bos_id() else { return };
        let count = ids.iter().take_while(|&&id| id == bos).count();
        self.tokens.begin_with_bos += usize::from(count > 0);
        self.tokens.begin_with_bos_twice += usize::from(count > 1);
    }

    fn completion(&mut self, line: usize, ids: &[u32], boundary: Boundary) {
        self.tokens.completions += 1;
        let stops = ids.iter().rev().take(3).any(|&id| self.is_special(id));
        self.tokens.end_with_special += usize::from(stops);
        if boundary == Boundary::Separate {
            self.tokens.separate_boundaries += 1;
            let lines = &mut self.tokens.separate_lines;
            if lines.len() < LINES_LISTED && lines.last() != Some(&line) {
                lines.push(line);
            }
        }
    }

    fn is_special(&mut self, id: u32) -> bool {
        let tokenizer = self.encoder.tokenizer();
        *self.special.entry(id).or_insert_with(|| tokenizer.is_special(id))
    }

    fn example(&mut self, view: impl FnOnce(&bestof_checkpoints::Tokenizer) -> Example) {
        if self.examples.len() < self.max_examples {
            self.examples.push(view(self.encoder.tokenizer()));
        }
    }

    fn findings(self, report: &DataReport) -> Inspection {
        let has_pairs = self.shapes.contains_key("pairs");
        let (shared, answers) = self.answer_tokens;
        let saved = self.sharing.tokens_apart - self.sharing.tokens_shared;
        let sharing = Sharing {
            saved: saved as f64 / self.sharing.tokens_apart.max(1) as f64,
            shared_answer_start: shared as f64 / answers.max(1) as f64,
            ..self.sharing
        };
        let drops = report.drops.iter().map(|(&reason, drop)| Dropped {
            reason,
            message: reason.to_string(),
            count: drop.count,
            first_lines: drop.first_lines.clone(),
        });
        let bad_rows = report
            .bad
            .listed
            .iter()
            .map(|bad| BadLine { line: bad.line, problem: bad.problem.to_string() });
        let rows = Counts {
            total: report.rows,
            kept: report.kept,
            shapes: self.shapes,
            drops: drops.collect(),
            bad: report.bad.count,
            bad_rows: bad_rows.collect(),
        };
        let edit_distances = has_pairs.then(|| self.lists.edit_distances());
        let mut inspection = Inspection {
            file: report.file.display().to_string(),
            rows,
            lengths: self.lists.lengths(),
            tokens: self.tokens,
            duplicates: self.seen.found(),
            edit_distances,
            sharing: has_pairs.then_some(sharing),
            examples: self.examples,
            warnings: Vec::new(),
        };
        inspection.warnings = text::warnings(&inspection);
        inspection
    }
}
