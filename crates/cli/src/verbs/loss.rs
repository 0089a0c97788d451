//! `loss`: the loss of a pair, or of a labelled answer, and its gradients, from log-probabilities
//! alone.

mod kto;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use bestof_losses::{Divergence, LossError, LossName, LossParameters, PairLogps};
use serde::{Deserialize, Serialize};

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

/// Hyper-parameters; what is not given has the loss's published default.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
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
    /// kto-pair, kto: the reference point
    #[arg(long, allow_negative_numbers = true)]
    kto_z0: Option<f64>,
    /// dpo: reverse-kl, forward-kl, jensen-shannon or alpha
    #[arg(long)]
    divergence: Option<String>,
    /// dpo: the alpha of the divergence `alpha`, between 0 and 1
    #[arg(long, allow_negative_numbers = true)]
    divergence_alpha: Option<f64>,
    /// Weight of the chosen answer's likelihood beside the loss
    #[arg(long, allow_negative_numbers = true)]
    sft_alpha: Option<f64>,
}

impl Flags {
    fn over(&self, name: LossName, base: LossParameters) -> Result<LossParameters, LossError> {
        // The older parameters are let through where they are not read, so that one row can be put
        // to every loss.
        for (setting, given) in [
            ("divergence", self.divergence.is_some() || self.divergence_alpha.is_some()),
            ("sft_alpha", self.sft_alpha.is_some()),
        ] {
            if given && !name.parameters().contains(&setting) {
                return Err(LossError::NotRead { setting, by: name.as_str() });
            }
        }
        let divergence = match (self.divergence.as_deref(), self.divergence_alpha) {
            (None, None) => base.divergence,
            (found, alpha) => Divergence::named(found.unwrap_or(base.divergence.as_str()), alpha)?,
        };
        Ok(LossParameters {
            beta: self.beta.unwrap_or(base.beta),
            lambda: self.lambda.unwrap_or(base.lambda),
            gamma: self.gamma.unwrap_or(base.gamma),
            label_smoothing: self.label_smoothing.unwrap_or(base.label_smoothing),
            kto_z0: self.kto_z0.unwrap_or(base.kto_z0),
            divergence,
            sft_alpha: self.sft_alpha.unwrap_or(base.sft_alpha),
        })
    }

    /// A flag that was given and that the loss of labelled answers does not read.
    fn not_of_kto(&self) -> Option<&'static str> {
        [
            ("--lambda", self.lambda.is_some()),
            ("--gamma", self.gamma.is_some()),
            ("--label-smoothing", self.label_smoothing.is_some()),
            ("--divergence", self.divergence.is_some()),
            ("--divergence-alpha", self.divergence_alpha.is_some()),
            ("--sft-alpha", self.sft_alpha.is_some()),
        ]
        .into_iter()
        .find_map(|(flag, given)| given.then_some(flag))
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
        if let Some(flag) = self.weights.given() {
            return Err(Usage(format!("{name} does not read {flag}; leave it out")).into());
        }
        let usage = |e: LossError| Usage(e.to_string());
        let base = self.flags.over(name, LossParameters::of(name)).map_err(usage)?;
        name.build(&base).map_err(usage)?;
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
