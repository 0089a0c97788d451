//! The script language in which situations and turns are written in `data/arithmetic/*.toml`.
//!
//! A script has one action per line; `#` begins a comment line.
//!
//! ```text
//! a = few; p = 2..9                  sets variables, in order (expressions: `integer.rs`)
//! job = one of jobs                  draws an entry of a list of `words.toml`
//! act, pace = one of: run, 9 | walk, 4    draws an entry of a list given here; commas separate values
//! x + y = two of goods               draws two different entries
//! k = one of divisors where value % k == 0    draws among the entries with this property
//! note = first of: 10 | 20 where note > a     the first entry with this property
//! friend = new person                somebody who is not in the story yet
//! fact: {hero} buys {a} pens.        adds a sentence to the question; ` | ` separates wordings
//! ask: How much is it?               sets the final question; the last one set is asked
//! step cost: It costs $@. [{a} * {p}]     adds a step: its sentence, where `@` stands for the
//!                                    calculation, and the calculation; sets `cost` and `value`
//! repeat ... again                   runs the lines between once per step; sets `number` (from 1)
//! end                                ends the problem; no turn can follow
//! end amount: miles, {act}           ends here; says what the number stands for, and sets
//!                                    `unit` and `act` (what is not given stays as it was)
//! stop                               the number does not allow this turn: the attempt is dropped
//! if steps == 1 or a < 4: ACTION     runs the action when the condition holds
//! ```
//!
//! Conditions compare two expressions (`== < > <= >=`) or name what the number stands for (`cost`);
//! ` and ` binds tighter than ` or `. Sentences replace `{name}` by the variable; `{k:times}` is
//! "twice" or "3 times", `{k:fraction}` "half" or "a third", `{k:ordinal}` "first" or "second";
//! `{she}`, `{She}` and `{her}` are the pronouns of `{hero}`. Variables outlive a script: a turn sees
//! those of the situation, and `hero`, `value`, `unit` and `act`.

use serde::Deserialize;

use super::integer::Integer;

/// What the number a story has reached stands for; decides which turns can follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Meaning {
    /// Dollars the hero has.
    Money,
    /// Dollars to pay.
    Cost,
    /// The hero's own part of a bill.
    Share,
    /// Things the hero has.
    Things,
    /// Things in one of several equal boxes.
    Boxed,
    /// An amount of what the hero does: miles driven, pages read.
    Amount,
    /// What is still missing to a goal.
    Rest,
}

impl Meaning {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "money" => Self::Money,
            "cost" => Self::Cost,
            "share" => Self::Share,
            "things" => Self::Things,
            "boxed" => Self::Boxed,
            "amount" => Self::Amount,
            "rest" => Self::Rest,
            _ => return None,
        })
    }
}

/// A value of a list entry.
#[derive(Debug)]
pub(super) enum Item {
    Number(i64),
    Word(String),
}

/// An entry of a list: one or several values.
pub(super) type Entry = Vec<Item>;

/// The entry written as `hens, 3`.
pub(super) fn entry(text: &str) -> Entry {
    let item = |text: &str| match text.replace('_', "").parse() {
        Ok(number) => Item::Number(number),
        Err(_) => Item::Word(text.to_owned()),
    };
    text.split(", ").map(item).collect()
}

#[derive(Debug)]
pub(super) enum List {
    /// A list of `words.toml`.
    Named(String),
    Inline(Vec<Entry>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    First,
    One,
    Two,
}

/// A condition in disjunctive form: any of the inner lists, all of each.
pub(super) type Condition = Vec<Vec<Test>>;

#[derive(Debug)]
pub(super) enum Test {
    Means(Meaning),
    Compare(Integer, &'static str, Integer),
}

#[derive(Debug)]
pub(super) enum Action {
    Set(Vec<(String, Integer)>),
    Pick { names: Vec<Vec<String>>, choice: Choice, list: List, filter: Condition },
    NewPerson(String),
    Fact(Vec<String>),
    Ask(String),
    Step { name: String, sentence: String, calculation: String },
    Repeat,
    Again,
    End(Option<Meaning>, Vec<String>),
    Stop,
}

#[derive(Debug)]
pub(super) struct Line {
    /// Holds always when empty.
    pub(super) condition: Condition,
    pub(super) action: Action,
}

/// A parsed script.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Script(pub(super) Vec<Line>);

impl TryFrom<String> for Script {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let lines = text.lines().map(str::trim);
        let code = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        code.map(|text| line(text).map_err(|error| format!("`{text}`: {error}")))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn line(text: &str) -> Result<Line, String> {
    let Some(conditional) = text.strip_prefix("if ") else {
        return Ok(Line { condition: Condition::new(), action: action(text)? });
    };
    let (test, then) = conditional.split_once(": ").ok_or("expected `if CONDITION: ACTION`")?;
    Ok(Line { condition: condition(test)?, action: action(then)? })
}

fn action(text: &str) -> Result<Action, String> {
    let (word, rest) = text.split_once([' ', ':']).unwrap_or((text, ""));
    let texts = |text: &str, separator: &str| -> Vec<String> {
        text.split(separator).map(|part| part.trim().to_owned()).collect()
    };
    Ok(match word {
        "stop" if rest.is_empty() => Action::Stop,
        "repeat" if rest.is_empty() => Action::Repeat,
        "again" if rest.is_empty() => Action::Again,
        "end" => {
            let (meaning, units) = rest.split_once(": ").unwrap_or((rest, ""));
            if meaning.is_empty() {
                return Ok(Action::End(None, Vec::new()));
            }
            let known = Meaning::parse(meaning).ok_or_else(|| format!("no meaning `{meaning}`"))?;
            let units = if units.is_empty() { Vec::new() } else { texts(units, ", ") };
            Action::End(Some(known), units)
        }
        "fact" => Action::Fact(texts(rest, " | ")),
        "ask" => Action::Ask(rest.trim().to_owned()),
        "step" => {
            let parts = rest.split_once(": ").and_then(|(name, rest)| {
                let (sentence, calculation) = rest.strip_suffix(']')?.rsplit_once(" [")?;
                Some((name.to_owned(), sentence.to_owned(), calculation.to_owned()))
            });
            let (name, sentence, calculation) =
                parts.ok_or("expected `step NAME: SENTENCE [CALCULATION]`")?;
            Action::Step { name, sentence, calculation }
        }
        _ => {
            let (names, value) = text.split_once(" = ").ok_or("expected an action")?;
            if value == "new person" {
                return Ok(Action::NewPerson(names.to_owned()));
            }
            for (start, choice) in
                [("first of", Choice::First), ("one of", Choice::One), ("two of", Choice::Two)]
            {
                if let Some(list) = value.strip_prefix(start) {
                    let names = names.split(" + ").map(|names| texts(names, ", ")).collect();
                    return pick(names, choice, list);
                }
            }
            let set = |part: &str| {
                let (name, value) = part.split_once(" = ").ok_or("expected `NAME = EXPRESSION`")?;
                Ok::<_, String>((name.trim().to_owned(), Integer::parse(value)?))
            };
            Action::Set(text.split(';').map(set).collect::<Result<_, _>>()?)
        }
    })
}

fn pick(names: Vec<Vec<String>>, choice: Choice, list: &str) -> Result<Action, String> {
    let (list, filter) = match list.split_once(" where ") {
        Some((list, filter)) => (list, condition(filter)?),
        None => (list, Condition::new()),
    };
    let list = match list.strip_prefix(": ") {
        Some(entries) => List::Inline(entries.split(" | ").map(entry).collect()),
        None => List::Named(list.trim().to_owned()),
    };
    Ok(Action::Pick { names, choice, list, filter })
}

fn condition(text: &str) -> Result<Condition, String> {
    let all = |text: &str| text.split(" and ").map(test).collect::<Result<_, _>>();
    text.split(" or ").map(all).collect()
}

fn test(text: &str) -> Result<Test, String> {
    if let Some(meaning) = Meaning::parse(text.trim()) {
        return Ok(Test::Means(meaning));
    }
    let (left, operator, right) = ["==", "<=", ">=", "<", ">"]
        .into_iter()
        .find_map(|operator| text.split_once(operator).map(|(left, right)| (left, operator, right)))
        .ok_or("expected a comparison")?;
    Ok(Test::Compare(Integer::parse(left)?, operator, Integer::parse(right)?))
}
