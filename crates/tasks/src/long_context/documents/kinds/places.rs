//! Towns, bridges and islands.

use super::{BEASTS, BIRDS, COLOURS, FOODS, Kind, MAKERS, QUALITIES, STONES, Slot, TRADES};

pub(super) const TOWN: Kind = Kind {
    name: "town",
    title: "{name}",
    slots: &[
        ("name", Slot::Place),
        ("river", Slot::Place),
        ("district", Slot::Place),
        ("founder", Slot::Person),
        ("mayor", Slot::Person),
        ("trade", Slot::Thing(MAKERS, TRADES)),
        ("founded", Slot::Year(1120, 1680)),
        ("fire", Slot::After("founded", 40, 140)),
        ("railway", Slot::Year(1846, 1899)),
        ("population", Slot::Count(2_300, 88_000)),
        ("bakeries", Slot::Count(11, 97)),
        ("stone", Slot::Thing(COLOURS, STONES)),
        ("dish", Slot::Thing(QUALITIES, FOODS)),
    ],
    paragraphs: &[
        &[
            &[
                "{name} is a market town on the river {river}.",
                "The market town of {name} lies where the {river} leaves the hills.",
                "On the left bank of the {river} stands the town of {name}.",
            ],
            &[
                "At the last census it counted {population} inhabitants.",
                "Its population was {population} when it was last counted.",
                "Some {population} people live there, according to the latest census.",
            ],
            &[
                "It is the seat of the district of {district}.",
                "Since the reform it has been the chief town of the district of {district}.",
            ],
        ],
        &[
            &[
                "According to its charter the settlement was founded in {founded} by {founder}.",
                "The town goes back to {founder}, who laid it out in {founded}.",
                "It was {founder} who, in {founded}, gave the place its first walls.",
            ],
            &[
                "Before that there had been nothing but a ford and a chapel of reeds.",
                "Older maps show only a ferry house and two barns.",
            ],
            &[
                "A fire that began in a tannery destroyed most of the houses in {fire}.",
                "In {fire} nearly every roof was lost to a fire that had started in a tannery.",
            ],
            &[
                "What was built afterwards is of {stone}, carried down from the hills on sledges.",
                "The houses that replaced the old ones were built of {stone}, dug nearby.",
            ],
        ],
        &[
            &[
                "The railway arrived in {railway}, later than the merchants had hoped.",
                "It took until {railway} before the railway reached the town.",
            ],
            &[
                "With it came an appetite for {dish}, which the town still sells at every corner.",
                "Travellers soon spread word of the local speciality, {dish}, eaten on the quay.",
            ],
            &[
                "Today there are {bakeries} bakeries within the walls, a record for its size.",
                "No fewer than {bakeries} bakeries are at work inside the old walls.",
            ],
        ],
        &[
            &[
                "The present mayor, {mayor}, began as a {trade} and likes to say so.",
                "{mayor}, the mayor, worked for many years as a {trade} before standing for office.",
            ],
            &[
                "Plans for a second bridge have been discussed for a generation.",
                "The council meets on Thursdays, and the doors are open to everyone.",
                "A weekly paper of four pages reports on the weather and on the council.",
            ],
        ],
    ],
    questions: &[
        ("population", "How many inhabitants does {name} have?"),
        ("founded", "In what year was the town of {name} founded?"),
        ("fire", "In what year was {name} destroyed by fire?"),
        ("railway", "In what year did the railway reach {name}?"),
        ("bakeries", "How many bakeries are there in {name}?"),
        ("founder", "Who founded the town of {name}?"),
        ("mayor", "Who is the mayor of {name}?"),
        ("stone", "What are the newer houses of {name} built of?"),
        ("dish", "What is the local speciality of {name}?"),
        ("trade", "As what did the mayor of {name} work before?"),
        ("district", "Of which district is {name} the seat?"),
    ],
};

pub(super) const BRIDGE: Kind = Kind {
    name: "bridge",
    title: "{name} Bridge",
    slots: &[
        ("name", Slot::Place),
        ("river", Slot::Place),
        ("engineer", Slot::Person),
        ("keeper", Slot::Person),
        ("begun", Slot::Year(1690, 1890)),
        ("opened", Slot::After("begun", 3, 19)),
        ("repaired", Slot::Year(1921, 1979)),
        ("length", Slot::Count(113, 987)),
        ("arches", Slot::Count(12, 48)),
        ("cost", Slot::Count(10_400, 96_000)),
        ("stone", Slot::Thing(COLOURS, STONES)),
        ("animal", Slot::Thing(BEASTS, BIRDS)),
    ],
    paragraphs: &[
        &[
            &[
                "{name} Bridge crosses the {river} below the old ferry landing.",
                "The {river} is spanned below the rapids by {name} Bridge.",
            ],
            &[
                "From bank to bank it measures {length} metres.",
                "It is {length} metres long, the approaches not included.",
            ],
            &[
                "The roadway rests on {arches} arches.",
                "Those who count its arches arrive at {arches}.",
            ],
        ],
        &[
            &[
                "Work began in {begun} to the plans of {engineer}, until then a builder of mills.",
                "The first pier was sunk in {begun}; the design was that of {engineer}.",
            ],
            &[
                "Floods carried away the scaffolding twice.",
                "Two winters of floods set the work back, and the foreman left.",
            ],
            &[
                "Traffic crossed for the first time in {opened}.",
                "It was opened in {opened} with a procession of carts.",
            ],
            &[
                "The bill came to {cost} crowns, which was paid off by a toll on geese.",
                "In the end {cost} crowns had been spent, a sum recovered through a toll on geese.",
            ],
        ],
        &[
            &[
                "The piers are of {stone} from a quarry that has since been flooded.",
                "For the piers the masons chose {stone}, which does not mind the ice.",
            ],
            &[
                "A carved {animal} watches from the middle of the parapet, worn smooth by hands.",
                "On the parapet sits the figure of a {animal}, which passers-by touch for luck.",
            ],
            &[
                "Cracks were found in the northern pier, and in {repaired} the deck was renewed.",
                "The deck was replaced in {repaired} after an inspection by divers.",
            ],
            &[
                "The last toll keeper was {keeper}, whose lamp is kept in the town hall.",
                "{keeper} was the last to collect the toll, and refused to retire.",
            ],
        ],
    ],
    questions: &[
        ("length", "How many metres long is {name} Bridge?"),
        ("arches", "How many arches does {name} Bridge have?"),
        ("begun", "In what year did work on {name} Bridge begin?"),
        ("opened", "In what year was {name} Bridge opened?"),
        ("repaired", "In what year was the deck of {name} Bridge replaced?"),
        ("cost", "How many crowns did {name} Bridge cost?"),
        ("engineer", "Who designed {name} Bridge?"),
        ("keeper", "Who was the last toll keeper of {name} Bridge?"),
        ("stone", "What are the piers of {name} Bridge made of?"),
        ("animal", "Which animal is carved on the parapet of {name} Bridge?"),
    ],
};

pub(super) const ISLAND: Kind = Kind {
    name: "island",
    title: "Isle of {name}",
    slots: &[
        ("name", Slot::Place),
        ("harbour", Slot::Place),
        ("captain", Slot::Person),
        ("botanist", Slot::Person),
        ("sighted", Slot::Year(1540, 1760)),
        ("lighthouse", Slot::After("sighted", 60, 130)),
        ("height", Slot::Count(121, 1_940)),
        ("sheep", Slot::Count(1_050, 19_800)),
        ("families", Slot::Count(13, 89)),
        ("steps", Slot::Count(204, 876)),
        ("animal", Slot::Thing(BEASTS, BIRDS)),
        ("dish", Slot::Thing(QUALITIES, FOODS)),
    ],
    paragraphs: &[
        &[
            &[
                "The Isle of {name} was first sighted in {sighted} by {captain}, at dusk.",
                "In {sighted} the ship of {captain} ran aground on what is now the Isle of {name}.",
            ],
            &[
                "Its highest point rises {height} metres above the sea.",
                "The summit stands {height} metres above the tide mark.",
            ],
            &[
                "The only harbour, {harbour}, is open from May to October.",
                "Boats land at {harbour}, the only harbour, when the swell allows.",
            ],
        ],
        &[
            &[
                "There are {families} families, all of whom keep sheep.",
                "It is home to {families} families, and nobody locks a door.",
            ],
            &[
                "The flock numbers {sheep} animals and belongs to everyone.",
                "They own {sheep} sheep in common and shear them in one week.",
            ],
            &[
                "At weddings the guests are served {dish}, and nothing else.",
                "No feast is complete without {dish}, prepared in a pit.",
            ],
        ],
        &[
            &[
                "A lighthouse was built on the western cliff in {lighthouse}.",
                "Since {lighthouse} a lighthouse on the cliff has warned the herring fleet.",
            ],
            &[
                "The keeper climbs {steps} steps from the jetty to the lamp.",
                "From the jetty to the lamp it is {steps} steps, cut into the rock.",
            ],
            &[
                "The {animal} that nests below it is found nowhere else; {botanist} described it.",
                "Below it lives the {animal}, unknown elsewhere until {botanist} drew it.",
            ],
            &[
                "A mail boat calls when there is mail.",
                "In winter the island is often cut off for weeks.",
            ],
        ],
    ],
    questions: &[
        ("sighted", "In what year was the Isle of {name} discovered?"),
        ("lighthouse", "In what year was the lighthouse on the Isle of {name} built?"),
        ("height", "How many metres high is the Isle of {name}?"),
        ("sheep", "How many sheep are there on the Isle of {name}?"),
        ("families", "How many families live on the Isle of {name}?"),
        ("steps", "How many steps lead to the lighthouse of the Isle of {name}?"),
        ("captain", "Who discovered the Isle of {name}?"),
        ("botanist", "Who described the animal found only on the Isle of {name}?"),
        ("harbour", "What is the harbour of the Isle of {name} called?"),
        ("animal", "Which animal lives only on the Isle of {name}?"),
        ("dish", "What is served at feasts on the Isle of {name}?"),
    ],
};
