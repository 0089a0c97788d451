//! The comparison as a page and on the terminal.

use std::path::Path;

use anyhow::Result;
use bestof_report::{
    Cell, Finding, Findings, Report, RunFolder, SampleCard, Samples, Section, Table,
};

use super::outcome::{Outcome, verdict};
use crate::console;

/// Writes the page: verdicts and numbers first, then both runs' curves.
pub(super) fn write(
    out: &Path,
    before: &Outcome,
    after: &[Outcome],
    findings: &[Finding],
    report: &Path,
) -> Result<()> {
    let runs = after
        .iter()
        .map(|outcome| Ok(RunFolder::open(&out.join(&outcome.name))?))
        .collect::<Result<Vec<RunFolder>>>()?;
    let columns = ["held-out pairs", "before", "DPO", "DPOP"];
    let mut table = Table::new("What was measured", columns);
    for (label, values) in measures(before, after) {
        let cells = std::iter::once(Cell::text(label));
        table.push(cells.chain(values.into_iter().map(Cell::figures)));
    }
    let mut samples = Vec::new();
    for (i, first) in before.answers.iter().enumerate() {
        let card = SampleCard::new(&first.prompt).answer("before", &first.text, "");
        samples.push(after.iter().fold(card, |card, outcome| {
            card.answer(outcome.name.to_uppercase(), &outcome.answers[i].text, "")
        }));
    }
    let verdicts = Section::new("DPO and DPOP from the same seed")
        .element(Findings::new(findings.to_vec()))
        .element(table);
    let answers = Section::new("Answers before and after").element(Samples::new(samples));
    Report::from_runs(&runs).first_section(answers).first_section(verdicts).write(report)?;
    Ok(())
}

/// Each measure with its value before, under DPO and under DPOP.
fn measures(before: &Outcome, after: &[Outcome]) -> Vec<(&'static str, Vec<String>)> {
    type Show = fn(&Outcome) -> String;
    let shown: [(&str, Show); 8] = [
        ("log p(chosen)", |o| format!("{:.2}", o.logp_chosen)),
        ("log p(rejected)", |o| format!("{:.2}", o.logp_rejected)),
        ("chosen against reference", |o| format!("{:+.2}", o.chosen_vs_ref.value)),
        ("displaced pairs", |o| format!("{:.0} %", 100.0 * o.displacement)),
        ("reward accuracy", |o| {
            // Before training every reward is 0 and accuracy says nothing.
            if o.name == "before" {
                "–".into()
            } else {
                format!("{:.0} %", 100.0 * o.reward_accuracy.value)
            }
        }),
        ("chosen likelier than rejected", |o| format!("{:.0} %", 100.0 * o.logp_accuracy.value)),
        ("perplexity of solutions", |o| format!("{:.3}", o.perplexity.value)),
        ("pairs a second", |o| {
            if o.name == "before" { "–".into() } else { format!("{:.2}", o.pairs_per_second) }
        }),
    ];
    shown
        .into_iter()
        .map(|(label, show)| (label, std::iter::once(before).chain(after).map(show).collect()))
        .collect()
}

/// An outcome as soon as it is there.
pub(super) fn in_a_line(outcome: &Outcome) -> String {
    let Outcome { logp_chosen, logp_rejected, perplexity, displacement, .. } = outcome;
    let displaced = if outcome.name == "before" {
        String::new()
    } else {
        format!(", {:.0} % of the chosen ones less likely than before", 100.0 * displacement)
    };
    format!(
        "{}: log p(chosen) {logp_chosen:.1}, log p(rejected) {logp_rejected:.1}, perplexity of right solutions \
         {:.2}{displaced}",
        outcome.name.to_uppercase(),
        perplexity.value
    )
}

/// Prints the comparison.
pub(super) fn print(before: &Outcome, after: &[Outcome], findings: &[Finding]) -> Result<()> {
    console::line(&format!(
        "\n{:32} {:>10} {:>10} {:>10}",
        "held-out pairs", "before", "DPO", "DPOP"
    ))?;
    for (label, values) in measures(before, after) {
        console::line(&format!(
            "{label:32} {:>10} {:>10} {:>10}",
            values[0], values[1], values[2]
        ))?;
    }
    console::line("")?;
    for finding in findings {
        console::line(&format!(
            "{}: {}\n    {}",
            finding.claim,
            verdict(finding),
            finding.measured
        ))?;
    }
    if let Some(first) = before.answers.first() {
        console::line(&format!("\nA held-out problem\n{}\n", first.prompt.trim()))?;
        console::line(&format!("before:\n{}\n", first.text.trim()))?;
        for outcome in after {
            let Some(answer) = outcome.answers.first() else { continue };
            console::line(&format!("{}:\n{}\n", outcome.name.to_uppercase(), answer.text.trim()))?;
        }
    }
    Ok(())
}
