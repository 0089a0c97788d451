//! Published shapes become prompts with answers that their verifiers accept.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use bestof_tasks::rows::{AnswerRow, ReadOptions, Row, read_rows_from};
use bestof_tasks::sets::{Gsm8kRow, GymRow, MathRow, MetaMathRow, ProblemRow};
use bestof_tasks::verify::{VerifierError, VerifierKind};

fn rows<R: Row>(lines: &str) -> Vec<R> {
    read_rows_from(lines.as_bytes(), Path::new("own.jsonl"), &ReadOptions::default()).unwrap().rows
}

fn reward(kind: VerifierKind, row: &AnswerRow, completion: &str) -> f64 {
    kind.for_row(row).unwrap().verify(completion).reward
}

#[test]
fn gsm8k_solutions_verify_their_own_answer() {
    let lines = r#"{"question": "Two carts of 600 melons?", "answer": "2*600=<<2*600=1200>>1,200 melons.\n#### 1,200"}
{"question": "Why?", "answer": "Because."}"#;
    let rows = rows::<Gsm8kRow>(lines);
    let row = rows[0].to_answer().unwrap();
    assert_eq!((row.prompt.last_text(), row.answer.as_str()), ("Two carts of 600 melons?", "1200"));
    assert_eq!(reward(VerifierKind::Number, &row, &rows[0].answer), 1.0);
    assert_eq!(rows[1].to_answer(), None);
}

#[test]
fn math_answers_stand_in_the_last_box() {
    let lines = r#"{"problem": "Solve $x^2=2$, $x>0$.", "level": "Level 1", "solution": "Not $\\boxed{2}$ but $x = \\boxed{\\sqrt{2}}$."}
{"problem": "Prove it.", "solution": "Clear."}
{"problem": "Solve $x^2=1$.", "solution": "They are $\\boxed{1}$ and $\\boxed{-1}$."}"#;
    let rows = rows::<MathRow>(lines);
    let row = rows[0].to_answer().unwrap();
    assert_eq!(row.answer, "\\sqrt{2}");
    // Whose answer a completion with two boxes gives cannot be told.
    assert_eq!(reward(VerifierKind::Math, &row, &rows[0].solution), 0.0);
    assert_eq!(reward(VerifierKind::Math, &row, "$\\boxed{\\frac{2}{\\sqrt 2}}$"), 1.0);
    let both = rows[2].to_answer().unwrap();
    assert_eq!(both.answer, "1, -1");
    assert_eq!(reward(VerifierKind::Math, &both, &rows[2].solution), 1.0);
    assert_eq!(reward(VerifierKind::Math, &both, "\\boxed{1}"), 0.0);
    assert_eq!(reward(VerifierKind::Math, &row, "\\boxed{1.4142}"), 0.0);
    assert_eq!(rows[1].to_answer(), None);
}

#[test]
fn gym_lines_bring_what_their_verifier_needs() {
    let lines = r#"{"question": "Reach 24 with 4, 6.", "answer": "4*6", "metadata": {"numbers": [4, 6], "target": 24}}
{"question": "7 - 9 =", "answer": "-2", "metadata": {"num_terms": 2}}
{"question": "Continue.", "answer": "3 0 3"}
{"question": "Sort 2, 1.", "answer": "['1', '2.0']"}"#;
    let rows: Vec<AnswerRow> = rows::<GymRow>(lines).into_iter().map(|row| row.0).collect();
    assert_eq!(reward(VerifierKind::Countdown, &rows[0], "6 * 4"), 1.0);
    assert_eq!(reward(VerifierKind::Number, &rows[1], "7 - 9 = -2"), 1.0);
    assert_eq!(reward(VerifierKind::Number, &rows[1], "2"), 0.0);
    assert_eq!(reward(VerifierKind::Grid, &rows[2], "3 0 0"), 2.0 / 3.0);
    assert_eq!(reward(VerifierKind::Math, &rows[3], "['1', '2']"), 1.0);
    assert_eq!(reward(VerifierKind::Math, &rows[3], "['2', '1']"), 0.0);
    let error = VerifierKind::Number.for_row(&rows[2].clone_with("none")).unwrap_err();
    assert!(matches!(error, VerifierError::Answer { .. }));
}

/// The same row with another answer.
trait WithAnswer {
    fn clone_with(&self, answer: &str) -> Self;
}

impl WithAnswer for AnswerRow {
    fn clone_with(&self, answer: &str) -> Self {
        Self { answer: answer.to_owned(), ..self.clone() }
    }
}

#[test]
fn a_column_that_a_published_row_would_lose_is_named() {
    fn error<R: Row + std::fmt::Debug>(line: &str) -> String {
        let options = ReadOptions::default();
        read_rows_from::<R>(line.as_bytes(), "t.jsonl".as_ref(), &options).unwrap_err().to_string()
    }
    let gsm8k = error::<Gsm8kRow>(r#"{"question": "Q", "answer": "1", "system": "Be brief."}"#);
    assert!(gsm8k.contains("`system`"), "{gsm8k}");
    let meta = error::<MetaMathRow>(r#"{"query": "Q", "response": "R", "context": "C"}"#);
    assert!(meta.contains("`context`"), "{meta}");
    // What only says where a row is from, or what it says already, is no loss.
    let kept = r#"{"question": "Q", "answer": "1", "id": 7, "source": "x", "problem": "Q"}"#;
    assert_eq!(rows::<Gsm8kRow>(kept).len(), 1);
}

#[test]
fn problems_are_read_whatever_their_columns_are_called() {
    let problem = |line: &str| rows::<ProblemRow>(line).remove(0).0;
    for line in [
        r#"{"question": "Q", "answer": "so 2 * 3 = 6\n#### 6"}"#,
        r#"{"Question": "Q", "Answer": "so 2 * 3 = 6\n#### 6"}"#,
        r#"{"problem": "Q", "solution": "It is \\boxed{6}."}"#,
        r#"{"prompt": "Q", "answer": 6}"#,
    ] {
        let read = problem(line);
        assert_eq!((read.prompt.last_text(), read.answer.as_str()), ("Q", "6"), "{line}");
    }
    let gym =
        problem(r#"{"query": "Q", "answer": "6", "metadata": {"numbers": [2, 3], "target": 6}}"#);
    assert_eq!((gym.extra["target"].as_i64(), gym.answer.as_str()), (Some(6), "6"));
    let beside = |column: &str| {
        format!(r#"{{"question": "Q", "answer": "6", {column}, "metadata": {{"target": 6}}}}"#)
    };
    let error = read_rows_from::<ProblemRow>(
        beside(r#""target": 7"#).as_bytes(),
        Path::new("t.jsonl"),
        &ReadOptions::default(),
    );
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains(
            "`metadata.target`: found the number 6, expected what the column `target` says"
        ),
        "{error}"
    );
    assert_eq!(problem(&beside(r#""target": 6"#)).extra["target"], 6);
    // A prompt of one's own has the answer as it stands.
    assert_eq!(problem(r#"{"prompt": "Q", "answer": "a #### b"}"#).answer, "a #### b");
}
