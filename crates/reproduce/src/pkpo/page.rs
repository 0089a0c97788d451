//! The experiment's page.

use bestof_report::{Cell, Plot, Section, Series, Table, Text};

use super::arm::{Arm, K, N};
use super::compared::{Compared, KS, Scores, Set, Trained, less};
use super::runs::Outcome;
use super::settings::Settings;
use crate::Measured;
use crate::judge::shown;
use crate::paired::p_above;

/// A named set of puzzles.
type Named = (&'static str, Set);

pub(super) const SETS: [Named; 4] = [
    ("held-out puzzles", |scores: &Scores| &scores.held_out),
    ("held-out puzzles of three numbers", |scores: &Scores| &scores.easy),
    ("held-out puzzles of four numbers", |scores: &Scores| &scores.hard),
    ("validation puzzles", |scores: &Scores| &scores.validation),
];

/// What the reader has to know of the set-up.
pub(super) fn about(settings: &Settings, choice: String) -> Section {
    let model = settings.model.as_ref().map_or_else(
        || "A LLaMA of three layers and width 64, a token a character".to_owned(),
        |path| format!("The model in {}, by LoRA", path.display()),
    );
    let text = Text::new(format!(
        "{model}, is taught by {} demonstrations to use three or four numbers once each in an expression; one \
         demonstration in {} reaches its target. From there each arm learns from {N} samples of each of {} puzzles, \
         {} a step, {} steps, reward 1 for an expression that comes to the target; no puzzle comes twice. Every seed \
         has a base model and puzzles of its own, which all arms of the seed share. pass@k is measured with {} samples of each of \
         {} held-out puzzles. None of those, nor of the validation and training puzzles, has the numbers and the target of a \
         demonstration, be it the target shown or the one it was exchanged for.",
        settings.demonstrations,
        settings.right_every,
        settings.steps * settings.prompts,
        settings.prompts,
        settings.steps,
        settings.samples,
        2 * settings.held_out,
    ));
    let choice = Text::new(choice);
    let mut arms = Table::new("The arms", ["arm", "optimises", "learning rate"]);
    for &arm in settings.arms {
        arms.push([arm.label(), arm.about(settings), rates(arm, settings)].map(Cell::text));
    }
    Section::new("The experiment").element(text).element(choice).element(arms)
}

fn rates(arm: Arm, settings: &Settings) -> String {
    match arm {
        Arm::Frozen => "none".to_owned(),
        arm => {
            let rates = arm.rates(settings);
            rates.iter().map(|rate| format!("{rate:?}")).collect::<Vec<_>>().join(", ")
        }
    }
}

/// pass@k before and after training, set by set.
pub(super) fn tables(runs: &Compared) -> Section {
    let mut section = Section::new("pass@k after training").element(Text::note(
        "Percent, means over seeds with their 95 % intervals; the highest mean of each column is marked.",
    ));
    for (name, set) in SETS {
        let columns: Vec<String> = std::iter::once("trained for".to_owned())
            .chain(KS.map(|k| format!("pass@{k}")))
            .collect();
        let mut table = Table::new(format!("On {name}"), columns);
        let before = KS.map(|k| Measured::of_seeds(&runs.pass_before(set, k)));
        let trained: Vec<(String, [Measured; KS.len()])> = runs
            .runs
            .iter()
            .map(|run| (label(run), KS.map(|k| Measured::of_seeds(&run.pass(set, k)))))
            .collect();
        let rows: Vec<_> = std::iter::once(("before".to_owned(), before)).chain(trained).collect();
        for (label, cells) in &rows {
            let shown = cells.iter().enumerate().map(|(column, cell)| {
                let best = rows.iter().all(|(_, other)| other[column].value <= cell.value);
                let shown = Cell::figures(percents(cell));
                if best { shown.good() } else { shown }
            });
            table.push(std::iter::once(Cell::text(label)).chain(shown));
        }
        section.push(table);
    }
    section
}

/// The arm, and its rate where there is one.
fn label(run: &Trained) -> String {
    match run.arm {
        Arm::Frozen => run.arm.label(),
        arm => format!("{}, rate {:?}", arm.label(), run.rate),
    }
}

/// A share with its interval, in percent.
fn percents(share: &Measured) -> String {
    let [value, low, high] = [share.value, share.low, share.high].map(|share| 100.0 * share);
    format!("{value:.1} [{low:.1}, {high:.1}]")
}

/// What every arm gains over the base model and over the one it is compared with, the frozen one
/// with them: it shows what the comparison makes of nothing.
pub(super) fn gains(runs: &Compared, against: Arm) -> Section {
    let (_, set) = SETS[0];
    let mut section = Section::new("Gains on held-out puzzles").element(Text::note(
        "Points, means over seeds of the difference with their 95 % intervals; p one-sided, by the paired t test, not corrected.",
    ));
    for k in KS {
        let than = format!("less {}", against.label());
        let columns = ["arm", "rate", "less before", "p", &than, "p"];
        let mut table = Table::new(format!("pass@{k}"), columns);
        for arm in runs.arms() {
            let Some(run) = runs.chosen(arm, k) else { continue };
            let mut row = vec![Cell::text(arm.label()), Cell::figures(format!("{:?}", run.rate))];
            for other in [runs.pass_before(set, k), runs.pass(against, set, k)] {
                let gap = less(&run.pass(set, k), &other);
                row.push(Cell::figures(percents(&Measured::of_seeds(&gap))));
                row.push(Cell::figures(shown(p_above(&gap, 0.0))));
            }
            table.push(row);
        }
        section.push(table);
    }
    section
}

/// Curves over training, a line an arm.
pub(super) fn curves(runs: &Compared, outcomes: &[Outcome]) -> Section {
    let figures = [
        ("pass@1", "pass@1 of the batch", true, 0.95),
        ("pass@8", "pass@8 of the batch", true, 0.95),
        ("pass@16", "pass@16 of the batch", true, 0.95),
        ("entropy", "Entropy a token, nats", false, 0.9),
        ("frac_reward_zero_std", "Puzzles whose samples are all worth the same", true, 0.95),
        ("k", "k", false, 0.0),
        ("ratio/effective_samples", "Effective samples of a puzzle in later updates", false, 0.9),
    ];
    let mut section = Section::new("Training").element(Text::new(format!(
        "Means over seeds, each arm at the learning rate chosen for pass@{K}. The batch is that of the step, {N} samples of \
         each of its puzzles, none of which was seen before: its pass@k is unbiased and of new puzzles, like that of held-out ones."
    )));
    for (metric, title, percent, smoothing) in figures {
        let mut plot = Plot::new(title);
        if percent {
            plot = plot.percent();
        }
        for (tint, arm) in runs.arms().into_iter().enumerate() {
            let Some(rate) = runs.chosen(arm, K).map(|run| run.rate) else { continue };
            let of_it =
                outcomes.iter().filter(|o| o.arm == arm && o.rate.to_bits() == rate.to_bits());
            let mean = mean_curve(&of_it.map(|outcome| outcome.curve(metric)).collect::<Vec<_>>());
            if mean.is_empty() {
                continue;
            }
            let mut line = Series::new(arm.label(), mean).tint(tint);
            if smoothing > 0.0 {
                line = line.smoothed(smoothing);
            }
            plot = plot.series(line);
        }
        if !plot.is_empty() {
            section.push(plot);
        }
    }
    section
}

/// The mean of curves with the same steps, as far as all go.
fn mean_curve(curves: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let Some(length) = curves.iter().map(Vec::len).min() else { return Vec::new() };
    let count = curves.len() as f64;
    (0..length)
        .map(|at| {
            let (step, _) = curves[0][at];
            (step, curves.iter().map(|curve| curve[at].1).sum::<f64>() / count)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_curve_ends_with_the_shortest() {
        let curves = [vec![(1.0, 2.0), (2.0, 4.0)], vec![(1.0, 4.0)]];
        assert_eq!(mean_curve(&curves), [(1.0, 3.0)]);
        assert!(mean_curve(&[]).is_empty());
    }
}
