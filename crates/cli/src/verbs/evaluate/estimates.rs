//! How evaluations read rows and print estimates.

use std::path::Path;

use anyhow::Result;
use bestof_trainer::evaluate::Estimate;
use serde_json::json;

use crate::console;

pub(super) fn show(estimates: &[Estimate], json: bool) -> Result<()> {
    estimates.iter().try_for_each(|estimate| show_of(estimate, json, None))
}

pub(super) fn show_of(e: &Estimate, json: bool, file: Option<&Path>) -> Result<()> {
    if json {
        let mut object = json!({
            "metric": e.metric, "value": e.value, "low": e.low, "high": e.high, "n": e.n,
        });
        if let Some(file) = file {
            object["file"] = json!(file);
        }
        return console::json(&object);
    }
    let file = file.map_or_else(String::new, |file| format!("   {}", file.display()));
    console::line(&format!(
        "{:28} {:10.4}   95 % interval {:.4} to {:.4}   n {}{file}",
        e.metric, e.value, e.low, e.high, e.n
    ))
}
