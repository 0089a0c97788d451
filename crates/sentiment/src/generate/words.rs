//! Words and sentences that opinions are made of.

/// Streets, named in some reviews.
pub(super) const STREETS: [&str; 8] =
    ["Oak", "Main", "River", "Mill", "Park", "Lake", "Hill", "Cedar"];

/// Dishes of each cuisine, in the order of the cuisines.
pub(super) const DISHES: [[&str; 4]; 12] = [
    ["green curry", "papaya salad", "noodle soup", "spring rolls"],
    ["lasagna", "risotto", "tiramisu", "gnocchi"],
    ["tacos", "enchiladas", "salsa", "tamales"],
    ["ramen", "sushi", "tempura", "miso soup"],
    ["brisket", "ribs", "coleslaw", "pulled pork"],
    ["cheeseburger", "fries", "milkshake", "onion rings"],
    ["nuggets", "wrap", "soda", "sundae"],
    ["margherita", "calzone", "garlic bread", "pepperoni slice"],
    ["lentil bowl", "tofu scramble", "beet salad", "oat latte"],
    ["grilled trout", "clam chowder", "shrimp", "crab cakes"],
    ["pancakes", "omelette", "coffee", "hash browns"],
    ["carving station", "salad bar", "dessert table", "soup counter"],
];

/// What a review of a restaurant is about, besides the dishes.
pub(super) const ASPECTS: [&str; 12] = [
    "service",
    "waiter",
    "room",
    "price",
    "atmosphere",
    "staff",
    "terrace",
    "wine list",
    "kitchen",
    "host",
    "music",
    "bartender",
];

/// Aspects of businesses other than restaurants.
pub(super) const OTHER_ASPECTS: [&str; 4] = ["appointment", "front desk", "work", "bill"];

/// What praise and blame that is not about the business is about.
pub(super) const ASIDES: [&str; 8] = [
    "weather",
    "drive",
    "hotel across the street",
    "concert before dinner",
    "place next door",
    "museum nearby",
    "week at the office",
    "movie afterwards",
];

/// Praise from faint to high, the commonest word of each grade first. Every word is on the lexicon.
pub(super) const GOOD: [[&str; 16]; 3] = [
    [
        "nice",
        "fine",
        "decent",
        "pleasant",
        "fresh",
        "fun",
        "solid",
        "comfortable",
        "reasonable",
        "refreshing",
        "inviting",
        "satisfying",
        "stylish",
        "lively",
        "thoughtful",
        "fair",
    ],
    [
        "good",
        "great",
        "lovely",
        "delightful",
        "charming",
        "impressive",
        "enjoyable",
        "memorable",
        "generous",
        "gorgeous",
        "beautiful",
        "cheerful",
        "welcoming",
        "superior",
        "gracious",
        "adorable",
    ],
    [
        "amazing",
        "excellent",
        "perfect",
        "fantastic",
        "wonderful",
        "incredible",
        "outstanding",
        "superb",
        "phenomenal",
        "exceptional",
        "flawless",
        "brilliant",
        "terrific",
        "stellar",
        "sublime",
        "magnificent",
    ],
];

/// Blame from faint to severe.
pub(super) const BAD: [[&str; 16]; 3] = [
    [
        "slow",
        "mediocre",
        "average",
        "overpriced",
        "ordinary",
        "boring",
        "forgettable",
        "dull",
        "plain",
        "uneven",
        "limited",
        "basic",
        "confusing",
        "expensive",
        "odd",
        "lukewarm",
    ],
    [
        "bad",
        "disappointing",
        "bland",
        "poor",
        "rude",
        "dirty",
        "stale",
        "careless",
        "tasteless",
        "greasy",
        "underwhelming",
        "annoying",
        "sad",
        "nasty",
        "unacceptable",
        "unprofessional",
    ],
    [
        "terrible",
        "horrible",
        "awful",
        "disgusting",
        "dreadful",
        "pathetic",
        "appalling",
        "atrocious",
        "abysmal",
        "horrendous",
        "vile",
        "revolting",
        "hideous",
        "disgraceful",
        "repulsive",
        "catastrophic",
    ],
];

/// Praise without a word of the lexicon; `{}` is what it is about.
pub(super) const PRAISED: [&str; 16] = [
    "we will be back for the {} next week",
    "I still think about the {}",
    "everybody at the table asked for more of the {}",
    "the {} alone is a reason to move to this part of town",
    "I have told all my neighbors about the {}",
    "we argued over who may finish the {}",
    "they know what they are doing when it comes to the {}",
    "the {} put a smile on every face",
    "I would cross the whole city again for the {}",
    "we booked our next dinner before we had finished the {}",
    "the {} went beyond anything we had asked for",
    "this is where I take my guests now, and the {} is why",
    "I could have the {} every day of the year",
    "the {} made our evening",
    "my grandmother would approve of the {}",
    "five stars to the {}",
];

/// Blame without a word of the lexicon.
pub(super) const BLAMED: [&str; 16] = [
    "we will never come back after the {}",
    "I would rather stay at home than go through the {} again",
    "half of the table sent the {} back",
    "the {} alone is a reason to eat elsewhere",
    "I have warned all my neighbors about the {}",
    "we left most of it on the plate because of the {}",
    "nobody seems to know what to do about the {}",
    "the {} took the smile off every face",
    "I would cross the street to get away from the {}",
    "we asked for the bill before we had finished with the {}",
    "the {} fell short of everything we had been told",
    "this is where I will take nobody, and the {} is why",
    "I want my evening back after the {}",
    "the {} gave me a stomach ache",
    "my grandmother would have walked out over the {}",
    "one star, and that is for the door, not for the {}",
];
