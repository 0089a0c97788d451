//! Observatories, libraries, works and fairs.

use super::{
    BEASTS, BIRDS, COLOURS, FOODS, GLASSES, Kind, MAKERS, QUALITIES, STONES, Slot, TRADES,
};

pub(super) const OBSERVATORY: Kind = Kind {
    name: "observatory",
    title: "{name} Observatory",
    slots: &[
        ("name", Slot::Place),
        ("mountain", Slot::Place),
        ("comet", Slot::Place),
        ("donor", Slot::Person),
        ("director", Slot::Person),
        ("founded", Slot::Year(1790, 1905)),
        ("discovery", Slot::After("founded", 5, 60)),
        ("closed", Slot::Year(1968, 1999)),
        ("altitude", Slot::Count(1_120, 3_890)),
        ("plates", Slot::Count(4_200, 93_000)),
        ("mirror", Slot::Count(38, 99)),
        ("trade", Slot::Thing(MAKERS, TRADES)),
    ],
    paragraphs: &[
        &[
            &[
                "{name} Observatory stands on Mount {mountain}, far from any road.",
                "High on Mount {mountain} a white dome marks {name} Observatory.",
            ],
            &[
                "At {altitude} metres the air is thin and the nights are clear.",
                "It lies at an altitude of {altitude} metres, above most of the cloud.",
            ],
            &[
                "It was founded in {founded} with money left by {donor}, a dealer in lamp oil.",
                "{donor}, a dealer in lamp oil, paid for it; it was founded in {founded}.",
            ],
        ],
        &[
            &[
                "The mirror, {mirror} inches across, was ground by a {trade} in a cellar.",
                "A {trade} ground its mirror of {mirror} inches in a cellar, by candlelight.",
            ],
            &[
                "Mules brought it up in a crate of straw.",
                "It travelled up the mountain in a bath of sawdust.",
            ],
            &[
                "The first director, {director}, slept beside the instrument for many winters.",
                "Its first director was {director}, who is said never to have gone down again.",
            ],
        ],
        &[
            &[
                "In {discovery} the comet {comet} was seen here before anywhere else.",
                "Its fame rests on the comet {comet}, found here in {discovery}.",
            ],
            &[
                "The archive keeps {plates} photographic plates, most of them never studied.",
                "Of the {plates} photographic plates in its archive only a few were ever measured.",
            ],
            &[
                "Observing ended in {closed}, when the lights of the valley had become too bright.",
                "When the valley was lit by night the work was given up, in {closed}.",
            ],
            &[
                "A walking club now looks after the rooms.",
                "The dome still turns, by hand, for visitors.",
            ],
        ],
    ],
    questions: &[
        ("founded", "In what year was {name} Observatory founded?"),
        ("discovery", "In what year was a comet discovered at {name} Observatory?"),
        ("closed", "In what year did observing end at {name} Observatory?"),
        ("altitude", "At how many metres does {name} Observatory lie?"),
        ("plates", "How many photographic plates does {name} Observatory keep?"),
        ("mirror", "How many inches across is the mirror of {name} Observatory?"),
        ("donor", "Who paid for {name} Observatory?"),
        ("director", "Who was the first director of {name} Observatory?"),
        ("comet", "What is the comet called that was found at {name} Observatory?"),
        ("mountain", "On which mountain does {name} Observatory stand?"),
        ("trade", "Who ground the mirror of {name} Observatory?"),
    ],
};

pub(super) const LIBRARY: Kind = Kind {
    name: "library",
    title: "Library of {name}",
    slots: &[
        ("name", Slot::Place),
        ("abbey", Slot::Place),
        ("collector", Slot::Person),
        ("librarian", Slot::Person),
        ("opened", Slot::Year(1580, 1790)),
        ("flood", Slot::After("opened", 20, 110)),
        ("catalogue", Slot::Year(1902, 1961)),
        ("volumes", Slot::Count(12_300, 480_000)),
        ("maps", Slot::Count(1_010, 9_700)),
        ("desks", Slot::Count(24, 98)),
        ("stone", Slot::Thing(COLOURS, STONES)),
        ("animal", Slot::Thing(BEASTS, BIRDS)),
    ],
    paragraphs: &[
        &[
            &[
                "The Library of {name} holds {volumes} volumes.",
                "With {volumes} volumes the Library of {name} is the largest of the province.",
            ],
            &[
                "Besides books it owns {maps} maps, rolled and labelled in green ink.",
                "Another {maps} sheets lie in its map room, in flat drawers.",
            ],
            &[
                "Readers may choose among {desks} desks, none of them with a lamp.",
                "There are {desks} desks for readers, by daylight only.",
            ],
        ],
        &[
            &[
                "It grew out of the collection of {collector}, and opened its doors in {opened}.",
                "Opened in {opened}, it began as the private shelves of {collector}.",
            ],
            &[
                "The oldest manuscripts come from the abbey of {abbey}, which was given up.",
                "When the abbey of {abbey} was given up, its manuscripts came here by barge.",
            ],
            &[
                "A flood reached the lower shelves in {flood}.",
                "In {flood} the river stood knee-deep in the reading room.",
            ],
            &[
                "Pages were dried between loaves of bread, and the smell is said to linger.",
                "What was wet was saved by children, who carried it to the bell tower.",
            ],
        ],
        &[
            &[
                "A printed catalogue appeared in {catalogue}; it was the life's work of {librarian}.",
                "{librarian} spent half a lifetime on the catalogue, printed in {catalogue}.",
            ],
            &[
                "The staircase is of {stone} and creaks all the same, as people say.",
                "One enters by a staircase of {stone}.",
            ],
            &[
                "Every bookplate bears a {animal}, the crest of the town.",
                "A {animal} is stamped on the spine of each book, in gold.",
            ],
        ],
    ],
    questions: &[
        ("volumes", "How many volumes does the Library of {name} hold?"),
        ("maps", "How many maps does the Library of {name} own?"),
        ("desks", "How many desks does the Library of {name} have?"),
        ("opened", "In what year was the Library of {name} opened?"),
        ("flood", "In what year was the Library of {name} flooded?"),
        ("catalogue", "In what year was the catalogue of the Library of {name} printed?"),
        ("collector", "Whose collection began the Library of {name}?"),
        ("librarian", "Who made the catalogue of the Library of {name}?"),
        ("abbey", "From which abbey are the oldest manuscripts of the Library of {name}?"),
        ("stone", "What is the staircase of the Library of {name} made of?"),
        ("animal", "Which animal is on the books of the Library of {name}?"),
    ],
};

pub(super) const WORKS: Kind = Kind {
    name: "works",
    title: "{name} Glassworks",
    slots: &[
        ("name", Slot::Place),
        ("port", Slot::Place),
        ("founder", Slot::Person),
        ("heir", Slot::Person),
        ("founded", Slot::Year(1710, 1860)),
        ("strike", Slot::After("founded", 15, 80)),
        ("medal", Slot::Year(1951, 1989)),
        ("workers", Slot::Count(108, 980)),
        ("bottles", Slot::Count(21_000, 870_000)),
        ("furnaces", Slot::Count(11, 37)),
        ("glass", Slot::Thing(COLOURS, GLASSES)),
        ("trade", Slot::Thing(MAKERS, TRADES)),
    ],
    paragraphs: &[
        &[
            &[
                "{name} Glassworks was founded in {founded} by {founder}, a {trade}.",
                "{name} Glassworks goes back to {founder}, a {trade}, who founded it in {founded}.",
            ],
            &[
                "Sand came by barge from {port}.",
                "All its sand was shipped from {port}, three days away.",
            ],
            &[
                "It became known for {glass}, a secret of the house.",
                "Collectors look for its {glass}, which nobody has managed to copy.",
            ],
        ],
        &[
            &[
                "At its height it employed {workers} people.",
                "In its best years {workers} people worked there.",
            ],
            &[
                "Its {furnaces} furnaces burned day and night.",
                "The glow of {furnaces} furnaces could be seen from the sea.",
            ],
            &[
                "Some {bottles} bottles left the gates in a single year.",
                "A single year's output was {bottles} bottles.",
            ],
        ],
        &[
            &[
                "In {strike} the workers struck for a shorter Saturday and won.",
                "The strike of {strike} brought a shorter Saturday.",
            ],
            &[
                "The last of the family to run the firm was {heir}, who sold it to the foremen.",
                "{heir} was the last owner from the family; the foremen bought the rest.",
            ],
            &[
                "A vase no taller than a thumb won a medal in {medal}.",
                "Its one great medal came in {medal}, for a vase no taller than a thumb.",
            ],
            &[
                "Visitors may blow a bottle of their own on Sundays.",
                "The old packing hall is used for dances.",
            ],
        ],
    ],
    questions: &[
        ("founded", "In what year was {name} Glassworks founded?"),
        ("strike", "In what year did the workers of {name} Glassworks strike?"),
        ("medal", "In what year did {name} Glassworks win a medal?"),
        ("workers", "How many people worked at {name} Glassworks at its height?"),
        ("bottles", "How many bottles did {name} Glassworks make in a year?"),
        ("furnaces", "How many furnaces did {name} Glassworks have?"),
        ("founder", "Who founded {name} Glassworks?"),
        ("heir", "Who of the family was the last to own {name} Glassworks?"),
        ("port", "From where did the sand of {name} Glassworks come?"),
        ("glass", "For what is {name} Glassworks known?"),
        ("trade", "What was the founder of {name} Glassworks before?"),
    ],
};

pub(super) const FAIR: Kind = Kind {
    name: "fair",
    title: "{name} Lantern Fair",
    slots: &[
        ("name", Slot::Place),
        ("meadow", Slot::Place),
        ("inventor", Slot::Person),
        ("patron", Slot::Person),
        ("first", Slot::Year(1640, 1820)),
        ("banned", Slot::After("first", 8, 70)),
        ("revived", Slot::Year(1903, 1969)),
        ("lanterns", Slot::Count(1_300, 46_000)),
        ("visitors", Slot::Count(51_000, 290_000)),
        ("drummers", Slot::Count(14, 96)),
        ("dish", Slot::Thing(QUALITIES, FOODS)),
        ("animal", Slot::Thing(BEASTS, BIRDS)),
    ],
    paragraphs: &[
        &[
            &[
                "{name} Lantern Fair is held on the meadow of {meadow} on the first frosty night.",
                "At the first frost {name} Lantern Fair is held on the meadow of {meadow}.",
            ],
            &[
                "It was first celebrated in {first}, after a harvest that nobody had expected.",
                "The custom began in {first} with a harvest nobody had expected.",
            ],
            &[
                "The idea is put down to {inventor}, who had lost a cow in the dark.",
                "{inventor}, who had lost a cow in the dark, is said to have thought of it.",
            ],
        ],
        &[
            &[
                "Each year {lanterns} lanterns are lit, one for every window in the valley.",
                "The valley lights {lanterns} lanterns, one for each of its windows.",
            ],
            &[
                "A guard of {drummers} drummers leads the way, in silence until midnight.",
                "In front walk {drummers} drummers, who may not drum until midnight.",
            ],
            &[
                "The largest lantern has the shape of a {animal}.",
                "At the end comes a lantern in the shape of a {animal}, carried by the bakers.",
            ],
            &["People eat {dish} from their hats.", "On the way home everybody eats {dish}."],
        ],
        &[
            &[
                "The fair was banned in {banned} because of sparks.",
                "Because of sparks the council forbade it in {banned}.",
            ],
            &[
                "It was brought back in {revived} by {patron}, who paid for the oil.",
                "{patron} paid for the oil when it was revived in {revived}.",
            ],
            &[
                "Lately {visitors} visitors have come, more than the inns can hold.",
                "The last fair drew {visitors} visitors, most of whom slept in barns.",
            ],
        ],
    ],
    questions: &[
        ("first", "In what year was {name} Lantern Fair first celebrated?"),
        ("banned", "In what year was {name} Lantern Fair banned?"),
        ("revived", "In what year was {name} Lantern Fair revived?"),
        ("lanterns", "How many lanterns are lit at {name} Lantern Fair?"),
        ("visitors", "How many visitors come to {name} Lantern Fair?"),
        ("drummers", "How many drummers walk at {name} Lantern Fair?"),
        ("inventor", "Who is said to have invented {name} Lantern Fair?"),
        ("patron", "Who paid for the oil when {name} Lantern Fair was revived?"),
        ("meadow", "On which meadow is {name} Lantern Fair held?"),
        ("dish", "What do people eat at {name} Lantern Fair?"),
        ("animal", "What shape has the largest lantern of {name} Lantern Fair?"),
    ],
};
