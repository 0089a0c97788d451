//! `docs/reproduce.md` is made of its templates and of the `claims.json` files that are kept beside
//! them, so that text and numbers cannot part.
//!
//! After a measurement, copy its `claims.json` to `docs/reproduce/NAME.json` (`NAME-full.json` of `--full`) and write the page with
//! `WRITE_PAGE=1 cargo test --release --workspace --test page`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::fs;
use std::path::{Path, PathBuf};

use bestof_reproduce::pkpo_toy::PkpoToy;
use bestof_reproduce::{Experiment, Measured, Options, Silent};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, context};
use serde_json::Value;

/// The parts of the page in their order.
const PARTS: [&str; 7] =
    ["introduction", "pkpo-toy", "pkpo", "pkpo-updates", "dpop", "giraffe", "yelp"];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// What was kept of an experiment, if it was; `full` of its `--full`.
fn kept(name: &str, full: bool) -> Option<Value> {
    let suffix = if full { "-full" } else { "" };
    let path = docs().join(format!("reproduce/{name}{suffix}.json"));
    let text = fs::read_to_string(&path).ok()?;
    let kept: Value =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(kept["reproduction"], name, "{}", path.display());
    for field in ["title", "source", "made_with", "design", "claims", "numbers"] {
        assert!(!kept[field].is_null(), "{} has no `{field}`", path.display());
    }
    Some(kept)
}

/// A number with so many digits behind the point and a real minus, as tables have it.
fn fixed(value: minijinja::Value, digits: usize) -> Result<String, minijinja::Error> {
    let number = f64::try_from(value)?;
    Ok(format!("{number:.digits$}").replace('-', "−"))
}

/// A share as a number of percent.
fn percent(value: minijinja::Value, digits: usize) -> Result<String, minijinja::Error> {
    fixed(minijinja::Value::from(100.0 * f64::try_from(value)?), digits)
}

#[expect(clippy::needless_pass_by_value, reason = "filters take their arguments by value")]
fn mean(values: Vec<f64>) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// By how many points shares exceed others, seed by seed, with the interval of 95 %.
#[expect(clippy::needless_pass_by_value, reason = "filters take their arguments by value")]
fn gain(these: Vec<f64>, those: Vec<f64>) -> String {
    let points: Vec<f64> = these.iter().zip(&those).map(|(a, b)| 100.0 * (a - b)).collect();
    let Measured { value, low, high } = Measured::of_seeds(&points);
    format!("{value:+.1} [{low:.1}, {high:.1}]").replace('-', "−")
}

/// Text that may stand in a cell of a table.
#[expect(clippy::needless_pass_by_value, reason = "filters take their arguments by value")]
fn cell(value: String) -> String {
    value.replace('|', "\\|").replace('\n', " ")
}

/// Macros that every part may call.
const MACROS: &str = "\
{% macro table_of_claims(kept) %}| claim | rule | measured | verdict |
|---|---|---|---|
{% for c in kept.claims %}| {{ c.claim|cell }} | {{ c.rule|cell }} | {{ c.measured|cell }} | {{ c.verdict }} |
{% endfor %}{% endmacro %}\
{% macro passes(sets) %}{% for k in [1, 2, 4, 8, 16, 32] %} \
{{ sets['held-out puzzles']['pass@' ~ k]|mean|percent(1) }} |{% endfor %}{% endmacro %}\
{% macro table_of_design(kept) %}| | |
|---|---|
| seeds | {{ kept.design.seeds|cell }} |
| what varies between them | {{ kept.design.varies|cell }} |
| correction for the number of claims | {{ kept.design.correction|cell }} |
| tried before | {{ kept.design.tried|cell }} |
{% endmacro %}";

fn page() -> String {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    environment.set_syntax(syntax.trim_blocks(true).lstrip_blocks(true).build().unwrap());
    environment.add_filter("fixed", fixed);
    environment.add_filter("percent", percent);
    environment.add_filter("mean", mean);
    environment.add_filter("gain", gain);
    environment.add_filter("cell", cell);
    environment.add_template("macros", MACROS).unwrap();
    let parts = PARTS.map(|part| {
        let path = docs().join(format!("reproduce/{part}.md.j2"));
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let text = format!(
            "{{%- from 'macros' import passes, table_of_claims, table_of_design -%}}\n{text}"
        );
        let made = environment.render_str(
            &text,
            context! { kept => Serde(kept(part, false)), full => Serde(kept(part, true)) },
        );
        made.unwrap_or_else(|e| panic!("{}: {e:#}", path.display())).trim().to_owned()
    });
    format!(
        "<!-- Made from docs/reproduce/ by crates/reproduce/tests/page.rs; edit there. -->\n\n{}\n",
        parts.join("\n\n")
    )
}

#[test]
fn the_page_is_made_of_what_was_measured() {
    let (path, made) = (docs().join("reproduce.md"), page());
    if std::env::var_os("WRITE_PAGE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    let differs = found.lines().zip(made.lines()).position(|(found, made)| found != made);
    assert!(
        found == made,
        "docs/reproduce.md differs from what its templates and numbers give, from line {}; \
         write it with WRITE_PAGE=1",
        differs.unwrap_or_else(|| found.lines().count().min(made.lines().count())) + 1
    );
}

/// The one experiment that takes seconds is measured again: verdicts as kept.
#[test]
fn the_toy_comes_out_as_it_was_kept() {
    let kept = kept("pkpo-toy", false).expect("docs/reproduce/pkpo-toy.json is kept");
    let out = tempfile::tempdir().unwrap();
    let again = PkpoToy.run(&Options::new(out.path()), &mut Silent).unwrap().to_json();
    for field in ["title", "source", "made_with", "design"] {
        assert_eq!(kept[field], again[field], "{field}");
    }
    let verdicts = |outcome: &Value| -> Vec<[Value; 3]> {
        let claims = outcome["claims"].as_array().unwrap();
        claims.iter().map(|c| ["claim", "rule", "verdict"].map(|part| c[part].clone())).collect()
    };
    assert_eq!(verdicts(&kept), verdicts(&again));
}
