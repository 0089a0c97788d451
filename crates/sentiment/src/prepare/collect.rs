//! Reads the files and keeps what will be written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use bestof_tasks::rng::{SeededRng, stable_hash};

use super::progress::Clock;
use super::{PrepareOptions, Source};
use crate::error::SentimentError;
use crate::features::{Feature, SplitRule};
use crate::review::{Author, Place, Review};
use crate::source::{
    BusinessLine, CsvRows, FromLine, JsonRows, LeftOut, Opened, Problem, RawRow, Reason,
    ReviewLine, UserLine,
};

/// The category that makes a business a restaurant.
const RESTAURANT: &str = "restaurants";

/// Lines of unknown authors that are listed.
const LISTED: usize = 20;

/// A review that is kept.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) line: u64,
    pub(super) business: u32,
    pub(super) stars: u8,
    pub(super) date: Option<i64>,
    votes: [Option<i64>; 3],
    user: Box<str>,
    author: Option<u32>,
    pub(super) text: Box<str>,
}

/// A restaurant with kept reviews.
#[derive(Debug, Clone)]
pub(super) struct Venue {
    pub(super) id: String,
    pub(super) place: Place,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) rows: Vec<Kept>,
    pub(super) restaurants: Vec<Venue>,
    authors: Vec<Author>,
    /// Reviews read, whether used or not.
    pub(super) read: u64,
    /// Reviews of businesses that are no restaurants, or not of the city.
    pub(super) elsewhere: u64,
    /// Whether the authors were read.
    pub(super) authors_read: bool,
    /// Kept reviews whose author is not in the author file, and the first of their lines.
    pub(super) unknown_users: (u64, Vec<u64>),
    /// Votes below zero among the kept reviews.
    pub(super) negative_votes: u64,
    /// What was left out, by file.
    pub(super) left_out: BTreeMap<String, LeftOut>,
}

impl Collected {
    /// The review of a kept row, joined.
    pub(super) fn review(&self, row: &Kept) -> Review {
        let venue = &self.restaurants[row.business as usize];
        let author = row.author.and_then(|author| self.authors.get(author as usize));
        Review {
            id: String::new(),
            business: venue.id.clone(),
            user: row.user.to_string(),
            text: row.text.to_string(),
            stars: row.stars,
            date: row.date,
            useful: row.votes[0],
            funny: row.votes[1],
            cool: row.votes[2],
            place: venue.place.clone(),
            author: author.cloned().unwrap_or_default(),
        }
    }

    pub(super) fn left_out_in_words(&self) -> String {
        let told = self.left_out.iter().filter(|(_, rows)| !rows.is_empty());
        told.map(|(file, rows)| format!("{file}: {rows}")).collect::<Vec<_>>().join("\n")
    }
}

pub(super) fn collect(
    options: &PrepareOptions,
    clock: &mut Clock<'_>,
) -> Result<Collected, SentimentError> {
    let mut collected = match &options.source {
        Source::Folder(folder) => from_folder(options, folder, clock)?,
        Source::Csv(path) => from_csv(options, path, clock)?,
    };
    let votes = collected.rows.iter().flat_map(|row| row.votes);
    collected.negative_votes =
        votes.filter(|votes| votes.is_some_and(|count| count < 0)).count() as u64;
    Ok(collected)
}

fn from_folder(
    options: &PrepareOptions,
    folder: &Path,
    clock: &mut Clock<'_>,
) -> Result<Collected, SentimentError> {
    let author_features = [Feature::AccountAge, Feature::EliteYears, Feature::Fans];
    let needs_authors = options.features.iter().any(|feature| author_features.contains(feature));
    let businesses = file_of(folder, "business")?;
    let reviews = file_of(folder, "review")?;
    let users = match file_of(folder, "user") {
        Ok(_) if options.skip_users && !needs_authors => None,
        Ok(path) => Some(path),
        Err(error) if needs_authors => return Err(error),
        Err(_) if options.skip_users => None,
        Err(error) => return Err(error),
    };

    let mut left_out = BTreeMap::new();
    let known = read_businesses(options, &businesses, clock, &mut left_out)?;
    let mut keeper = Keeper::new(options);
    let mut problems = LeftOut::default();
    let mut elsewhere = 0;
    each_line::<ReviewLine>(&reviews, "reviews", clock, |line, row| {
        let row = match row {
            Ok(ReviewLine(row)) => row,
            Err(problem) => {
                problems.push_problem(line, &problem);
                return keeper.len();
            }
        };
        match known.get(row.business.as_str()) {
            None if row.business.is_empty() => {
                problems.push(line, Reason::MissingField, "field `business_id` is missing");
            }
            None => {
                let message =
                    format!("business {:?} is not in the business file", short(&row.business));
                problems.push(line, Reason::UnknownBusiness, message);
            }
            Some(None) => elsewhere += 1,
            Some(Some(place)) => {
                if let Err(problem) = keeper.offer(line, row, place) {
                    problems.push_problem(line, &problem);
                }
            }
        }
        keeper.len()
    })?;
    left_out.insert(name_of(&reviews), problems);
    let mut collected = keeper.finish();
    (collected.elsewhere, collected.left_out) = (elsewhere, left_out);
    if let Some(users) = users {
        read_users(&users, &mut collected, clock)?;
    }
    Ok(collected)
}

/// Every business of the file: its facts if it is one whose reviews are wanted.
fn read_businesses(
    options: &PrepareOptions,
    path: &Path,
    clock: &mut Clock<'_>,
    left_out: &mut BTreeMap<String, LeftOut>,
) -> Result<HashMap<String, Option<Place>>, SentimentError> {
    let city = options.city.as_ref().map(|city| city.trim().to_lowercase());
    let mut known = HashMap::new();
    let mut problems = LeftOut::default();
    each_line::<BusinessLine>(path, "businesses", clock, |line, row| {
        match row {
            Err(problem) => problems.push_problem(line, &problem),
            Ok(row) if known.contains_key(&row.id) => {
                problems.push(
                    line,
                    Reason::Duplicate,
                    format!("business {:?} came before", short(&row.id)),
                );
            }
            Ok(row) => {
                let here = city.as_ref().is_none_or(|city| row.city.trim().to_lowercase() == *city);
                let wanted = here && row.place.categories.iter().any(|name| name == RESTAURANT);
                known.insert(row.id, wanted.then_some(row.place));
            }
        }
        0
    })?;
    left_out.insert(name_of(path), problems);
    Ok(known)
}

fn read_users(
    path: &Path,
    collected: &mut Collected,
    clock: &mut Clock<'_>,
) -> Result<(), SentimentError> {
    let mut wanted: HashMap<Box<str>, Option<u32>> = HashMap::new();
    for row in &collected.rows {
        wanted.entry(row.user.clone()).or_default();
    }
    let mut problems = LeftOut::default();
    let authors = &mut collected.authors;
    let kept = collected.rows.len() as u64;
    each_line::<UserLine>(path, "users", clock, |line, row| {
        match row {
            Err(problem) => problems.push_problem(line, &problem),
            Ok(row) => match wanted.get_mut(row.id.as_str()) {
                Some(Some(_)) => {
                    problems.push(
                        line,
                        Reason::Duplicate,
                        format!("user {:?} came before", short(&row.id)),
                    );
                }
                Some(place) => {
                    *place = Some(authors.len() as u32);
                    authors.push(row.author);
                }
                None => {}
            },
        }
        kept
    })?;
    for row in &mut collected.rows {
        row.author = wanted.get(&row.user).copied().flatten();
        if row.author.is_none() {
            collected.unknown_users.0 += 1;
            if collected.unknown_users.1.len() < LISTED {
                collected.unknown_users.1.push(row.line);
            }
        }
    }
    collected.authors_read = true;
    collected.left_out.insert(name_of(path), problems);
    Ok(())
}

fn from_csv(
    options: &PrepareOptions,
    path: &Path,
    clock: &mut Clock<'_>,
) -> Result<Collected, SentimentError> {
    let opened = Opened::open(path)?;
    let place = opened.place();
    clock.stage("reviews", length_of(path));
    let mut rows = CsvRows::new(opened, path, &["text", "stars"])?;
    let mut keeper = Keeper::new(options);
    let mut problems = LeftOut::default();
    for (line, row) in rows.by_ref() {
        let offered = row.and_then(|row| {
            let facts = row.place.clone();
            keeper.offer(line, row, &facts)
        });
        if let Err(problem) = offered {
            problems.push_problem(line, &problem);
        }
        clock.at(place.get(), keeper.len());
    }
    if let Some(source) = rows.io_error() {
        return Err(SentimentError::io("read", path)(source));
    }
    let mut collected = keeper.finish();
    collected.left_out.insert(name_of(path), problems);
    Ok(collected)
}

/// Chooses what is kept: every offered row, or a uniform sample of them.
struct Keeper<'a> {
    options: &'a PrepareOptions,
    rows: Vec<Kept>,
    ids: HashSet<u64>,
    venues: HashMap<String, u32>,
    restaurants: Vec<Venue>,
    draw: SeededRng,
    offered: u64,
}

impl<'a> Keeper<'a> {
    fn new(options: &'a PrepareOptions) -> Self {
        Self {
            options,
            rows: Vec::new(),
            ids: HashSet::new(),
            venues: HashMap::new(),
            restaurants: Vec::new(),
            draw: SeededRng::new(options.seed, 1),
            offered: 0,
        }
    }

    fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    fn offer(&mut self, line: u64, row: RawRow, place: &Place) -> Result<(), Problem> {
        row.check_text(self.options.max_characters)?;
        let stars = row.labelled()?;
        if row.date.is_none() && self.options.split == SplitRule::Time {
            return Err(Problem::new(
                Reason::MissingField,
                "field `date` is missing, and the split is by time",
            ));
        }
        // The hash stands for the name: 8 bytes a row instead of a string.
        if !row.id.is_empty() && !self.ids.insert(stable_hash(&row.id)) {
            let message = format!("review {:?} came before", short(&row.id));
            return Err(Problem::new(Reason::Duplicate, message));
        }
        self.offered += 1;
        let slot = match self.options.limit {
            Some(limit) if self.rows.len() >= limit => {
                let slot = self.draw.index(self.offered as usize);
                if slot >= limit {
                    return Ok(());
                }
                Some(slot)
            }
            _ => None,
        };
        let business = if let Some(&business) = self.venues.get(&row.business) {
            business
        } else {
            let business = self.restaurants.len() as u32;
            self.venues.insert(row.business.clone(), business);
            self.restaurants.push(Venue { id: row.business, place: place.clone() });
            business
        };
        let kept = Kept {
            line,
            business,
            stars,
            date: row.date,
            votes: [row.useful, row.funny, row.cool],
            user: row.user.into(),
            author: None,
            text: row.text.into(),
        };
        match slot {
            Some(slot) => self.rows[slot] = kept,
            None => self.rows.push(kept),
        }
        Ok(())
    }

    /// The kept rows in the file's order, with restaurants numbered by their first row.
    fn finish(mut self) -> Collected {
        self.rows.sort_by_key(|row| row.line);
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        let mut restaurants = Vec::new();
        for row in &mut self.rows {
            let next = restaurants.len() as u32;
            let number = *numbers.entry(row.business).or_insert(next);
            if number == next {
                restaurants.push(self.restaurants[row.business as usize].clone());
            }
            row.business = number;
        }
        Collected { rows: self.rows, restaurants, read: self.offered, ..Collected::default() }
    }
}

/// Calls `each` with every line of a JSON lines file; it returns how many rows are kept.
fn each_line<R: FromLine>(
    path: &Path,
    stage: &'static str,
    clock: &mut Clock<'_>,
    mut each: impl FnMut(u64, Result<R, Problem>) -> u64,
) -> Result<(), SentimentError> {
    let opened = Opened::open(path)?;
    let place = opened.place();
    clock.stage(stage, length_of(path));
    let mut rows = JsonRows::<R>::new(opened);
    for (line, row) in rows.by_ref() {
        let kept = each(line, row);
        clock.at(place.get(), kept);
    }
    match rows.io_error() {
        Some(source) => Err(SentimentError::io("read", path)(source)),
        None => Ok(()),
    }
}

/// The data set's file of one kind, under its long name or a short one.
fn file_of(folder: &Path, kind: &str) -> Result<PathBuf, SentimentError> {
    let long = format!("yelp_academic_dataset_{kind}.json");
    for name in [long.as_str(), &format!("{kind}.json")] {
        let path = folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
    }
    let entries = std::fs::read_dir(folder).map_err(SentimentError::io("open", folder))?;
    let mut found: Vec<String> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    found.sort_unstable();
    found.truncate(LISTED);
    Err(SentimentError::MissingFile {
        path: folder.to_owned(),
        file: long,
        found: found.join(", "),
    })
}

fn length_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |about| about.len())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The start of a name from a file, for messages.
fn short(name: &str) -> String {
    name.chars().take(40).collect()
}

/// A kept row for tests of what comes after reading.
#[cfg(test)]
pub(super) fn kept(line: u64, business: u32, date: i64) -> Kept {
    let (user, text) = ("".into(), "text".into());
    Kept { line, business, stars: 3, date: Some(date), votes: [None; 3], user, author: None, text }
}
