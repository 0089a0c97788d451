//! Generated documents about invented towns, people and institutions, whose facts no model knows.
//!
//! Each document has a title, a few paragraphs in varied wording and questions whose answers occur
//! in it exactly once. All facts are random, so that they can only be answered by reading. A hash
//! of the title decides a document's split, so training and held-out documents share no subject.

mod kinds;

use super::length::TokenCounter;
use super::numbers::with_separators;
use crate::rng::{SeededRng, Split, split_of};
use crate::rows::TextRow;
use crate::template;
use kinds::{Form, Kind, VOCABULARY, Wordings};

/// Attempts at one document before the last one is used as it is.
const ATTEMPTS: u64 = 400;

/// A question about a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentQuestion {
    /// The question.
    pub question: String,
    /// The answer; it occurs in the document exactly once.
    pub answer: String,
    /// Whether the answer is a number.
    pub numeric: bool,
}

/// A document of invented facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventedDocument {
    /// The kind of its subject, such as `town`.
    pub kind: &'static str,
    /// The title, which names its subject.
    pub title: String,
    /// The paragraphs, without line breaks.
    pub paragraphs: Vec<String>,
    /// Questions that it answers.
    pub questions: Vec<DocumentQuestion>,
}

impl InventedDocument {
    /// The paragraphs, separated by blank lines.
    pub fn text(&self) -> String {
        self.paragraphs.join("\n\n")
    }
}

/// An endless sequence of documents; document `i` depends only on seed, split and `i`.
///
/// ```
/// use bestof_tasks::rng::Split;
/// use bestof_tasks::long_context::documents::InventedDocuments;
///
/// let document = InventedDocuments::new(7, Split::Train).document(0);
/// for question in &document.questions {
///     assert_eq!(document.text().matches(&question.answer).count(), 1);
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InventedDocuments {
    seed: u64,
    split: Split,
}

impl InventedDocuments {
    /// The documents of a seed in one split.
    pub fn new(seed: u64, split: Split) -> Self {
        Self { seed, split }
    }

    /// Document number `index`.
    pub fn document(&self, index: u64) -> InventedDocument {
        let mut source = SeededRng::new(self.seed, index);
        let kind = &VOCABULARY.kinds[source.index(VOCABULARY.kinds.len())];
        let mut attempt = || write(kind, &mut source);
        let mut document = attempt();
        for _ in 0..ATTEMPTS {
            if split_of(&document.title) == self.split && answers_are_clear(&document) {
                break;
            }
            document = attempt();
        }
        document
    }

    /// A row of running text: documents from `index` on, at least one, as many as fit into `length`
    /// tokens. Also returns the index after the last document used.
    pub fn text_row(
        &self,
        mut index: u64,
        length: usize,
        counter: &dyn TokenCounter,
    ) -> (TextRow, u64) {
        let mut text = String::new();
        loop {
            let document = self.document(index);
            let space = if text.is_empty() { "" } else { "\n\n" };
            let longer = format!("{text}{space}{}\n{}", document.title, document.text());
            if !text.is_empty() && counter.count(&longer) > length {
                return (TextRow::new(text), index);
            }
            // A counter that never grows must not make this endless.
            let done = longer.len() / 64 > length;
            text = longer;
            index += 1;
            if done {
                return (TextRow::new(text), index);
            }
        }
    }
}

/// Whether every answer occurs in the text exactly once, and neither in the title nor in its
/// question.
fn answers_are_clear(document: &InventedDocument) -> bool {
    let text = document.text();
    document.questions.iter().all(|question| {
        text.matches(&question.answer).count() == 1
            && !document.title.contains(&question.answer)
            && !question.question.contains(&question.answer)
    })
}

/// A drawn fact.
struct Fact {
    name: &'static str,
    text: String,
    /// Value of a numeric fact; later facts can count from it.
    number: Option<i64>,
}

fn write(kind: &'static Kind, rng: &mut SeededRng) -> InventedDocument {
    let mut facts: Vec<Fact> = Vec::with_capacity(kind.facts.len());
    for (name, form) in &kind.facts {
        // Two equal facts would make one question have two answers.
        let mut fact = draw_fact(name, form, &facts, rng);
        for _ in 0..50 {
            if facts.iter().all(|other| !other.text.contains(&fact.text)) {
                break;
            }
            fact = draw_fact(name, form, &facts, rng);
        }
        facts.push(fact);
    }
    let paragraphs = kind
        .paragraphs
        .iter()
        .map(|sentences| {
            let sentence = |wordings: &Wordings| fill(pick(wordings, rng), &facts);
            sentences.iter().map(sentence).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let questions = kind
        .questions
        .iter()
        .filter_map(|(name, question)| {
            let fact = facts.iter().find(|fact| fact.name == name)?;
            Some(DocumentQuestion {
                question: fill(question, &facts),
                answer: fact.text.clone(),
                numeric: fact.number.is_some(),
            })
        })
        .collect();
    InventedDocument { kind: &kind.name, title: fill(&kind.title, &facts), paragraphs, questions }
}

/// One of `items`; the empty text of an empty list.
fn pick<'a>(items: &'a [String], rng: &mut SeededRng) -> &'a str {
    rng.choose(items).map_or("", String::as_str)
}

fn draw_fact(name: &'static str, form: &Form, facts: &[Fact], rng: &mut SeededRng) -> Fact {
    let mut word = |list: &str| pick(VOCABULARY.words(list), rng);
    let (text, number) = match form {
        Form::Place => {
            (["place_starts", "place_middles", "place_ends"].map(&mut word).concat(), None)
        }
        Form::Person => {
            let [first, start, end] = ["first_names", "surname_starts", "surname_ends"].map(word);
            (format!("{first} {start}{end}"), None)
        }
        Form::Words(first, second) => (format!("{} {}", word(first), word(second)), None),
        Form::Year(low, high) => number_fact(rng.between(*low, *high), false),
        Form::After(earlier, low, high) => {
            let earlier = facts.iter().find(|fact| fact.name == earlier);
            let start = earlier.and_then(|fact| fact.number).unwrap_or(0);
            number_fact(start + rng.between(*low, *high), false)
        }
        Form::Count(low, high) => number_fact(rng.between(*low, *high), true),
    };
    Fact { name, text, number }
}

fn number_fact(number: i64, separators: bool) -> (String, Option<i64>) {
    let digits = number.to_string();
    (if separators { with_separators(&digits) } else { digits }, Some(number))
}

/// The template with each `{name}` replaced by the text of that fact.
fn fill(template: &str, facts: &[Fact]) -> String {
    template::fill(template, |name, text| {
        let fact = facts.iter().find(|fact| fact.name == name);
        text.push_str(fact.map_or("", |fact| &fact.text));
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::count_words;
    use super::*;

    fn placeholders(template: &str) -> Vec<&str> {
        template.split('{').skip(1).map(|part| part.split_once('}').unwrap().0).collect()
    }

    #[test]
    fn every_placeholder_is_a_slot_and_every_asked_fact_is_told_once() {
        for kind in &VOCABULARY.kinds {
            let slots: Vec<&str> = kind.facts.iter().map(|(name, _)| name.as_str()).collect();
            for (index, (_, form)) in kind.facts.iter().enumerate() {
                match form {
                    Form::Words(first, second) => assert!(
                        [first, second].iter().all(|list| !VOCABULARY.words(list).is_empty())
                    ),
                    Form::After(earlier, ..) => assert!(slots[..index].contains(&earlier.as_str())),
                    _ => {}
                }
            }
            let sentences: Vec<_> =
                kind.paragraphs.iter().flat_map(|sentences| sentences.iter()).collect();
            let templates = sentences
                .iter()
                .flat_map(|ways| ways.iter())
                .chain(kind.questions.iter().map(|(_, question)| question))
                .chain([&kind.title]);
            for template in templates {
                for slot in placeholders(template) {
                    assert!(slots.contains(&slot), "{} has no {slot}", kind.name);
                }
            }
            for (asked, question) in &kind.questions {
                let mut telling = 0;
                for ways in &sentences {
                    let told: HashSet<usize> = ways
                        .iter()
                        .map(|way| placeholders(way).iter().filter(|slot| *slot == asked).count())
                        .collect();
                    assert_eq!(
                        told.len(),
                        1,
                        "{}: {asked} is not told in every wording",
                        kind.name
                    );
                    telling += told.into_iter().next().unwrap();
                }
                assert_eq!(telling, 1, "{}: {asked}", kind.name);
                assert!(!placeholders(question).contains(&asked.as_str()));
            }
        }
    }

    #[test]
    fn hundreds_of_documents_are_distinct_clear_and_apart() {
        let (mut titles, mut held_out) = (HashSet::new(), HashSet::new());
        let mut numeric = 0;
        for index in 0..600 {
            let document = InventedDocuments::new(11, Split::Train).document(index);
            assert!(answers_are_clear(&document), "{document:?}");
            assert!((60..400).contains(&count_words(&document.text())), "{}", document.text());
            assert!(!document.text().contains(['{', '}']) && !document.text().contains("  "));
            assert!(document.paragraphs.len() >= 3 && document.questions.len() >= 5);
            let numbers = document.questions.iter().filter(|question| question.numeric).count();
            assert!(numbers >= 2 && numbers < document.questions.len());
            numeric += numbers;
            titles.insert(document.title);
            held_out.insert(InventedDocuments::new(11, Split::HeldOut).document(index).title);
        }
        assert!(titles.len() > 550, "{}", titles.len());
        assert!(titles.is_disjoint(&held_out));
        assert!(numeric > 1500);
        let again = InventedDocuments::new(11, Split::Train).document(5);
        assert_eq!(again, InventedDocuments::new(11, Split::Train).document(5));
        assert_ne!(again, InventedDocuments::new(12, Split::Train).document(5));
    }

    #[test]
    fn running_text_is_near_its_length() {
        let documents = InventedDocuments::new(2, Split::Train);
        let (row, next) = documents.text_row(3, 1000, &count_words);
        let words = count_words(row.text.last_text());
        assert!((600..=1000).contains(&words), "{words}");
        assert!(row.text.last_text().starts_with(&documents.document(3).title) && next > 5);
        let (row, next) = documents.text_row(3, 1, &|_: &str| 0);
        assert!(!row.text.last_text().is_empty() && next < 20);
    }
}
