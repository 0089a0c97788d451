//! The files as a whole: schema, counts, planted effects and published figures.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn made(options: &GenerateOptions) -> ([Vec<Value>; 3], GeneratedFiles) {
    let folder = tempfile::tempdir().unwrap();
    let made = generate(options, folder.path(), &mut |_| {}).unwrap();
    (made.files.each_ref().map(|path| lines(path)), made)
}

#[test]
fn files_have_the_schema_and_its_odd_values() {
    let ([businesses, reviews, users], made) = made(&GenerateOptions::new(6000));
    assert_eq!((reviews.len(), businesses.len(), users.len()), (6000, 200, 500));
    assert_eq!(made.stars.iter().sum::<u64>(), 6000);
    assert!(made.stars.iter().all(|&count| count > 350), "{:?}", made.stars);
    let names = |row: &Value| row.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let of = |names: &str| names.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(
        names(&reviews[0]),
        of("review_id user_id business_id stars useful funny cool text date")
    );
    let business = "business_id name address city state postal_code latitude longitude stars \
        review_count is_open attributes categories hours";
    assert_eq!(names(&businesses[0]), of(business));
    let user = "user_id name review_count yelping_since useful funny cool elite friends fans \
        average_stars compliment_hot compliment_more compliment_profile compliment_cute \
        compliment_list compliment_note compliment_plain compliment_cool compliment_funny \
        compliment_writer compliment_photos";
    assert_eq!(names(&users[0]), of(user));
    assert!(reviews.iter().any(|row| row["useful"] == -1));
    assert!(businesses.iter().any(|row| row["categories"].is_null()));
    assert!(businesses.iter().any(|row| row["attributes"].is_null()));
    assert!(users.iter().any(|row| row["elite"].as_str().unwrap().contains("20,20")));
    assert!(users.iter().any(|row| row["friends"] == "None"));
    assert_eq!(reviews[0]["review_id"].as_str().unwrap().len(), 22);
    let ids: BTreeSet<&str> =
        reviews.iter().map(|row| row["review_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 6000);
}

#[test]
fn counts_and_means_are_those_of_the_reviews() {
    let ([businesses, reviews, users], _) = made(&GenerateOptions::new(900));
    for (rows, key, mean, step) in
        [(businesses, "business_id", "stars", 2.0), (users, "user_id", "average_stars", 100.0)]
    {
        for row in rows {
            let stars: Vec<f64> = reviews
                .iter()
                .filter(|review| review[key] == row[key])
                .map(|review| review["stars"].as_f64().unwrap())
                .collect();
            assert_eq!(row["review_count"], stars.len());
            if !stars.is_empty() {
                let expected = stars.iter().sum::<f64>() / stars.len() as f64;
                let found = row[mean].as_f64().unwrap();
                assert!((found - expected).abs() <= 0.5 / step + 1e-9, "{found} {expected}");
            }
        }
    }
}

#[test]
fn the_seed_decides_everything() {
    let options = GenerateOptions { seed: 5, ..GenerateOptions::new(200) };
    assert_eq!(made(&options).0, made(&options).0);
    assert_ne!(made(&options).0, made(&GenerateOptions { seed: 6, ..options.clone() }).0);
}

/// Mean stars of the reviews whose `key` is one of `ids`.
fn mean_where(reviews: &[Value], key: &str, ids: &BTreeSet<&str>) -> f64 {
    let stars: Vec<f64> = reviews
        .iter()
        .filter(|review| ids.contains(review[key].as_str().unwrap()))
        .map(|review| review["stars"].as_f64().unwrap())
        .collect();
    stars.iter().sum::<f64>() / stars.len() as f64
}

/// Stars by Thai food rather than fast food, and by authors with elite years rather than without.
fn gaps(options: &GenerateOptions) -> [f64; 2] {
    let ([businesses, reviews, users], _) = made(options);
    let of_category = |name: &str| -> BTreeSet<&str> {
        let has = |row: &&Value| row["categories"].as_str().is_some_and(|c| c.contains(name));
        businesses.iter().filter(has).map(|row| row["business_id"].as_str().unwrap()).collect()
    };
    let elite = |elite: bool| -> BTreeSet<&str> {
        let is = |row: &&Value| (row["elite"] != "") == elite;
        users.iter().filter(is).map(|row| row["user_id"].as_str().unwrap()).collect()
    };
    let of = |key, ids: BTreeSet<&str>| mean_where(&reviews, key, &ids);
    [
        of("business_id", of_category("Thai")) - of("business_id", of_category("Fast Food")),
        of("user_id", elite(true)) - of("user_id", elite(false)),
    ]
}

#[test]
fn meta_effects_show_in_the_means_as_far_as_they_are_asked_for() {
    let with =
        |meta_effects| gaps(&GenerateOptions { meta_effects, ..GenerateOptions::new(12_000) });
    let [none, planted, strong] = [0.0, 1.0, 1.8].map(with);
    assert!(planted[0] > 0.6 && planted[1] > 0.1, "{planted:?}");
    // Of about a thousand reviews a mean has a standard error of 0.04.
    assert!(none.iter().all(|gap| gap.abs() < 0.2), "{none:?}");
    assert!(strong[0] > planted[0] + 0.3 && strong[1] > planted[1] + 0.05, "{strong:?}");
}

/// Figures of the made-up reviews by name.
fn figures(options: &GenerateOptions) -> BTreeMap<&'static str, (f64, f64)> {
    let of = |one: Likeness| (one.figure, (one.made_up.unwrap(), one.published));
    made(options).1.likeness.into_iter().map(of).collect()
}

#[test]
fn published_figures_are_met_within_sampling_error() {
    // With twice the distance for figures that several constants share.
    let near = |figures: &BTreeMap<&'static str, (f64, f64)>, name: &str, distance: f64| {
        let (found, published) = figures[name];
        assert!((found - published).abs() <= distance, "{name}: {found}, published {published}");
    };
    for meta_effects in [0.0, 1.0, 2.0] {
        let options = GenerateOptions { meta_effects, ..GenerateOptions::new(8000) };
        let figures = figures(&options);
        // Shares of 7,000 reviews have a standard error of half a point.
        for name in ["one star, %", "two stars, %", "three stars, %", "four stars, %"] {
            near(&figures, name, 2.0);
        }
        near(&figures, "words of a review, mean", 5.0);
        near(&figures, "words of a review, median", 4.0);
        near(&figures, "words of a review, deviation", 9.0);
        near(&figures, "positive words, % of words", 0.5);
        near(&figures, "negative words, % of words", 0.8);
        near(&figures, "sentences with a negation, %", 1.5);
        near(&figures, "correlation of length with stars", 0.05);
        near(&figures, "correlation of the lexicon's score with stars", 0.06);
    }
    let figures = figures(&GenerateOptions::new(8000));
    for name in ["useful", "funny", "cool"] {
        near(&figures, &format!("correlation of {name} votes with stars"), 0.06);
    }
    near(&figures, "useful votes, mean", 0.2);
    near(&figures, "correlation of useful and funny votes", 0.2);
}

#[test]
fn a_text_says_as_much_of_the_stars_as_is_asked_for() {
    let agrees = |text_effect| {
        let options = GenerateOptions { text_effect, ..GenerateOptions::new(4000) };
        figures(&options)["correlation of the lexicon's score with stars"].0
    };
    let [nothing, planted, strong] = [0.0, 1.0, 3.0].map(agrees);
    assert!(
        nothing.abs() < 0.06 && planted > 0.4 && strong > planted + 0.05,
        "{nothing} {planted} {strong}"
    );
}

#[test]
fn what_cannot_be_generated_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let usual = GenerateOptions::new(10);
    for (options, named) in [
        (GenerateOptions { users: 0, ..usual.clone() }, "0 users"),
        (GenerateOptions { word_order: 1.1, ..usual.clone() }, "word order of 1.1"),
        (GenerateOptions { meta_effects: 2.1, ..usual.clone() }, "from 0 to 2"),
        (GenerateOptions { meta_effects: f64::NAN, ..usual.clone() }, "meta effects of NaN"),
        (GenerateOptions { text_effect: -1.0, ..usual }, "text's effect of -1"),
    ] {
        let error = generate(&options, folder.path(), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}
