//! `loss --loss kto`: the loss of single labelled answers.

use anyhow::{Context, Result, bail};
use bestof_losses::{Kto, Label, UnpairedLogps, UnpairedTerms};
use serde::{Deserialize, Serialize};

use super::flags::Flags;
use crate::console::Usage;
use crate::{console, input};

/// What only `kto` reads.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Weights {
    /// kto: weight of desirable answers
    #[arg(long, allow_negative_numbers = true)]
    desirable_weight: Option<f64>,
    /// kto: weight of undesirable answers
    #[arg(long, allow_negative_numbers = true)]
    undesirable_weight: Option<f64>,
}

impl Weights {
    /// The flags, and whether each was given.
    pub(super) fn given(self) -> [(&'static str, bool); 2] {
        [
            ("--desirable-weight", self.desirable_weight.is_some()),
            ("--undesirable-weight", self.undesirable_weight.is_some()),
        ]
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    logp: f64,
    #[serde(rename = "ref")]
    ref_logp: f64,
    /// `true` for desirable.
    label: bool,
    kto_z0: Option<f64>,
    kl_log_ratios: Option<Vec<f64>>,
    beta: Option<f64>,
    desirable_weight: Option<f64>,
    undesirable_weight: Option<f64>,
}

#[derive(Serialize)]
struct Answer {
    loss: f64,
    grad: f64,
    reward: f64,
}

pub(super) fn run(flags: &Flags, weights: Weights, json: bool) -> Result<()> {
    console::unread("kto", &flags.not_of_kto())?;
    let build = |beta: Option<f64>, desirable: Option<f64>, undesirable: Option<f64>| {
        Kto::new(beta.or(flags.beta).unwrap_or(Kto::DEFAULT_BETA))?.with_weights(
            desirable.or(weights.desirable_weight).unwrap_or(1.0),
            undesirable.or(weights.undesirable_weight).unwrap_or(1.0),
        )
    };
    build(None, None, None).map_err(|e| Usage(e.to_string()))?;
    for line in input::lines()? {
        let (number, line) = line?;
        let row: Row = input::parse(
            number,
            &line,
            "{\"logp\", \"ref\", \"label\": true or false, \"kto_z0\" or \"kl_log_ratios\"}",
        )?;
        let terms = build(row.beta, row.desirable_weight, row.undesirable_weight)
            .map_err(anyhow::Error::from)
            .and_then(|kto| evaluate(&kto, flags.kto_z0, &row))
            .with_context(|| format!("stdin, line {number}"))?;
        let UnpairedTerms { loss, grad, reward } = terms;
        if json {
            console::json(&Answer { loss, grad, reward })?;
        } else {
            console::line(&format!("loss {loss}  d/d logp {grad}  reward {reward}"))?;
        }
    }
    Ok(())
}

fn evaluate(kto: &Kto, z0: Option<f64>, row: &Row) -> Result<UnpairedTerms> {
    let z0 = match (row.kto_z0, &row.kl_log_ratios) {
        (Some(_), Some(_)) => bail!("`kto_z0` and `kl_log_ratios` both give the reference point"),
        (Some(z0), None) => z0,
        (None, Some(log_ratios)) => Kto::reference_point(log_ratios)?,
        (None, None) => z0.context(
            "`kto_z0` is missing; kto reads a reference point, in the row, from `kl_log_ratios` or by --kto-z0",
        )?,
    };
    let label = if row.label { Label::Desirable } else { Label::Undesirable };
    Ok(kto.terms(&UnpairedLogps { logp: row.logp, ref_logp: row.ref_logp, label }, z0)?)
}
