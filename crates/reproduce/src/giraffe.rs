//! `giraffe`: longer context by another basis, and whether it is used, on a LLaMA that fits into
//! minutes.
//!
//! Pal et al. 2023 (arXiv:2308.10882): a model that reads short texts is extended by each method,
//! measured as it is and after a short training, and asked for what stands in longer and longer
//! texts. Perplexity is measured beside it.

mod basis;
mod claims;
mod documents;
mod groundwork;
mod measure;
mod page;
mod real;
mod size;
mod study;

use self::size::Size;
use crate::{Experiment, Options, Progress, ReproduceError, Reproduction};

/// Repetitions, each with its own model, texts and questions.
const SEEDS: usize = 8;

/// The experiment `giraffe`.
#[derive(Debug, Clone, Copy)]
pub struct Giraffe;

impl Experiment for Giraffe {
    fn name(&self) -> &'static str {
        "giraffe"
    }

    fn about(&self) -> &'static str {
        "a small LLaMA is extended by each RoPE basis, and asked what stands in longer texts"
    }

    fn run(
        &self,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        if options.full {
            return real::run(self.name(), options, progress);
        }
        let size = if options.full { Size::full() } else { Size::small() };
        self.at_size(&size, options, progress)
    }
}

impl Giraffe {
    fn at_size(
        self,
        size: &Size,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        let seeds = options.seeds_or(SEEDS)?;
        let found = study::run(options, size, seeds, progress)?;
        Ok(Reproduction::new(
            self.name(),
            options,
            "Longer context by changing the basis",
            "Pal et al. 2023, arXiv:2308.10882",
        )
        .claims(claims::claims(&found, size))
        .numbers(page::numbers(&found, size))
        .section(page::about(size, seeds))
        .section(page::tables(&found, size)?)
        .section(page::maps(&found, size)))
    }
}

#[cfg(test)]
mod tests {
    use super::size::Training;
    use super::*;
    use crate::Silent;

    #[test]
    fn a_study_of_a_few_steps_runs_to_its_end_and_repeats() {
        let small = Size::small();
        let size = Size {
            shape: crate::SmallLlama {
                width: 16,
                inner: 16,
                layers: 1,
                heads: 1,
                context: 32,
                ..small.shape
            },
            context: 32,
            taught: Training { rows: 16, steps: 2, batch: 4, rate: 1e-3 },
            extended: Training { rows: 8, steps: 4, batch: 2, rate: 1e-3 },
            cases: 1,
            texts: 1,
            scored: 8,
            ..small
        };
        let dir = tempfile::tempdir().unwrap();
        let options = Options { seeds: Some(2), ..Options::new(dir.path()) };
        let outcome = Giraffe.at_size(&size, &options, &mut Silent).unwrap();
        assert_eq!(outcome.all_claims().len(), 10);
        let again = Giraffe.at_size(&size, &options, &mut Silent).unwrap();
        assert_eq!(outcome.to_json(), again.to_json());
        let numbers = &outcome.to_json()["numbers"];
        let models = numbers["models"].as_array().unwrap();
        let expected: usize = basis::ALL.iter().map(basis::Basis::measurements).sum();
        assert_eq!(models.len(), 2 * expected);
        let lengths = |model: &serde_json::Value| {
            model["at"]
                .as_array()
                .unwrap()
                .iter()
                .map(|at| at["length"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(lengths(&models[0]), [32, 64, 128, 256]);
        // Another basis and another training each change what is predicted.
        let perplexity = |at: usize| models[at]["at"][3]["perplexity"].as_f64().unwrap();
        assert_ne!(perplexity(0), perplexity(1));
        assert_ne!(perplexity(0), perplexity(2));
        assert!(outcome.to_report().to_html().contains("Accuracy by length and depth"));
    }

    #[test]
    fn a_models_own_folder_is_extended_by_adapters_and_asked_for_lines() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("model");
        let shape = crate::SmallLlama {
            alphabet: crate::SmallLlama::ASCII,
            width: 16,
            inner: 16,
            layers: 1,
            heads: 1,
            context: 2200,
            rope_theta: 10_000.0,
            initializer_range: 0.02,
        };
        shape.write(&model, 0).unwrap();
        let size = Size {
            model: Some(model),
            context: 2200,
            extended: Training { rows: 6, steps: 2, batch: 1, rate: 1e-3 },
            cases: 1,
            texts: 1,
            scored: 8,
            answer: 2,
            ..Size::full()
        };
        let options = Options::new(dir.path().join("out"));
        let base = groundwork::prepare(&options, &size, 0, &mut Silent).unwrap();
        let work = study::Work { options: &options, size: &size, base: &base, repetition: 0 };
        let found = work.extend(basis::POWERED, &mut Silent).unwrap();
        assert_eq!(found.len(), basis::POWERED.measurements());
        for found in &found {
            let asked: Vec<usize> = found.at.iter().map(|at| at.total().1).collect();
            assert_eq!(asked, [5; 4]);
            assert!(found.at.iter().all(|at| at.perplexity.is_finite()));
        }
    }
}
