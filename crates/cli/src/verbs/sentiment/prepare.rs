//! `sentiment prepare`: from the data set's files to a prepared folder.

use std::path::PathBuf;

use anyhow::{Result, bail};
use bestof_sentiment::SentimentError;
use bestof_sentiment::features::{Feature, SplitRule};
use bestof_sentiment::prepare::{
    PreparationSummary, PrepareOptions, PrepareProgress, ReviewSource, prepare,
};
use indicatif::{HumanDuration, ProgressBar};

use crate::bounds::{TOKENS, at_most};
use crate::console::{self, Usage};

/// Read reviews, join them with their restaurants and authors, and split them into three parts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask sentiment prepare --data yelp_dataset --limit 40000 --out data/prepared\n  \
    cargo xtask sentiment prepare --csv yelp.csv --split time --out data/prepared\n  \
    cargo xtask sentiment prepare --csv folds.csv --split part --out data/prepared\n\n\
    The Yelp Open Dataset is licensed to you for academic use by Yelp: keep the prepared rows and\n\
    models trained on them to yourself, and publish figures only."
)]
pub(super) struct Prepare {
    /// The folder of the unpacked Yelp Open Dataset, or of `sentiment generate`
    #[arg(long, required_unless_present = "csv", conflicts_with = "csv")]
    data: Option<PathBuf>,
    /// A CSV or Parquet file with the columns `text` and `stars` (1 to 5) or `label` (0 to 4, or 0 and 1 for
    /// two classes without stars) at least
    #[arg(long)]
    csv: Option<PathBuf>,
    /// The folder to write
    #[arg(long)]
    out: PathBuf,
    /// Inputs beside the text, separated by commas: useful, funny, cool, date, categories,
    /// latitude, longitude, price, `account_age`, `elite_years`, fans
    #[arg(long, value_delimiter = ',', default_value = "useful,funny,cool,date,categories")]
    features: Vec<String>,
    /// Split by reviews (70 : 15 : 15, the paper's rule), by whole restaurants, by time, or as a column
    /// `part` of the table says: train, validation or test
    #[arg(long, value_enum, default_value_t = Split::Review)]
    split: Split,
    /// Seed of the split and of the sample
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Keep a uniform sample of this many reviews
    #[arg(long, value_parser = at_most::<TOKENS>)]
    limit: Option<usize>,
    /// Keep the restaurants of one city
    #[arg(long)]
    city: Option<String>,
    /// Leave out longer reviews
    #[arg(long, value_parser = at_most::<TOKENS>, default_value_t = 20_000)]
    max_characters: usize,
    /// Least number of training rows of a category that becomes a column
    #[arg(long, default_value_t = 5)]
    min_category_rows: u64,
    /// Most categories that become columns
    #[arg(long, value_parser = at_most::<65_536>, default_value_t = 512)]
    max_categories: usize,
    /// Do not read the file of users, which is the largest after the reviews
    #[arg(long)]
    skip_users: bool,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Split {
    Review,
    Restaurant,
    Time,
    Part,
}

impl Prepare {
    pub(super) fn run(self) -> Result<()> {
        let source = match (&self.data, &self.csv) {
            (Some(folder), _) => ReviewSource::Folder(folder.clone()),
            (None, Some(path)) => ReviewSource::Csv(path.clone()),
            (None, None) => bail!(Usage("name the reviews with --data or --csv".to_owned())),
        };
        let features = self.features.iter().filter(|name| !name.trim().is_empty());
        let features = features
            .map(|name| Feature::parse(name.trim()).map_err(|error| Usage(error.to_string())))
            .collect::<Result<Vec<_>, Usage>>()?;
        let mut options = PrepareOptions::new(source);
        options.features = features;
        options.split = match self.split {
            Split::Review => SplitRule::Review,
            Split::Restaurant => SplitRule::Restaurant,
            Split::Time => SplitRule::Time,
            Split::Part => SplitRule::Part,
        };
        options.seed = self.seed;
        options.limit = self.limit;
        options.city.clone_from(&self.city);
        options.max_characters = self.max_characters;
        options.min_category_rows = self.min_category_rows;
        options.max_categories = self.max_categories;
        options.skip_users = self.skip_users;
        let mut stages = Stages::default();
        let summary = prepare(&options, &self.out, &mut |progress| stages.show(progress));
        stages.clear();
        let summary = summary.map_err(|error| match error {
            error @ SentimentError::PartsOfAFolder => Usage(error.to_string()).into(),
            other => anyhow::Error::from(other),
        })?;
        for (file, left_out) in summary.files_with_gaps() {
            console::note(&format!("{file}: {left_out}"));
        }
        for note in &summary.notes {
            console::note(note);
        }
        if let Some(unknown) = summary.unknown_users.filter(|unknown| *unknown > 0) {
            let lines = summary.unknown_user_lines.iter().map(u64::to_string);
            console::note(&format!(
                "{unknown} reviews kept whose author is not in the user file, at lines {}{}",
                lines.collect::<Vec<_>>().join(", "),
                if unknown > summary.unknown_user_lines.len() as u64 { ", ..." } else { "" }
            ));
        }
        if self.json { console::json(&summary) } else { self.print(&summary) }
    }

    fn print(&self, summary: &PreparationSummary) -> Result<()> {
        console::line(&format!(
            "{}: {} reviews of {} restaurants, {} columns",
            self.out.display(),
            summary.kept,
            summary.restaurants,
            summary.width
        ))?;
        for name in ["train", "validation", "test"] {
            if let Some(part) = summary.parts.get(name) {
                let (stars, of_five) = match part.majority_stars {
                    None => (format!("{} of them positive", part.positive), String::new()),
                    Some(most) => (
                        format!("stars {:?}", part.stars),
                        format!(", {:.1} % of five", most * 100.0),
                    ),
                };
                console::line(&format!(
                    "  {name:<10} {:>8} rows, {stars}, majority {:.1} % of two labels{of_five}",
                    part.rows,
                    part.majority_positive * 100.0
                ))?;
            }
        }
        console::note(&format!("see {}", self.out.join("summary.html").display()));
        Ok(())
    }
}

/// A bar for the current stage.
#[derive(Debug, Default)]
struct Stages(Option<(&'static str, ProgressBar)>);

impl Stages {
    fn show(&mut self, progress: &PrepareProgress) {
        if self.0.as_ref().is_none_or(|(stage, _)| *stage != progress.stage) {
            self.clear();
            let count = if progress.stage == "writing" {
                "{pos} of {len}"
            } else {
                "{bytes} of {total_bytes}"
            };
            let template = format!("{} {{wide_bar}} {count} {{msg}}", progress.stage);
            self.0 = Some((progress.stage, console::bar(progress.total, &template)));
        }
        if let Some((_, bar)) = &self.0 {
            bar.set_position(progress.done);
            let left = progress.time_left.map(|left| format!(", {} left", HumanDuration(left)));
            bar.set_message(format!("{} kept{}", progress.kept, left.unwrap_or_default()));
        }
    }

    fn clear(&mut self) {
        if let Some((_, bar)) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
