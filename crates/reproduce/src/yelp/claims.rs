//! What the paper claims, judged on the runs.

use bestof_report::format_number;
use bestof_sentiment::classical::Inputs;

use super::study::Study;
use super::table::{Label, ROWS, Row, row};
use crate::{Claim, Measured, all_hold};

/// The spread, in points, of the paper's own bins of restaurants (figure 7b): 81.6 to 89.3 %.
const BALANCED: f64 = 7.7;
const OVER_SEEDS: &str = "for two labels and for five stars, the 95 % interval over seeds";

/// Accuracies in per cent by row and inputs, of one seed or of the paper.
type Figures<'a> = &'a dyn Fn(&Row, Inputs) -> f64;

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    sum / count
}

fn text_over_meta(of: Figures<'_>) -> f64 {
    let classical = ROWS.iter().filter(|row| row.is_classical());
    mean(classical.map(|row| of(row, Inputs::Text) - of(row, Inputs::Meta)))
}

fn joint_over_text(of: Figures<'_>) -> f64 {
    let single = ROWS.iter().filter(|row| !row.text.is_multi_task());
    mean(single.map(|row| of(row, Inputs::Joint) - of(row, Inputs::Text)))
}

fn attention_over_classical(of: Figures<'_>) -> f64 {
    let text = |name| of(row(name), Inputs::Text);
    let classical = ROWS.iter().filter(|row| row.is_classical());
    let best = classical.map(|row| of(row, Inputs::Text)).fold(f64::NEG_INFINITY, f64::max);
    text("HAN").min(text("BERT")) - best
}

fn multi_over_single(of: Figures<'_>) -> f64 {
    let pairs = [("CNN-MT", "CNN"), ("HAN-MT", "HAN"), ("BERT-MT", "BERT")];
    mean(pairs.into_iter().flat_map(|(multi, single)| {
        [Inputs::Text, Inputs::Joint].map(|inputs| of(row(multi), inputs) - of(row(single), inputs))
    }))
}

/// A difference of accuracies in points, seed by seed.
fn measured(study: &Study, label: Label, difference: fn(Figures<'_>) -> f64) -> Measured {
    let of_seed = |seed: usize| {
        difference(&|row, inputs| {
            let scores = study.cell(row, inputs).and_then(|cell| cell.scores.get(seed));
            scores.map_or(f64::NAN, |score| score.accuracy(label))
        })
    };
    Measured::of_seeds(&(0..study.seeds()).map(of_seed).collect::<Vec<_>>())
}

fn paper(label: Label, difference: fn(Figures<'_>) -> f64) -> f64 {
    difference(&|row, inputs| row.paper(inputs, label).unwrap_or(f64::NAN))
}

/// A claim that a difference is above 0.
fn above(study: &Study, claim: &str, what: &str, difference: fn(Figures<'_>) -> f64) -> Claim {
    let found = Label::ALL.map(|label| (label, measured(study, label, difference)));
    let told: Vec<String> = found
        .iter()
        .map(|(label, found)| {
            let paper = format_number(paper(*label, difference));
            format!("{} {found} points (the paper: {paper})", label.name())
        })
        .collect();
    Claim::new(
        claim,
        format!("{OVER_SEEDS} of {what} lies above 0"),
        told.join("; "),
        all_hold(found.iter().map(|(_, found)| found.is_above(0.0))),
    )
}

fn balanced(study: &Study) -> Claim {
    let scores = study.cell(row("BERT-MT"), Inputs::Joint).map_or(&[][..], |cell| &cell.scores);
    let gap = Measured::of_seeds(&scores.iter().map(|s| s.busy_minus_quiet).collect::<Vec<_>>());
    Claim::new(
        "BERT-MT-Joint errs as often on restaurants that training saw often as on others",
        format!(
            "the 95 % interval over seeds, of the binary accuracy on the half of the test rows whose \
             restaurants have most training reviews less that on the other half, lies within {BALANCED} \
             points of 0, the spread of the paper's own bins"
        ),
        format!("{gap} points"),
        gap.is_near(0.0, BALANCED),
    )
}

pub(super) fn claims(study: &Study) -> Vec<Claim> {
    vec![
        above(
            study,
            "Text says more than meta features",
            "accuracy on text less accuracy on meta features, mean over the six classical models,",
            text_over_meta,
        ),
        above(
            study,
            "Text and meta features together say more than text",
            "accuracy on both less accuracy on text, mean over the nine single-task models,",
            joint_over_text,
        ),
        above(
            study,
            "Attention over text beats every classical model of text",
            "the lower one of HAN's and BERT's accuracy less the highest of the six classical models",
            attention_over_classical,
        ),
        above(
            study,
            "Learning the sentiment score beside the stars helps",
            "multi-task less single-task accuracy, mean over CNN, HAN and BERT on text and on both,",
            multi_over_single,
        ),
        balanced(study),
    ]
}

#[cfg(test)]
mod tests {
    use bestof_report::Verdict::{self, DoesNot, Holds, Unclear};

    use super::super::study::{Cell, Score};
    use super::super::table::INPUTS;
    use super::*;

    /// Accuracies as a rule says, with a little noise that differs by seed.
    fn study(seeds: usize, gap: f64, rule: impl Fn(&Row, Inputs, Label) -> f64) -> Study {
        let cell = |row: &'static Row, inputs| {
            let score = |seed: usize| Score {
                binary: rule(row, inputs, Label::Binary) + 0.01 * seed as f64,
                stars: rule(row, inputs, Label::Stars) + 0.01 * seed as f64,
                busy_minus_quiet: gap + 0.1 * seed as f64,
                bins: Vec::new(),
            };
            Cell { row, inputs, scores: (0..seeds).map(score).collect() }
        };
        let cells = ROWS
            .iter()
            .flat_map(|row| INPUTS.map(|inputs| (row, inputs)))
            .filter(|(row, inputs)| row.kind(*inputs).is_some())
            .map(|(row, inputs)| cell(row, inputs))
            .collect();
        Study { rows: [0; 3], majority: vec![[0.0; 2]; seeds], cells }
    }

    fn verdicts(study: &Study) -> Vec<Verdict> {
        claims(study).into_iter().map(|claim| claim.verdict).collect()
    }

    fn of_paper(row: &Row, inputs: Inputs, label: Label) -> f64 {
        row.paper(inputs, label).unwrap()
    }

    #[test]
    fn the_papers_table_holds_and_its_opposite_does_not() {
        assert_eq!(verdicts(&study(3, 0.0, of_paper)), [Holds; 5]);
        let turned = |row: &Row, inputs, label| 100.0 - of_paper(row, inputs, label);
        assert_eq!(verdicts(&study(3, -12.0, turned)), [DoesNot; 5]);
        // Five stars alone are enough for a claim to fail.
        let half = |row: &Row, inputs, label| match label {
            Label::Binary => of_paper(row, inputs, label),
            Label::Stars => 100.0 - of_paper(row, inputs, label),
        };
        assert_eq!(verdicts(&study(3, 0.0, half))[..4], [DoesNot; 4]);
        assert_eq!(verdicts(&study(1, 0.0, of_paper)), [Unclear; 5]);
    }

    #[test]
    fn the_papers_differences_are_those_of_its_table() {
        let of = |difference| Label::ALL.map(|label| (100.0 * paper(label, difference)).round());
        // By hand: (4.88 + 5.30 + 5.76 + 3.95 + 3.14 + 3.23) / 6 for two labels.
        assert_eq!(of(text_over_meta)[0], 438.0);
        assert_eq!(of(attention_over_classical), [887.0, 477.0]);
        // (1.15 + 0.15 + 1.32 - 0.03 + 1.37 + 0.36) / 6
        assert_eq!(of(multi_over_single)[0], 72.0);
        assert!(of(joint_over_text).iter().all(|points| *points > 100.0));
    }
}
