//! The situations, turns and words of `data/arithmetic/*.toml`.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::script::{Entry, Meaning, Script, entry};

/// What a word problem can begin with.
#[derive(Debug, Deserialize)]
pub(super) struct Situation {
    pub(super) name: String,
    /// The numbers of steps it can be told in.
    pub(super) steps: Vec<usize>,
    pub(super) story: Script,
}

/// A way to go on.
#[derive(Debug, Deserialize)]
pub(super) struct Turn {
    pub(super) name: String,
    /// The steps it adds.
    pub(super) steps: usize,
    /// What the number reached may stand for.
    pub(super) after: Vec<Meaning>,
    pub(super) story: Script,
}

/// Somebody in a story.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) name: String,
    /// "she", "She" and "her", or "he", "He" and "his".
    pub(super) pronouns: [&'static str; 3],
}

/// Everything word problems are made of.
#[derive(Debug)]
pub(super) struct Data {
    /// Four groups of situations; each group is drawn equally often.
    pub(super) situations: [Vec<Situation>; 4],
    pub(super) turns: Vec<Turn>,
    pub(super) people: Vec<Person>,
    lists: HashMap<String, Vec<Entry>>,
}

impl Data {
    /// The entries of the list of this name; none if there is no such list.
    pub(super) fn list(&self, name: &str) -> &[Entry] {
        self.lists.get(name).map_or(&[], Vec::as_slice)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    women: Vec<String>,
    men: Vec<String>,
    lists: HashMap<String, Vec<String>>,
}

/// The embedded data, parsed at first use.
pub(super) static DATA: LazyLock<Data> = LazyLock::new(|| {
    let situations = [
        include_str!("../../data/arithmetic/money.toml"),
        include_str!("../../data/arithmetic/things.toml"),
        include_str!("../../data/arithmetic/measures.toml"),
        include_str!("../../data/arithmetic/people.toml"),
    ];
    let words: Words = parse(include_str!("../../data/arithmetic/words.toml"));
    let person = |pronouns| move |name| Person { name, pronouns };
    let women = words.women.into_iter().map(person(["she", "She", "her"]));
    let men = words.men.into_iter().map(person(["he", "He", "his"]));
    let entries = |list: Vec<String>| list.iter().map(|text| entry(text)).collect();
    Data {
        situations: situations.map(|text| table(text, "situations")),
        turns: table(include_str!("../../data/arithmetic/turns.toml"), "turns"),
        people: women.chain(men).collect(),
        lists: words.lists.into_iter().map(|(name, list)| (name, entries(list))).collect(),
    }
});

/// The entries of the one list of a file.
fn table<T: DeserializeOwned>(text: &str, name: &str) -> Vec<T> {
    let mut file: HashMap<String, Vec<T>> = parse(text);
    file.remove(name).unwrap_or_default()
}

fn parse<T: DeserializeOwned>(text: &str) -> T {
    toml::from_str(text)
        .unwrap_or_else(|error| unreachable!("the embedded data are tested: {error}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::integer::Integer;
    use super::super::script::{Action, List, Test};
    use super::*;
    use crate::template;

    fn placeholders(text: &str) -> Vec<String> {
        let mut names = Vec::new();
        template::fill(text, |name, _| {
            names.push(name.split(':').next().unwrap_or_default().to_owned());
        });
        names
    }

    fn names_of(expression: &Integer) -> Vec<String> {
        match expression {
            Integer::Literal(_) => Vec::new(),
            Integer::Name(name) => vec![name.clone()],
            Integer::Call(_, arguments) => arguments.iter().flat_map(names_of).collect(),
        }
    }

    /// Every name a script reads is one it sets or one of `carried`, and its lists exist.
    fn check(name: &str, script: &Script, carried: &[&str]) {
        let (mut set, mut read) = (HashSet::from(["number".to_owned()]), Vec::new());
        let mut ends = false;
        for line in &script.0 {
            let mut conditions = vec![&line.condition];
            ends |= matches!(line.action, Action::End(..)) && line.condition.is_empty();
            match &line.action {
                Action::Set(values) => {
                    set.extend(values.iter().map(|(name, _)| name.clone()));
                    read.extend(values.iter().flat_map(|(_, value)| names_of(value)));
                }
                Action::Pick { names, list, filter, .. } => {
                    set.extend(names.iter().flatten().cloned());
                    conditions.push(filter);
                    let entries = match list {
                        List::Named(list) => DATA.list(list),
                        List::Inline(entries) => entries,
                    };
                    assert!(entries.len() >= names.len(), "{name}: a list is empty");
                    for names in names {
                        assert!(entries.iter().all(|entry| entry.len() == names.len()), "{name}");
                    }
                }
                Action::NewPerson(name) => drop(set.insert(name.clone())),
                Action::Fact(wordings) => {
                    read.extend(wordings.iter().flat_map(|w| placeholders(w)));
                }
                Action::Ask(question) => read.extend(placeholders(question)),
                Action::Step { name: result, sentence, calculation } => {
                    assert!(sentence.contains('@'), "{name}: {sentence}");
                    read.extend(placeholders(sentence));
                    read.extend(placeholders(calculation));
                    set.insert(result.clone());
                }
                Action::End(_, units) => read.extend(units.iter().flat_map(|u| placeholders(u))),
                Action::Repeat | Action::Again | Action::Stop => {}
            }
            for test in conditions.into_iter().flatten().flatten() {
                if let Test::Compare(left, _, right) = test {
                    read.extend(names_of(left).into_iter().chain(names_of(right)));
                }
            }
        }
        assert!(ends, "{name} does not end");
        let always = ["few", "some", "many", "hero", "she", "She", "her", "steps"];
        for variable in read {
            let known = set.contains(&variable)
                || always.iter().chain(carried).any(|known| *known == variable);
            assert!(known, "{name} reads {variable}, which is not set");
        }
    }

    #[test]
    fn every_script_sets_what_it_reads() {
        for situation in DATA.situations.iter().flatten() {
            check(&situation.name, &situation.story, &[]);
            assert!(!situation.steps.is_empty());
        }
        for turn in &DATA.turns {
            check(&turn.name, &turn.story, &["value", "unit", "act", "boxes", "box"]);
        }
        assert_eq!((DATA.situations.iter().flatten().count(), DATA.turns.len()), (52, 25));
    }

    #[test]
    fn a_line_that_is_no_action_is_quoted() {
        for line in ["buys a pen", "a = 2 +", "step x: It costs $@.", "end dollars", "if a: stop"] {
            let error = Script::try_from(line.to_owned()).unwrap_err();
            assert!(error.contains(line), "{error}");
        }
    }
}
