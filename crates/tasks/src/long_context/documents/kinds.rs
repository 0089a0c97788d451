//! The kinds of documents and their words, read from `data/documents.toml`.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// How the text of a fact is drawn.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Form {
    /// The name of a place.
    Place,
    /// The name of a person.
    Person,
    /// A word of each of the two named lists.
    Words(String, String),
    /// A year between these.
    Year(i64, i64),
    /// So many years after the year of the named fact.
    After(String, i64, i64),
    /// A count between these, with thousands separators.
    Count(i64, i64),
}

/// The wordings of one sentence.
pub(super) type Wordings = Vec<String>;

/// A kind of document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) title: String,
    /// Names and forms of the facts, in the order they are drawn.
    pub(super) facts: Vec<(String, Form)>,
    /// The sentences of each paragraph.
    pub(super) paragraphs: Vec<Vec<Wordings>>,
    /// The facts that can be asked for, each with the question.
    pub(super) questions: Vec<(String, String)>,
}

/// All kinds and the lists their words are drawn from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vocabulary {
    #[serde(rename = "kind")]
    pub(super) kinds: Vec<Kind>,
    words: HashMap<String, Vec<String>>,
}

impl Vocabulary {
    /// The word list of this name; empty if there is none.
    pub(super) fn words(&self, list: &str) -> &[String] {
        self.words.get(list).map_or(&[], Vec::as_slice)
    }
}

/// The embedded data, parsed at first use.
pub(super) static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../data/documents.toml"))
        .unwrap_or_else(|error| unreachable!("the embedded documents.toml is tested: {error}"))
});
