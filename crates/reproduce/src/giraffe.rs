//! `giraffe`: longer context by another basis, and whether it is used, on a LLaMA that fits into
//! minutes.
//!
//! Pal et al. 2023 (arXiv:2308.10882): a model that reads short texts is extended by each method,
//! measured as it is and after a short training, and asked for what stands in longer and longer
//! texts. Perplexity is measured beside it.

mod basis;
mod claims;
mod documents;
mod learning;
mod measure;
mod page;
mod real;
mod size;
mod study;

use self::size::Size;
use crate::{Experiment, Options, Progress, ReproduceError, Reproduction};

/// Base models, each with its own rows and questions.
const SEEDS: usize = 6;

/// The experiment `giraffe`.
#[derive(Debug, Clone, Copy)]
pub struct Giraffe;

impl Experiment for Giraffe {
    fn name(&self) -> &'static str {
        "giraffe"
    }

    fn about(&self) -> &'static str {
        "a model is extended by each RoPE basis, and asked for values in longer texts"
    }

    fn minutes(&self) -> f64 {
        35.0
    }

    fn run(
        &self,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        if options.full {
            return real::run(self.name(), options, progress);
        }
        self.at_size(&Size::small(), options, progress)
    }
}

impl Giraffe {
    fn at_size(
        self,
        size: &Size,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        let study = study::run(options, size, options.seeds_or(SEEDS)?, progress)?;
        Ok(Reproduction::new(
            self.name(),
            options,
            "Longer context by changing the basis",
            "Pal et al. 2023, arXiv:2308.10882",
            page::design(options, size, &study),
        )
        .claims(claims::claims(&study.found, size))
        .numbers(page::numbers(&study, size))
        .section(page::about(size))
        .section(page::tables(&study.found, size)?)
        .section(page::maps(&study.found, size))
        .section(page::bases(&study, size)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::documents::Between;
    use super::size::{Extending, Lesson};
    use super::*;
    use crate::Silent;

    /// Lessons that are passed whatever is predicted.
    fn tiny() -> Size {
        let small = Size::small();
        let lesson = |between| Lesson { length: 32, between };
        Size {
            shape: crate::SmallLlama {
                width: 16,
                inner: 16,
                layers: 1,
                heads: 1,
                context: 64,
                ..small.shape
            },
            lessons: vec![lesson(Between::Nothing), lesson(Between::Text)],
            passed_at: 0.0,
            most_steps: 60,
            last_steps: 2,
            learned_at: 0.0,
            batch: 64,
            extended: Extending { times: 2, steps: 2 },
            further: [(2, 1), (2, 3), (4, 2), (8, 2)]
                .map(|(times, steps)| Extending { times, steps })
                .to_vec(),
            documents: 1,
            texts: 1,
            scored: 16,
            ..small
        }
    }

    #[test]
    fn a_study_of_a_few_steps_runs_to_its_end_goes_on_and_repeats() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { seeds: Some(2), ..Options::new(dir.path()) };
        let outcome = Giraffe.at_size(&tiny(), &options, &mut Silent).unwrap();
        assert_eq!(outcome.all_claims().len(), claims::JUDGED);
        let written = |name: &str| {
            let path = dir.path().join("runs").join(name).join("outcome.json");
            fs::metadata(path).unwrap().modified().unwrap()
        };
        let kept = ["base-0", "base-1/yarn-4-2-steps-2-times"].map(written);
        fs::remove_dir_all(dir.path().join("runs/base-1/linear-4-untrained")).unwrap();
        let again = Giraffe.at_size(&tiny(), &options, &mut Silent).unwrap();
        assert_eq!(outcome.to_json(), again.to_json());
        assert_eq!(kept, ["base-0", "base-1/yarn-4-2-steps-2-times"].map(written));
        written("base-1/linear-4-untrained");

        let numbers = &outcome.to_json()["numbers"];
        let models = numbers["models"].as_array().unwrap();
        let lengths = |model: &serde_json::Value| {
            let at = model["at"].as_array().unwrap();
            at.iter().map(|at| at["length"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&models[0]), [64, 128, 256, 512]);
        // Another basis, another training and another factor each change what is predicted.
        let perplexities: std::collections::HashSet<String> = numbers["table"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["perplexity"][3].to_string())
            .collect();
        assert_eq!(perplexities.len(), numbers["table"].as_array().unwrap().len());
        assert!(outcome.to_report().to_html().contains("Accuracy by length and place"));
    }

    #[test]
    fn models_that_do_not_learn_are_replaced_and_then_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { seeds: Some(2), ..Options::new(dir.path()) };
        let size = Size { passed_at: 1.1, ..tiny() };
        let error = Giraffe.at_size(&size, &options, &mut Silent).unwrap_err().to_string();
        assert!(error.contains("of 6 small models 0 passed"), "{error}");
        let size = Size { learned_at: 1.1, ..tiny() };
        let error = Giraffe.at_size(&size, &options, &mut Silent).unwrap_err().to_string();
        assert!(error.contains("of 6 small models 0 passed"), "{error}");
    }
}
