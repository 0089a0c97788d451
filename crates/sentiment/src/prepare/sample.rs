//! The reviews that are kept, joined with their restaurants and authors.

use std::collections::{BTreeMap, HashMap, HashSet};

use bestof_tasks::rng::{SeededRng, stable_hash};

use super::options::PrepareOptions;
use crate::dataset::Part;
use crate::features::SplitRule;
use crate::review::{AuthorMetadata, BusinessMetadata, Review};
use crate::source::{Label, LeftOut, LineProblem, RawReview, Reason, UnreadDates};

/// A review that is kept, with indices into the lists of restaurants and authors.
#[derive(Debug, Clone)]
pub(super) struct KeptReview {
    pub(super) line: u64,
    pub(super) business: u32,
    pub(super) label: Label,
    /// Where a given split puts it, if there is one.
    pub(super) part: Option<Part>,
    pub(super) date: Option<i64>,
    /// Useful, funny and cool.
    pub(super) votes: [Option<i64>; 3],
    pub(super) user_id: Box<str>,
    pub(super) author: Option<u32>,
    pub(super) text: Box<str>,
}

/// A restaurant with kept reviews.
#[derive(Debug, Clone)]
pub(super) struct KeptRestaurant {
    pub(super) id: String,
    pub(super) metadata: BusinessMetadata,
}

/// Everything that was read and kept.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) rows: Vec<KeptReview>,
    pub(super) restaurants: Vec<KeptRestaurant>,
    pub(super) authors: Vec<AuthorMetadata>,
    /// Usable reviews, kept or not.
    pub(super) read: u64,
    /// Reviews of businesses other than restaurants, or in another city.
    pub(super) elsewhere: u64,
    /// Whether the authors were read.
    pub(super) authors_read: bool,
    /// Kept reviews whose author is not in the author file, and the first of their lines.
    pub(super) unknown_users: (u64, Vec<u64>),
    /// Votes below zero among the kept reviews.
    pub(super) negative_votes: u64,
    /// Usable reviews with a date that cannot be read.
    pub(super) unread_dates: UnreadDates,
    /// How the columns of a table were read.
    pub(super) notes: Vec<String>,
    /// Rows left out, by file.
    pub(super) left_out: BTreeMap<String, LeftOut>,
}

impl Collected {
    /// A kept review joined with its restaurant and its author.
    pub(super) fn review(&self, row: &KeptReview) -> Review {
        let restaurant = &self.restaurants[row.business as usize];
        let author = row.author.and_then(|author| self.authors.get(author as usize));
        Review {
            id: String::new(),
            business_id: restaurant.id.clone(),
            user_id: row.user_id.to_string(),
            text: row.text.to_string(),
            stars: row.label.stars(),
            date: row.date,
            useful: row.votes[0],
            funny: row.votes[1],
            cool: row.votes[2],
            business: restaurant.metadata.clone(),
            author: author.cloned().unwrap_or_default(),
        }
    }

    /// The class of all rows in words, if they have but one.
    pub(super) fn only_class(&self) -> Option<String> {
        let first = self.rows.first()?.label;
        let same = self.rows.iter().all(|row| row.label == first);
        same.then(|| match first {
            Label::Stars(stars) => format!("have {stars} stars"),
            Label::Positive(true) => "are positive".to_owned(),
            Label::Positive(false) => "are negative".to_owned(),
        })
    }

    /// The rows left out, in words; empty if there are none.
    pub(super) fn describe_left_out(&self) -> String {
        let files = self.left_out.iter().filter(|(_, rows)| !rows.is_empty());
        files.map(|(file, rows)| format!("{file}: {rows}")).collect::<Vec<_>>().join("\n")
    }
}

/// Keeps every review offered, or a uniform sample of them (reservoir sampling).
pub(super) struct ReviewSampler<'a> {
    options: &'a PrepareOptions,
    rows: Vec<KeptReview>,
    ids: HashSet<u64>,
    /// Index of each restaurant by its id.
    indices: HashMap<String, u32>,
    restaurants: Vec<KeptRestaurant>,
    draw: SeededRng,
    offered: u64,
    unread_dates: UnreadDates,
}

impl<'a> ReviewSampler<'a> {
    pub(super) fn new(options: &'a PrepareOptions) -> Self {
        Self {
            options,
            rows: Vec::new(),
            ids: HashSet::new(),
            indices: HashMap::new(),
            restaurants: Vec::new(),
            draw: SeededRng::new(options.seed, 1),
            offered: 0,
            unread_dates: UnreadDates::default(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Keeps the review or not.
    ///
    /// # Errors
    /// What makes the review unusable.
    pub(super) fn offer(
        &mut self,
        line: u64,
        row: RawReview,
        metadata: &BusinessMetadata,
    ) -> Result<(), LineProblem> {
        row.check_text(self.options.max_characters)?;
        let label = row.required_label()?;
        if row.date.is_none() && self.options.split == SplitRule::Time {
            return Err(match row.unread_date {
                Some(found) => LineProblem::new(
                    Reason::WrongType,
                    format!(
                        "field `date`: found {found:?}, expected YYYY-MM-DD; the split is by time"
                    ),
                ),
                None => LineProblem::new(
                    Reason::MissingField,
                    "field `date` is missing, and the split is by time",
                ),
            });
        }
        // A hash in place of the id: 8 bytes per row instead of a string.
        if !row.id.is_empty() && !self.ids.insert(stable_hash(&row.id)) {
            let message = format!("review {:?} appeared before", start_of(&row.id));
            return Err(LineProblem::new(Reason::Duplicate, message));
        }
        self.offered += 1;
        if let Some(found) = row.unread_date {
            self.unread_dates.push(line, found);
        }
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
        let business = if let Some(&business) = self.indices.get(&row.business_id) {
            business
        } else {
            let business = self.restaurants.len() as u32;
            self.indices.insert(row.business_id.clone(), business);
            self.restaurants
                .push(KeptRestaurant { id: row.business_id, metadata: metadata.clone() });
            business
        };
        let kept = KeptReview {
            line,
            business,
            label,
            part: Part::named(&row.part),
            date: row.date,
            votes: [row.useful, row.funny, row.cool],
            user_id: row.user_id.into(),
            author: None,
            text: row.text.into(),
        };
        match slot {
            Some(slot) => self.rows[slot] = kept,
            None => self.rows.push(kept),
        }
        Ok(())
    }

    /// The kept reviews in the order of the file, with restaurants in the order of their first review.
    pub(super) fn finish(mut self) -> Collected {
        self.rows.sort_by_key(|row| row.line);
        let mut indices: HashMap<u32, u32> = HashMap::new();
        let mut restaurants = Vec::new();
        for row in &mut self.rows {
            let next = restaurants.len() as u32;
            let index = *indices.entry(row.business).or_insert(next);
            if index == next {
                restaurants.push(self.restaurants[row.business as usize].clone());
            }
            row.business = index;
        }
        Collected {
            rows: self.rows,
            restaurants,
            read: self.offered,
            unread_dates: self.unread_dates,
            ..Collected::default()
        }
    }
}

/// The first 40 characters of an id, for messages.
pub(super) fn start_of(name: &str) -> String {
    name.chars().take(40).collect()
}

/// A kept review of three stars.
#[cfg(test)]
pub(super) fn kept(line: u64, business: u32, date: i64) -> KeptReview {
    let (user_id, text) = ("".into(), "text".into());
    let (date, votes, author) = (Some(date), [None; 3], None);
    KeptReview {
        line,
        business,
        label: Label::Stars(3),
        part: None,
        date,
        votes,
        user_id,
        author,
        text,
    }
}
