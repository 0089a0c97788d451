//! The people and things of the word problems.

/// Somebody in a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: &'static str,
    /// "she" or "he".
    pub(super) she: &'static str,
    /// "her" or "his".
    pub(super) her: &'static str,
}

impl Person {
    /// "She" or "He".
    pub(super) fn she_capital(self) -> &'static str {
        if self.she == "she" { "She" } else { "He" }
    }
}

const fn woman(name: &'static str) -> Person {
    Person { name, she: "she", her: "her" }
}

const fn man(name: &'static str) -> Person {
    Person { name, she: "he", her: "his" }
}

pub(super) const NAMES: &[Person] = &[
    woman("Mia"),
    woman("Aisha"),
    woman("Olga"),
    woman("Priya"),
    woman("Hannah"),
    woman("Lucia"),
    woman("Grace"),
    woman("Yuki"),
    woman("Fatima"),
    woman("Ingrid"),
    woman("Chloe"),
    woman("Zanele"),
    woman("Marta"),
    woman("Nora"),
    woman("Elena"),
    woman("Ruth"),
    woman("Sofia"),
    woman("Wanjiru"),
    woman("Beatrice"),
    woman("Leila"),
    woman("Tamsin"),
    woman("Rosa"),
    woman("Ebba"),
    woman("June"),
    man("Tom"),
    man("Kofi"),
    man("Arjun"),
    man("Mateo"),
    man("Oliver"),
    man("Hassan"),
    man("Viktor"),
    man("Daniel"),
    man("Kenji"),
    man("Samuel"),
    man("Diego"),
    man("Pavel"),
    man("Liam"),
    man("Tariq"),
    man("Emeka"),
    man("Jonas"),
    man("Felix"),
    man("Andre"),
    man("Bruno"),
    man("Caleb"),
    man("Milo"),
    man("Ravi"),
    man("Theo"),
    man("Wei"),
];

/// Small things bought by the piece.
pub(super) const GOODS: &[&str] = &[
    "notebooks",
    "pens",
    "candles",
    "mugs",
    "postcards",
    "puzzles",
    "plants",
    "towels",
    "scarves",
    "lamps",
    "brushes",
    "cushions",
    "folders",
    "water bottles",
    "flower pots",
    "picture frames",
    "paint tubes",
    "light bulbs",
    "tennis balls",
    "lunch boxes",
];

/// Things somebody collects.
pub(super) const COLLECTED: &[&str] = &[
    "marbles",
    "stickers",
    "stamps",
    "shells",
    "trading cards",
    "buttons",
    "beads",
    "badges",
    "toy cars",
    "coins",
    "pebbles",
    "postcards",
    "comics",
    "crayons",
    "bookmarks",
];

/// Things grown in rows and what one plant gives.
pub(super) const CROPS: &[(&str, &str)] = &[
    ("tomato plants", "tomatoes"),
    ("apple trees", "apples"),
    ("pepper plants", "peppers"),
    ("pear trees", "pears"),
    ("pumpkin plants", "pumpkins"),
    ("sunflowers", "seed heads"),
    ("strawberry plants", "strawberries"),
    ("lemon trees", "lemons"),
    ("bean plants", "bean pods"),
    ("cucumber plants", "cucumbers"),
    ("plum trees", "plums"),
    ("melon plants", "melons"),
];

/// Costly things bought one at a time.
pub(super) const COSTLY: &[&str] = &[
    "bicycle",
    "jacket",
    "camera",
    "guitar",
    "tent",
    "desk",
    "printer",
    "sewing machine",
    "carpet",
    "telescope",
    "bookcase",
    "suitcase",
    "kayak",
    "keyboard",
    "pair of boots",
    "coffee machine",
];

/// Jobs paid by the hour.
pub(super) const JOBS: &[&str] = &[
    "at a bakery",
    "in a garden center",
    "at a car wash",
    "in a library",
    "as a lifeguard",
    "at a bike shop",
    "in a call center",
    "as a tutor",
    "at a hotel desk",
    "in a warehouse",
    "as a dog walker",
    "at a print shop",
];

/// Things baked or cooked by the piece.
pub(super) const BAKED: &[&str] =
    &["cookies", "muffins", "rolls", "pancakes", "pretzels", "scones", "cupcakes", "dumplings"];

/// Ingredients weighed in grams.
pub(super) const INGREDIENTS: &[&str] =
    &["flour", "sugar", "butter", "rice", "cheese", "oats", "chocolate", "mashed potatoes"];

/// Places that sell tickets.
pub(super) const VENUES: &[&str] = &[
    "museum",
    "zoo",
    "village theater",
    "swimming pool",
    "funfair",
    "planetarium",
    "ice rink",
    "concert hall",
    "aquarium",
    "castle",
];
