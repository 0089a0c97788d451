#![doc = include_str!("../README.md")]

use std::cmp::Reverse;

/// The name of `known` that `found` most likely means; `None` if none is similar.
///
/// A name is similar if at most a third of the longer one's characters (rounded up) were inserted,
/// left out, replaced or swapped, or if one of the two is the beginning of the other (a `found` of at
/// least three characters). Similar spellings win over beginnings, then the name with the fewest edits,
/// then the one with the longer common beginning, then the first. Case does not count, and `_` equals
/// `-`.
pub fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = folded(found);
    known
        .into_iter()
        .filter_map(|name| Some((rank(&found, &folded(name))?, name)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, name)| name)
}

fn folded(name: &str) -> String {
    name.trim().to_lowercase().replace('_', "-")
}

/// Orders similar names, the most similar first; `None` for a name that is not similar.
fn rank(found: &str, known: &str) -> Option<(bool, usize, Reverse<u32>, usize)> {
    let (found_length, known_length) = (found.chars().count(), known.chars().count());
    let longest = found_length.max(known_length);
    let edits = strsim::osa_distance(found, known);
    let misspelt = edits < longest && edits <= longest.div_ceil(3);
    let shortened = known.starts_with(found) && found_length >= 3;
    let lengthened = found.starts_with(known) && known_length > 0;
    if !(misspelt || shortened || lengthened) {
        return None;
    }
    // Between 0 and 1, and higher for a longer common beginning.
    let similarity = (strsim::jaro_winkler(found, known) * 1e6).round() as u32;
    Some((!misspelt, edits, Reverse(similarity), found_length.abs_diff(known_length)))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const LOSSES: [&str; 8] =
        ["dpo", "dpop", "ipo", "hinge", "cdpo", "dpop-cdpo", "simpo", "kto-pair"];

    #[test]
    fn misspelt_names_are_recognised() {
        for (found, known, expected) in [
            ("choosen", &["prompt", "chosen", "rejected"][..], "chosen"),
            ("txt", &["label", "text"], "text"),
            ("Text", &["label", "text"], "text"),
            ("pkpo_toy", &["pkpo", "pkpo-toy"], "pkpo-toy"),
            ("dta", &["model", "data", "train"], "data"),
            ("rr", &["r", "alpha"], "r"),
            ("num_generation", &["num_generations", "temperature"], "num_generations"),
            ("dppo", &LOSSES, "dpop"),
            ("dpoo", &LOSSES, "dpo"),
            ("hinged", &LOSSES, "hinge"),
            (
                "layers.0.self_attn.q_proj.weight",
                &[
                    "model.layers.0.self_attn.k_proj.weight",
                    "model.layers.0.self_attn.q_proj.weight",
                ],
                "model.layers.0.self_attn.q_proj.weight",
            ),
        ] {
            assert_eq!(nearest(found, known.iter().copied()), Some(expected), "{found}");
        }
    }

    #[test]
    fn beginnings_are_recognised() {
        let models = ["gemma3-270m", "smollm2-135m-instruct", "smollm2-135m"];
        assert_eq!(nearest("smollm2", models), Some("smollm2-135m"));
        assert_eq!(nearest("gemma", models), Some("gemma3-270m"));
        assert_eq!(nearest("kto", LOSSES), Some("kto-pair"));
        assert_eq!(nearest("rank", ["r", "alpha"]), Some("r"));
    }

    #[test]
    fn nonsense_gets_no_suggestion() {
        for (found, known) in [
            ("xyzzy", &LOSSES[..]),
            ("", &LOSSES),
            ("k", &LOSSES),
            ("zzz", &["path", "device"]),
            ("label", &["text"]),
            ("x", &["r"]),
            ("lm_head.bias", &["model.layers.0.self_attn.q_proj.weight"]),
            ("seed", &[]),
            ("seed", &[""]),
        ] {
            assert_eq!(nearest(found, known.iter().copied()), None, "{found}");
        }
    }
}
