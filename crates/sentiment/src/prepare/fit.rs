//! Columns and scalers, fitted on training rows only.

use std::collections::HashMap;

use super::options::PrepareOptions;
use super::sample::Collected;
use crate::dataset::Part;
use crate::features::{Column, Feature, FeatureSpec, Scaler};
use crate::lexicon::LEXICON;

/// The columns with their scalers, and the features without a value in any training row.
pub(super) fn fit(
    options: &PrepareOptions,
    collected: &Collected,
    parts: &[Part],
    scores: &[f32],
) -> (FeatureSpec, Vec<Feature>) {
    let training = || (0..parts.len()).filter(|&row| parts[row] == Part::Train);
    let numbers: Vec<Feature> =
        unique(&options.features).into_iter().filter(|f| *f != Feature::Categories).collect();
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); numbers.len()];
    let mut counts: HashMap<&str, u64> = HashMap::new();
    let mut rows = 0_u64;
    for row in training() {
        rows += 1;
        let kept = &collected.rows[row];
        let review = collected.review(kept);
        for (feature, values) in numbers.iter().zip(&mut values) {
            values.extend(feature.value(&review));
        }
        for name in &collected.restaurants[kept.business as usize].metadata.categories {
            *counts.entry(name).or_default() += 1;
        }
    }

    let mut columns = Vec::new();
    let mut unavailable = Vec::new();
    for (feature, values) in numbers.into_iter().zip(values) {
        if values.is_empty() {
            unavailable.push(feature);
        } else {
            columns.push(Column::Number { feature, scaler: Scaler::fit(values) });
        }
    }
    if options.features.contains(&Feature::Categories) {
        let names = frequent_categories(options, counts, rows);
        if names.is_empty() {
            unavailable.push(Feature::Categories);
        } else {
            columns.extend(names.into_iter().map(|name| Column::Category { name }));
            columns.push(Column::UnknownCategory);
        }
    }
    let sentiment = Scaler::fit(training().map(|row| f64::from(scores[row])));
    let mut spec = FeatureSpec::new(columns, sentiment, LEXICON);
    (spec.seed, spec.split, spec.fitted_on) = (options.seed, options.split, rows);
    (spec, unavailable)
}

fn unique(features: &[Feature]) -> Vec<Feature> {
    let mut kept = Vec::new();
    for feature in features {
        if !kept.contains(feature) {
            kept.push(*feature);
        }
    }
    kept
}

/// The categories that become columns, in alphabetical order: frequent ones, except those of every row.
fn frequent_categories(
    options: &PrepareOptions,
    counts: HashMap<&str, u64>,
    rows: u64,
) -> Vec<String> {
    let mut names: Vec<(&str, u64)> = counts
        .into_iter()
        .filter(|(_, count)| *count >= options.min_category_rows && *count < rows)
        .collect();
    names.sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
    names.truncate(options.max_categories);
    let mut names: Vec<String> = names.into_iter().map(|(name, _)| name.to_owned()).collect();
    names.sort_unstable();
    names
}
