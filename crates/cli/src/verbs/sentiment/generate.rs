//! `sentiment generate`: synthetic reviews in the schema of the Yelp Open Dataset.

use std::path::PathBuf;

use anyhow::Result;
use bestof_sentiment::SentimentError;
use bestof_sentiment::generate::{GenerateOptions, generate};

use crate::bounds::{ITEMS, at_most};
use crate::console::{self, Usage};

/// Write synthetic reviews, businesses and users in the schema of the Yelp Open Dataset
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask sentiment generate --reviews 4000 --out data/made-up"
)]
pub(super) struct Generate {
    /// The folder to write the three files to
    #[arg(long)]
    out: PathBuf,
    /// Number of reviews; about one in eight is of a business other than a restaurant
    #[arg(long, value_parser = reviews, default_value_t = 4000)]
    reviews: u64,
    /// Number of businesses [default: one per thirty reviews]
    #[arg(long)]
    businesses: Option<u32>,
    /// Number of users [default: one per twelve reviews]
    #[arg(long)]
    users: Option<u32>,
    /// Equal seeds give equal files
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Share of the opinions whose polarity lies in the order of their words or in a negation
    #[arg(long, default_value_t = 0.25, allow_negative_numbers = true)]
    word_order: f64,
    /// Factor of what restaurant, author and votes have to do with the stars, 0 to 2
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    meta_effects: f64,
    /// Factor of what a text says of its author's opinion, 0 to 4
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    text_effect: f64,
    /// Print one JSON object about what was written
    #[arg(long)]
    json: bool,
}

fn reviews(text: &str) -> Result<u64, String> {
    at_most::<ITEMS>(text).map(|count| count as u64)
}

impl Generate {
    pub(super) fn run(self) -> Result<()> {
        let mut options = GenerateOptions::new(self.reviews);
        options.businesses = self.businesses.unwrap_or(options.businesses);
        options.users = self.users.unwrap_or(options.users);
        options.seed = self.seed;
        options.word_order = self.word_order;
        options.meta_effects = self.meta_effects;
        options.text_effect = self.text_effect;
        let bar = console::bar(self.reviews, "writing {wide_bar} {pos} of {len} reviews {eta}");
        let files = generate(&options, &self.out, &mut |done| bar.set_position(done));
        bar.finish_and_clear();
        let files =
            files.map_err(|error| match error {
                error @ (SentimentError::NothingToGenerate { .. }
                | SentimentError::Strength { .. }) => Usage(error.to_string()).into(),
                other => anyhow::Error::from(other),
            })?;
        if self.json {
            return console::json(&files);
        }
        console::line(&format!(
            "{}: {} reviews, {} of them of restaurants; one to five stars: {:?}",
            self.out.display(),
            self.reviews,
            files.of_restaurants,
            files.stars
        ))?;
        console::line("\nreviews of restaurants beside published counts of real ones:")?;
        console::line(&format!("{:<54} {:>9} {:>9}", "", "published", "made up"))?;
        for one in &files.likeness {
            let made_up = one.made_up.map_or_else(|| "-".to_owned(), |found| format!("{found:.2}"));
            console::line(&format!("{:<54} {:>9.2} {made_up:>9}", one.figure, one.published))?;
        }
        Ok(())
    }
}
