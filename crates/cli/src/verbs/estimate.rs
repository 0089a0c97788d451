//! `estimate`: pass@k or max@k of a prompt's rewards, and the transformed rewards.

use anyhow::{Context, Result, bail};
use bestof_estimators::{
    Estimate as OnPolicy, Estimator, EstimatorError, OffPolicy, OffPolicyEstimate, Ratios,
    RewardTransform, estimate_off_policy, estimate_with,
};
use serde::Deserialize;
use serde_json::json;

use crate::console::Usage;
use crate::{console, input};

const LINE: &str = "an array of rewards, or an object with `rewards` and `ratios` or `log_ratios`";

/// Estimate pass@k or max@k from rewards, with the transformed rewards
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each line of stdin is JSON, the samples of one prompt: an array of rewards, or, for samples that\n\
    another policy drew, {\"rewards\": [...], \"ratios\": [...]} with the probability of each completion under\n\
    the policy over that under the sampler (or \"log_ratios\").\n\n\
    Examples:\n  echo '[0.1, 0.2, 0.7, 1.0]' | cargo xtask estimate --k 2 --estimator loo-minus-one\n  \
    echo '{\"rewards\": [0, 1, 0.5], \"ratios\": [0.5, 2, 1]}' | cargo xtask estimate --k 2 --cap 1.5 --json"
)]
pub(crate) struct Estimate {
    /// How many tries count as one; may be left out where the weights have no k, for the value at k = 1
    #[arg(long)]
    k: Option<usize>,
    /// plain, loo, loo-minus-one, binary, centred, harmonic; or a baseline: reinforce, mean, rloo, grpo, max-at-n.
    /// By default loo-minus-one, and at k = 1, where that has no weights, centred, which is rloo there
    #[arg(long)]
    estimator: Option<String>,
    /// Largest k of `harmonic`; all that a group has if left out
    #[arg(long)]
    order: Option<usize>,
    /// Largest ratio of the other samples in a product; the own ratio stays. Unbiased where none exceeds it
    #[arg(long)]
    cap: Option<f64>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// A line of samples that another policy drew.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sampled {
    rewards: Vec<f64>,
    ratios: Option<Vec<f64>>,
    log_ratios: Option<Vec<f64>>,
}

impl Sampled {
    fn ratios(&self) -> Result<Ratios<'_>> {
        let (field, values, ratios) = match (&self.ratios, &self.log_ratios) {
            (Some(values), None) => ("ratios", values, Ratios::Plain(values)),
            (None, Some(values)) => ("log_ratios", values, Ratios::Log(values)),
            (Some(_), Some(_)) => bail!("found `ratios` and `log_ratios`: give one of them"),
            (None, None) => {
                bail!("expected an array of rewards, or `ratios` or `log_ratios` beside `rewards`")
            }
        };
        if values.len() != self.rewards.len() {
            bail!("`{field}` has {} values for {} `rewards`", values.len(), self.rewards.len());
        }
        Ok(ratios)
    }
}

/// What the flags ask for; the off-policy form is made before a line needs it, and missed only then.
struct Rules {
    k: usize,
    cap: Option<f64>,
    on_policy: Box<dyn RewardTransform>,
    off_policy: Result<OffPolicy, EstimatorError>,
}

impl Rules {
    fn on_policy(&self, rewards: &[f64]) -> Result<OnPolicy> {
        if self.cap.is_some() {
            bail!(
                "--cap bounds ratios, and an array of rewards has none: give an object with `ratios`"
            );
        }
        Ok(estimate_with(rewards, self.k, &*self.on_policy)?)
    }

    fn off_policy(&self, line: &Sampled) -> Result<OffPolicyEstimate> {
        let ratios = line.ratios()?;
        let rule = self.off_policy.clone()?;
        Ok(estimate_off_policy(&line.rewards, ratios, self.k, &rule)?)
    }
}

impl Estimate {
    pub(crate) fn run(self) -> Result<()> {
        let rules = self.rules()?;
        for line in input::lines()? {
            let (number, line) = line?;
            let here = || format!("stdin, line {number}");
            if line.trim_start().starts_with('{') {
                let sampled: Sampled = input::parse(number, &line, LINE)?;
                self.print_off_policy(&rules.off_policy(&sampled).with_context(here)?)?;
            } else {
                let rewards: Vec<f64> = input::parse(number, &line, LINE)?;
                self.print_on_policy(&rules.on_policy(&rewards).with_context(here)?)?;
            }
        }
        Ok(())
    }

    fn rules(&self) -> Result<Rules> {
        let default = if self.k == Some(1) { "centred" } else { "loo-minus-one" };
        let name = self.estimator.as_deref().unwrap_or(default);
        let estimator: Estimator = name.parse().map_err(|e| Usage(format!("--estimator: {e}")))?;
        let k = match self.k {
            Some(k) => k,
            None if estimator.uses_k() => {
                return Err(
                    Usage(format!("--k is missing: `{estimator}` is for the best of k")).into()
                );
            }
            None => 1,
        };
        if let Some(order) = self.order {
            estimator
                .build_with(k.max(2), Some(order))
                .map_err(|e| Usage(format!("--order {order}: {e}")))?;
        }
        let on_policy = match k {
            0 => Err(EstimatorError::ZeroK),
            _ => estimator.build_with(k, self.order),
        };
        let on_policy = on_policy.map_err(|e| Usage(format!("--k {k}: {e}")))?;
        let mut off_policy = OffPolicy::new(estimator, k);
        if let Some(order) = self.order {
            off_policy = off_policy.and_then(|rule| rule.with_order(order));
        }
        if let Some(cap) = self.cap {
            off_policy = off_policy.and_then(|rule| rule.with_partner_cap(cap));
            if let Err(e) = &off_policy {
                return Err(Usage(format!("--cap {cap}: {e}")).into());
            }
        }
        Ok(Rules { k, cap: self.cap, on_policy, off_policy })
    }

    fn print_on_policy(&self, found: &OnPolicy) -> Result<()> {
        if self.json {
            return console::json(&json!({
                "n": found.n, "k": found.k, "value": found.value, "weights": found.weights,
            }));
        }
        console::line(&format!("n {}  k {}  value {}", found.n, found.k, found.value))?;
        console::line(&format!("weights {}", listed(&found.weights)))
    }

    fn print_off_policy(&self, found: &OffPolicyEstimate) -> Result<()> {
        let value = &found.of_policy;
        if self.json {
            let mut answer = json!({
                "n": found.n, "k": found.k, "value": value.value, "weights": found.weights,
                "mean_product": value.mean_product, "self_normalised": value.self_normalised,
                "effective_samples": value.effective_samples, "factors": found.factors,
            });
            if let Some(capped) = found.value_capped {
                answer["value_capped"] = json!(capped);
            }
            return console::json(&answer);
        }
        let normal = value.self_normalised.map_or("undefined".to_owned(), |x| x.to_string());
        console::line(&format!(
            "n {}  k {}  value {}  mean product {}  self-normalised {normal}  effective samples {}",
            found.n, found.k, value.value, value.mean_product, value.effective_samples
        ))?;
        if let Some(capped) = found.value_capped {
            console::line(&format!("value with every ratio capped {capped}"))?;
        }
        console::line(&format!("weights {}", listed(&found.weights)))?;
        console::line(&format!("factors {}", listed(&found.factors)))
    }
}

fn listed(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().map(f64::to_string).collect();
    values.join(" ")
}
