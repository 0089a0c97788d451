//! The ready-made report of one run, or of several compared.

mod catalog;
mod config;
mod curves;
mod displacement;
mod runs;
mod samples;
mod tables;

use self::runs::Runs;
use crate::element::{Findings, Text};
use crate::finding::Finding;
use crate::page::{Report, Section};
use crate::run_folder::RunFolder;

impl Report {
    /// The report of one run, or of several compared.
    ///
    /// Verdicts, headline numbers, model and data, curves in groups, displacement, samples before and
    /// after, result files and configuration; what no run measured has no section.
    pub fn from_runs(runs: &[RunFolder]) -> Self {
        let runs = Runs::new(runs);
        let mut report = Self::new(runs.title()).subtitle(runs.subtitle());
        if runs.are_compared() {
            report = report.keys(runs.names.iter().cloned());
        }
        report = report.section(overview(&runs));
        for section in curves::sections(&runs) {
            report = report.section(section);
        }
        report
            .section(displacement::section(&runs))
            .section(samples::section(&runs))
            .section(tables::results(&runs))
            .section(config::section(&runs))
    }
}

fn overview(runs: &Runs<'_>) -> Section {
    let mut section = Section::new("Overview");
    let findings: Vec<_> = runs
        .iter()
        .flat_map(|(name, run)| {
            run.metadata.findings.iter().map(move |finding| Finding {
                claim: runs.labelled(name, &finding.claim),
                ..finding.clone()
            })
        })
        .collect();
    if !findings.is_empty() {
        section.push(Findings::new(findings));
    }
    for (name, run) in runs.iter() {
        for remark in &run.remarks {
            section.push(Text::note(runs.labelled(name, remark)));
        }
        if let Some(warning) = not_finite(run) {
            section.push(Text::warning(runs.labelled(name, &warning)));
        }
    }
    if let Some(tiles) = tables::tiles(runs) {
        section.push(tiles);
    }
    for table in [tables::final_metrics(runs), tables::model_and_data(runs)].into_iter().flatten() {
        section.push(table);
    }
    section
}

/// What to say of a run whose metrics were NaN or infinite.
fn not_finite(run: &RunFolder) -> Option<String> {
    let rows = || run.rows.iter().filter(|row| !row.non_finite().is_empty());
    let first = rows().next()?;
    Some(format!(
        "{} was not finite at step {}; {} rows of {} hold such values",
        first.non_finite().join(", "),
        first.step(),
        rows().count(),
        run.rows.len()
    ))
}
