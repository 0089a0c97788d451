//! The rows of the three files, with their fields in the published order.

use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Debug, Serialize)]
pub(super) struct ReviewRow {
    pub(super) review_id: String,
    pub(super) user_id: String,
    pub(super) business_id: String,
    pub(super) stars: f64,
    pub(super) useful: i64,
    pub(super) funny: i64,
    pub(super) cool: i64,
    pub(super) text: String,
    pub(super) date: String,
}

#[derive(Debug, Serialize)]
pub(super) struct BusinessRow<'a> {
    pub(super) business_id: &'a str,
    pub(super) name: String,
    pub(super) address: String,
    pub(super) city: &'static str,
    pub(super) state: &'static str,
    pub(super) postal_code: String,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) stars: f64,
    pub(super) review_count: u64,
    pub(super) is_open: u8,
    pub(super) attributes: Option<Map<String, Value>>,
    pub(super) categories: Option<String>,
    pub(super) hours: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize)]
pub(super) struct UserRow<'a> {
    pub(super) user_id: &'a str,
    pub(super) name: &'static str,
    pub(super) review_count: u64,
    pub(super) yelping_since: String,
    pub(super) useful: u64,
    pub(super) funny: u64,
    pub(super) cool: u64,
    pub(super) elite: String,
    pub(super) friends: String,
    pub(super) fans: u64,
    pub(super) average_stars: f64,
    #[serde(flatten)]
    pub(super) compliments: Map<String, Value>,
}

/// Kinds of compliments, in the published order.
pub(super) const COMPLIMENTS: [&str; 11] = [
    "hot", "more", "profile", "cute", "list", "note", "plain", "cool", "funny", "writer", "photos",
];
