//! Explorers, composers and ships.

use super::{BEASTS, BIRDS, FOODS, Kind, MAKERS, QUALITIES, Slot, TRADES};

pub(super) const EXPLORER: Kind = Kind {
    name: "explorer",
    title: "{name}",
    slots: &[
        ("name", Slot::Person),
        ("birthplace", Slot::Place),
        ("desert", Slot::Place),
        ("guide", Slot::Person),
        ("rival", Slot::Person),
        ("born", Slot::Year(1780, 1870)),
        ("journey", Slot::After("born", 22, 44)),
        ("died", Slot::After("journey", 15, 39)),
        ("miles", Slot::Count(1_140, 9_800)),
        ("notebooks", Slot::Count(17, 96)),
        ("camels", Slot::Count(101, 290)),
        ("trade", Slot::Thing(MAKERS, TRADES)),
        ("animal", Slot::Thing(BEASTS, BIRDS)),
    ],
    paragraphs: &[
        &[
            &[
                "{name} was born in {born} in {birthplace}, the child of a {trade}.",
                "The child of a {trade}, {name} was born in {birthplace} in {born}.",
            ],
            &[
                "A fever in early years left a dislike of closed rooms.",
                "School lasted three winters, and geography was not taught there.",
            ],
        ],
        &[
            &[
                "In {journey} the great journey began, across the desert of {desert}.",
                "The great journey, across the desert of {desert}, began in {journey}.",
            ],
            &[
                "It covered {miles} miles and took two years longer than planned.",
                "When it was over {miles} miles had been walked, most of them at night.",
            ],
            &[
                "The caravan set out with {camels} camels and came home with one.",
                "Of {camels} camels one was still alive at the end.",
            ],
            &[
                "Without the guide, {guide}, nobody would have found the second well.",
                "The guide was {guide}, who could smell water.",
            ],
        ],
        &[
            &[
                "The {animal} was described in a letter from this time, with a drawing.",
                "A drawing made on the way is the earliest known picture of the {animal}.",
            ],
            &[
                "The records fill {notebooks} notebooks, written in pencil.",
                "What remains are {notebooks} notebooks in pencil, somewhat eaten by ants.",
            ],
            &[
                "{rival} disputed every page of them.",
                "They were called a fable by {rival}, who had never left home.",
            ],
            &[
                "{name} died in {died}, on a verandah, looking west.",
                "Death came in {died}, in a garden chair.",
            ],
        ],
    ],
    questions: &[
        ("born", "In what year was {name} born?"),
        ("journey", "In what year did the great journey of {name} begin?"),
        ("died", "In what year did {name} die?"),
        ("miles", "How many miles did the journey of {name} cover?"),
        ("notebooks", "How many notebooks did {name} leave?"),
        ("camels", "With how many camels did {name} set out?"),
        ("birthplace", "Where was {name} born?"),
        ("desert", "Which desert did {name} cross?"),
        ("guide", "Who was the guide of {name}?"),
        ("rival", "Who disputed the records of {name}?"),
        ("animal", "Which animal did {name} draw on the way?"),
        ("trade", "What was the parent of {name} by trade?"),
    ],
};

pub(super) const COMPOSER: Kind = Kind {
    name: "composer",
    title: "{name}",
    slots: &[
        ("name", Slot::Person),
        ("city", Slot::Place),
        ("opera", Slot::Place),
        ("teacher", Slot::Person),
        ("singer", Slot::Person),
        ("born", Slot::Year(1690, 1840)),
        ("premiere", Slot::After("born", 24, 50)),
        ("rediscovered", Slot::Year(1911, 1986)),
        ("songs", Slot::Count(104, 970)),
        ("pupils", Slot::Count(12, 88)),
        ("pipes", Slot::Count(1_030, 4_900)),
        ("dish", Slot::Thing(QUALITIES, FOODS)),
    ],
    paragraphs: &[
        &[
            &[
                "{name}, born in {born}, wrote {songs} songs and hardly left the city of {city}.",
                "Born in {born}, {name} stayed in the city of {city} and wrote {songs} songs.",
            ],
            &[
                "The first lessons were given by {teacher}, in exchange for firewood.",
                "{teacher} taught the child for nothing but firewood.",
            ],
        ],
        &[
            &[
                "The opera {opera} was first performed in {premiere}, in a riding school.",
                "In {premiere} a riding school saw the first night of the opera {opera}.",
            ],
            &[
                "Its leading part had been written for {singer}, who lost her voice on the day.",
                "{singer}, for whom the leading part was meant, lost her voice that morning.",
            ],
            &[
                "The audience stayed until four and asked for all of it again.",
                "There were many curtain calls and one duel.",
            ],
        ],
        &[
            &[
                "The organ in the cathedral, with {pipes} pipes, was built to the composer's wishes.",
                "An organ of {pipes} pipes was built as the composer wished, and is still played.",
            ],
            &[
                "There were {pupils} pupils, who paid what they could.",
                "Of the {pupils} pupils none became famous, and most became friends.",
            ],
            &[
                "Lessons ended with {dish}, whatever the hour.",
                "After each lesson {dish} was served, at any hour.",
            ],
            &[
                "Forgotten for generations, the scores were found in {rediscovered} under a stage.",
                "The scores lay under a stage until they were rediscovered in {rediscovered}.",
            ],
        ],
    ],
    questions: &[
        ("born", "In what year was the composer {name} born?"),
        ("premiere", "In what year was the opera of {name} first performed?"),
        ("rediscovered", "In what year were the scores of {name} found?"),
        ("songs", "How many songs did {name} write?"),
        ("pupils", "How many pupils did {name} have?"),
        ("pipes", "How many pipes has the organ built for {name}?"),
        ("city", "In which city did {name} live?"),
        ("opera", "What is the opera by {name} called?"),
        ("teacher", "Who taught {name} as a child?"),
        ("singer", "For whom did {name} write the leading part?"),
        ("dish", "What was served after lessons with {name}?"),
    ],
};

pub(super) const SHIP: Kind = Kind {
    name: "ship",
    title: "Pride of {name}",
    slots: &[
        ("name", Slot::Place),
        ("yard", Slot::Place),
        ("reef", Slot::Place),
        ("captain", Slot::Person),
        ("diver", Slot::Person),
        ("launched", Slot::Year(1730, 1880)),
        ("lost", Slot::After("launched", 4, 33)),
        ("found", Slot::Year(1955, 1999)),
        ("crew", Slot::Count(31, 99)),
        ("crates", Slot::Count(1_020, 8_900)),
        ("tons", Slot::Count(205, 970)),
        ("animal", Slot::Thing(BEASTS, BIRDS)),
        ("cargo", Slot::Thing(QUALITIES, FOODS)),
        ("trade", Slot::Thing(MAKERS, TRADES)),
    ],
    paragraphs: &[
        &[
            &[
                "The three-masted Pride of {name} was launched in {launched} at the yard of {yard}.",
                "Launched in {launched}, the Pride of {name} came from the yard of {yard}.",
            ],
            &[
                "It displaced {tons} tons and was slow in every wind.",
                "At {tons} tons it was heavier than it looked.",
            ],
            &[
                "A gilded {animal} served as figurehead.",
                "Under the bowsprit sat a {animal}, gilded once a year.",
            ],
        ],
        &[
            &[
                "On the last voyage there were {crew} people aboard, all of whom reached the shore.",
                "All {crew} people on board survived the last voyage.",
            ],
            &[
                "They were commanded by {captain}, on a first voyage as captain.",
                "The captain was {captain}, who went back for the cat.",
            ],
            &[
                "The hold was filled with {crates} crates of {cargo}.",
                "Its cargo was {cargo}, packed in {crates} crates.",
            ],
        ],
        &[
            &[
                "In {lost} the ship struck the reef of {reef} in calm weather.",
                "The ship was lost on the reef of {reef} in {lost}, on a calm night.",
            ],
            &[
                "The wreck was found in {found} by {diver}, a {trade} on holiday.",
                "{diver}, a {trade} on holiday, came upon the wreck in {found}.",
            ],
            &[
                "The bell is shown in a museum, next to a rope nobody can date.",
                "Most of it has been left where it lies.",
            ],
        ],
    ],
    questions: &[
        ("launched", "In what year was the Pride of {name} launched?"),
        ("lost", "In what year was the Pride of {name} lost?"),
        ("found", "In what year was the wreck of the Pride of {name} found?"),
        ("crew", "How many people were aboard the Pride of {name} on its last voyage?"),
        ("crates", "How many crates were in the hold of the Pride of {name}?"),
        ("tons", "How many tons did the Pride of {name} displace?"),
        ("captain", "Who commanded the Pride of {name} on its last voyage?"),
        ("diver", "Who found the wreck of the Pride of {name}?"),
        ("yard", "At which yard was the Pride of {name} built?"),
        ("reef", "On which reef was the Pride of {name} lost?"),
        ("animal", "What was the figurehead of the Pride of {name}?"),
        ("cargo", "What was the cargo of the Pride of {name}?"),
        ("trade", "What was the finder of the Pride of {name} by trade?"),
    ],
};
