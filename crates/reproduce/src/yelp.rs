//! `yelp`: the table of models of reviews, from a decision tree on meta features to a multi-task
//! BERT on text and meta features.
//!
//! Guda, Srivastava and Karkhanis 2022 (arXiv:2201.07999), table 1 and figure 7b. The paper's own
//! 36,692 reviews cannot be had; here they are made up, or the user's own.

mod claims;
mod page;
mod settings;
mod study;
mod table;

use self::settings::Settings;
use crate::{Experiment, Options, Progress, ReproduceError, Reproduction};

/// The experiment `yelp`.
#[derive(Debug, Clone, Copy)]
pub struct Yelp;

impl Experiment for Yelp {
    fn name(&self) -> &'static str {
        "yelp"
    }

    fn about(&self) -> &'static str {
        "stars of reviews from meta features, text and both: classical models, CNN, HAN, BERT"
    }

    fn reads_data(&self) -> bool {
        true
    }

    fn minutes(&self) -> f64 {
        40.0
    }

    fn run(
        &self,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        self.at_size(&Settings::of(options), options, progress)
    }
}

impl Yelp {
    fn at_size(
        self,
        settings: &Settings,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        let seeds = options.seeds_or(settings.seeds)?;
        let study = study::run(settings, options, seeds, progress)?;
        Ok(Reproduction::new(
            self.name(),
            options,
            "Stars of reviews from text and meta features",
            "Guda, Srivastava and Karkhanis 2022, arXiv:2201.07999, table 1 and figure 7b",
            page::design(options, seeds),
        )
        .claims(claims::claims(&study))
        .numbers(page::numbers(&study))
        .section(page::about(settings, options, &study))
        .section(page::grid(&study))
        .section(page::balance(&study)))
    }
}

#[cfg(test)]
mod tests {
    use super::settings::{Encoder, Schedule};
    use super::*;
    use crate::{Silent, SmallBert};

    fn tiny() -> Settings {
        let short = Schedule { epochs: 1.0, learning_rate: 1e-3 };
        Settings {
            seeds: 2,
            reviews: 160,
            limit: 100,
            terms: 20,
            length: 12,
            encoder: Encoder::Small(SmallBert {
                width: 8,
                inner: 8,
                layers: 1,
                heads: 2,
                context: 12,
                words: 50,
            }),
            bert: short,
            cnn: short,
            han: short,
            word_width: 4,
            filters: 4,
            hidden_width: 3,
            joint_width: 4,
        }
    }

    #[test]
    fn a_tiny_table_is_measured_whole_and_repeats() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { seeds: Some(2), ..Options::new(dir.path()) };
        let settings = tiny();
        let outcome = Yelp.at_size(&settings, &options, &mut Silent).unwrap();
        assert_eq!(outcome.all_claims().len(), 5);
        let numbers = &outcome.to_json()["numbers"];
        let cells = numbers["cells"].as_array().unwrap();
        assert_eq!(cells.len(), 6 * 3 + 6 * 2);
        for cell in cells {
            for label in ["binary", "stars"] {
                let found = cell[label].as_array().unwrap();
                assert!(found.len() == 2 && found.iter().all(|v| v.as_f64().is_some()), "{cell}");
            }
        }
        let test = numbers["rows"][2].as_u64().unwrap();
        let bins = numbers["by_training_count"].as_array().unwrap();
        let rows: u64 = bins.iter().map(|bin| bin["rows"].as_u64().unwrap()).sum();
        assert!(rows >= 2 * test - 2 && rows <= 2 * test + 2, "both seeds: {rows}, {test}");
        assert!(outcome.to_report().to_html().contains("BERT-MT-Joint"));

        // The user's own data, here the made-up files of the first seed.
        let own = tempfile::tempdir().unwrap();
        let data = Some(dir.path().join("seed0/data"));
        let options = Options { data, ..Options { seeds: Some(2), ..Options::new(own.path()) } };
        let again = Yelp.at_size(&settings, &options, &mut Silent).unwrap();
        assert_eq!(again.to_json()["numbers"]["rows"].as_array().unwrap().len(), 3);
        let missing = Options { data: Some(own.path().join("none")), ..options };
        let error = Yelp.at_size(&settings, &missing, &mut Silent).unwrap_err().to_string();
        assert!(error.contains("none"), "{error}");

        let options = Options { seeds: Some(2), ..Options::new(dir.path()) };
        let repeated = Yelp.at_size(&settings, &options, &mut Silent).unwrap();
        assert_eq!(outcome.to_json(), repeated.to_json());
    }
}
