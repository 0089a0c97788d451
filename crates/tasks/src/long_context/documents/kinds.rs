//! What the documents are about and how they are worded.
//!
//! A kind has slots for facts, sentences in several wordings each, and questions for slots. A slot
//! that is asked for is told in exactly one sentence, in each of its wordings.

mod institutions;
mod people;
mod places;

/// What a slot is filled with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slot {
    /// The name of a place.
    Place,
    /// The name of a person.
    Person,
    /// A word of each list.
    Thing(&'static [&'static str], &'static [&'static str]),
    /// A year between these.
    Year(i64, i64),
    /// So many years after the year in the named slot.
    After(&'static str, i64, i64),
    /// A count between these, with thousands separators.
    Count(i64, i64),
}

/// The ways one sentence can be worded.
pub(super) type Wordings = &'static [&'static str];

/// A kind of document.
#[derive(Debug)]
pub(super) struct Kind {
    /// Its name.
    pub(super) name: &'static str,
    /// Its title.
    pub(super) title: &'static str,
    /// Its facts, in the order they are drawn.
    pub(super) slots: &'static [(&'static str, Slot)],
    /// Its paragraphs, a list of sentences each.
    pub(super) paragraphs: &'static [&'static [Wordings]],
    /// The slots that can be asked for, with the question.
    pub(super) questions: &'static [(&'static str, &'static str)],
}

/// All kinds.
pub(super) const KINDS: &[Kind] = &[
    places::TOWN,
    places::BRIDGE,
    places::ISLAND,
    institutions::OBSERVATORY,
    institutions::LIBRARY,
    institutions::WORKS,
    institutions::FAIR,
    people::EXPLORER,
    people::COMPOSER,
    people::SHIP,
];

const COLOURS: &[&str] =
    &["grey", "honey-coloured", "green-veined", "rust-red", "blue-black", "chalk-white", "mottled"];
const STONES: &[&str] = &["basalt", "sandstone", "slate", "gneiss", "marble", "flint", "tuff"];
const GLASSES: &[&str] = &["goblets", "beads", "mirrors", "lamps", "window panes"];
const MAKERS: &[&str] = &["wandering", "retired", "one-eyed", "travelling", "court", "village"];
const TRADES: &[&str] =
    &["clockmaker", "beekeeper", "glassblower", "surveyor", "ropemaker", "apothecary", "tinsmith"];
const QUALITIES: &[&str] = &["smoked", "pickled", "candied", "salted", "spiced", "roasted"];
const FOODS: &[&str] =
    &["eel", "quince", "walnut", "parsnip", "heron egg", "chestnut", "barley cake"];
const BEASTS: &[&str] = &["crested", "three-toed", "silver", "marsh", "hooded", "long-tailed"];
const BIRDS: &[&str] = &["grebe", "otter", "salamander", "plover", "stoat", "bittern", "newt"];
