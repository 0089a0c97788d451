//! `sentiment generate`: made-up reviews in the schema of the Yelp Open Dataset.

use std::path::PathBuf;

use anyhow::Result;
use bestof_sentiment::SentimentError;
use bestof_sentiment::generate::{GenerateOptions, generate};

use crate::console::{self, Usage};

/// Write made-up reviews, businesses and users in the schema of the Yelp Open Dataset
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask sentiment generate --reviews 4000 --out data/made-up"
)]
pub(super) struct Generate {
    /// The folder to write the three files to
    #[arg(long)]
    out: PathBuf,
    /// Reviews; about one in eight is of a business that is no restaurant
    #[arg(long, default_value_t = 4000)]
    reviews: u64,
    /// Businesses; one for thirty reviews unless given
    #[arg(long)]
    businesses: Option<u32>,
    /// Users; one for twelve reviews unless given
    #[arg(long)]
    users: Option<u32>,
    /// Equal seeds give equal files
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Share of the sentences that say what they mean by the order of their words or a negation
    #[arg(long, default_value_t = 0.4, allow_negative_numbers = true)]
    word_order: f64,
    /// Print one JSON object about what was written
    #[arg(long)]
    json: bool,
}

impl Generate {
    pub(super) fn run(self) -> Result<()> {
        let usual = GenerateOptions::new(self.reviews);
        let options = GenerateOptions {
            businesses: self.businesses.unwrap_or(usual.businesses),
            users: self.users.unwrap_or(usual.users),
            seed: self.seed,
            word_order: self.word_order,
            ..usual
        };
        let bar = console::bar(self.reviews, "writing {wide_bar} {pos} of {len} reviews {eta}");
        let made = generate(&options, &self.out, &mut |done| bar.set_position(done));
        bar.finish_and_clear();
        let made = made.map_err(|error| match error {
            error @ SentimentError::NothingToGenerate { .. } => Usage(error.to_string()).into(),
            other => anyhow::Error::from(other),
        })?;
        if self.json {
            return console::json(&made);
        }
        console::line(&format!(
            "{}: {} reviews, {} of them of restaurants; one to five stars: {:?}",
            self.out.display(),
            self.reviews,
            made.of_restaurants,
            made.stars
        ))
    }
}
