//! Invented names.

use crate::draw::Draw;

const PLACE_STARTS: &[&str] = &[
    "Vel", "Ostr", "Kael", "Thun", "Bris", "Ord", "Sel", "Hav", "Drum", "Quil", "Fenn", "Torr",
    "Lys", "Grann", "Wex", "Ister", "Nor", "Pell", "Rav", "Sund", "Ambr", "Cald", "Erl", "Jass",
    "Mirr", "Oll", "Tyrn", "Yev",
];
const PLACE_MIDDLES: &[&str] = &["a", "e", "i", "o", "en", "ar", "il", "un", "or", "eth", "am"];
const PLACE_ENDS: &[&str] = &[
    "mora", "wick", "stad", "vale", "holm", "dun", "ria", "ness", "mere", "gard", "lin", "tal",
    "bury", "fell", "zan", "quay", "thorpe", "bek",
];
const FIRST_NAMES: &[&str] = &[
    "Ilvane", "Torrick", "Maelis", "Osrene", "Brannoch", "Sefira", "Dovrin", "Yllena", "Corvane",
    "Thessaly", "Ruvik", "Amarind", "Jorvald", "Nerisse", "Calder", "Wystan", "Elowyn", "Harkon",
    "Pelagia", "Quennel", "Sorrel", "Tamsyn", "Ulric", "Vesper", "Zorah", "Anselm", "Brisa",
    "Caspian", "Delphine", "Evander", "Fenella", "Gideon", "Halcyon", "Isaura", "Jessamy",
    "Kestrel", "Leofric", "Mirabel", "Nestor", "Ottilie",
];
const SURNAME_STARTS: &[&str] = &[
    "Tor", "Ash", "Bram", "Corn", "Dren", "Falk", "Gar", "Hask", "Kel", "Lorn", "Mond", "Nyst",
    "Pren", "Rusk", "Stav", "Tull", "Vorn", "Wend", "Yar", "Zell",
];
const SURNAME_ENDS: &[&str] = &[
    "sk", "combe", "dale", "enby", "ford", "gren", "hurst", "ick", "land", "mark", "noll", "ovar",
    "pool", "quist", "rigg", "sen", "tham", "uck", "vik", "wold",
];

fn joined(draw: &mut Draw, parts: &[&[&str]]) -> String {
    parts.iter().filter_map(|part| draw.choose(part).copied()).collect()
}

/// One of 5,544 places.
pub(super) fn place(draw: &mut Draw) -> String {
    joined(draw, &[PLACE_STARTS, PLACE_MIDDLES, PLACE_ENDS])
}

/// One of 16,000 persons.
pub(super) fn person(draw: &mut Draw) -> String {
    format!("{} {}", joined(draw, &[FIRST_NAMES]), joined(draw, &[SURNAME_STARTS, SURNAME_ENDS]))
}
