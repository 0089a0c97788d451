//! Which metrics belong in one drawing, in which order, and whether more is better.

use crate::run_folder::RunFolder;

/// Which of two values of a metric a reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    Higher,
    Lower,
}

/// One metric in a drawing.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    pub(super) metric: String,
    pub(super) label: String,
}

/// One drawing.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) group: &'static str,
    pub(super) title: String,
    pub(super) curves: Vec<Curve>,
}

const GROUPS: [&str; 7] = [
    "Loss",
    "Log-probabilities",
    "Implicit rewards",
    "Displacement",
    "Reward and pass@k",
    "Optimiser and speed",
    "Other metrics",
];

type Known = (usize, &'static str, &'static [(&'static str, &'static str)]);

const CHARTS: [Known; 30] = [
    (0, "Loss", &[("loss", "loss")]),
    (0, "Perplexity", &[("perplexity", "perplexity")]),
    (0, "Token accuracy", &[("mean_token_accuracy", "accuracy")]),
    (
        1,
        "Log-probability of the answers",
        &[("logps/chosen", "chosen"), ("logps/rejected", "rejected")],
    ),
    (1, "Chosen answers against the reference", &[("logps/chosen_vs_ref", "chosen")]),
    (2, "Implicit rewards", &[("rewards/chosen", "chosen"), ("rewards/rejected", "rejected")]),
    (2, "Reward margin", &[("rewards/margins", "margin")]),
    (2, "Pairs ranked right", &[("rewards/accuracies", "accuracy")]),
    (3, "Pairs whose chosen answer lost probability", &[("displacement", "share")]),
    (3, "DPOP penalty", &[("dpop/penalty", "penalty")]),
    (3, "Pairs under the DPOP penalty", &[("dpop/active_frac", "share")]),
    (4, "Reward", &[("reward", "reward")]),
    (4, "Objective: the expected best of k", &[("objective", "objective")]),
    (4, "Spread of rewards", &[("reward_std", "standard deviation")]),
    (4, "Entropy", &[("entropy", "entropy")]),
    (4, "KL divergence from the reference", &[("kl", "KL")]),
    (4, "k", &[("k", "k"), ("pkpo/k", "k")]),
    (
        4,
        "Prompts by how many of their completions passed",
        &[("prompts/none", "none"), ("prompts/some", "some"), ("prompts/all", "all")],
    ),
    (
        4,
        "Prompts without a signal",
        &[
            ("frac_reward_zero_std", "rewards all equal"),
            ("skipped_updates", "updates without gradient"),
        ],
    ),
    (4, "Prompts with a signal", &[("prompts/with_signal", "share")]),
    (4, "Prompts ever solved", &[("cumulative_solve_rate", "share")]),
    (4, "Distinct answers of a prompt", &[("distinct_answers", "answers")]),
    (4, "Completions: tokens", &[("completions/mean_length", "mean length")]),
    (4, "Completions cut off before their end", &[("completions/clipped_ratio", "share")]),
    (
        4,
        "Failed verifications a step",
        &[("verifier/failures", "failed"), ("verifier/timeouts", "took too long")],
    ),
    (4, "Tokens whose ratio was clipped", &[("clip_ratio", "share")]),
    (5, "Gradient norm", &[("grad_norm", "norm")]),
    (5, "Learning rate", &[("learning_rate", "learning rate")]),
    (5, "Tokens a second", &[("tokens_per_second", "tokens/s")]),
    (5, "Seconds a step", &[("step_time", "seconds")]),
];

/// Groups that share a section, with its title when all of them were measured.
pub(super) const SECTIONS: [(&[&str], &str); 5] = [
    (&["Loss", "Log-probabilities"], "Loss and log-probabilities"),
    (&["Implicit rewards", "Displacement"], "Implicit rewards and displacement"),
    (&["Reward and pass@k"], "Reward and pass@k"),
    (&["Optimiser and speed"], "Optimiser and speed"),
    (&["Other metrics"], "Other metrics"),
];

/// Counters and references: drawn with others or not at all.
const NOT_DRAWN: [&str; 6] =
    ["epoch", "global_step", "num_tokens", "total_time", "ref_logps/chosen", "ref_logps/rejected"];

/// The name of a metric without the prefix of evaluations.
pub(super) fn plain(metric: &str) -> &str {
    metric.strip_prefix("eval_").unwrap_or(metric)
}

/// The drawings for everything any of `runs` measured.
pub(super) fn charts(runs: &[RunFolder]) -> Vec<Chart> {
    let mut measured: Vec<&str> = Vec::new();
    for name in runs.iter().flat_map(RunFolder::metric_names).map(plain) {
        if !measured.contains(&name) {
            measured.push(name);
        }
    }
    let mut charts: Vec<Chart> = Vec::new();
    for (group, title, curves) in CHARTS {
        let curves: Vec<_> = curves
            .iter()
            .filter(|(metric, _)| measured.contains(metric))
            .map(|&(metric, label)| Curve { metric: metric.into(), label: label.into() })
            .collect();
        if !curves.is_empty() {
            charts.push(Chart { group: GROUPS[group], title: title.into(), curves });
        }
    }
    charts.extend(pass_at_k(&measured));
    for metric in measured {
        let drawn = charts.iter().flat_map(|chart| &chart.curves).any(|c| c.metric == metric);
        if !drawn && !NOT_DRAWN.contains(&metric) && !is_bound(metric) {
            let curve = Curve { metric: metric.into(), label: metric.into() };
            charts.push(Chart {
                group: group_of(metric),
                title: metric.into(),
                curves: vec![curve],
            });
        }
    }
    charts
}

/// One drawing of all pass@k, by k.
fn pass_at_k(measured: &[&str]) -> Option<Chart> {
    let mut names: Vec<_> =
        measured.iter().copied().filter(|n| n.starts_with("pass@") && !is_bound(n)).collect();
    names.sort_by_key(|name| name["pass@".len()..].parse::<u64>().unwrap_or(u64::MAX));
    let curves: Vec<_> =
        names.into_iter().map(|name| Curve { metric: name.into(), label: name.into() }).collect();
    (!curves.is_empty()).then(|| Chart { group: GROUPS[4], title: "pass@k".into(), curves })
}

/// Whether a metric is an end of another one's interval: in tables, but not a curve of its own.
fn is_bound(metric: &str) -> bool {
    metric.ends_with("/low") || metric.ends_with("/high")
}

fn group_of(metric: &str) -> &'static str {
    let index = match metric.split('/').next() {
        Some("logps" | "ref_logps") => 1,
        Some("rewards") => 2,
        Some("dpop" | "displacement") => 3,
        Some("pkpo" | "completions" | "prompts" | "verifier" | "sampling_gap" | "rollout_gap") => 4,
        _ => 6,
    };
    GROUPS[index]
}

/// Whether a metric is a share, to be read as a percentage.
pub(super) fn is_share(metric: &str) -> bool {
    let metric = plain(metric);
    metric.starts_with("pass@")
        || metric.ends_with("_frac")
        || metric.ends_with("_ratio")
        || metric.starts_with("frac_")
        || metric.contains("accurac")
        || metric.starts_with("displacement")
        || metric.starts_with("prompts/")
        || metric.ends_with("_rate") && !metric.starts_with("learning")
        || metric == "skipped_updates"
}

/// Whether a metric is set rather than measured, so that smoothing would falsify it.
pub(super) fn is_exact(metric: &str) -> bool {
    matches!(plain(metric), "learning_rate" | "k" | "pkpo/k" | "epoch")
}

/// Which direction of a metric is better, where that is beyond doubt.
pub(super) fn better(metric: &str) -> Option<Better> {
    let metric = plain(metric);
    match metric {
        "perplexity" | "step_time" | "displacement" => Some(Better::Lower),
        "reward"
        | "objective"
        | "cumulative_solve_rate"
        | "rewards/margins"
        | "tokens_per_second"
        | "logps/chosen" => Some(Better::Higher),
        _ if metric.contains("accurac") || metric.starts_with("pass@") => Some(Better::Higher),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chart_has_a_group_and_every_group_a_section() {
        assert!(CHARTS.iter().all(|(group, ..)| *group < GROUPS.len()));
        assert!(SECTIONS.iter().flat_map(|(groups, _)| *groups).eq(&GROUPS));
    }

    #[test]
    fn passes_come_in_the_order_of_k() {
        let chart =
            pass_at_k(&["pass@16", "loss", "pass@k", "pass@2/low", "pass@2", "pass@2/high"])
                .unwrap();
        let names: Vec<_> = chart.curves.iter().map(|curve| curve.metric.as_str()).collect();
        assert_eq!(names, ["pass@2", "pass@16", "pass@k"]);
        assert!(pass_at_k(&["loss"]).is_none());
    }
}
