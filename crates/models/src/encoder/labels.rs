//! Class names in `config.json`: `id2label`, `label2id` and `num_labels`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::ModelError;
use crate::family::fields::{Fields, invalid};

/// Above any real classifier; keeps a damaged file from allocating without limit.
const MAX_LABELS: usize = 1 << 20;

/// `LABEL_0`, `LABEL_1`, …
pub(super) fn default_labels(count: usize) -> Vec<String> {
    (0..count).map(|label| format!("LABEL_{label}")).collect()
}

/// The names in `id2label`; without it `LABEL_0`, `LABEL_1`, … up to `num_labels`.
pub(super) fn read_labels(fields: &Fields<'_>) -> Result<Vec<String>, ModelError> {
    let Some(value) = fields.get("id2label") else {
        let count = fields.size_or("num_labels", 2)?;
        if count > MAX_LABELS {
            return Err(invalid("num_labels", &count.into(), "at most 1048576"));
        }
        return Ok(default_labels(count));
    };
    let wrong =
        || invalid("id2label", value, "an object with the keys 0, 1, 2, … and names as values");
    let by_id: BTreeMap<usize, &str> = value
        .as_object()
        .ok_or_else(wrong)?
        .iter()
        .map(|(id, label)| Some((id.parse().ok()?, label.as_str()?)))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    if by_id.is_empty() || by_id.keys().enumerate().any(|(at, &id)| at != id) {
        return Err(wrong());
    }
    Ok(by_id.into_values().map(str::to_owned).collect())
}

/// Puts the names where [`read_labels`] finds them, unless they are what it assumes.
pub(super) fn write_labels(labels: &[String], json: &mut Map<String, Value>) {
    json.remove("num_labels");
    if !json.contains_key("id2label") && labels == default_labels(2) {
        return;
    }
    let by_id = labels.iter().enumerate();
    let id2label: Map<_, _> =
        by_id.clone().map(|(id, label)| (id.to_string(), label.clone().into())).collect();
    let label2id: Map<_, _> = by_id.map(|(id, label)| (label.clone(), id.into())).collect();
    json.insert("id2label".into(), id2label.into());
    json.insert("label2id".into(), label2id.into());
}
