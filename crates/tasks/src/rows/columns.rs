//! What columns mean, whatever a data set calls them: one table.

use super::problem::RowProblem;

/// A meaning that a column of a row can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Meaning {
    Prompt,
    Instruction,
    Input,
    History,
    System,
    Completion,
    Output,
    Chosen,
    Rejected,
    Label,
    Text,
    Messages,
    Answer,
    Solution,
    Judge,
    Tools,
    TemplateArguments,
    Functions,
    Documents,
    Images,
    Options,
    Thoughts,
    Weight,
    Candidates,
}

/// What is known of the columns with one meaning.
struct Columns {
    meaning: Meaning,
    /// The meaning in words.
    words: &'static str,
    /// The columns that have it, the project's own name first.
    names: &'static [&'static str],
    /// Whether some shape of a row reads them; all others refuse them by name.
    read: bool,
}

const fn read(meaning: Meaning, words: &'static str, names: &'static [&'static str]) -> Columns {
    Columns { meaning, words, names, read: true }
}

const fn unread(meaning: Meaning, words: &'static str, names: &'static [&'static str]) -> Columns {
    Columns { read: false, ..read(meaning, words, names) }
}

/// Every meaning.
///
/// Sources: TRL's dataset formats; the data cards of `ShareGPT`, Alpaca, Dolly, Orca DPO, `UltraFeedback`, GSM8K,
/// MATH, AIME, `NuminaMath`, `OpenMathReasoning` and `MetaMathQA`; the documentation of verl and LLaMA-Factory.
const TABLE: &[Columns] = &[
    read(Meaning::Prompt, "the prompt", &["prompt", "question", "problem", "query", "user_prompt"]),
    read(Meaning::Instruction, "what is asked for", &["instruction"]),
    read(Meaning::Input, "what the instruction is about", &["input", "context", "passage"]),
    read(Meaning::History, "earlier turns", &["history"]),
    read(Meaning::System, "the system message", &["system", "system_prompt", "system_message"]),
    read(
        Meaning::Completion,
        "the completion to learn",
        &["completion", "response", "generated_solution"],
    ),
    read(Meaning::Output, "the completion to learn", &["output"]),
    read(Meaning::Chosen, "the preferred answer", &["chosen", "chosen_response"]),
    read(Meaning::Rejected, "the other answer", &["rejected", "rejected_response"]),
    read(Meaning::Label, "how the row is judged", &["label", "kto_tag", "labels"]),
    read(Meaning::Text, "running text", &["text"]),
    read(Meaning::Messages, "a conversation", &["messages", "conversations", "conversation"]),
    read(
        Meaning::Answer,
        "the answer that a verifier compares with",
        &["answer", "ground_truth", "expected_answer", "final_answer"],
    ),
    read(Meaning::Solution, "a worked solution", &["solution"]),
    read(Meaning::Judge, "how the answer is judged", &["reward_model"]),
    read(Meaning::Tools, "tools that the assistant may call", &["tools"]),
    read(Meaning::TemplateArguments, "variables of the chat template", &["chat_template_kwargs"]),
    unread(Meaning::Functions, "tools in an older form than `tools`", &["functions"]),
    unread(Meaning::Documents, "documents to answer from", &["documents"]),
    unread(
        Meaning::Images,
        "pictures, sounds or films",
        &["images", "image", "videos", "video", "audio", "audios"],
    ),
    unread(Meaning::Options, "options to choose from", &["choices", "options", "endings"]),
    unread(
        Meaning::Thoughts,
        "thoughts before the answer",
        &["thinking", "reasoning", "reasoning_content", "rationale", "chain_of_thought", "cot"],
    ),
    unread(Meaning::Weight, "how much the row counts", &["weight", "sample_weight", "margin"]),
    unread(
        Meaning::Candidates,
        "several answers",
        &["completions", "responses", "answers", "outputs"],
    ),
];

impl Meaning {
    /// The meaning of a column by its name, whatever its case, spaces and hyphens.
    pub(crate) fn of(column: &str) -> Option<Self> {
        let name = normalised(column);
        let row = TABLE.iter().find(|row| row.names.contains(&name.as_str()));
        row.map(|row| row.meaning)
    }

    /// The meaning in words.
    pub(crate) fn words(self) -> &'static str {
        TABLE.iter().find(|row| row.meaning == self).map_or("", |row| row.words)
    }

    /// The names of columns with this meaning, the preferred one first.
    pub(crate) fn names(self) -> &'static [&'static str] {
        TABLE.iter().find(|row| row.meaning == self).map_or(&[], |row| row.names)
    }

    /// The project's own name of a column with this meaning.
    pub(crate) fn name(self) -> &'static str {
        self.names().first().copied().unwrap_or_default()
    }

    /// Meanings that a reader may have had in mind who finds no column with this one.
    pub(crate) fn near(self) -> &'static [Self] {
        match self {
            Self::Prompt => &[Self::Instruction, Self::Input, Self::Text, Self::Messages],
            Self::Completion => {
                &[Self::Output, Self::Answer, Self::Solution, Self::Candidates, Self::Chosen]
            }
            Self::Text => &[Self::Messages, Self::Completion, Self::Output],
            Self::Answer => &[Self::Judge, Self::Solution, Self::Completion, Self::Output],
            Self::Chosen => &[Self::Candidates, Self::Completion],
            _ => &[],
        }
    }
}

/// The names that `data.columns` may give to columns: those of every meaning that some shape reads.
pub fn known_columns() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(|row| row.read).map(|row| row.meaning.name())
}

/// The problem of a row without `field`, which names the present field that may have been meant.
pub(super) fn missing(field: &str, expected: &'static str, present: &[String]) -> RowProblem {
    let by_spelling = bestof_suggest::nearest(field, present.iter().map(String::as_str));
    let by_meaning = || {
        let meant = Meaning::of(field).filter(|meaning| meaning.name() == field)?;
        let has = |near: Meaning| present.iter().find(|name| Meaning::of(name) == Some(near));
        meant.near().iter().find_map(|near| has(*near)).map(String::as_str)
    };
    RowProblem::MissingField {
        field: field.to_owned(),
        expected,
        present: present.to_vec(),
        nearest: by_spelling.or_else(by_meaning).map(str::to_owned),
    }
}

/// Whether two names are one but for case, spaces and hyphens.
pub(crate) fn same(a: &str, b: &str) -> bool {
    normalised(a) == normalised(b)
}

fn normalised(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_meaning() {
        let names: Vec<&str> = TABLE.iter().flat_map(|row| row.names.iter().copied()).collect();
        for name in &names {
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
            assert_eq!(normalised(name), *name);
        }
        assert_eq!(Meaning::of("Problem"), Some(Meaning::Prompt));
        assert_eq!(Meaning::of("System Prompt"), Some(Meaning::System));
        assert_eq!(Meaning::of("source"), None);
    }

    #[test]
    fn columns_that_nothing_reads_are_no_names_for_others() {
        let known: Vec<&str> = known_columns().collect();
        let expected = "prompt instruction input history system completion output chosen rejected label text \
            messages answer solution reward_model tools chat_template_kwargs";
        assert_eq!(known, expected.split_whitespace().collect::<Vec<_>>());
    }
}
