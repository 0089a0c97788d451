//! Businesses and authors with their effects on the stars, and their reviews.

use bestof_tasks::rng::SeededRng;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::schema::{BusinessRow, COMPLIMENTS, ReviewRow, UserRow};
use super::text::{self, STREETS};

/// Cuisines with their effects in stars.
const CUISINES: [(&str, f64); 12] = [
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

/// Categories of businesses other than restaurants.
const OTHERS: [&str; 4] = [
    "Hair Salons, Beauty & Spas",
    "Auto Repair, Automotive",
    "Dentists, Health & Medical",
    "Books, Shopping",
];

const NAMES: [&str; 16] = [
    "Ada", "Ben", "Cleo", "Dov", "Elif", "Finn", "Gita", "Hana", "Igor", "Jun", "Kofi", "Lea",
    "Mina", "Noor", "Otto", "Pia",
];

const FIRST: [&str; 12] = [
    "Blue", "Old", "Golden", "Little", "Royal", "Green", "Silver", "Happy", "Quiet", "Iron", "Red",
    "Second",
];
const SECOND: [&str; 12] = [
    "Table", "Lantern", "Kitchen", "Spoon", "Harbor", "Garden", "Oven", "Corner", "House", "Plate",
    "Anchor", "Terrace",
];

const CITIES: [(&str, &str, f64, f64); 5] = [
    ("Tucson", "AZ", 32.22, -110.97),
    ("Tampa", "FL", 27.95, -82.46),
    ("Reno", "NV", 39.53, -119.81),
    ("Boise", "ID", 43.62, -116.2),
    ("Nashville", "TN", 36.16, -86.78),
];

/// Least opinion for two, three, four and five stars: few reviews give few stars, many give many.
const THRESHOLDS: [f64; 4] = [2.15, 2.75, 3.25, 4.05];

/// 2010-01-01 and 2022-01-01 in UTC.
const DATES: (i64, i64) = (1_262_304_000, 1_640_995_200);

/// Characters of ids.
const ID: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[derive(Debug)]
struct Business {
    id: String,
    name: String,
    cuisine: Option<usize>,
    street: usize,
    city: usize,
    latitude: f64,
    longitude: f64,
    price: i64,
    open: bool,
    /// Random number that selects unusual values.
    variant: usize,
    effect: f64,
    popularity: f64,
    count: u64,
    sum: u64,
}

#[derive(Debug)]
struct User {
    id: String,
    name: usize,
    since: i64,
    elite: String,
    fans: u64,
    friends: usize,
    effect: f64,
    count: u64,
    sum: u64,
    votes: [u64; 3],
}

/// A review with its stars and whether it is of a restaurant.
pub(super) struct GeneratedReview {
    pub(super) line: ReviewRow,
    pub(super) stars: u8,
    pub(super) of_restaurant: bool,
}

/// All authors and all businesses.
#[derive(Debug)]
pub(super) struct World {
    businesses: Vec<Business>,
    users: Vec<User>,
    /// Cumulative sums of the businesses' popularity, to draw one in proportion to it.
    cumulative: Vec<f64>,
    written: u64,
    seed: u64,
}

impl World {
    pub(super) fn new(businesses: u32, users: u32, seed: u64) -> Self {
        let mut draw = SeededRng::new(seed, 0);
        let businesses: Vec<Business> =
            (0..businesses).map(|number| business(&mut draw, number)).collect();
        let mut draw = SeededRng::new(seed, 1);
        let users = (0..users).map(|number| user(&mut draw, number)).collect();
        let mut sum = 0.0;
        let sum_so_far = |business: &Business| {
            sum += business.popularity;
            sum
        };
        let cumulative = businesses.iter().map(sum_so_far).collect();
        Self { businesses, users, cumulative, written: 0, seed }
    }

    /// The next review.
    pub(super) fn review(&mut self, draw: &mut SeededRng, word_order: f64) -> GeneratedReview {
        let all = self.cumulative.last().copied().unwrap_or(0.0);
        let target = unit(draw) * all;
        let chosen = self.cumulative.partition_point(|&sum| sum <= target);
        let chosen = chosen.min(self.businesses.len() - 1);
        // A few authors write many reviews: the smaller of two random indices.
        let author = draw.index(self.users.len()).min(draw.index(self.users.len()));
        let (business, user) = (&mut self.businesses[chosen], &mut self.users[author]);

        let opinion = 3.55 + business.effect + user.effect + 0.75 * normal(draw);
        let given = 1 + THRESHOLDS.iter().filter(|&&threshold| opinion >= threshold).count() as u8;
        let date = draw.between(DATES.0.max(user.since), DATES.1 - 1);
        let food = business.cuisine;
        let text = text::review(draw, opinion.clamp(0.5, 5.5), food, business.street, word_order);
        let [useful, funny, cool] = votes(draw, given);
        for (sum, count) in user.votes.iter_mut().zip([useful, funny, cool]) {
            *sum += count.max(0) as u64;
        }
        business.count += 1;
        business.sum += u64::from(given);
        user.count += 1;
        user.sum += u64::from(given);
        let line = ReviewRow {
            review_id: id(draw, self.seed ^ 0x7265_7669_6577, self.written),
            user_id: user.id.clone(),
            business_id: business.id.clone(),
            stars: f64::from(given),
            useful,
            funny,
            cool,
            text,
            date: time(date),
        };
        self.written += 1;
        GeneratedReview {
            line,
            stars: given,
            of_restaurant: food.is_some() && business.variant != 0,
        }
    }

    /// The rows of the business file.
    pub(super) fn businesses(&self) -> impl Iterator<Item = BusinessRow<'_>> {
        self.businesses.iter().enumerate().map(|(number, business)| business_row(number, business))
    }

    /// The rows of the user file.
    pub(super) fn users(&self) -> impl Iterator<Item = UserRow<'_>> {
        self.users.iter().map(|user| UserRow {
            user_id: &user.id,
            name: NAMES[user.name],
            review_count: user.count,
            yelping_since: time(user.since),
            useful: user.votes[0],
            funny: user.votes[1],
            cool: user.votes[2],
            elite: user.elite.clone(),
            friends: self.friends(user),
            fans: user.fans,
            average_stars: (mean(user.sum, user.count) * 100.0).round() / 100.0,
            compliments: COMPLIMENTS
                .iter()
                .enumerate()
                .map(|(kind, name)| {
                    (format!("compliment_{name}"), json!(user.fans / (kind as u64 + 1)))
                })
                .collect(),
        })
    }

    fn friends(&self, user: &User) -> String {
        if user.friends == 0 {
            return "None".to_owned();
        }
        let step = self.users.len() / (user.friends + 1) + 1;
        let names: Vec<&str> = self.users.iter().step_by(step).map(|u| u.id.as_str()).collect();
        names.join(", ")
    }
}

fn business(draw: &mut SeededRng, number: u32) -> Business {
    let restaurant = !draw.one_in(8);
    let cuisine = restaurant.then(|| draw.index(CUISINES.len()));
    let city = draw.index(CITIES.len());
    let price = draw.between(1, 4);
    let taste = cuisine.map_or(0.0, |cuisine| CUISINES[cuisine].1);
    let effect = taste + 0.12 * (price as f64 - 2.5) + 0.5 * normal(draw);
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

fn user(draw: &mut SeededRng, number: u32) -> User {
    let since = draw.between(1_104_537_600, DATES.1 - 86_400 * 90);
    let is_elite = draw.one_in(6);
    let elite = if is_elite {
        // The published files have `20,20` for 2020.
        let years = ["2016,2017,2018", "2018,2019,20,20", "2019,20,20,2021", "20,20", "2012"];
        (*pick(draw, &years)).to_owned()
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

fn business_row(number: usize, business: &Business) -> BusinessRow<'_> {
    let (city, state, ..) = CITIES[business.city];
    let categories = match (business.cuisine, business.variant) {
        (_, 0) => None,
        (Some(cuisine), variant) if variant % 3 == 0 => {
            Some(format!("Restaurants, {}, Nightlife", CUISINES[cuisine].0))
        }
        (Some(cuisine), _) => Some(format!("{}, Restaurants", CUISINES[cuisine].0)),
        (None, variant) => Some(OTHERS[variant % OTHERS.len()].to_owned()),
    };
    let text = |pairs: &[(&str, String)]| -> Map<String, Value> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    };
    let attributes = (business.variant % 10 != 1).then(|| {
        text(&[
            ("RestaurantsPriceRange2", business.price.to_string()),
            (
                "RestaurantsTakeOut",
                if business.variant.is_multiple_of(2) { "True" } else { "False" }.to_owned(),
            ),
            ("WiFi", ["u'free'", "'no'", "None"][business.variant % 3].to_owned()),
            ("BusinessParking", "{'garage': False, 'street': True}".to_owned()),
        ])
    });
    let hours = (business.variant % 7 != 2).then(|| text(&[("Monday", "11:0-21:30".to_owned())]));
    BusinessRow {
        business_id: &business.id,
        name: business.name.clone(),
        address: format!("{} {} St", number * 7 + 1, STREETS[business.street]),
        city,
        state,
        postal_code: format!("{:05}", 10_000 + number % 80_000),
        latitude: business.latitude,
        longitude: business.longitude,
        stars: (mean(business.sum, business.count) * 2.0).round() / 2.0,
        review_count: business.count,
        is_open: u8::from(business.open),
        attributes,
        categories,
        hours,
    }
}

/// Votes for useful, funny and cool: reviews with few stars are useful, those with many are cool.
fn votes(draw: &mut SeededRng, given: u8) -> [i64; 3] {
    let harsh = i64::from(5 - given);
    let kind = i64::from(given - 1);
    let mut of = |most: i64| {
        // The smaller of two random numbers: most reviews have few votes.
        draw.between(0, most).min(draw.between(0, most))
    };
    let mut votes = [of(1 + 2 * harsh), of(1 + harsh), of(1 + kind)];
    if draw.one_in(200) {
        votes[draw.index(3)] = -1;
    } else if draw.one_in(500) {
        votes[0] += draw.between(50, 400);
    }
    votes
}

/// An id of 22 characters; the number in it makes it unique among its kind.
fn id(draw: &mut SeededRng, kind: u64, number: u64) -> String {
    let mut id = String::with_capacity(22);
    for _ in 0..15 {
        id.push(char::from(ID[draw.index(64)]));
    }
    let mut rest = number ^ (kind & 0x3f);
    for _ in 0..7 {
        id.push(char::from(ID[(rest & 63) as usize]));
        rest >>= 6;
    }
    id
}

fn pick<'a, T>(draw: &mut SeededRng, items: &'a [T]) -> &'a T {
    &items[draw.index(items.len())]
}

/// Uniform in [0, 1).
fn unit(draw: &mut SeededRng) -> f64 {
    draw.index(1 << 30) as f64 / f64::from(1 << 30)
}

/// Nearly normal with mean 0 and deviation 1: the sum of twelve uniform numbers.
fn normal(draw: &mut SeededRng) -> f64 {
    (0..12).map(|_| unit(draw)).sum::<f64>() - 6.0
}

fn mean(sum: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
}

fn time(second: i64) -> String {
    Timestamp::from_second(second).map_or_else(
        |_| String::new(),
        |at| at.to_zoned(TimeZone::UTC).datetime().to_string().replace('T', " "),
    )
}
