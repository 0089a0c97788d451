//! The ready-made report of one run, or of several compared.

mod catalog;
mod config;
mod curves;
mod displacement;
mod samples;
mod tables;

use crate::block::{Findings, Text};
use crate::facts::Finding;
use crate::page::{Report, Section};
use crate::run_folder::RunFolder;

impl Report {
    /// The report of one run, or of several compared.
    ///
    /// Verdicts, headline numbers, data facts, curves in groups, displacement, samples before and
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

/// The runs of a report, each with a name that no other has.
struct Runs<'a> {
    folders: &'a [RunFolder],
    names: Vec<String>,
}

impl<'a> Runs<'a> {
    fn new(folders: &'a [RunFolder]) -> Self {
        let mut names: Vec<String> = Vec::new();
        for folder in folders {
            let twice = folders.iter().filter(|other| other.name == folder.name).count() > 1;
            let parent = folder.dir.parent().and_then(|parent| parent.file_name());
            let name = match parent {
                Some(parent) if twice => format!("{}/{}", parent.to_string_lossy(), folder.name),
                _ => folder.name.clone(),
            };
            let numbered = (2..=folders.len()).map(|i| format!("{name} ({i})"));
            let unique = std::iter::once(name.clone())
                .chain(numbered)
                .find(|candidate| !names.contains(candidate));
            names.push(unique.unwrap_or(name));
        }
        Self { folders, names }
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &'a RunFolder)> {
        self.names.iter().map(String::as_str).zip(self.folders)
    }

    fn are_compared(&self) -> bool {
        self.folders.len() > 1
    }

    /// `text`, preceded by the run it speaks of where there are several.
    fn labelled(&self, name: &str, text: &str) -> String {
        if self.are_compared() { format!("{name}: {text}") } else { text.to_owned() }
    }

    fn title(&self) -> String {
        match self.names.as_slice() {
            [] => "No runs".into(),
            [name] => name.clone(),
            [a, b] => format!("{a} and {b} compared"),
            names => format!("{} runs compared", names.len()),
        }
    }

    fn subtitle(&self) -> String {
        let steps: Vec<_> = self.folders.iter().filter_map(RunFolder::last_step).collect();
        match (steps.iter().min(), steps.iter().max()) {
            (Some(least), Some(most)) if least == most => format!("{most} steps"),
            (Some(least), Some(most)) => format!("{least} to {most} steps"),
            _ => "no step was measured yet".into(),
        }
    }
}

fn overview(runs: &Runs<'_>) -> Section {
    let mut section = Section::new("Overview");
    let findings: Vec<_> = runs
        .iter()
        .flat_map(|(name, run)| {
            run.facts.findings.iter().map(move |finding| Finding {
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
    for table in [tables::final_metrics(runs), tables::data_facts(runs)].into_iter().flatten() {
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
