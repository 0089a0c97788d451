//! How far two texts are from each other, normalised to `[0, 1]`.
//!
//! ```text
//! d(a, b) = Levenshtein(a, b) / max(|a|, |b|)        0 for two empty texts
//! ```
//!
//! DPOP (arXiv 2402.13228, section 5) reports about 6.5 % for its `MetaMath` pairs and 90 % for
//! its ARC pairs without naming the unit, so both units are given here.

/// Normalised edit distances of two texts.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct EditDistance {
    /// Over words: runs of letters and digits, and every other visible character by itself.
    #[serde(rename = "edit_distance_words")]
    pub words: f64,
    /// Over Unicode scalar values.
    #[serde(rename = "edit_distance_characters")]
    pub characters: f64,
}

impl EditDistance {
    /// The distances between `a` and `b`.
    ///
    /// ```
    /// let distance = bestof_tasks::distance::EditDistance::between("5 + 2 = 7", "5 + 2 = 8");
    /// assert_eq!(distance.words, 1.0 / 5.0);
    /// assert_eq!(distance.characters, 1.0 / 9.0);
    /// ```
    pub fn between(a: &str, b: &str) -> Self {
        let (left, right): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        Self { words: normalised(&words(a), &words(b)), characters: normalised(&left, &right) }
    }
}

/// The words of a text: runs of letters and digits, and every other visible character by itself.
/// White space only separates words.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, symbol) in text.char_indices() {
        if symbol.is_alphanumeric() {
            start.get_or_insert(at);
            continue;
        }
        if let Some(start) = start.take() {
            words.push(&text[start..at]);
        }
        if !symbol.is_whitespace() {
            words.push(&text[at..at + symbol.len_utf8()]);
        }
    }
    if let Some(start) = start {
        words.push(&text[start..]);
    }
    words
}

fn normalised<T: PartialEq>(a: &[T], b: &[T]) -> f64 {
    let longest = a.len().max(b.len());
    if longest == 0 {
        return 0.0;
    }
    // What two texts share at both ends costs nothing, and corrupted pairs share nearly all.
    let prefix = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[prefix..], &b[prefix..]);
    let suffix = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (Units(&a[..a.len() - suffix]), Units(&b[..b.len() - suffix]));
    strsim::generic_levenshtein(&a, &b) as f64 / longest as f64
}

/// A slice in the form `strsim` iterates over.
struct Units<'a, T>(&'a [T]);

impl<'a, T> IntoIterator for &Units<'a, T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Textbook recursion, exponential and obviously right.
    fn slow(a: &[char], b: &[char]) -> usize {
        match (a, b) {
            ([], rest) | (rest, []) => rest.len(),
            ([x, a_rest @ ..], [y, b_rest @ ..]) => (slow(a_rest, b_rest) + usize::from(x != y))
                .min(slow(a_rest, b) + 1)
                .min(slow(a, b_rest) + 1),
        }
    }

    #[test]
    fn hand_checked_distances() {
        let same = EditDistance::between("abc", "abc");
        assert_eq!((same.words, same.characters), (0.0, 0.0));
        let nothing = EditDistance::between("", "");
        assert_eq!((nothing.words, nothing.characters), (0.0, 0.0));
        let all = EditDistance::between("abc", "");
        assert_eq!((all.words, all.characters), (1.0, 1.0));
        // kitten -> sitting: three edits over seven letters.
        assert_eq!(EditDistance::between("kitten", "sitting").characters, 3.0 / 7.0);
        assert_eq!(EditDistance::between("a b c d", "a x c d").words, 0.25);
    }

    proptest! {
        #[test]
        fn equals_the_textbook_recursion(a in "[ab]{0,5}", b in "[abc]{0,5}") {
            let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            let longest = x.len().max(y.len()).max(1);
            let expected = slow(&x, &y) as f64 / longest as f64;
            prop_assert_eq!(EditDistance::between(&a, &b).characters, expected);
        }
    }
}
