//! `docs/metrics.md` is the table of metrics.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::collections::BTreeSet;
use std::path::Path;

use bestof_report::{METRICS, metric, metrics_markdown};

fn doc(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::read_to_string(docs.join(name)).unwrap()
}

#[test]
fn the_documented_table_is_the_one_in_use() {
    let expected = metrics_markdown();
    assert!(
        doc("metrics.md").contains(&expected),
        "put this table into docs/metrics.md:\n\n{expected}"
    );
}

/// What looks like a metric in the pages about runs is one.
#[test]
fn metrics_named_elsewhere_are_in_the_table() {
    let named = ["logps/", "dpop/", "prompts/", "completions/", "rollout/", "ranks/"];
    let families = [&named[..], &["rewards/", "verifier/"]].concat();
    let pages =
        ["dpop.md", "pkpo.md", "ranks.md", "rollouts.md", "scaling.md", "training.md", "yelp.md"];
    let mut seen = BTreeSet::new();
    for page in pages {
        let text = doc(page);
        for name in text.split('`').skip(1).step_by(2) {
            if let Some(family) = families.iter().find(|family| name.starts_with(**family)) {
                assert!(metric(name).is_some(), "{page}: `{name}`");
                seen.insert(*family);
            }
        }
    }
    // A list that is misspelt, or reads the wrong pages, would find nothing wrong.
    for family in &families {
        let known = METRICS.iter().any(|metric| metric.name.starts_with(family));
        assert!(known, "no metric is of `{family}`");
        assert!(
            seen.contains(family) || !named.contains(family),
            "no page names one of `{family}`"
        );
    }
    assert!(METRICS.iter().all(|metric| !metric.meaning.contains('|')), "it would end a cell");
}
