//! Units of measurement and their names.

/// A known unit: what it measures, and how much of the base unit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    /// What it measures.
    pub(crate) dimension: &'static str,
    /// Numerator and denominator of the factor to the base unit.
    pub(crate) factor: (i64, i64),
}

/// Known units: names, dimension, factor to the dimension's base unit.
const UNITS: &[(&[&str], &str, (i64, i64))] = &[
    (&["mm", "millimeter", "millimetre"], "length", (1, 1000)),
    (&["cm", "centimeter", "centimetre"], "length", (1, 100)),
    (&["m", "meter", "metre"], "length", (1, 1)),
    (&["km", "kilometer", "kilometre"], "length", (1000, 1)),
    (&["inch", "inche"], "length", (254, 10_000)),
    (&["ft", "foot", "feet"], "length", (3048, 10_000)),
    (&["yard"], "length", (9144, 10_000)),
    (&["mile"], "length", (1_609_344, 1000)),
    (&["mg", "milligram"], "mass", (1, 1_000_000)),
    (&["g", "gram"], "mass", (1, 1000)),
    (&["kg", "kilogram"], "mass", (1, 1)),
    (&["pound", "lb"], "mass", (45_359_237, 100_000_000)),
    (&["second", "sec"], "time", (1, 1)),
    (&["minute", "min"], "time", (60, 1)),
    (&["hour", "hr", "h"], "time", (3600, 1)),
    (&["day"], "time", (86_400, 1)),
    (&["week"], "time", (604_800, 1)),
    (&["ml", "milliliter", "millilitre"], "volume", (1, 1000)),
    (&["l", "liter", "litre"], "volume", (1, 1)),
    (&["cent"], "money", (1, 100)),
    (&["dollar"], "money", (1, 1)),
];

/// The known unit that `word`, in lower case, names.
pub(crate) fn unit(word: &str) -> Option<Unit> {
    let singular = word.strip_suffix('s').filter(|stem| !stem.is_empty()).unwrap_or(word);
    UNITS
        .iter()
        .find(|(names, _, _)| names.contains(&singular) || names.contains(&word))
        .map(|(_, dimension, factor)| Unit { dimension, factor: *factor })
}

/// Whether `word` names a known unit.
pub(crate) fn is_unit(word: &str) -> bool {
    unit(&word.to_lowercase()).is_some()
}

/// Words that multiply the number before them.
const SCALES: [(&str, i64); 6] = [
    ("dozen", 12),
    ("hundred", 100),
    ("thousand", 1000),
    ("million", 1_000_000),
    ("billion", 1_000_000_000),
    ("trillion", 1_000_000_000_000),
];

/// The factor that a word such as "million", in lower case, means.
pub(crate) fn scale(word: &str) -> Option<i64> {
    SCALES.iter().find(|(name, _)| word == *name).map(|(_, factor)| *factor)
}

/// Whether a word, in lower case, makes the number beside it a bound, a part of something or
/// another number.
pub(crate) fn changes(word: &str) -> bool {
    denies(word)
        || matches!(
            word,
            "half"
                | "halves"
                | "third"
                | "thirds"
                | "quarter"
                | "quarters"
                | "twice"
                | "double"
                | "triple"
                | "least"
                | "most"
                | "between"
                | "squared"
                | "cubed"
                | "root"
                | "factorial"
                | "negative"
                | "minus"
                | "or"
                | "if"
                | "unless"
                | "except"
                | "without"
        )
}

/// Whether a word, in lower case, is a percent sign.
pub(crate) fn is_percent(word: &str) -> bool {
    matches!(word, "percent" | "percentage" | "pct")
}

/// Whether a word denies what follows it, whatever its case, apostrophes and punctuation.
pub(crate) fn denies(word: &str) -> bool {
    // A command such as `\\not` belongs to its formula.
    if word.match_indices('\\').any(|(at, _)| word[at + 1..].starts_with(char::is_alphabetic)) {
        return false;
    }
    let plain: String = word.chars().filter(|c| c.is_alphabetic()).collect();
    matches!(
        plain.to_lowercase().as_str(),
        "not"
            | "isnt"
            | "isn"
            | "wasnt"
            | "arent"
            | "cant"
            | "cannot"
            | "couldnt"
            | "doesnt"
            | "dont"
            | "wont"
            | "neither"
            | "nor"
            | "never"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_deny_and_commands_do_not() {
        for word in ["not", "Isn't", "**never**", "not,", "isn\\'t", "not\\\\"] {
            assert!(denies(word), "{word}");
        }
        for word in ["\\not", "x\\not=y", "\\not\\in", "\\nor", "note", ""] {
            assert!(!denies(word), "{word}");
        }
    }
}
