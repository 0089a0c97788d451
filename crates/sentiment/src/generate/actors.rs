//! Businesses and authors: what they are, and which way they lean.

use bestof_tasks::rng::SeededRng;

use super::dates::DATES;
use super::draws::{id, normal, pick};
use super::words::STREETS;

/// Cuisines with their leanings. No published means by cuisine were found; of these only the ratios matter, as
/// all effects of businesses are brought to deviation 1.
pub(super) const CUISINES: [(&str, f64); 12] = [
    ("Thai", 0.45),
    ("Italian", 0.2),
    ("Mexican", 0.1),
    ("Japanese", 0.35),
    ("Barbeque", 0.0),
    ("Burgers", -0.25),
    ("Fast Food", -0.7),
    ("Pizza", -0.15),
    ("Vegan", 0.4),
    ("Seafood", 0.15),
    ("Diners", -0.2),
    ("Buffets", -0.5),
];

const FIRST: [&str; 12] = [
    "Blue", "Old", "Golden", "Little", "Royal", "Green", "Silver", "Happy", "Quiet", "Iron", "Red",
    "Second",
];
const SECOND: [&str; 12] = [
    "Table", "Lantern", "Kitchen", "Spoon", "Harbor", "Garden", "Oven", "Corner", "House", "Plate",
    "Anchor", "Terrace",
];

pub(super) const CITIES: [(&str, &str, f64, f64); 5] = [
    ("Tucson", "AZ", 32.22, -110.97),
    ("Tampa", "FL", 27.95, -82.46),
    ("Reno", "NV", 39.53, -119.81),
    ("Boise", "ID", 43.62, -116.2),
    ("Nashville", "TN", 36.16, -86.78),
];

/// First names of authors.
pub(super) const NAMES: [&str; 16] = [
    "Ada", "Ben", "Cleo", "Dov", "Elif", "Finn", "Gita", "Hana", "Igor", "Jun", "Kofi", "Lea",
    "Mina", "Noor", "Otto", "Pia",
];

#[derive(Debug)]
pub(super) struct Business {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) cuisine: Option<usize>,
    pub(super) street: usize,
    pub(super) city: usize,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) price: i64,
    pub(super) open: bool,
    /// Random number that selects unusual values.
    pub(super) variant: usize,
    /// In deviations from the mean, over the reviews that are expected.
    pub(super) effect: f64,
    pub(super) popularity: f64,
    pub(super) count: u64,
    pub(super) sum: u64,
}

#[derive(Debug)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) name: usize,
    pub(super) since: i64,
    pub(super) elite: String,
    pub(super) fans: u64,
    pub(super) friends: usize,
    /// In deviations from the mean, over the reviews that are expected.
    pub(super) effect: f64,
    pub(super) count: u64,
    pub(super) sum: u64,
    pub(super) votes: [u64; 3],
}

pub(super) fn business(draw: &mut SeededRng, number: u32) -> Business {
    let restaurant = !draw.one_in(8);
    let cuisine = restaurant.then(|| draw.index(CUISINES.len()));
    let city = draw.index(CITIES.len());
    let price = draw.between(1, 4);
    let taste = cuisine.map_or(0.0, |cuisine| CUISINES[cuisine].1);
    let effect = taste + 0.12 * (price as f64 - 2.5) + 0.12 * normal(draw);
    let near =
        |draw: &mut SeededRng, centre: f64| ((centre + 0.1 * normal(draw)) * 1e6).round() / 1e6;
    Business {
        id: id(draw, 0x0062_7573_696e_6573, u64::from(number)),
        name: format!("{} {}", pick(draw, &FIRST), pick(draw, &SECOND)),
        cuisine,
        street: draw.index(STREETS.len()),
        city,
        latitude: near(draw, CITIES[city].2),
        longitude: near(draw, CITIES[city].3),
        price,
        open: !draw.one_in(5),
        variant: draw.index(40),
        effect,
        popularity: (0.9 * normal(draw)).exp(),
        count: 0,
        sum: 0,
    }
}

pub(super) fn user(draw: &mut SeededRng, number: u32) -> User {
    let since = draw.between(1_104_537_600, DATES.1 - 86_400 * 90);
    let is_elite = draw.one_in(6);
    let elite = if is_elite {
        // The published files have `20,20` for 2020.
        let years = ["2016,2017,2018", "2018,2019,20,20", "2019,20,20,2021", "20,20", "2012"];
        pick(draw, &years).to_owned()
    } else {
        String::new()
    };
    let fans = if is_elite { draw.between(5, 120) } else { draw.between(0, 6) } as u64;
    let years = (DATES.1 - since) as f64 / (365.25 * 86_400.0);
    let effect = if is_elite { 0.45 } else { 0.0 } - 0.06 * (years - 8.0) + 0.35 * normal(draw);
    User {
        id: id(draw, 0x7573_6572, u64::from(number)),
        name: draw.index(NAMES.len()),
        since,
        elite,
        fans,
        friends: if draw.one_in(3) { 0 } else { draw.index(12) },
        effect,
        count: 0,
        sum: 0,
        votes: [0; 3],
    }
}
