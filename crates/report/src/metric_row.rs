//! One step's measurements, under the names TRL users know.

use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::ReportError;

const NON_FINITE: &str = "non_finite";

/// The measurements of one step, in the order they were added.
///
/// As JSON it is one flat object: `step` first, then the metrics. A value that is not finite is
/// written as `"NaN"`, `"Infinity"` or `"-Infinity"` (which Python's `float` and JavaScript's
/// `Number` read back) and its name is listed under `non_finite`; never `null`.
///
/// ```
/// use bestof_report::MetricRow;
///
/// let row = MetricRow::new(10).with("loss", 0.25).with("grad_norm", f64::NAN);
/// let json = serde_json::to_string(&row)?;
/// assert_eq!(json, r#"{"step":10,"loss":0.25,"grad_norm":"NaN","non_finite":["grad_norm"]}"#);
/// let back: MetricRow = serde_json::from_str(&json)?;
/// assert!(back.get("grad_norm").is_some_and(f64::is_nan));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MetricRow {
    step: u64,
    values: Vec<(String, f64)>,
}

impl MetricRow {
    /// A row for `step` without measurements.
    pub fn new(step: u64) -> Self {
        Self { step, values: Vec::new() }
    }

    /// The row with one more measurement; see [`push`](Self::push).
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: f64) -> Self {
        self.push(name, value);
        self
    }

    /// Adds a measurement; one of the same name is replaced in its place.
    pub fn push(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name, value)),
        }
    }

    /// Adds every measurement of an evaluation, its name prefixed with `eval_`.
    pub fn push_eval<'a>(&mut self, metrics: impl IntoIterator<Item = (&'a str, f64)>) {
        for (name, value) in metrics {
            self.push(format!("eval_{name}"), value);
        }
    }

    /// The step.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The measurement called `name`.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.values.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Names of the measurements that are NaN or infinite.
    pub fn non_finite(&self) -> Vec<&str> {
        self.iter().filter(|(_, value)| !value.is_finite()).map(|(name, _)| name).collect()
    }

    /// Refuses names that the row's own fields have.
    pub(crate) fn check_names(&self) -> Result<(), ReportError> {
        match self.iter().find(|(name, _)| matches!(*name, "step" | NON_FINITE)) {
            Some((name, _)) => Err(ReportError::ReservedName { name: name.into() }),
            None => Ok(()),
        }
    }
}

fn spelled(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn unspelled(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

impl Serialize for MetricRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("step", &self.step)?;
        for (name, value) in &self.values {
            if value.is_finite() {
                map.serialize_entry(name, value)?;
            } else {
                map.serialize_entry(name, spelled(*value))?;
            }
        }
        let flagged = self.non_finite();
        if !flagged.is_empty() {
            map.serialize_entry(NON_FINITE, &flagged)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for MetricRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RowVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = MetricRow;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a whole number `step` and one field a metric")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MetricRow, A::Error> {
        let mut step = None;
        let mut row = MetricRow::new(0);
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if name == "step" {
                let whole = value.as_u64().ok_or_else(|| {
                    de::Error::custom(format_args!(
                        "field `step` is {value}, expected a whole number"
                    ))
                })?;
                step = Some(whole);
                continue;
            }
            // What is no measurement (a tag, a list, a null of another trainer) is not drawn.
            let number = value.as_f64().or_else(|| value.as_str().and_then(unspelled));
            if let Some(number) = number {
                row.push(name, number);
            }
        }
        row.step = step.ok_or_else(|| de::Error::missing_field("step"))?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_f64_survives_the_round_trip(step: u64, bits in prop::collection::vec(any::<u64>(), 0..6)) {
            let mut row = MetricRow::new(step);
            for (i, bits) in bits.iter().enumerate() {
                row.push(format!("m/{i}"), f64::from_bits(*bits));
            }
            let text = serde_json::to_string(&row).unwrap();
            prop_assert!(!text.contains("null"));
            let back: MetricRow = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(back.step(), step);
            prop_assert_eq!(back.iter().count(), row.iter().count());
            for ((name, value), (back_name, back_value)) in row.iter().zip(back.iter()) {
                prop_assert_eq!(name, back_name);
                prop_assert!(value == back_value || value.is_nan() && back_value.is_nan());
            }
        }
    }

    #[test]
    fn reading_says_what_is_wrong_with_a_step() {
        let missing = serde_json::from_str::<MetricRow>(r#"{"loss":1.0}"#).unwrap_err();
        assert!(missing.to_string().contains("missing field `step`"), "{missing}");
        let negative = serde_json::from_str::<MetricRow>(r#"{"step":-1}"#).unwrap_err();
        assert!(negative.to_string().contains("expected a whole number"), "{negative}");
    }

    #[test]
    fn fields_that_are_no_measurement_are_passed_over() {
        let row: MetricRow =
            serde_json::from_str(r#"{"step":3,"tag":"x","loss":1,"list":[1],"none":null}"#)
                .unwrap();
        assert_eq!(row.iter().collect::<Vec<_>>(), [("loss", 1.0)]);
    }

    #[test]
    fn a_metric_is_replaced_where_it_stands() {
        let row = MetricRow::new(1).with("a", 1.0).with("b", 2.0).with("a", 3.0);
        assert_eq!(row.iter().collect::<Vec<_>>(), [("a", 3.0), ("b", 2.0)]);
        assert!(MetricRow::new(1).with("step", 2.0).check_names().is_err());
        assert!(row.check_names().is_ok());
    }
}
