//! `docs/metrics.md` is the table of metrics.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

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
    let families =
        ["logps/", "rewards/", "dpop/", "prompts/", "completions/", "verifier/", "rollout/"];
    for page in ["dpop.md", "pkpo.md", "rollouts.md", "training.md", "yelp.md"] {
        let text = doc(page);
        for name in text.split('`').skip(1).step_by(2) {
            if families.iter().any(|family| name.starts_with(family)) {
                assert!(metric(name).is_some(), "{page}: `{name}`");
            }
        }
    }
    assert!(METRICS.iter().all(|metric| !metric.meaning.contains('|')), "it would end a cell");
}
