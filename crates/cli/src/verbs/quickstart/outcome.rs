//! What is measured of a model before and after training, and what follows from it.

use std::path::Path;

use anyhow::{Context, Result};
use bestof_models::{AfterToken, CausalLm, ForwardOptions, Request, SamplingConfig};
use bestof_report::{Finding, Verdict};
use bestof_tasks::rows::ReadOptions;
use bestof_trainer::data::{EncodeOptions, load_pairs, load_supervised};
use bestof_trainer::evaluate::{Estimate, perplexity_of_completions, preference};
use bestof_trainer::score::{ScoreSettings, score_pairs};
use serde::Serialize;
use serde_json::{Value, json};

use super::data::Data;
use crate::device::DeviceArg;
use crate::model::{Opened, PlaceArg, open};
use crate::progress::Bars;

/// Problems that are answered before and after.
const SAMPLES: usize = 2;

/// A question and the model's greedy answer.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Answer {
    pub(super) prompt: String,
    pub(super) text: String,
}

/// What was measured of one model on the held-out pairs.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Outcome {
    /// `before`, `dpo` or `dpop`.
    pub(super) name: String,
    /// Mean log-probability of the chosen answers.
    pub(super) logp_chosen: f64,
    /// Mean log-probability of the rejected answers.
    pub(super) logp_rejected: f64,
    /// Mean of the chosen answers' log-probability less the reference's, with its interval.
    pub(super) chosen_vs_ref: Interval,
    /// Share of pairs whose chosen answer is now less likely than before training.
    pub(super) displacement: f64,
    /// Share of pairs where the chosen answer gained more than the rejected one.
    pub(super) reward_accuracy: Interval,
    /// Share of pairs whose chosen answer is likelier than the rejected one.
    pub(super) logp_accuracy: Interval,
    /// Perplexity of the right solutions.
    pub(super) perplexity: Interval,
    /// Greedy answers to held-out questions.
    pub(super) answers: Vec<Answer>,
    /// Seconds in the training loop.
    pub(super) seconds: f64,
    /// Pairs trained on a second.
    pub(super) pairs_per_second: f64,
}

/// A value with its 95 % interval.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Interval {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl From<&Estimate> for Interval {
    fn from(e: &Estimate) -> Self {
        Self { value: e.value, low: e.low, high: e.high }
    }
}

/// Measures the model in `dir` against the one in `reference`.
pub(super) fn measure(
    name: &str,
    dir: &Path,
    reference: &Path,
    data: &Data,
    device: &DeviceArg,
) -> Result<Outcome> {
    let (mut bars, place) = (Bars::named(name), PlaceArg::on(device));
    let (options, settings) = (ForwardOptions::default(), ScoreSettings::default());
    let opened = open(dir, None, &place)?;
    let encoder = opened.encoder(EncodeOptions::training())?;
    let pairs = load_pairs(&data.held_out, &encoder, &ReadOptions::default())?.items;
    let policy =
        score_pairs(&opened.decoder, &pairs, &options, settings, "held-out pairs", &mut bars)?;
    let solutions = load_supervised(&data.solutions, &encoder, &ReadOptions::default())?.items;
    let perplexity = perplexity_of_completions(&opened.decoder, &solutions, settings, &mut bars)?;
    let prompts: Vec<Vec<u32>> =
        pairs.iter().take(SAMPLES).map(|pair| pair.prompt_ids.clone()).collect();
    let answers = answers(&opened, &prompts)?;
    drop(opened);
    let reference_scores = if dir == reference {
        policy.clone()
    } else {
        let opened = open(reference, None, &place)?;
        score_pairs(&opened.decoder, &pairs, &options, settings, "reference", &mut bars)?
    };
    let estimates = preference(&policy, Some(&reference_scores), 1.0)?;
    let of = |metric: &str| {
        estimates
            .iter()
            .find(|e| e.metric == metric)
            .map(Interval::from)
            .with_context(|| format!("`{metric}` was not measured"))
    };
    let mean = |side: fn(&bestof_trainer::score::PairScore) -> f64| {
        policy.iter().map(side).sum::<f64>() / policy.len() as f64
    };
    Ok(Outcome {
        name: name.to_owned(),
        logp_chosen: mean(|score| score.chosen),
        logp_rejected: mean(|score| score.rejected),
        chosen_vs_ref: of("logps/chosen_vs_ref")?,
        displacement: of("displacement")?.value,
        reward_accuracy: of("rewards/accuracies")?,
        logp_accuracy: of("logps/accuracies")?,
        perplexity: (&perplexity).into(),
        answers,
        seconds: 0.0,
        pairs_per_second: 0.0,
    })
}

fn answers(opened: &Opened, prompts: &[Vec<u32>]) -> Result<Vec<Answer>> {
    let tokenizer = opened.tokenizer()?;
    let requests: Vec<Request> = prompts
        .iter()
        .map(|prompt| Request { prompt: prompt.clone(), samples: 1, seed: 0 })
        .collect();
    let sampling = SamplingConfig::greedy(160)
        .with_eos_token_ids(opened.folder.generation.eos_token_ids.clone());
    let generations =
        opened.decoder.generate(&requests, &sampling, &mut |_| AfterToken::Continue)?;
    generations
        .iter()
        .map(|generation| {
            let prompt = tokenizer.decode(&prompts[generation.request], true)?;
            Ok(Answer { prompt, text: tokenizer.decode(&generation.ids, true)? })
        })
        .collect()
}

/// What the comparison says, whichever way it went.
pub(super) fn findings(before: &Outcome, dpo: &Outcome, dpop: &Outcome) -> Vec<Finding> {
    let change = |o: &Outcome| {
        let Interval { value, low, high } = o.chosen_vs_ref;
        format!("{value:+.2} nats (95 % interval {low:+.2} to {high:+.2})")
    };
    let falls = |o: &Outcome| judged(o.chosen_vs_ref.high < 0.0, o.chosen_vs_ref.low >= 0.0);
    let keeps = |o: &Outcome| judged(o.chosen_vs_ref.low >= 0.0, o.chosen_vs_ref.high < 0.0);
    let accuracy = |o: &Outcome| {
        let Interval { value, low, high } = o.reward_accuracy;
        format!("{:.0} % ({:.0} to {:.0})", 100.0 * value, 100.0 * low, 100.0 * high)
    };
    let perplexity = |o: &Outcome| {
        let Interval { value, low, high } = o.perplexity;
        format!("{value:.2} ({low:.2} to {high:.2})")
    };
    let learned = judged(dpop.reward_accuracy.low > 0.5, dpop.reward_accuracy.high < 0.5);
    // Intervals that meet say nothing: those of the same solutions, they are wider than that of the
    // difference.
    let better = judged(
        dpop.perplexity.high < dpo.perplexity.low,
        dpop.perplexity.low > dpo.perplexity.high,
    );
    vec![
        Finding {
            claim: "DPO makes the chosen answers less likely".into(),
            measured: format!(
                "{}; {:.0} % of the held-out pairs displaced",
                change(dpo),
                100.0 * dpo.displacement
            ),
            verdict: falls(dpo),
        },
        Finding {
            claim: "DPOP does not".into(),
            measured: format!("{}; {:.0} % displaced", change(dpop), 100.0 * dpop.displacement),
            verdict: keeps(dpop),
        },
        Finding {
            claim: "DPOP learns the preference all the same".into(),
            measured: format!(
                "accuracy of the rewards on held-out pairs: DPOP {}, DPO {}",
                accuracy(dpop),
                accuracy(dpo)
            ),
            verdict: learned,
        },
        Finding {
            claim: "Right solutions stay likelier under DPOP than under DPO".into(),
            measured: format!(
                "perplexity of held-out solutions: before {}, DPO {}, DPOP {}",
                perplexity(before),
                perplexity(dpo),
                perplexity(dpop)
            ),
            verdict: better,
        },
    ]
}

/// Of a claim that surely holds, or surely does not.
fn judged(holds: bool, does_not: bool) -> Verdict {
    match (holds, does_not) {
        (true, _) => Verdict::Holds,
        (_, true) => Verdict::DoesNot,
        _ => Verdict::Unclear,
    }
}

/// A finding for `--json`.
pub(super) fn as_json(finding: &Finding) -> Value {
    json!({"claim": finding.claim, "measured": finding.measured, "verdict": verdict(finding)})
}

/// A verdict in words.
pub(super) fn verdict(finding: &Finding) -> &'static str {
    match finding.verdict {
        Verdict::Holds => "holds",
        Verdict::DoesNot => "does not hold",
        Verdict::Unclear => "unclear",
    }
}
