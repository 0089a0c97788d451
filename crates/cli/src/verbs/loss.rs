//! `loss`: the loss of a pair, or of a labelled answer, and its gradients, from log-probabilities
//! alone.

mod flags;
mod kto;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use bestof_losses::{LossError, LossName, LossParameters, PairLogps};
use serde::{Deserialize, Serialize};

use self::flags::Flags;
use crate::console::Usage;
use crate::{console, input};

/// Compute a preference loss and its gradients from log-probabilities
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each line of stdin is {\"logp_w\", \"logp_l\", \"ref_w\", \"ref_l\", \"len_w\", \"len_l\"}; \
    beta, lambda, gamma, label_smoothing, kto_z0, divergence, divergence_alpha and sft_alpha in a row override the flags.\n\
    For kto it is {\"logp\", \"ref\", \"label\"} with label true for desirable answers, and the reference point \
    \"kto_z0\" or the \"kl_log_ratios\" of mismatched answers that it is made of; beta, desirable_weight and \
    undesirable_weight override the flags.\n\n\
    Example:\n  echo '{\"logp_w\":-21,\"logp_l\":-26,\"ref_w\":-20,\"ref_l\":-25}' | cargo xtask loss --loss dpop --beta 0.3 --lambda 50"
)]
pub(crate) struct Loss {
    /// dpo, dpop, ipo, ipo-avg, hinge, cdpo, robust, simpo, orpo, kto-pair or dpop-cdpo; kto for single labelled answers
    #[arg(long = "loss", value_name = "LOSS")]
    name: String,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    weights: kto::Weights,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Row {
    logp_w: f64,
    logp_l: f64,
    #[serde(default)]
    ref_w: Option<f64>,
    #[serde(default)]
    ref_l: Option<f64>,
    #[serde(default)]
    len_w: usize,
    #[serde(default)]
    len_l: usize,
    #[serde(flatten)]
    flags: Flags,
    // `deny_unknown_fields` and `flatten` exclude each other.
    #[serde(flatten)]
    unknown: BTreeMap<String, serde_json::Value>,
}

#[derive(Serialize)]
struct Answer {
    loss: f64,
    grad_chosen: f64,
    grad_rejected: f64,
}

impl Loss {
    pub(crate) fn run(self) -> Result<()> {
        if self.name.trim().eq_ignore_ascii_case("kto") {
            return kto::run(&self.flags, self.weights, self.json);
        }
        let name: LossName = self.name.parse().map_err(|e| Usage(format!("--loss: {e}")))?;
        console::unread(name.as_str(), &self.weights.given())?;
        let usage = |e: LossError| Usage(e.to_string());
        let base = self.flags.over(name, LossParameters::of(name)).map_err(usage)?;
        name.build(&base).map_err(usage)?;
        for line in input::lines()? {
            let (number, line) = line?;
            let row: Row = input::parse(
                number,
                &line,
                "{\"logp_w\", \"logp_l\", \"ref_w\", \"ref_l\", \"len_w\", \"len_l\"}",
            )?;
            let answer =
                evaluate(name, &base, &row).with_context(|| format!("stdin, line {number}"))?;
            if self.json {
                console::json(&answer)?;
            } else {
                console::line(&format!(
                    "loss {}  d/d chosen {}  d/d rejected {}",
                    answer.loss, answer.grad_chosen, answer.grad_rejected
                ))?;
            }
        }
        Ok(())
    }
}

fn evaluate(name: LossName, base: &LossParameters, row: &Row) -> Result<Answer> {
    if let Some(field) = row.unknown.keys().next() {
        bail!("`{field}` is no field of a row; `--help` lists them");
    }
    let loss = name.build(&row.flags.over(name, *base)?)?;
    let needed = |value: Option<f64>, field: &str| match value {
        Some(value) => Ok(value),
        None if loss.needs_reference() => {
            bail!("`{field}` is missing; {name} reads the reference's log-probability")
        }
        None => Ok(0.0),
    };
    let terms = loss.terms(&PairLogps {
        chosen: row.logp_w,
        rejected: row.logp_l,
        ref_chosen: needed(row.ref_w, "ref_w")?,
        ref_rejected: needed(row.ref_l, "ref_l")?,
        chosen_len: row.len_w,
        rejected_len: row.len_l,
    })?;
    Ok(Answer {
        loss: terms.loss,
        grad_chosen: terms.grad_chosen,
        grad_rejected: terms.grad_rejected,
    })
}
