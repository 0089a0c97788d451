//! A word problem under construction: runs scripts and collects facts, steps and the question.

use std::fmt::Write;

use super::data::{DATA, Person};
use super::integer::Integer;
use super::script::{Action, Choice, Condition, Entry, Item, Line, List, Meaning, Script, Test};
use crate::expression::evaluate;
use crate::rng::SeededRng;
use crate::template;

/// How large the numbers of a problem are.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum NumberSize {
    /// Mostly one and two digits.
    Small,
    /// Two and three digits.
    #[default]
    Medium,
    /// Up to four digits, and results beyond.
    Large,
}

impl NumberSize {
    /// The range of `few`, `some` or `many` numbers.
    fn range(self, name: &str) -> Option<(i64, i64)> {
        Some(match (name, self) {
            ("few", Self::Small) => (2, 6),
            ("few", Self::Medium) => (2, 9),
            ("few", Self::Large) => (3, 15),
            ("some", Self::Small) => (5, 15),
            ("some", Self::Medium) => (10, 60),
            ("some", Self::Large) => (25, 250),
            ("many", Self::Small) => (20, 60),
            ("many", Self::Medium) => (60, 400),
            ("many", Self::Large) => (250, 5000),
            _ => return None,
        })
    }
}

/// One step of a worked solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The expression, in plain characters (`4 * 3`).
    pub expression: String,
    /// Its value.
    pub value: i64,
    /// The sentence, with the calculation annotated (`... 4 * 3 = $<<4*3=12>>12.`).
    pub sentence: String,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    Number(i64),
    Word(&'static str),
    Person(&'static Person),
}

/// A word problem under construction.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) rng: SeededRng,
    size: NumberSize,
    /// A list rather than a map: there are some twenty, looked up all the time.
    variables: Vec<(&'static str, Value)>,
    used_names: Vec<&'static str>,
    facts: Vec<String>,
    question: String,
    steps: Vec<Step>,
    /// What the number reached stands for; `None` when nothing can follow.
    meaning: Option<Meaning>,
}

impl Story {
    pub(super) fn new(rng: SeededRng, size: NumberSize) -> Self {
        let mut story = Self {
            rng,
            size,
            variables: Vec::new(),
            used_names: Vec::new(),
            facts: Vec::new(),
            question: String::new(),
            steps: Vec::new(),
            meaning: None,
        };
        let hero = story.new_person();
        story.set("hero", hero);
        story
    }

    /// How many steps there are so far.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// What the number reached stands for; `None` when nothing can follow.
    pub(super) fn meaning(&self) -> Option<Meaning> {
        self.meaning
    }

    /// The finished parts: the question with its facts, and the steps.
    pub(super) fn finish(self) -> (String, Vec<Step>) {
        (format!("{} {}", self.facts.join(" "), self.question), self.steps)
    }

    /// Runs a script that tells `steps` steps; `None` when the number reached does not allow it.
    pub(super) fn tell(&mut self, script: &'static Script, steps: usize) -> Option<()> {
        self.set("steps", Value::Number(steps as i64));
        if let Some(step) = self.steps.last() {
            self.set("value", Value::Number(step.value));
        }
        let (mut line, mut start, mut number) = (0, 0, 1);
        while let Some(Line { condition, action }) = script.0.get(line) {
            line += 1;
            if !self.holds(condition) {
                continue;
            }
            match action {
                Action::Set(values) => {
                    for (name, value) in values {
                        let value = self.value(value);
                        self.set(name, value);
                    }
                }
                Action::Pick { names, choice, list, filter } => {
                    self.pick(names, *choice, list, filter)?;
                }
                Action::NewPerson(name) => {
                    let person = self.new_person();
                    self.set(name, person);
                }
                Action::Fact(wordings) => {
                    let index = if wordings.len() > 1 { self.rng.index(wordings.len()) } else { 0 };
                    self.facts.push(self.fill(&wordings[index]));
                }
                Action::Ask(question) => self.question = self.fill(question),
                Action::Step { name, sentence, calculation } => {
                    let value = self.step(&self.fill(sentence), self.fill(calculation));
                    self.set(name, Value::Number(value));
                }
                Action::Repeat => {
                    (start, number) = (line, 1);
                    self.set("number", Value::Number(1));
                }
                Action::Again if number < steps => {
                    (line, number) = (start, number + 1);
                    self.set("number", Value::Number(number as i64));
                }
                Action::Again => {}
                Action::End(meaning, units) => {
                    self.meaning = *meaning;
                    for (name, unit) in ["unit", "act"].into_iter().zip(units) {
                        let variable = unit.strip_prefix('{').and_then(|u| u.strip_suffix('}'));
                        let value = variable.and_then(|name| self.variable(name));
                        self.set(name, value.unwrap_or(Value::Word(unit)));
                    }
                    return Some(());
                }
                Action::Stop => return None,
            }
        }
        Some(())
    }

    /// Somebody who is not in the story yet.
    fn new_person(&mut self) -> Value {
        let people = &DATA.people;
        let start = self.rng.index(people.len());
        let person = people[start..]
            .iter()
            .chain(&people[..start])
            .find(|person| !self.used_names.contains(&person.name.as_str()))
            .unwrap_or(&people[start]);
        self.used_names.push(&person.name);
        Value::Person(person)
    }

    fn pick(
        &mut self,
        names: &'static [Vec<String>],
        choice: Choice,
        list: &'static List,
        filter: &Condition,
    ) -> Option<()> {
        let entries = match list {
            List::Named(name) => DATA.list(name),
            List::Inline(entries) => entries,
        };
        let first = names.first()?;
        let allowed: Vec<&'static Entry> = entries
            .iter()
            .filter(|entry| {
                if !filter.is_empty() {
                    self.bind(first, entry);
                }
                self.holds(filter)
            })
            .collect();
        let chosen = match choice {
            Choice::First => vec![0],
            Choice::One => vec![self.rng.index(allowed.len())],
            Choice::Two => self.rng.sample(allowed.len(), 2),
        };
        for (names, index) in names.iter().zip(chosen) {
            self.bind(names, allowed.get(index)?);
        }
        Some(())
    }

    fn bind(&mut self, names: &'static [String], entry: &'static Entry) {
        for (name, item) in names.iter().zip(entry) {
            let value = match item {
                Item::Number(number) => Value::Number(*number),
                Item::Word(word) => Value::Word(word),
            };
            self.set(name, value);
        }
    }

    fn holds(&mut self, condition: &Condition) -> bool {
        condition.is_empty()
            || condition.iter().any(|tests| tests.iter().all(|test| self.passes(test)))
    }

    fn passes(&mut self, test: &Test) -> bool {
        match test {
            Test::Means(meaning) => self.meaning == Some(*meaning),
            Test::Compare(left, operator, right) => {
                let order = self.integer(left).cmp(&self.integer(right));
                match *operator {
                    "<" => order.is_lt(),
                    ">" => order.is_gt(),
                    "<=" => order.is_le(),
                    ">=" => order.is_ge(),
                    _ => order.is_eq(),
                }
            }
        }
    }

    /// The value of an expression; a name alone can be a word or a person.
    fn value(&mut self, expression: &Integer) -> Value {
        if let Integer::Name(name) = expression
            && let Some(value) = self.variable(name)
        {
            return value;
        }
        Value::Number(self.integer(expression))
    }

    /// The value of an integer expression; 0 for a name that stands for no number.
    fn integer(&mut self, expression: &Integer) -> i64 {
        match expression {
            Integer::Literal(value) => *value,
            Integer::Name(name) => {
                if let Some(Value::Number(number)) = self.variable(name) {
                    return number;
                }
                let (low, high) = self.size.range(name).unwrap_or((0, 0));
                self.rng.between(low, high)
            }
            Integer::Call(function, arguments) => {
                let a = self.integer(&arguments[0]);
                let b = arguments.get(1).map_or(0, |argument| self.integer(argument));
                match *function {
                    "+" => a + b,
                    "-" => a - b,
                    "*" => a * b,
                    "/" => a.checked_div(b).unwrap_or(0),
                    "%" => a.checked_rem(b).unwrap_or(0),
                    ".." => self.rng.between(a, b),
                    "min" => a.min(b),
                    "max" => a.max(b),
                    _ => {
                        let high = (a - 2).min(a * 3 / 4);
                        self.rng.between((high / 8).max(2), high)
                    }
                }
            }
        }
    }

    fn variable(&self, name: &str) -> Option<Value> {
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn set(&mut self, name: &'static str, value: Value) {
        match self.variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.variables.push((name, value)),
        }
    }

    /// A sentence with its placeholders filled in; unknown ones stay as they are.
    fn fill(&self, sentence: &str) -> String {
        template::fill(sentence, |placeholder, text| {
            let (name, form) = placeholder.split_once(':').unwrap_or((placeholder, ""));
            // Writing to a text cannot fail.
            let _ = match (self.variable(name), form) {
                (Some(Value::Number(2)), "times") => write!(text, "twice"),
                (Some(Value::Number(k)), "times") => write!(text, "{k} times"),
                (Some(Value::Number(k)), "fraction") => write!(text, "{}", fraction(k)),
                (Some(Value::Number(n)), "ordinal") => write!(text, "{}", ordinal(n)),
                (Some(Value::Number(number)), _) => write!(text, "{number}"),
                (Some(Value::Word(word)), _) => text.write_str(word),
                (Some(Value::Person(person)), _) => text.write_str(&person.name),
                (None, _) => match self.pronoun(name) {
                    Some(pronoun) => text.write_str(pronoun),
                    None => write!(text, "{{{placeholder}}}"),
                },
            };
        })
    }

    /// The hero's `she`, `She` or `her`.
    fn pronoun(&self, name: &str) -> Option<&'static str> {
        let index = ["she", "She", "her"].iter().position(|pronoun| *pronoun == name)?;
        let Some(Value::Person(hero)) = self.variable("hero") else { return None };
        Some(hero.pronouns[index])
    }

    /// Adds a step and returns its value. `@` in the sentence stands for the calculation, `$@` for
    /// one whose result is in dollars.
    fn step(&mut self, sentence: &str, expression: String) -> i64 {
        let value = evaluate(&expression)
            .ok()
            .and_then(|evaluation| evaluation.value.to_i64())
            .unwrap_or_else(|| unreachable!("`{expression}` is built from whole numbers"));
        let compact: String = expression.chars().filter(|c| *c != ' ').collect();
        let calculation = |sign: &str| format!("{expression} = {sign}<<{compact}={value}>>{value}");
        let sentence = if sentence.contains("$@") {
            sentence.replacen("$@", &calculation("$"), 1)
        } else {
            sentence.replacen('@', &calculation(""), 1)
        };
        self.steps.push(Step { expression, value, sentence });
        value
    }
}

/// `1 / k` in words, for k from 2 to 10.
fn fraction(k: i64) -> &'static str {
    match k {
        2 => "half",
        3 => "a third",
        4 => "a quarter",
        5 => "a fifth",
        6 => "a sixth",
        7 => "a seventh",
        8 => "an eighth",
        9 => "a ninth",
        _ => "a tenth",
    }
}

/// An ordinal number in words, from 1 to 6.
fn ordinal(n: i64) -> &'static str {
    match n {
        1 => "first",
        2 => "second",
        3 => "third",
        4 => "fourth",
        5 => "fifth",
        _ => "sixth",
    }
}
