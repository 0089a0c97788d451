//! The rows of the business and the user file.

use serde_json::{Map, Value, json};

use super::actors::{Business, CITIES, CUISINES, NAMES, User};
use super::dates::time;
use super::schema::{BusinessRow, COMPLIMENTS, UserRow};
use super::words::STREETS;
use super::world::World;

/// Categories of businesses other than restaurants.
const OTHERS: [&str; 4] = [
    "Hair Salons, Beauty & Spas",
    "Auto Repair, Automotive",
    "Dentists, Health & Medical",
    "Books, Shopping",
];

impl World {
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

fn mean(sum: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
}
