//! Ranges of the whole numbers that flags take, checked before anything multiplies or reserves them.

/// Most tokens of a text.
pub(crate) const TOKENS: usize = 1 << 30;
/// Most rows, cases, draws or the like.
pub(crate) const ITEMS: usize = 10_000_000;
/// Most rows that are computed together.
pub(crate) const BATCH: usize = 1 << 20;

/// A whole number of at most `MOST`, for clap to name the flag with.
pub(crate) fn at_most<const MOST: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(found) if found <= MOST => Ok(found),
        _ => Err(format!("expected a whole number, at most {MOST}")),
    }
}
