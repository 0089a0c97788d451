//! Variable tracking (`vt`): which variables a chain of assignments gives one value.

use std::collections::HashSet;

use super::super::length::TokenCounter;
use super::filling::{Filling, Rendered, fill};
use super::needles::NOISE;
use crate::rng::SeededRng;

/// Assignments after the first.
const HOPS: usize = 4;

/// Letters of a name, in the example and in what is asked.
const LETTERS: [usize; 2] = [3, 5];

/// Tokens of the example at most.
const EXAMPLE: usize = 500;

/// A chain in noise.
struct Chain {
    names: Vec<String>,
    value: String,
    /// Where the assignments stand, in order, as shares of the way through.
    shares: Vec<f64>,
}

impl Chain {
    fn new(rng: &mut SeededRng, letters: usize, other: &str) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        while names.len() <= HOPS {
            let letter = |_| char::from(b'A' + rng.index(26) as u8);
            let name: String = (0..letters).map(letter).collect();
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        let value = loop {
            let value = rng.between(10_000, 99_998).to_string();
            if value != other {
                break value;
            }
        };
        let mut shares: Vec<f64> = (0..=HOPS).map(|_| rng.share()).collect();
        shares.sort_by(f64::total_cmp);
        Self { names, value, shares }
    }

    fn assignments(&self) -> Vec<String> {
        let mut lines = vec![format!("VAR {} = {}", self.names[0], self.value)];
        // The space at the end is RULER's.
        lines.extend(
            self.names.windows(2).map(|pair| format!("VAR {} = VAR {} ", pair[1], pair[0])),
        );
        lines
    }
}

impl Filling for Chain {
    fn cost(&mut self, _: usize, counter: &dyn TokenCounter) -> Option<usize> {
        Some(counter.count(&format!("{NOISE}\n")))
    }

    fn render(&mut self, units: usize) -> Rendered {
        let mut lines = vec![NOISE.to_owned(); units];
        let places = self.shares.iter().map(|share| (share * units as f64).round() as usize);
        for (number, (place, line)) in places.zip(self.assignments()).enumerate() {
            lines.insert(place + number, line);
        }
        let (value, context) = (&self.value, lines.join("\n"));
        Rendered {
            input: format!(
                "Memorize and track the chain(s) of variable assignment hidden in the following \
                 text.\n\n{context}\nQuestion: Find all variables that are assigned the value {value} \
                 in the text above."
            ),
            answer_prefix: format!(
                " Answer: According to the chain(s) of variable assignment in the text above, {} \
                 variables are assigned the value {value}, they are: ",
                self.names.len()
            ),
            depth: None,
        }
    }
}

/// A chain to be tracked, behind an example with its answer.
pub(super) struct VariablePrompt {
    example: String,
    chain: Chain,
}

impl VariablePrompt {
    pub(super) fn new(mut rng: SeededRng, counter: &dyn TokenCounter) -> Self {
        let mut shown = Chain::new(&mut rng, LETTERS[0], "");
        let rendered = match fill(&mut shown, EXAMPLE, counter) {
            Ok((rendered, ..)) => rendered,
            Err(_) => shown.render(0),
        };
        let Rendered { input, answer_prefix, .. } = rendered;
        let example = format!("{input}{answer_prefix} {}\n\n", shown.names.join(" "));
        let chain = Chain::new(&mut rng, LETTERS[1], &shown.value);
        Self { example, chain }
    }

    pub(super) fn outputs(&self) -> Vec<String> {
        self.chain.names.clone()
    }
}

impl Filling for VariablePrompt {
    fn cost(&mut self, index: usize, counter: &dyn TokenCounter) -> Option<usize> {
        self.chain.cost(index, counter)
    }

    fn render(&mut self, units: usize) -> Rendered {
        let rendered = self.chain.render(units);
        Rendered { input: format!("{}{}", self.example, rendered.input), ..rendered }
    }
}
