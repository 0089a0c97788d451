//! Synthetic reviews in the exact schema of the Yelp Open Dataset, with known effects.
//!
//! The stars follow `3.55 + restaurant + author + noise`: the restaurant's term depends on its
//! categories and its price, the author's on elite status and the age of the account. Votes depend on
//! the stars. A text comments on single aspects, favourably or not depending on the stars; in some
//! sentences this lies in the order of the words or in a negation ("I expected it to be bland, but it
//! was superb" has the words of its opposite), so that word counts are not enough. The files have the
//! unusual values of the published ones: votes of -1, null categories, Python literals as attributes,
//! `20,20` as an elite year.

mod schema;
mod text;
mod world;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use bestof_tasks::rng::SeededRng;
use serde::Serialize;

use crate::error::SentimentError;
use world::World;

/// How much is generated.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GenerateOptions {
    /// Number of reviews, about one in eight of them of businesses other than restaurants.
    pub reviews: u64,
    /// Number of businesses. Default: one per 30 reviews, 12 to 150,000.
    pub businesses: u32,
    /// Number of authors. Default: one per 12 reviews, 20 to 2,000,000.
    pub users: u32,
    /// Seed; equal seeds give equal files. Default 0.
    pub seed: u64,
    /// Share of the sentences whose polarity lies in the order of words or in a negation, 0 to 1.
    /// Default 0.4.
    pub word_order: f64,
}

impl GenerateOptions {
    /// The defaults for this many reviews.
    pub fn new(reviews: u64) -> Self {
        Self {
            reviews,
            businesses: (reviews / 30).clamp(12, 150_000) as u32,
            users: (reviews / 12).clamp(20, 2_000_000) as u32,
            seed: 0,
            word_order: 0.4,
        }
    }
}

/// The generated files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GeneratedFiles {
    /// Paths of the files of businesses, reviews and users.
    pub files: [PathBuf; 3],
    /// Number of reviews of one to five stars.
    pub stars: [u64; 5],
    /// Number of reviews of restaurants.
    pub of_restaurants: u64,
}

/// Writes the three files into `folder`; `progress` is called with the number of reviews written.
///
/// Reviews are streamed; businesses and authors are held in memory.
///
/// # Errors
/// [`SentimentError::NothingToGenerate`], or a file that cannot be written.
pub fn generate(
    options: &GenerateOptions,
    folder: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<GeneratedFiles, SentimentError> {
    if options.businesses == 0 || options.users == 0 || !(0.0..=1.0).contains(&options.word_order) {
        return Err(SentimentError::NothingToGenerate {
            businesses: options.businesses,
            users: options.users,
            word_order: options.word_order,
        });
    }
    std::fs::create_dir_all(folder).map_err(SentimentError::io("create", folder))?;
    let file = |kind: &str| folder.join(format!("yelp_academic_dataset_{kind}.json"));
    let files = [file("business"), file("review"), file("user")];
    let mut world = World::new(options.businesses, options.users, options.seed);
    let mut draw = SeededRng::new(options.seed, 2);
    let mut made = GeneratedFiles { files, stars: [0; 5], of_restaurants: 0 };

    let mut reviews = Lines::create(&made.files[1])?;
    for number in 0..options.reviews {
        let review = world.review(&mut draw, options.word_order);
        made.stars[usize::from(review.stars) - 1] += 1;
        made.of_restaurants += u64::from(review.of_restaurant);
        reviews.write(&review.line)?;
        if number % 4096 == 0 {
            progress(number);
        }
    }
    reviews.finish()?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn made(options: &GenerateOptions) -> ([Vec<Value>; 3], GeneratedFiles) {
        let folder = tempfile::tempdir().unwrap();
        let made = generate(options, folder.path(), &mut |_| {}).unwrap();
        (made.files.each_ref().map(|path| lines(path)), made)
    }

    #[test]
    fn files_have_the_schema_and_its_odd_values() {
        let ([businesses, reviews, users], made) = made(&GenerateOptions::new(6000));
        assert_eq!((reviews.len(), businesses.len(), users.len()), (6000, 200, 500));
        assert_eq!(made.stars.iter().sum::<u64>(), 6000);
        assert!(made.stars.iter().all(|&count| count > 200), "{:?}", made.stars);
        let names = |row: &Value| row.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let of = |names: &str| names.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(
            names(&reviews[0]),
            of("review_id user_id business_id stars useful funny cool text date")
        );
        let business = "business_id name address city state postal_code latitude longitude stars \
            review_count is_open attributes categories hours";
        assert_eq!(names(&businesses[0]), of(business));
        let user = "user_id name review_count yelping_since useful funny cool elite friends fans \
            average_stars compliment_hot compliment_more compliment_profile compliment_cute \
            compliment_list compliment_note compliment_plain compliment_cool compliment_funny \
            compliment_writer compliment_photos";
        assert_eq!(names(&users[0]), of(user));
        assert!(reviews.iter().any(|row| row["useful"] == -1));
        assert!(businesses.iter().any(|row| row["categories"].is_null()));
        assert!(businesses.iter().any(|row| row["attributes"].is_null()));
        assert!(users.iter().any(|row| row["elite"].as_str().unwrap().contains("20,20")));
        assert!(users.iter().any(|row| row["friends"] == "None"));
        assert_eq!(reviews[0]["review_id"].as_str().unwrap().len(), 22);
        let ids: BTreeSet<&str> =
            reviews.iter().map(|row| row["review_id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 6000);
    }

    #[test]
    fn counts_and_means_are_those_of_the_reviews() {
        let ([businesses, reviews, users], _) = made(&GenerateOptions::new(900));
        for (rows, key, mean, step) in
            [(businesses, "business_id", "stars", 2.0), (users, "user_id", "average_stars", 100.0)]
        {
            for row in rows {
                let stars: Vec<f64> = reviews
                    .iter()
                    .filter(|review| review[key] == row[key])
                    .map(|review| review["stars"].as_f64().unwrap())
                    .collect();
                assert_eq!(row["review_count"], stars.len());
                if !stars.is_empty() {
                    let expected = stars.iter().sum::<f64>() / stars.len() as f64;
                    let found = row[mean].as_f64().unwrap();
                    assert!((found - expected).abs() <= 0.5 / step + 1e-9, "{found} {expected}");
                }
            }
        }
    }

    #[test]
    fn the_seed_decides_everything() {
        let options = GenerateOptions { seed: 5, ..GenerateOptions::new(200) };
        assert_eq!(made(&options).0, made(&options).0);
        assert_ne!(made(&options).0, made(&GenerateOptions { seed: 6, ..options.clone() }).0);
    }

    #[test]
    fn effects_of_categories_and_elite_status_show_in_the_means() {
        let ([businesses, reviews, users], _) = made(&GenerateOptions::new(20_000));
        let mean_where = |key: &str, ids: &BTreeSet<&str>| {
            let stars: Vec<f64> = reviews
                .iter()
                .filter(|review| ids.contains(review[key].as_str().unwrap()))
                .map(|review| review["stars"].as_f64().unwrap())
                .collect();
            stars.iter().sum::<f64>() / stars.len() as f64
        };
        let of_category = |name: &str| -> BTreeSet<&str> {
            let has = |row: &&Value| row["categories"].as_str().is_some_and(|c| c.contains(name));
            businesses.iter().filter(has).map(|row| row["business_id"].as_str().unwrap()).collect()
        };
        assert!(
            mean_where("business_id", &of_category("Fast Food")) + 0.4
                < mean_where("business_id", &of_category("Thai"))
        );
        let elite = |elite: bool| -> BTreeSet<&str> {
            let is = |row: &&Value| (row["elite"] != "") == elite;
            users.iter().filter(is).map(|row| row["user_id"].as_str().unwrap()).collect()
        };
        assert!(mean_where("user_id", &elite(true)) > mean_where("user_id", &elite(false)) + 0.3);
    }

    #[test]
    fn nothing_to_generate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let options = GenerateOptions { users: 0, ..GenerateOptions::new(10) };
        let error = generate(&options, folder.path(), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("0 users"), "{error}");
    }
}
