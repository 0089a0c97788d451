//! A word problem while it is being told: facts, steps, and the question asked last.

use super::NumberSize;
use super::vocabulary::{NAMES, Person};
use crate::draw::Draw;
use crate::expression::evaluate;

/// What the number a story has reached stands for; decides how the story can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Dollars the hero has.
    Money,
    /// Dollars to pay.
    Cost,
    /// The hero's own part of a bill.
    Share,
    /// Things the hero has.
    Things,
    /// Things in one of several equal boxes.
    Boxed {
        /// How many boxes there are.
        boxes: i64,
        /// What they are.
        name: &'static str,
    },
    /// An amount the hero drives, reads, lifts ...
    Amount {
        /// The verb, as after "to".
        act: &'static str,
    },
    /// What is still missing to a goal.
    Rest,
    /// A number nothing can follow.
    End,
}

/// The number a story has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quantity {
    pub(super) value: i64,
    pub(super) unit: &'static str,
    pub(super) kind: Kind,
}

impl Quantity {
    pub(super) fn new(value: i64, unit: &'static str, kind: Kind) -> Self {
        Self { value, unit, kind }
    }

    pub(super) fn dollars(value: i64, kind: Kind) -> Self {
        Self::new(value, "dollars", kind)
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

/// A word problem while it is being told.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) draw: Draw,
    pub(super) hero: Person,
    size: NumberSize,
    used_names: Vec<&'static str>,
    facts: Vec<String>,
    question: String,
    steps: Vec<Step>,
}

impl Story {
    pub(super) fn new(draw: Draw, size: NumberSize) -> Self {
        let mut story = Self {
            draw,
            hero: NAMES[0],
            size,
            used_names: Vec::new(),
            facts: Vec::new(),
            question: String::new(),
            steps: Vec::new(),
        };
        story.hero = story.person();
        story
    }

    /// Somebody who is not in the story yet.
    pub(super) fn person(&mut self) -> Person {
        let start = self.draw.index(NAMES.len());
        let free = NAMES.iter().cycle().skip(start).take(NAMES.len());
        let person = free
            .copied()
            .find(|person| !self.used_names.contains(&person.name))
            .unwrap_or(NAMES[start]);
        self.used_names.push(person.name);
        person
    }

    /// One of a fixed, non-empty list.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.draw.index(items.len())]
    }

    /// Two different entries of a fixed list.
    pub(super) fn pick_two<T: Copy>(&mut self, items: &[T]) -> (T, T) {
        let sample = self.draw.sample(items.len(), 2);
        (items[sample[0]], items[sample[1]])
    }

    /// A number of fingers.
    pub(super) fn few(&mut self) -> i64 {
        let (low, high) = match self.size {
            NumberSize::Small => (2, 6),
            NumberSize::Medium => (2, 9),
            NumberSize::Large => (3, 15),
        };
        self.draw.between(low, high)
    }

    /// A number one does not count on fingers.
    pub(super) fn some(&mut self) -> i64 {
        let (low, high) = match self.size {
            NumberSize::Small => (5, 15),
            NumberSize::Medium => (10, 60),
            NumberSize::Large => (25, 250),
        };
        self.draw.between(low, high)
    }

    /// A large number.
    pub(super) fn many(&mut self) -> i64 {
        let (low, high) = match self.size {
            NumberSize::Small => (20, 60),
            NumberSize::Medium => (60, 400),
            NumberSize::Large => (250, 5000),
        };
        self.draw.between(low, high)
    }

    /// A number from 2 to 10 that divides `value` and leaves at least 2, if there is one.
    pub(super) fn divisor(&mut self, value: i64) -> Option<i64> {
        let divisors: Vec<i64> = (2..=10).filter(|k| value % k == 0 && value / k >= 2).collect();
        self.draw.choose(&divisors).copied()
    }

    /// A part of `value`, at least 2, to take away such that at least 2 stay; `value` is at least 5.
    pub(super) fn part_of(&mut self, value: i64) -> i64 {
        let high = (value - 2).min(value * 3 / 4);
        self.draw.between((high / 8).max(2), high)
    }

    pub(super) fn fact(&mut self, sentence: impl Into<String>) {
        self.facts.push(sentence.into());
    }

    /// Sets the question; the one set last is asked.
    pub(super) fn ask(&mut self, question: impl Into<String>) {
        self.question = question.into();
    }

    /// Adds a step and answers its value. `@` in the sentence stands for the calculation, `$@`
    /// for one whose result is in dollars.
    pub(super) fn step(&mut self, sentence: &str, expression: impl Into<String>) -> i64 {
        let expression = expression.into();
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

    /// How many steps there are so far.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The finished parts: the question with its facts, and the steps.
    pub(super) fn finish(self) -> (String, Vec<Step>) {
        let mut text = self.facts.join(" ");
        text.push(' ');
        text.push_str(&self.question);
        (text, self.steps)
    }
}

/// `1 / k` in words.
pub(super) fn fraction(k: i64) -> &'static str {
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

/// `k` times in words.
pub(super) fn times(k: i64) -> String {
    match k {
        2 => "twice".to_owned(),
        k => format!("{k} times"),
    }
}
