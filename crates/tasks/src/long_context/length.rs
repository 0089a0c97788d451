//! Filling a prompt up to a length that the caller counts.

/// Longest prompt, in tokens.
pub const MAX_LENGTH: usize = 1 << 24;

/// Number of estimated guesses before the search bisects.
const GUESSES: usize = 8;

/// Counts the tokens of a text, without special tokens. Any `Fn(&str) -> usize` is one.
///
/// It is called once for each line or sentence that may go into a prompt and a few times for the
/// whole prompt, so that the prompt's length is exact even if the counts of parts do not add up.
pub trait TokenCounter {
    /// Number of tokens of `text`.
    fn count(&self, text: &str) -> usize;
}

impl<F: Fn(&str) -> usize + ?Sized> TokenCounter for F {
    fn count(&self, text: &str) -> usize {
        self(text)
    }
}

/// Number of words separated by white space, where there is no tokenizer.
pub fn count_words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// A prompt that can have any number of units of padding.
pub(super) trait Fill {
    /// Tokens of unit `index` alone, or `None` when there is no such unit.
    fn cost(&mut self, index: usize) -> Option<usize>;

    /// Tokens of the whole prompt with the first `units` units.
    fn total(&mut self, units: usize) -> usize;
}

/// The number of units with which the prompt is within `target` and the next unit, counted alone,
/// would not fit; with the prompt's tokens.
///
/// `Err` holds the tokens of the prompt without any unit if that is too long already.
pub(super) fn fit(fill: &mut impl Fill, target: usize) -> Result<(usize, usize), usize> {
    let empty = fill.total(0);
    if empty > target {
        return Err(empty);
    }
    let (mut low, mut high) = ((0, empty), usize::MAX);
    for round in 0.. {
        // What the units after the last fitting number would add, by their own counts.
        let (mut units, mut room) = (low.0, target - low.1);
        while units + 1 < high {
            match fill.cost(units) {
                Some(cost) if cost.max(1) <= room => room -= cost.max(1),
                _ => break,
            }
            units += 1;
        }
        if units == low.0 {
            break;
        }
        if round >= GUESSES && high != usize::MAX {
            units = units.min(low.0 + (high - low.0).div_ceil(2));
        }
        let total = fill.total(units);
        if total <= target {
            low = (units, total);
        } else {
            high = units;
            // The next guess starts from here, less what is too much.
            let (mut fewer, mut excess) = (units, total - target);
            while fewer > low.0 + 1 && excess > 0 {
                fewer -= 1;
                excess = excess.saturating_sub(fill.cost(fewer).unwrap_or(1).max(1));
            }
            if round < GUESSES && fewer > low.0 && fewer < units {
                let total = fill.total(fewer);
                if total <= target {
                    low = (fewer, total);
                } else {
                    high = fewer;
                }
            }
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Units whose counts add up, but for `merge` tokens saved or spent at each joint.
    struct Units {
        costs: Vec<usize>,
        fixed: usize,
        merge: i64,
        calls: usize,
    }

    impl Units {
        fn tokens(&self, units: usize) -> usize {
            let sum = self.costs[..units].iter().sum::<usize>() + self.fixed;
            (sum as i64 + units as i64 * self.merge).max(0) as usize
        }
    }

    impl Fill for Units {
        fn cost(&mut self, index: usize) -> Option<usize> {
            self.costs.get(index).copied()
        }

        fn total(&mut self, units: usize) -> usize {
            self.calls += 1;
            self.tokens(units)
        }
    }

    proptest! {
        #[test]
        fn the_prompt_is_full_but_not_too_long(
            costs in prop::collection::vec(1_usize..40, 0..400),
            fixed in 0_usize..60,
            merge in -1_i64..=1,
            target in 0_usize..6000,
        ) {
            let mut units = Units { costs, fixed, merge, calls: 0 };
            match fit(&mut units, target) {
                Err(needed) => prop_assert!(needed == fixed && fixed > target),
                Ok((count, total)) => {
                    prop_assert_eq!(total, units.tokens(count));
                    prop_assert!(total <= target);
                    let fits = |unit: usize| {
                        units.costs.get(unit).is_some_and(|cost| total + cost <= target)
                    };
                    // The next unit does not fit by its own count, or was tried and did not.
                    prop_assert!(!fits(count) || units.tokens(count + 1) > target);
                    prop_assert!(units.calls <= 40, "{} calls", units.calls);
                }
            }
        }
    }

    #[test]
    fn exact_counts_need_few_calls() {
        let mut units = Units { costs: vec![23; 5000], fixed: 165, merge: 0, calls: 0 };
        assert_eq!(fit(&mut units, 16_000), Ok((688, 165 + 688 * 23)));
        assert!(units.calls <= 3, "{}", units.calls);
    }

    #[test]
    fn a_counter_that_sees_nothing_ends() {
        let mut units = Units { costs: vec![0; 50], fixed: 0, merge: 0, calls: 0 };
        assert_eq!(fit(&mut units, 10), Ok((50, 0)));
    }
}
