//! Reads the files of the data set and joins their rows.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::options::{PrepareOptions, ReviewSource};
use super::progress::StageTimer;
use super::sample::{Collected, ReviewSampler, start_of};
use crate::dataset::Part;
use crate::error::SentimentError;
use crate::features::{Feature, SplitRule};
use crate::review::BusinessMetadata;
use crate::source::{
    BusinessLine, FromLine, JsonRows, LeftOut, LineProblem, Opened, PART, Reason, ReviewLine,
    TableRows, UserLine,
};

/// The category that makes a business a restaurant.
const RESTAURANT: &str = "restaurants";

/// Most file names and most lines of unknown authors that are listed.
const LISTED: usize = 20;

/// Reads the source and joins its rows.
pub(super) fn collect(
    options: &PrepareOptions,
    timer: &mut StageTimer<'_>,
) -> Result<Collected, SentimentError> {
    let mut collected = match &options.source {
        ReviewSource::Folder(_) if options.split == SplitRule::Part => {
            return Err(SentimentError::PartsOfAFolder);
        }
        ReviewSource::Folder(folder) => from_folder(options, folder, timer)?,
        ReviewSource::Csv(path) => from_csv(options, path, timer)?,
    };
    let votes = collected.rows.iter().flat_map(|row| row.votes);
    collected.negative_votes =
        votes.filter(|votes| votes.is_some_and(|count| count < 0)).count() as u64;
    Ok(collected)
}

fn from_folder(
    options: &PrepareOptions,
    folder: &Path,
    timer: &mut StageTimer<'_>,
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
    let known = read_businesses(options, &businesses, timer, &mut left_out)?;
    let mut sampler = ReviewSampler::new(options);
    let mut problems = LeftOut::default();
    let mut elsewhere = 0;
    each_line::<ReviewLine>(&reviews, "reviews", timer, |line, row| {
        let row = match row {
            Ok(ReviewLine(row)) => row,
            Err(problem) => {
                problems.push_problem(line, &problem);
                return sampler.len();
            }
        };
        match known.get(row.business_id.as_str()) {
            None if row.business_id.is_empty() => {
                problems.push(line, Reason::MissingField, "field `business_id` is missing");
            }
            None => {
                let message = format!(
                    "business {:?} is not in the business file",
                    start_of(&row.business_id)
                );
                problems.push(line, Reason::UnknownBusiness, message);
            }
            Some(None) => elsewhere += 1,
            Some(Some(metadata)) => {
                if let Err(problem) = sampler.offer(line, row, metadata) {
                    problems.push_problem(line, &problem);
                }
            }
        }
        sampler.len()
    })?;
    left_out.insert(name_of(&reviews), problems);
    let mut collected = sampler.finish();
    (collected.elsewhere, collected.left_out) = (elsewhere, left_out);
    if let Some(users) = users {
        read_users(&users, &mut collected, timer)?;
    }
    Ok(collected)
}

/// The id of every business, with its metadata if its reviews are used.
fn read_businesses(
    options: &PrepareOptions,
    path: &Path,
    timer: &mut StageTimer<'_>,
    left_out: &mut BTreeMap<String, LeftOut>,
) -> Result<HashMap<String, Option<BusinessMetadata>>, SentimentError> {
    let city = options.city.as_ref().map(|city| city.trim().to_lowercase());
    let mut known = HashMap::new();
    let mut problems = LeftOut::default();
    each_line::<BusinessLine>(path, "businesses", timer, |line, row| {
        match row {
            Err(problem) => problems.push_problem(line, &problem),
            Ok(row) if known.contains_key(&row.id) => {
                problems.push(
                    line,
                    Reason::Duplicate,
                    format!("business {:?} appeared before", start_of(&row.id)),
                );
            }
            Ok(row) => {
                let here = city.as_ref().is_none_or(|city| row.city.trim().to_lowercase() == *city);
                let used = here && row.metadata.categories.iter().any(|name| name == RESTAURANT);
                known.insert(row.id, used.then_some(row.metadata));
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
    timer: &mut StageTimer<'_>,
) -> Result<(), SentimentError> {
    // The index of each author of a kept review, once found.
    let mut indices: HashMap<Box<str>, Option<u32>> = HashMap::new();
    for row in &collected.rows {
        indices.entry(row.user_id.clone()).or_default();
    }
    let mut problems = LeftOut::default();
    let authors = &mut collected.authors;
    let kept = collected.rows.len() as u64;
    each_line::<UserLine>(path, "users", timer, |line, row| {
        match row {
            Err(problem) => problems.push_problem(line, &problem),
            Ok(row) => match indices.get_mut(row.id.as_str()) {
                Some(Some(_)) => {
                    problems.push(
                        line,
                        Reason::Duplicate,
                        format!("user {:?} appeared before", start_of(&row.id)),
                    );
                }
                Some(index) => {
                    *index = Some(authors.len() as u32);
                    authors.push(row.author);
                }
                None => {}
            },
        }
        kept
    })?;
    for row in &mut collected.rows {
        row.author = indices.get(&row.user_id).copied().flatten();
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
    timer: &mut StageTimer<'_>,
) -> Result<Collected, SentimentError> {
    let mut rows = TableRows::open(path, true)?;
    if options.city.is_some() {
        rows.columns().require("city", path)?;
    }
    let given = options.split == SplitRule::Part;
    if given {
        rows.columns().require(PART, path)?;
    }
    let city = options.city.as_ref().map(|city| city.trim().to_lowercase());
    let (position, mut notes) = (rows.position(), rows.columns().notes());
    if !given && rows.columns().require(PART, path).is_ok() {
        notes.push(format!("column `{PART}` is not used; `--split part` splits by it"));
    }
    timer.stage("reviews", length_of(path));
    let mut elsewhere = 0;
    let mut sampler = ReviewSampler::new(options);
    let mut problems = LeftOut::default();
    for (line, row) in rows.by_ref() {
        if let Ok(row) = &row
            && given
            && Part::named(&row.part).is_none()
        {
            let (path, found) = (path.to_owned(), start_of(&row.part));
            return Err(SentimentError::UnknownPart { path, line, found });
        }
        let offered = row.and_then(|row| {
            if city.as_ref().is_some_and(|city| row.city.trim().to_lowercase() != *city) {
                elsewhere += 1;
                return Ok(());
            }
            let metadata = row.metadata.clone();
            sampler.offer(line, row, &metadata)
        });
        if let Err(problem) = offered {
            problems.push_problem(line, &problem);
        }
        timer.update(position.get(), sampler.len());
    }
    if let Some(source) = rows.io_error() {
        return Err(SentimentError::io("read", path)(source));
    }
    let mut collected = sampler.finish();
    (collected.elsewhere, collected.notes) = (elsewhere, notes);
    collected.left_out.insert(name_of(path), problems);
    Ok(collected)
}

/// Calls `each` with every row of a JSON lines file; it returns the number of rows kept so far.
fn each_line<R: FromLine>(
    path: &Path,
    stage: &'static str,
    timer: &mut StageTimer<'_>,
    mut each: impl FnMut(u64, Result<R, LineProblem>) -> u64,
) -> Result<(), SentimentError> {
    let opened = Opened::open(path)?;
    let position = opened.position();
    timer.stage(stage, length_of(path));
    let mut rows = JsonRows::<R>::new(opened);
    for (line, row) in rows.by_ref() {
        let kept = each(line, row);
        timer.update(position.get(), kept);
    }
    match rows.io_error() {
        Some(source) => Err(SentimentError::io("read", path)(source)),
        None => Ok(()),
    }
}

/// The file of the data set of one kind, by its published name or a short one.
fn file_of(folder: &Path, kind: &str) -> Result<PathBuf, SentimentError> {
    let long = format!("yelp_academic_dataset_{kind}.json");
    for name in [long.as_str(), &format!("{kind}.json")] {
        let path = folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
    }
    bestof_files::expect_folder(folder).map_err(SentimentError::io("open", folder))?;
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
