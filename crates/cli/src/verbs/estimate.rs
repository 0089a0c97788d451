//! `estimate`: pass@k or max@k of a prompt's rewards, and the transformed rewards.

use anyhow::{Context, Result};
use bestof_estimators::{Estimator, estimate};
use serde_json::json;

use crate::console::Usage;
use crate::{console, input};

/// Estimate pass@k or max@k from rewards, with the transformed rewards
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each line of stdin is a JSON array: the rewards of all samples of one prompt.\n\n\
    Example:\n  echo '[0.1, 0.2, 0.7, 1.0]' | cargo xtask estimate --k 2 --estimator loo-minus-one"
)]
pub(crate) struct Estimate {
    /// How many tries count as one
    #[arg(long)]
    k: usize,
    /// plain, loo, loo-minus-one, binary; or a baseline: reinforce, mean, rloo, grpo, max-at-n
    #[arg(long, default_value = "loo-minus-one")]
    estimator: String,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Estimate {
    pub(crate) fn run(self) -> Result<()> {
        let estimator: Estimator =
            self.estimator.parse().map_err(|e| Usage(format!("--estimator: {e}")))?;
        estimator.build(self.k).map_err(|e| Usage(format!("--k {}: {e}", self.k)))?;
        for line in input::lines() {
            let (number, line) = line?;
            let rewards: Vec<f64> = input::parse(number, &line, "an array of rewards")?;
            let found = estimate(&rewards, self.k, estimator)
                .with_context(|| format!("stdin, line {number}"))?;
            if self.json {
                console::json(&json!({
                    "n": found.n, "k": found.k, "value": found.value, "weights": found.weights,
                }))?;
            } else {
                console::line(&format!("n {}  k {}  value {}", found.n, found.k, found.value))?;
                let weights: Vec<String> = found.weights.iter().map(f64::to_string).collect();
                console::line(&format!("weights {}", weights.join(" ")))?;
            }
        }
        Ok(())
    }
}
