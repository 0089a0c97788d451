//! The runs of a report and what to call them.

use crate::run_folder::RunFolder;

/// The runs of a report, each with a name that no other has.
pub(super) struct Runs<'a> {
    pub(super) folders: &'a [RunFolder],
    pub(super) names: Vec<String>,
}

impl<'a> Runs<'a> {
    pub(super) fn new(folders: &'a [RunFolder]) -> Self {
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

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a RunFolder)> {
        self.names.iter().map(String::as_str).zip(self.folders)
    }

    pub(super) fn are_compared(&self) -> bool {
        self.folders.len() > 1
    }

    /// `text`, preceded by the run it speaks of where there are several.
    pub(super) fn labelled(&self, name: &str, text: &str) -> String {
        if self.are_compared() { format!("{name}: {text}") } else { text.to_owned() }
    }

    pub(super) fn title(&self) -> String {
        match self.names.as_slice() {
            [] => "No runs".into(),
            [name] => name.clone(),
            [a, b] => format!("{a} and {b} compared"),
            names => format!("{} runs compared", names.len()),
        }
    }

    pub(super) fn subtitle(&self) -> String {
        let steps: Vec<_> = self.folders.iter().filter_map(RunFolder::last_step).collect();
        match (steps.iter().min(), steps.iter().max()) {
            (Some(least), Some(most)) if least == most => format!("{most} steps"),
            (Some(least), Some(most)) => format!("{least} to {most} steps"),
            _ => "no step was measured yet".into(),
        }
    }
}
