//! Long and hostile completions are judged in time that grows with their length only.

use std::time::{Duration, Instant};

use bestof_tasks::extract::{final_number, numbers};
use bestof_tasks::verify::{
    ChoiceVerifier, CountdownReward, CountdownVerifier, GridReward, GridVerifier, MathVerifier,
    NumberVerifier, TextMatch, TextVerifier, Verifier,
};
use bestof_tasks::worked::{Annotations, WorkedSolution};

/// What hostile texts are made of.
const PIECES: &[&str] = &[
    "\\boxed{",
    "\\boxed{}",
    "\\boxed{1}",
    "{",
    "}",
    "\\frac{",
    "\\frac{1}{2}",
    "\\text{",
    "\\text{a}",
    "[[",
    "[[1],",
    "[",
    "1",
    "1,",
    "1,000,",
    "-",
    "-1",
    "1/",
    "1 1/",
    "1e",
    "1 * 10^",
    "1 cm^2",
    "(A)",
    "A, ",
    "A or ",
    "#### ",
    "####\n",
    "<answer>",
    "<answer></answer>",
    "</answer>",
    "answer is ",
    "A: ",
    "1 2\n",
    "(",
    "^",
    "2^",
    "|",
    "$",
    " ",
    "\n",
    "<<",
    "<<1=1>>1",
    ">>",
    "= ",
    "=1",
    "x",
    "\\sqrt",
    ". ",
    "é",
    "−",
    "the answer is correct ",
    "answer to ",
    "answer\n",
    "answer is\n",
    "\\boxed 6 ",
    "\\boxed{1} and ",
    "<think>",
    "</think>",
    "$x$ ",
    "$x$ and ",
    "(since ",
    " (a b)",
    "\\{",
    "\\left(",
    "\\begin{pmatrix}",
    "\\pm ",
    "\\pm 1,",
    "\\cup ",
    "2!",
    "9999!",
    "\\binom{9999}{",
    "x_",
    "\\sum_{",
    "\\int ",
    "\\sin ",
    "\\log_",
    "-(",
    "x<",
    "x:",
    "{1,",
    "\\\\",
    "option C ",
    "not C ",
    "C or ",
    "half ",
    "negative ",
    "1 000 ",
    "1,5 ",
];

/// About a million bytes each: a quadratic step would take minutes.
fn hostile_texts() -> Vec<String> {
    let repeated = PIECES.iter().map(|piece| piece.repeat(1_000_000 / piece.len()));
    let boxed =
        PIECES.iter().map(|piece| format!("\\boxed{{{}}}", piece.repeat(1_000_000 / piece.len())));
    repeated.chain(boxed).collect()
}

#[test]
fn no_completion_takes_long() {
    let verifiers: Vec<Box<dyn Verifier>> = vec![
        Box::new(NumberVerifier::new("5").unwrap()),
        Box::new(MathVerifier::new("\\frac{x}{2}").unwrap()),
        Box::new(ChoiceVerifier::new("B").unwrap()),
        Box::new(TextVerifier::new("five", TextMatch::Normalised)),
        Box::new(GridVerifier::from_text("5 5", GridReward::Cells).unwrap()),
        Box::new(CountdownVerifier::new(&[2, 3], 5, CountdownReward::Nearness)),
    ];
    for text in hostile_texts() {
        let name: String = text.chars().take(20).collect();
        let start = Instant::now();
        for verifier in &verifiers {
            assert_ne!(verifier.verify(&text).reward, 1.0, "{name:?} {verifier:?}");
        }
        let _ = (final_number(&text), numbers(&text));
        let _ = WorkedSolution::parse(&text, Annotations::Keep);
        // Under a second everywhere; the bound leaves room for a busy machine.
        assert!(start.elapsed() < Duration::from_secs(20), "{name:?} took {:?}", start.elapsed());
    }
}

/// Answers just below the length that is read, nested and repeated, and compared with themselves.
#[test]
fn no_answer_takes_long() {
    let closed = |open: &str, close: &str| {
        let depth = 1900 / (open.len() + close.len());
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    };
    let mut answers: Vec<String> =
        PIECES.iter().map(|piece| piece.repeat((1900 / piece.len()).max(1))).collect();
    for (open, close) in [
        ("(", ")"),
        ("{", "}"),
        ("\\{1,", "\\}"),
        ("(1,", ")"),
        ("|", "|"),
        ("\\sqrt{", "}"),
        ("\\frac{1}{", "}"),
        ("\\text{", "}"),
        ("x_{", "}"),
        ("2^{", "}"),
        ("\\sinh(", ")"),
        ("\\sec(", ")"),
        ("f(", ")"),
        ("\\sum_{k=1}^{", "}k"),
        ("\\begin{pmatrix}", "\\end{pmatrix}"),
        ("\\{\\pm ", ",2\\}"),
        ("(1)\\cup(", ")"),
        ("x=", ""),
        ("1<", ""),
        ("\\lfloor ", "\\rfloor "),
        ("99999!/", ""),
        ("19999!+", ""),
        ("\\binom{19999}{9999}+", ""),
        ("\\{1,2,3,4,5,6,7,8,9\\},", ""),
    ] {
        answers.push(closed(open, close));
    }
    for deep in 1..40 {
        answers.push(format!("{}x{}", "\\sinh(".repeat(deep), ")".repeat(deep)));
        answers.push(format!("{}x{}", "\\cot(".repeat(deep), ")".repeat(deep)));
        answers.push(format!("{}1{}", "\\{1,".repeat(deep), "\\}".repeat(deep)));
    }
    // Sets of sets that differ in their last part alone.
    let sets = |last: usize| -> String {
        let set = |at: usize| format!("\\{{{}\\sqrt{{{}}}\\}}", "\\sqrt{x},".repeat(9), at + last);
        (1..18).map(set).collect::<Vec<_>>().join(",")
    };
    let verifier = MathVerifier::new(&sets(1)).unwrap();
    let start = Instant::now();
    assert_eq!(verifier.verify(&format!("\\boxed{{{}}}", sets(2))).reward, 0.0);
    assert!(start.elapsed() < Duration::from_secs(10), "sets took {:?}", start.elapsed());
    for answer in answers {
        let start = Instant::now();
        let name: String = answer.chars().take(20).collect();
        let completion = format!("\\boxed{{{answer}}}");
        for expected in [answer.as_str(), "\\frac{x}{2}", "1,2,3", "5"] {
            if let Ok(verifier) = MathVerifier::new(expected) {
                let _ = verifier.verify(&completion);
                let _ = verifier.verify(&answer);
            }
        }
        let number = NumberVerifier::new("5").unwrap().verify(&completion);
        assert_ne!(number.outcome, bestof_tasks::verify::VerificationOutcome::Failed);
        // Under half a second everywhere; the bound leaves room for a busy machine.
        assert!(start.elapsed() < Duration::from_secs(10), "{name:?} took {:?}", start.elapsed());
    }
}
