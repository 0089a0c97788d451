//! `dpop`: what DPO does to the answers it should prefer, and DPOP does not, on a LLaMA that fits
//! into minutes.
//!
//! Pal et al. 2024 (arXiv:2402.13228v2): on pairs that differ in one token early on, DPO lowers the
//! probability of both answers. First the formulas for the direction of the logits (section 2.4)
//! are checked with the gradients of the crate losses. Then a small LLaMA is taught sums and trained further with
//! several losses on pairs of low and of high edit distance (section 5).

mod claims;
mod logit_direction;
mod outcome;
mod page;
mod problems;
mod recipe;
mod study;

use bestof_report::{Section, Text};
use serde_json::json;

use self::study::Size;
use crate::{Design, Experiment, Options, Progress, ReproduceError, Reproduction};

/// Repetitions, each with its own model, problems and order.
const SEEDS: usize = 8;

/// The experiment `dpop`.
#[derive(Debug, Clone, Copy)]
pub struct Dpop;

impl Experiment for Dpop {
    fn name(&self) -> &'static str {
        "dpop"
    }

    fn about(&self) -> &'static str {
        "DPO, DPOP, IPO and hinge on a small LLaMA: pairs of low and of high edit distance"
    }

    fn minutes(&self) -> f64 {
        8.0
    }

    fn run(
        &self,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        let size = if options.full { Size::FULL } else { Size::SMALL };
        self.at_size(&size, options, progress)
    }
}

impl Dpop {
    fn at_size(
        self,
        size: &Size,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        let seeds = options.seeds_or(SEEDS)?;
        let directions = logit_direction::measure(options.seed)?;
        let all = study::run(options, size, seeds, progress)?;
        let about = Text::new(format!(
            "{seeds} repetitions: a LLaMA of {} layers and width {} with a token a character learns \
             from {} worked sums and {} comparisons, and is then trained with each loss for {} steps on \
             {} pairs. Everything is measured on {} held-out pairs, and compared seed by seed.",
            size.shape.layers,
            size.shape.width,
            size.taught.0,
            size.taught.1,
            size.steps,
            size.pairs,
            size.held_out,
        ));
        let outcome = Reproduction::new(
            self.name(),
            options,
            "DPO and DPOP on pairs of low and high edit distance",
            "Pal et al. 2024, arXiv:2402.13228v2, sections 3 to 5",
            design(options, seeds),
        )
        .claims(logit_direction::claims(&directions))
        .claims(claims::claims(&all))
        .numbers(json!({
            "logit_direction": logit_direction::numbers(&directions),
            "runs": page::numbers(&all),
        }))
        .section(Section::new("The experiment").element(about))
        .section(logit_direction::section(&directions));
        Ok(all.iter().fold(outcome, |outcome, on| outcome.section(page::section(on))))
    }
}

fn design(options: &Options, seeds: usize) -> Design {
    Design {
        seeds: format!("{seeds} repetitions, numbered from 0, of seed {}", options.seed),
        varies: "the first weights, the sums taught, the order of rows, the training pairs and the held-out pairs; \
                 all losses of a repetition start from the same taught model and see the same pairs in the same order"
            .into(),
        correction: format!(
            "the {} claims about trained models are judged by intervals of 1 - 0.05 / {0}, so that the chance of even one \
             wrong interval is at most 5 % (Bonferroni); the formulas are checked position by position, without chance",
            claims::JUDGED
        ),
        tried: "the same with five repetitions and 95 % intervals for each claim by itself; pilots by which model, steps and \
                learning rate were chosen before that were not recorded"
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::study::Size;
    use super::*;
    use crate::Silent;
    use crate::SmallLlama;

    #[test]
    fn a_study_of_a_few_steps_runs_to_its_end_and_repeats() {
        let size = Size {
            shape: SmallLlama { width: 16, inner: 32, layers: 1, heads: 2, ..study::SHAPE },
            taught: (40, 10),
            teaching_steps: 4,
            pairs: 16,
            held_out: 6,
            steps: 2,
            ..Size::SMALL
        };
        let dir = tempfile::tempdir().unwrap();
        let options = Options { seeds: Some(2), ..Options::new(dir.path()) };
        let outcome = Dpop.at_size(&size, &options, &mut Silent).unwrap();
        assert_eq!(outcome.all_claims().len(), 13);
        // One repetition as it was kept, the other made again.
        let kept =
            |repetition: usize| dir.path().join(format!("runs/seed-{repetition}/outcome.json"));
        let written = |path: &std::path::Path| std::fs::metadata(path).unwrap().modified().unwrap();
        let first = written(&kept(0));
        std::fs::remove_file(kept(1)).unwrap();
        let again = Dpop.at_size(&size, &options, &mut Silent).unwrap();
        assert_eq!(outcome.to_json(), again.to_json());
        assert_eq!(written(&kept(0)), first);
        let longer = Size { steps: 3, ..size };
        let other = Dpop.at_size(&longer, &options, &mut Silent).unwrap();
        assert_ne!(outcome.to_json(), other.to_json());
        let runs = &outcome.to_json()["numbers"]["runs"];
        assert_eq!(runs[0]["after"].as_array().unwrap().len(), 8);
        assert!(runs[0]["mean_edit_distance"].as_f64().unwrap() < 0.1);
        assert!(runs[1]["mean_edit_distance"].as_f64().unwrap() > 0.5);
        let chosen = |outcomes: &serde_json::Value| outcomes[0]["chosen"].clone();
        assert_ne!(chosen(&runs[0]["after"][1]["seeds"]), chosen(&runs[0]["before"]));
        // The taught model is measured on other pairs of the second seed.
        assert_ne!(runs[0]["before"][0], runs[0]["before"][1]);
        assert!(outcome.to_report().to_html().contains("Pairs of high edit distance"));
    }
}
