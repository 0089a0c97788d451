//! Prompts that can have any number of units of hay.

use super::super::length::{Fill, TokenCounter, fit};

/// A prompt as it is asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rendered {
    pub(super) input: String,
    pub(super) answer_prefix: String,
    /// Depth of the one needle asked for.
    pub(super) depth: Option<f64>,
}

/// A prompt without its length: what is hidden is fixed, the hay is not.
pub(super) trait Filling {
    /// Tokens that unit `index` adds, about; `None` when there is no such unit.
    fn cost(&mut self, index: usize, counter: &dyn TokenCounter) -> Option<usize>;

    /// The prompt with the first `units` units.
    fn render(&mut self, units: usize) -> Rendered;
}

/// The prompt with as many units as fit into `length` tokens, their number, and its tokens.
///
/// `Err` holds the tokens of the prompt without any unit if that is too long already.
pub(super) fn fill(
    filling: &mut dyn Filling,
    length: usize,
    counter: &dyn TokenCounter,
) -> Result<(Rendered, usize, usize), usize> {
    let (units, tokens) = fit(&mut Counted { filling, counter }, length)?;
    Ok((filling.render(units), units, tokens))
}

struct Counted<'a> {
    filling: &'a mut dyn Filling,
    counter: &'a dyn TokenCounter,
}

impl Fill for Counted<'_> {
    fn cost(&mut self, index: usize) -> Option<usize> {
        self.filling.cost(index, self.counter)
    }

    fn total(&mut self, units: usize) -> usize {
        let Rendered { input, answer_prefix, .. } = self.filling.render(units);
        self.counter.count(&format!("{input}{answer_prefix}"))
    }
}
