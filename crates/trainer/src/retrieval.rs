//! How often a model finds what a long prompt hides, by length and by depth.

use bestof_models::{AfterToken, CausalLm, FinishReason, ModelError, Request, SamplingConfig};
use bestof_report::{Cell, HeatMap, Report, Section, Table};
use bestof_tasks::long_context::{
    AnswerRule, Placement, QuestionPosition, RetrievalCase, RetrievalTask, Score,
};
use serde::{Deserialize, Serialize};

use crate::data::{DropReason, Encoder, Refusal};
use crate::error::TrainError;
use crate::evaluate::Estimate;

/// How answers are asked for. Always the likeliest token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrievalSettings {
    /// Longest answer in tokens.
    pub max_new_tokens: usize,
    /// Tokens that end an answer.
    pub eos_token_ids: Vec<u32>,
}

/// The longest answer that Giraffe's scripts allow a task: 35 tokens for lines, 50 for questions.
pub fn paper_max_new_tokens(task: RetrievalTask) -> usize {
    if task.needs_documents() { 50 } else { 35 }
}

/// Where the answer was put.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Depth {
    /// At this share of the way through, 0 to 1.
    At(f64),
    /// In one of the paper's places.
    Placed(Placement),
}

impl Depth {
    fn of(case: &RetrievalCase) -> Option<Self> {
        case.depth_target.map(Self::At).or(case.placement().map(Self::Placed))
    }

    /// As a row of a table says it: `25 %`, `start`.
    pub fn label(self) -> String {
        match self {
            Self::At(share) => format!("{:.0} %", 100.0 * share),
            Self::Placed(Placement::Start) => "start".to_owned(),
            Self::Placed(Placement::Middle) => "middle".to_owned(),
            Self::Placed(Placement::End) => "end".to_owned(),
        }
    }

    /// What depths are sorted by.
    fn rank(self) -> f64 {
        match self {
            Self::At(share) => share,
            Self::Placed(Placement::Start) => 0.0,
            Self::Placed(Placement::Middle) => 0.5,
            Self::Placed(Placement::End) => 1.0,
        }
    }
}

/// What a model answered to one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The length asked for, in tokens.
    pub length: Option<usize>,
    /// The depth asked for.
    pub depth: Option<Depth>,
    /// Where the question stands.
    pub question: QuestionPosition,
    /// Line of the data file counted from 1, or number of the generated item.
    pub item: usize,
    /// Tokens of the prompt as the model saw it.
    pub tokens: usize,
    /// The accepted answers.
    pub answers: Vec<String>,
    /// How the completion was compared with them.
    pub rule: AnswerRule,
    /// What the model said.
    pub completion: String,
    /// What it is worth.
    #[serde(flatten)]
    pub score: Score,
    /// Why the completion ended.
    pub finish: FinishReason,
}

/// The answer of a model to a case; `None` if the prompt leaves no room for `max_new_tokens` tokens
/// in the model's context.
///
/// # Errors
/// [`TrainError::Prompt`] for a prompt that cannot be encoded, [`TrainError::ScoreNotFinite`] for a model
/// whose logits are no numbers, and what the model says.
pub fn answer<M: CausalLm + ?Sized>(
    model: &M,
    encoder: &Encoder<'_>,
    case: &RetrievalCase,
    settings: &RetrievalSettings,
) -> Result<Option<Answer>, TrainError> {
    let prompt = encoder.encode_prompt(&case.prompt);
    let said = complete(model, encoder, prompt, case.item, settings)?;
    Ok(said.map(|Said { tokens, completion, finish }| Answer {
        length: case.length_target,
        depth: Depth::of(case),
        question: case.question_position(),
        item: case.item,
        tokens,
        answers: case.answers.clone(),
        rule: case.rule,
        score: case.score(&completion),
        completion,
        finish,
    }))
}

/// What a model said.
pub(crate) struct Said {
    /// Tokens of the prompt.
    pub(crate) tokens: usize,
    pub(crate) completion: String,
    pub(crate) finish: FinishReason,
}

/// The greedy completion of an encoded prompt; `None` if the prompt leaves no room for it.
pub(crate) fn complete<M: CausalLm + ?Sized>(
    model: &M,
    encoder: &Encoder<'_>,
    prompt: Result<Vec<u32>, Refusal>,
    item: usize,
    settings: &RetrievalSettings,
) -> Result<Option<Said>, TrainError> {
    let refused = |reason: String| TrainError::Prompt { item, reason };
    let prompt = match prompt {
        Ok(prompt) => prompt,
        Err(Refusal::Dropped(DropReason::PromptTooLong)) => return Ok(None),
        Err(Refusal::Dropped(reason)) => return Err(refused(reason.to_string())),
        Err(Refusal::Bad(problem)) => return Err(refused(problem.to_string())),
        Err(Refusal::NoChatTemplate) => {
            return Err(refused("the model has no chat template; ask in plain text".to_owned()));
        }
        Err(Refusal::Tokenizer(error)) => return Err(error.into()),
    };
    let tokens = prompt.len();
    if tokens.saturating_add(settings.max_new_tokens) > model.max_positions() {
        return Ok(None);
    }
    let sampling = SamplingConfig::greedy(settings.max_new_tokens)
        .with_eos_token_ids(settings.eos_token_ids.clone());
    let request = Request { prompt, samples: 1, seed: 0 };
    let drawn = model.generate(&[request], &sampling, &mut |_| AfterToken::Continue);
    let drawn = drawn.map_err(|error| match error {
        ModelError::LogitsNotFinite { found, .. } => {
            let (name, found) = (Some(format!("item {item}")), found.into());
            TrainError::ScoreNotFinite { row: item, name, found }
        }
        error => error.into(),
    })?;
    let (ids, finish) =
        drawn.first().map_or((&[][..], FinishReason::Length), |d| (&d.ids[..], d.finish));
    let completion = encoder.tokenizer().decode(ids, true)?;
    Ok(Some(Said { tokens, completion, finish }))
}

/// A share of right answers, of all of them or of one length or depth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RetrievalEstimate {
    /// The number with its interval. `accuracy` is by the task's rule, `accuracy_strict` by the
    /// strict reading, `f1` the mean overlap of words.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// The length it is of; of all if `None`.
    pub length: Option<usize>,
    /// The depth it is of; of all if `None`.
    pub depth: Option<Depth>,
}

/// The cells of answers by length and depth, in order.
struct Grid {
    lengths: Vec<Option<usize>>,
    depths: Vec<Option<Depth>>,
}

impl Grid {
    fn of(answers: &[Answer]) -> Self {
        let mut lengths: Vec<_> = answers.iter().map(|answer| answer.length).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let mut depths: Vec<_> = answers.iter().map(|answer| answer.depth).collect();
        let rank = |depth: &Option<Depth>| depth.map_or(-1.0, Depth::rank);
        depths.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        depths.dedup();
        Self { lengths, depths }
    }
}

/// Accuracies with 95 % intervals (Wilson's): over all answers, by length, by depth, and by both.
///
/// # Errors
/// [`TrainError::NoRows`] if there are no answers.
pub fn summarise(answers: &[Answer]) -> Result<Vec<RetrievalEstimate>, TrainError> {
    if answers.is_empty() {
        return Err(TrainError::NoRows { what: "the retrieval task" });
    }
    let Grid { lengths, depths } = Grid::of(answers);
    let lengths: Vec<usize> = lengths.into_iter().flatten().collect();
    let depths: Vec<Depth> = depths.into_iter().flatten().collect();
    let mut found = Vec::new();
    let mut add = |length: Option<usize>, depth: Option<Depth>| -> Result<(), TrainError> {
        let here: Vec<&Answer> = answers
            .iter()
            .filter(|answer| length.is_none() || answer.length == length)
            .filter(|answer| depth.is_none() || answer.depth == depth)
            .collect();
        if here.is_empty() {
            return Ok(());
        }
        let share = |name: &str, right: &dyn Fn(&Score) -> bool| {
            let hits = here.iter().filter(|answer| right(&answer.score)).count();
            Estimate::share(name, hits, here.len())
        };
        let mut estimates = vec![share("accuracy", &|score| score.correct)?];
        if here.iter().any(|answer| answer.rule == AnswerRule::Presence) {
            estimates.push(share("accuracy_strict", &|score| score.strict)?);
            let overlaps: Vec<f64> = here.iter().map(|answer| answer.score.f1).collect();
            estimates.push(Estimate::proportion("f1", &overlaps)?);
        }
        found.extend(estimates.into_iter().map(|estimate| RetrievalEstimate {
            estimate,
            length,
            depth,
        }));
        Ok(())
    };
    add(None, None)?;
    for &length in &lengths {
        add(Some(length), None)?;
    }
    for &depth in &depths {
        add(None, Some(depth))?;
    }
    for &length in &lengths {
        for &depth in &depths {
            add(Some(length), Some(depth))?;
        }
    }
    Ok(found)
}

/// A page with the heat map of accuracy by length and depth, and the numbers with their intervals.
///
/// `facts` are named values for the top, such as the model's folder.
pub fn page(
    task: RetrievalTask,
    estimates: &[RetrievalEstimate],
    facts: &[(String, String)],
) -> Report {
    let accuracy = || estimates.iter().filter(|e| e.estimate.metric == "accuracy");
    let lengths: Vec<usize> =
        accuracy().filter(|e| e.depth.is_none()).filter_map(|e| e.length).collect();
    let depths: Vec<Depth> =
        accuracy().filter(|e| e.length.is_none()).filter_map(|e| e.depth).collect();
    let mut map = HeatMap::new(
        "Share of right answers",
        "tokens of the prompt",
        lengths.iter().map(ToString::to_string),
    )
    .row_label("depth of the answer")
    .percent();
    for depth in &depths {
        let cells = lengths.iter().map(|length| {
            accuracy()
                .find(|e| e.length == Some(*length) && e.depth == Some(*depth))
                .map(|e| e.estimate.value)
        });
        map = map.row(depth.label(), cells);
    }
    let columns = ["metric", "tokens", "depth", "value", "low", "high", "n"];
    let mut table = Table::new("With 95 % intervals", columns);
    for RetrievalEstimate { estimate, length, depth } in estimates {
        let text = |text: Option<String>| text.map_or_else(Cell::missing, Cell::text);
        table.push([
            Cell::text(estimate.metric.clone()),
            length.map_or_else(Cell::missing, |length| Cell::number(length as f64)),
            text(depth.map(Depth::label)),
            Cell::percent(estimate.value),
            Cell::percent(estimate.low),
            Cell::percent(estimate.high),
            Cell::number(estimate.n as f64),
        ]);
    }
    let mut section = Section::new("Accuracy by length and depth");
    if !depths.is_empty() && !lengths.is_empty() {
        section.push(map);
    }
    Report::new(format!("Retrieval: {task}"))
        .section(section.element(table))
        .section(setting(facts))
}

/// The part of a page that says what was measured: named values, such as the model's folder.
pub(crate) fn setting(facts: &[(String, String)]) -> Section {
    let mut about = Table::new("What was measured", ["", ""]);
    for (name, value) in facts {
        about.push([Cell::text(name.clone()), Cell::text(value.clone())]);
    }
    Section::new("Setting").element(about)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(length: usize, depth: Depth, correct: bool, strict: bool) -> Answer {
        Answer {
            length: Some(length),
            depth: Some(depth),
            question: QuestionPosition::After,
            item: 1,
            tokens: length - 5,
            answers: vec!["12".to_owned()],
            rule: AnswerRule::Presence,
            completion: String::new(),
            score: Score { correct, strict, f1: if strict { 1.0 } else { 0.25 }, extracted: None },
            finish: FinishReason::Eos,
        }
    }

    #[test]
    fn shares_are_of_their_cell() {
        let (start, end) = (Depth::Placed(Placement::Start), Depth::Placed(Placement::End));
        let answers = [
            answered(200, end, true, true),
            answered(100, start, true, false),
            answered(100, end, false, false),
            answered(200, start, false, false),
            answered(200, start, true, true),
        ];
        let found = summarise(&answers).unwrap();
        let value = |metric: &str, length: Option<usize>, depth: Option<Depth>| {
            let of = |e: &&RetrievalEstimate| {
                e.estimate.metric == metric && e.length == length && e.depth == depth
            };
            let all: Vec<_> = found.iter().filter(of).collect();
            assert_eq!(all.len(), 1, "{metric} {length:?} {depth:?}");
            let Estimate { value, n, .. } = all[0].estimate;
            ((value * 1e9).round() / 1e9, n)
        };
        assert_eq!(value("accuracy", None, None), (0.6, 5));
        assert_eq!(value("accuracy", Some(100), None), (0.5, 2));
        assert_eq!(value("accuracy", None, Some(start)), (0.666_666_667, 3));
        assert_eq!(value("accuracy", Some(200), Some(start)), (0.5, 2));
        assert_eq!(value("accuracy_strict", Some(100), Some(start)), (0.0, 1));
        assert_eq!(value("f1", None, None), (0.55, 5));
        // Order: all, by length, by depth, by both; the shorter and the earlier first.
        assert_eq!(found[3].length, Some(100));
        assert_eq!(found[9].depth, Some(start));
        let json = serde_json::to_value(&found[9]).unwrap();
        assert_eq!((&json["depth"], &json["length"]), (&"start".into(), &serde_json::Value::Null));
        let page = page(RetrievalTask::FreeFormQa, &found, &[("model".into(), "m".into())]);
        let html = page.to_html();
        assert!(html.contains("free-form-qa") && html.contains("depth of the answer"));
        assert!(html.contains("50.0 %"), "half of the answers in a cell");
    }

    #[test]
    fn no_answers_are_an_error() {
        assert!(matches!(summarise(&[]), Err(TrainError::NoRows { .. })));
    }
}
