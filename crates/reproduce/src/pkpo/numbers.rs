//! Everything measured, for programs.

use serde_json::{Map, Value, json};

use super::compared::{Compared, KS, Scores, Trained};
use super::page::SETS;

/// `before` and `runs`, a value of each seed for every pass@k, and the learning rates chosen.
pub(super) fn numbers(runs: &Compared) -> Value {
    let trained: Vec<Value> = runs.runs.iter().map(run).collect();
    let mut chosen = Map::new();
    for arm in runs.arms() {
        let rates = KS
            .iter()
            .filter_map(|k| Some((format!("pass@{k}"), json!(runs.chosen(arm, *k)?.rate))));
        chosen.insert(arm.name(), Value::Object(rates.collect()));
    }
    json!({"before": passes(&runs.before), "runs": trained, "chosen_rates": chosen})
}

fn run(run: &Trained) -> Value {
    let entropy: Vec<f64> = run.seeds.iter().map(|scores| scores.entropy).collect();
    json!({
        "arm": run.arm.name(),
        "learning_rate": run.rate,
        "pass": passes(&run.seeds),
        "entropy": entropy,
    })
}

/// `{set: {"pass@k": [a value of each seed]}}`.
fn passes(seeds: &[Scores]) -> Value {
    let sets = SETS.iter().map(|(name, set)| {
        let values = KS.iter().enumerate().map(|(at, k)| {
            let values: Vec<f64> = seeds.iter().map(|scores| set(scores)[at]).collect();
            (format!("pass@{k}"), json!(values))
        });
        ((*name).to_owned(), Value::Object(values.collect()))
    });
    Value::Object(sets.collect())
}
