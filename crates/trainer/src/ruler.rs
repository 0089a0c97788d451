//! RULER's scores of a model, by task and length.

use bestof_estimators::mean_proportion;
use bestof_models::{CausalLm, FinishReason};
use bestof_report::{Cell, HeatMap, Report, Section, Table};
use bestof_tasks::long_context::ruler::{RulerCase, RulerTask, printable};
use bestof_tasks::rows::{ChatMessage, Content};
use serde::{Deserialize, Serialize};

use crate::data::Encoder;
use crate::error::TrainError;
use crate::retrieval::{RetrievalSettings, Said, complete, setting};

/// What a model answered to a prompt of RULER.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RulerAnswer {
    /// The task.
    pub task: RulerTask,
    /// The length asked for, in tokens.
    pub length: Option<usize>,
    /// The depth asked for.
    pub depth: Option<f64>,
    /// Line of the data file counted from 1, or number of the generated case.
    pub index: usize,
    /// Tokens of the prompt as the model saw it.
    pub tokens: usize,
    /// What had to be said.
    pub outputs: Vec<String>,
    /// What the model said.
    pub completion: String,
    /// Its score, 0 to 1.
    pub score: f64,
    /// Why the completion ended.
    pub finish: FinishReason,
}

/// The greedy answer of a model to a case, as plain text or to a user's message (`chat`), the answer
/// prefix always before it; `None` if the prompt leaves no room for it in the model's context.
///
/// # Errors
/// [`TrainError::Prompt`] for a prompt that cannot be encoded, and what the model says.
pub fn answer<M: CausalLm + ?Sized>(
    model: &M,
    encoder: &Encoder<'_>,
    case: &RulerCase,
    chat: bool,
    settings: &RetrievalSettings,
) -> Result<Option<RulerAnswer>, TrainError> {
    let input = case.input.clone();
    let prompt =
        if chat { Content::Messages(vec![ChatMessage::user(input)]) } else { Content::Text(input) };
    let prompt = encoder.encode_started(&prompt, &case.answer_prefix);
    let said = complete(model, encoder, prompt, case.index, settings)?;
    Ok(said.map(|Said { tokens, completion, finish }| RulerAnswer {
        task: case.task,
        length: case.length,
        depth: case.depth_target,
        index: case.index,
        tokens,
        outputs: case.outputs.clone(),
        score: case.score(&completion),
        completion,
        finish,
    }))
}

/// A score of RULER: of one task at one length (and depth), or an average of these.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RulerScore {
    /// The task; the average of all tasks if `None`.
    pub task: Option<RulerTask>,
    /// The length; the average of all lengths if `None`.
    pub length: Option<usize>,
    /// The depth it is of; of all if `None`.
    pub depth: Option<f64>,
    /// 0 to 100, as RULER reports it.
    pub score: f64,
    /// Standard error of the score; `None` where it follows from a single answer.
    pub standard_error: Option<f64>,
    /// Number of answers.
    pub n: usize,
    /// Answers without a printable character.
    pub nulls: usize,
}

/// Scores by task and length (and depth), each task's average over lengths, and the average over tasks
/// at each length and of all. An average counts each task and length once, however many answers it has;
/// its standard error is the root of the sum of squares over their number.
///
/// # Errors
/// [`TrainError::NoRows`] if there are no answers.
pub fn summarise(answers: &[RulerAnswer]) -> Result<Vec<RulerScore>, TrainError> {
    if answers.is_empty() {
        return Err(TrainError::NoRows { what: "RULER" });
    }
    let mut tasks: Vec<RulerTask> = answers.iter().map(|answer| answer.task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let mut lengths: Vec<Option<usize>> = answers.iter().map(|answer| answer.length).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let mut cells: Vec<RulerScore> = Vec::new();
    let mut found = Vec::new();
    for &task in &tasks {
        let mut own = Vec::new();
        for &length in &lengths {
            let here: Vec<&RulerAnswer> =
                answers.iter().filter(|a| a.task == task && a.length == length).collect();
            if here.is_empty() {
                continue;
            }
            let cell = score(&here, task, length, None)?;
            own.push(cell.clone());
            found.push(cell);
            let mut depths: Vec<f64> = here.iter().filter_map(|answer| answer.depth).collect();
            depths.sort_by(f64::total_cmp);
            depths.dedup();
            for depth in depths {
                let at: Vec<&RulerAnswer> =
                    here.iter().copied().filter(|answer| answer.depth == Some(depth)).collect();
                found.push(score(&at, task, length, Some(depth))?);
            }
        }
        if own.len() > 1 {
            found.push(average(&own, Some(task), None));
        }
        cells.extend(own);
    }
    if tasks.len() > 1 {
        for &length in &lengths {
            let at: Vec<RulerScore> =
                cells.iter().filter(|cell| cell.length == length).cloned().collect();
            found.push(average(&at, None, length));
        }
        if lengths.len() > 1 {
            found.push(average(&cells, None, None));
        }
    }
    Ok(found)
}

fn score(
    answers: &[&RulerAnswer],
    task: RulerTask,
    length: Option<usize>,
    depth: Option<f64>,
) -> Result<RulerScore, TrainError> {
    let values: Vec<f64> = answers.iter().map(|answer| answer.score).collect();
    let mean = mean_proportion(&values)?;
    Ok(RulerScore {
        task: Some(task),
        length,
        depth,
        score: 100.0 * mean.value,
        standard_error: (mean.n > 1).then_some(100.0 * mean.std_error),
        n: mean.n,
        nulls: answers.iter().filter(|answer| printable(&answer.completion).is_empty()).count(),
    })
}

fn average(of: &[RulerScore], task: Option<RulerTask>, length: Option<usize>) -> RulerScore {
    let count = of.len().max(1) as f64;
    let squares: Option<f64> =
        of.iter().map(|cell| cell.standard_error.map(|error| error * error)).sum();
    RulerScore {
        task,
        length,
        depth: None,
        score: of.iter().map(|cell| cell.score).sum::<f64>() / count,
        standard_error: squares.map(|squares| squares.sqrt() / count),
        n: of.iter().map(|cell| cell.n).sum(),
        nulls: of.iter().map(|cell| cell.nulls).sum(),
    }
}

/// The lengths of scores, in order, as the columns of a table.
pub fn lengths(scores: &[RulerScore]) -> Vec<usize> {
    let mut lengths: Vec<usize> = scores.iter().filter_map(|score| score.length).collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

/// The tasks of scores, in RULER's order, and `None` for their average where there is one: the rows of a
/// table.
pub fn rows(scores: &[RulerScore]) -> Vec<Option<RulerTask>> {
    let mut tasks: Vec<Option<RulerTask>> = scores.iter().map(|score| score.task).collect();
    tasks.sort_by_key(|task| (task.is_none(), *task));
    tasks.dedup();
    tasks
}

/// The name of a row of a table.
pub fn name(task: Option<RulerTask>) -> &'static str {
    task.map_or("average", RulerTask::name)
}

/// The score in a cell of a table, over all depths; the averages are those of `None`.
pub fn cell(
    scores: &[RulerScore],
    task: Option<RulerTask>,
    length: Option<usize>,
) -> Option<&RulerScore> {
    scores.iter().find(|s| s.task == task && s.length == length && s.depth.is_none())
}

/// A page with the scores by task and length.
///
/// `facts` are named values for the bottom, such as the model's folder.
pub fn page(scores: &[RulerScore], facts: &[(String, String)]) -> Report {
    let lengths = lengths(scores);
    let mut map = HeatMap::new(
        "Share of what had to be said",
        "tokens of prompt and answer",
        lengths.iter().map(ToString::to_string),
    )
    .row_label("task")
    .percent();
    for task in rows(scores) {
        let at =
            |length: &usize| cell(scores, task, Some(*length)).map(|found| found.score / 100.0);
        map = map.row(name(task), lengths.iter().map(at));
    }
    let columns = ["task", "tokens", "depth", "score", "standard error", "n", "nulls"];
    let mut table = Table::new("Scores, 0 to 100", columns);
    for score in scores {
        let number = |value: Option<f64>| value.map_or_else(Cell::missing, Cell::number);
        table.push([
            Cell::text(name(score.task)),
            number(score.length.map(|length| length as f64)),
            number(score.depth),
            Cell::number(score.score),
            number(score.standard_error),
            Cell::number(score.n as f64),
            Cell::number(score.nulls as f64),
        ]);
    }
    let mut section = Section::new("Scores by task and length");
    if !lengths.is_empty() {
        section.push(map);
    }
    Report::new("RULER").section(section.element(table)).section(setting(facts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(task: RulerTask, length: usize, depth: Option<f64>, score: f64) -> RulerAnswer {
        RulerAnswer {
            task,
            length: Some(length),
            depth,
            index: 0,
            tokens: length - 10,
            outputs: vec!["x".to_owned()],
            completion: if score == 0.0 { "\u{1}".to_owned() } else { "x".to_owned() },
            score,
            finish: FinishReason::Length,
        }
    }

    /// Means and standard errors by hand: `sd(x) / sqrt(n)` with the sample's standard deviation.
    #[test]
    fn scores_and_averages_are_those_by_hand() {
        let (vt, cwe) = (RulerTask::Vt, RulerTask::Cwe);
        let answers = [
            said(vt, 100, Some(0.0), 1.0),
            said(vt, 100, Some(1.0), 0.0),
            said(vt, 100, Some(1.0), 0.5),
            said(cwe, 100, None, 0.25),
            said(cwe, 100, None, 0.75),
            said(cwe, 200, None, 1.0),
            said(cwe, 200, None, 0.0),
            said(cwe, 200, None, 0.0),
            said(cwe, 200, None, 0.0),
        ];
        let found = summarise(&answers).unwrap();
        let of = |task: Option<RulerTask>, length: Option<usize>, depth: Option<f64>| {
            let is = |s: &&RulerScore| s.task == task && s.length == length && s.depth == depth;
            let all: Vec<_> = found.iter().filter(is).collect();
            assert_eq!(all.len(), 1, "{task:?} {length:?} {depth:?}");
            (all[0].score, all[0].standard_error, all[0].n, all[0].nulls)
        };
        let near = |(score, error, n, nulls): (f64, Option<f64>, usize, usize),
                    expected: (f64, f64, usize, usize)| {
            assert!((score - expected.0).abs() < 1e-9, "{score} {expected:?}");
            assert!((error.unwrap() - expected.1).abs() < 1e-9, "{error:?} {expected:?}");
            assert_eq!((n, nulls), (expected.2, expected.3));
        };
        // sd of (1, 0, 0.5) is 0.5; of (0.25, 0.75) 0.353553; of (1, 0, 0, 0) 0.5.
        near(of(Some(vt), Some(100), None), (50.0, 50.0 / 3_f64.sqrt(), 3, 1));
        near(of(Some(cwe), Some(100), None), (50.0, 25.0, 2, 0));
        near(of(Some(cwe), Some(200), None), (25.0, 25.0, 4, 3));
        near(of(Some(cwe), None, None), (37.5, 1250_f64.sqrt() / 2.0, 6, 3));
        near(of(Some(vt), Some(100), Some(1.0)), (25.0, 25.0, 2, 1));
        assert_eq!(of(Some(vt), Some(100), Some(0.0)), (100.0, None, 1, 0));
        let both = (2500.0 / 3.0 + 625.0_f64).sqrt() / 2.0;
        near(of(None, Some(100), None), (50.0, both, 5, 1));
        near(of(None, Some(200), None), (25.0, 25.0, 4, 3));
        let all = (2500.0 / 3.0 + 1250.0_f64).sqrt() / 3.0;
        near(of(None, None, None), (125.0 / 3.0, all, 9, 4));
        assert_eq!(rows(&found), [Some(vt), Some(cwe), None]);
        assert_eq!(lengths(&found), [100, 200]);
        let html = page(&found, &[("model".into(), "m".into())]).to_html();
        assert!(html.contains("cwe") && html.contains("average") && html.contains("50.0 %"));
        assert!(matches!(summarise(&[]), Err(TrainError::NoRows { .. })));
    }
}
