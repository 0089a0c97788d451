//! Synthetic reviews in the exact schema of the Yelp Open Dataset, with known effects.
//!
//! The stars follow an opinion, which is the sum of the restaurant's, the author's and the occasion's part: the
//! restaurant's depends on its categories and its price, the author's on elite status and the age of the account. Votes
//! lean by the opinion. A text comments on single aspects, favourably or not depending on the opinion; in some clauses
//! this lies in the order of the words or in a negation ("I expected it to be bland, but it was superb" has the words
//! of its opposite), others have no word of a lexicon, and others praise or blame what is beside the point, so that
//! word counts are not enough.
//!
//! Shares of stars, lengths, words with a sentiment, negations and votes are those of published counts (`targets`);
//! [`GeneratedFiles::likeness`] holds them against what was made. The files have the unusual values of the
//! published ones: votes of -1, null categories, Python literals as attributes, `20,20` as an elite year.

mod actors;
mod dates;
mod draws;
mod likeness;
mod neutral;
mod options;
mod rows;
mod schema;
mod targets;
#[cfg(test)]
mod tests;
mod text;
mod votes;
mod words;
mod world;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use bestof_tasks::rng::SeededRng;
use serde::Serialize;

use crate::error::SentimentError;
use likeness::Counts;
pub use likeness::Likeness;
pub use options::GenerateOptions;
use world::World;

/// The generated files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GeneratedFiles {
    /// Paths of the files of businesses, reviews and users.
    pub files: [PathBuf; 3],
    /// Number of reviews of one to five stars.
    pub stars: [u64; 5],
    /// Number of reviews of restaurants.
    pub of_restaurants: u64,
    /// The reviews of restaurants beside published counts.
    pub likeness: Vec<Likeness>,
}

/// Writes the three files into `folder`; `progress` is called with the number of reviews written.
///
/// Reviews are streamed; businesses and authors are held in memory.
///
/// # Errors
/// [`SentimentError::NothingToGenerate`], [`SentimentError::Strength`], or a file that cannot be written.
pub fn generate(
    options: &GenerateOptions,
    folder: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<GeneratedFiles, SentimentError> {
    options.check()?;
    std::fs::create_dir_all(folder).map_err(SentimentError::io("create", folder))?;
    let file = |kind: &str| folder.join(format!("yelp_academic_dataset_{kind}.json"));
    let files = [file("business"), file("review"), file("user")];
    let mut world = World::new(options);
    let mut draw = SeededRng::new(options.seed, 2);
    let mut made = GeneratedFiles { files, stars: [0; 5], of_restaurants: 0, likeness: Vec::new() };
    let mut counts = Counts::new();

    let mut reviews = Lines::create(&made.files[1])?;
    for number in 0..options.reviews {
        let review = world.review(&mut draw);
        made.stars[usize::from(review.stars) - 1] += 1;
        if review.of_restaurant {
            made.of_restaurants += 1;
            let line = &review.line;
            counts.add(review.stars, [line.useful, line.funny, line.cool], &line.text);
        }
        reviews.write(&review.line)?;
        if number % 4096 == 0 {
            progress(number);
        }
    }
    reviews.finish()?;
    made.likeness = counts.figures();
    progress(options.reviews);

    let mut businesses = Lines::create(&made.files[0])?;
    for business in world.businesses() {
        businesses.write(&business)?;
    }
    businesses.finish()?;
    let mut users = Lines::create(&made.files[2])?;
    for user in world.users() {
        users.write(&user)?;
    }
    users.finish()?;
    Ok(made)
}

/// Writes JSON lines into a file.
struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Lines {
    fn create(path: &Path) -> Result<Self, SentimentError> {
        let file = File::create(path).map_err(SentimentError::io("create", path))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::with_capacity(1 << 18, file) })
    }

    fn write(&mut self, row: &impl Serialize) -> Result<(), SentimentError> {
        serde_json::to_writer(&mut self.file, row)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(SentimentError::io("write", &self.path))
    }

    fn finish(mut self) -> Result<(), SentimentError> {
        self.file.flush().map_err(SentimentError::io("write", &self.path))
    }
}
