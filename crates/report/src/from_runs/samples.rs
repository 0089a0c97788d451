//! First and last completion of each prompt, side by side.

use serde_json::Value;

use super::runs::Runs;
use crate::element::{SampleCard, Samples, Text};
use crate::html::shortened;
use crate::number::format_number;
use crate::page::Section;
use crate::run_folder::RunFolder;
use crate::samples::Sample;

const MOST_PROMPTS: usize = 12;
const LONGEST_REMARK: usize = 120;

/// One card per prompt: before training where that was sampled, and after.
pub(super) fn section(runs: &Runs<'_>) -> Section {
    let mut prompts: Vec<&str> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for sample in runs.folders.iter().flat_map(|run| &run.samples) {
        if seen.insert(sample.prompt.as_str()) && prompts.len() < MOST_PROMPTS {
            prompts.push(&sample.prompt);
        }
    }
    let mut section = Section::new("Samples");
    if prompts.is_empty() {
        return section;
    }
    section.push(Samples::new(prompts.iter().map(|prompt| card(runs, prompt))));
    if seen.len() > prompts.len() {
        section.push(Text::note(format!(
            "{} more prompts are in samples.jsonl.",
            seen.len() - prompts.len()
        )));
    }
    section
}

fn card(runs: &Runs<'_>, prompt: &str) -> SampleCard {
    let ends: Vec<_> =
        runs.iter().filter_map(|(name, run)| Some((name, ends(run, prompt)?))).collect();
    let mut card = SampleCard::new(prompt);
    // Runs from one model share what it said before.
    let shared = match ends.as_slice() {
        [(_, (first, _)), rest @ ..] if !rest.is_empty() => {
            let same = |(_, (other, _)): &(&str, (&Sample, &Sample))| {
                other.step == first.step && other.completion == first.completion
            };
            rest.iter().all(same).then_some(*first)
        }
        _ => None,
    };
    if let Some(sample) = shared {
        card = card.answer(format!("all, {}", when(sample)), &sample.completion, remark(sample));
    }
    for (name, (first, last)) in ends {
        if first.step != last.step && shared.is_none() {
            let heading = runs.labelled(name, &when(first));
            card = card.answer(heading, &first.completion, remark(first));
        }
        if shared.is_none_or(|shared| shared.step != last.step) {
            let heading = runs.labelled(name, &when(last));
            card = card.answer(heading, &last.completion, remark(last));
        }
    }
    card
}

/// The first sample of the first step and of the last step that drew for this prompt.
fn ends<'a>(run: &'a RunFolder, prompt: &str) -> Option<(&'a Sample, &'a Sample)> {
    let mut drawn = run.samples.iter().filter(|sample| sample.prompt == prompt);
    let first = drawn.next()?;
    let last =
        drawn.fold(first, |last, sample| if sample.step > last.step { sample } else { last });
    Some((first, last))
}

fn when(sample: &Sample) -> String {
    match sample.step {
        0 => "before training".into(),
        step => format!("step {}", format_number(step as f64)),
    }
}

/// The further fields of a sample in one line.
fn remark(sample: &Sample) -> String {
    let fields: Vec<_> = sample
        .extra
        .iter()
        .filter_map(|(name, value)| match value {
            Value::Number(number) => {
                Some(format!("{name} {}", number.as_f64().map_or_else(String::new, format_number)))
            }
            Value::String(text) => Some(format!("{name} {text}")),
            Value::Bool(yes) => Some(format!("{name} {yes}")),
            _ => None,
        })
        .collect();
    shortened(&fields.join(" · "), LONGEST_REMARK).0.to_owned()
}
