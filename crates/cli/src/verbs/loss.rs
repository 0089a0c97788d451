//! `loss`: the loss of a pair and its gradients, from log-probabilities alone.

use anyhow::{Context, Result};
use bestof_losses::{LossName, LossParameters, PairLogps};
use serde::{Deserialize, Serialize};

use crate::console::Usage;
use crate::{console, input};

/// Compute a preference loss and its gradients from log-probabilities
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each line of stdin is {\"logp_w\", \"logp_l\", \"ref_w\", \"ref_l\", \"len_w\", \"len_l\"}; \
    beta, lambda, gamma, label_smoothing and kto_z0 in a row override the flags.\n\n\
    Example:\n  echo '{\"logp_w\":-21,\"logp_l\":-26,\"ref_w\":-20,\"ref_l\":-25}' | cargo xtask loss --loss dpop --beta 0.3 --lambda 50"
)]
pub(crate) struct Loss {
    /// dpo, dpop, ipo, ipo-avg, hinge, cdpo, robust, simpo, orpo, kto-pair or dpop-cdpo
    #[arg(long = "loss", value_name = "LOSS")]
    name: String,
    #[command(flatten)]
    flags: Flags,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Hyper-parameters; what is not given has the loss's published default.
#[derive(Clone, Copy, Debug, Default, Deserialize, clap::Args)]
pub(crate) struct Flags {
    /// Scale of the log-ratios
    #[arg(long, allow_negative_numbers = true)]
    beta: Option<f64>,
    /// Weight of DPOP's penalty, or of ORPO's odds-ratio term
    #[arg(long, allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// `SimPO`'s target margin
    #[arg(long, allow_negative_numbers = true)]
    gamma: Option<f64>,
    /// Share of labels taken to be wrong
    #[arg(long, allow_negative_numbers = true)]
    label_smoothing: Option<f64>,
    /// KTO's reference point
    #[arg(long, allow_negative_numbers = true)]
    kto_z0: Option<f64>,
}

impl Flags {
    fn over(self, base: LossParameters) -> LossParameters {
        LossParameters {
            beta: self.beta.unwrap_or(base.beta),
            lambda: self.lambda.unwrap_or(base.lambda),
            gamma: self.gamma.unwrap_or(base.gamma),
            label_smoothing: self.label_smoothing.unwrap_or(base.label_smoothing),
            kto_z0: self.kto_z0.unwrap_or(base.kto_z0),
        }
    }
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
}

#[derive(Serialize)]
struct Answer {
    loss: f64,
    grad_chosen: f64,
    grad_rejected: f64,
}

impl Loss {
    pub(crate) fn run(self) -> Result<()> {
        let name: LossName = self.name.parse().map_err(|e| Usage(format!("--loss: {e}")))?;
        let base = self.flags.over(LossParameters::of(name));
        name.build(&base).map_err(|e| Usage(e.to_string()))?;
        for line in input::lines() {
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
    let loss = name.build(&row.flags.over(*base))?;
    let needed = |value: Option<f64>, field: &str| match value {
        Some(value) => Ok(value),
        None if loss.needs_reference() => {
            anyhow::bail!("`{field}` is missing; {name} reads the reference's log-probability")
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
