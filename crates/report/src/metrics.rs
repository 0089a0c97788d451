//! Every metric that runs write: its name, meaning and unit, which runs write it, and how it is drawn.

use std::fmt::Write as _;

/// A kind of run, as far as it decides which metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunType {
    /// Supervised fine-tuning, context extension included (`sft`, `extend`).
    Supervised,
    /// Preference optimisation (`prefer`).
    Preference,
    /// Policy gradients (`reinforce`).
    Policy,
    /// Encoders and networks for reviews (`sentiment train`).
    Sentiment,
}

impl RunType {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Supervised, Self::Preference, Self::Policy, Self::Sentiment];

    /// The command that starts such a run.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Supervised => "sft",
            Self::Preference => "prefer",
            Self::Policy => "reinforce",
            Self::Sentiment => "sentiment",
        }
    }
}

/// What a metric counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// A number without unit.
    Number,
    /// A share in `[0, 1]`, shown as a percentage.
    Share,
    /// Natural-logarithm units of probability.
    Nats,
    /// Nats per token.
    NatsPerToken,
    /// Things counted.
    Count,
    /// Tokens.
    Tokens,
    /// Tokens per second: depends on the clock, and so differs between two runs of one seed.
    TokensPerSecond,
    /// Seconds: by the clock, too.
    Seconds,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Number => "",
            Self::Share => "share, 0 to 1",
            Self::Nats => "nats",
            Self::NatsPerToken => "nats per token",
            Self::Count => "count",
            Self::Tokens => "tokens",
            Self::TokensPerSecond => "tokens per second",
            Self::Seconds => "seconds",
        }
    }
}

/// Which of two values of a metric is better, where that is beyond doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The higher one.
    Higher,
    /// The lower one.
    Lower,
}

/// Plots that stand together in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlotGroup {
    /// Loss and perplexity.
    Loss,
    /// Log-probabilities.
    LogProbabilities,
    /// Implicit rewards.
    ImplicitRewards,
    /// Chosen answers that lost probability.
    Displacement,
    /// Rewards, pass@k and what else is measured on completions.
    RewardAndPassAtK,
    /// Optimiser and speed.
    OptimiserAndSpeed,
    /// Everything else.
    Other,
}

impl PlotGroup {
    /// The heading of the group.
    pub fn title(self) -> &'static str {
        match self {
            Self::Loss => "Loss",
            Self::LogProbabilities => "Log-probabilities",
            Self::ImplicitRewards => "Implicit rewards",
            Self::Displacement => "Displacement",
            Self::RewardAndPassAtK => "Reward and pass@k",
            Self::OptimiserAndSpeed => "Optimiser and speed",
            Self::Other => "Other metrics",
        }
    }
}

/// The curve of a metric: metrics of one group and title share a plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlotCurve {
    /// The group of the plot.
    pub group: PlotGroup,
    /// The title of the plot.
    pub title: &'static str,
    /// The name of the curve in it.
    pub label: &'static str,
}

/// A metric that runs write.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// Name in `metrics.jsonl`, without the `eval_` of evaluations. The `k` of `pass@k` stands for a number.
    pub name: &'static str,
    /// What it measures.
    pub meaning: &'static str,
    /// What it counts in.
    pub unit: Unit,
    /// The runs that write it.
    pub runs: &'static [RunType],
    /// Which value is better, where that is beyond doubt.
    pub better: Option<Better>,
    /// How it is drawn, unless it only counts.
    pub curve: Option<PlotCurve>,
    /// Whether it is set rather than measured, so that smoothing would falsify it.
    pub exact: bool,
}

impl Metric {
    const fn new(
        name: &'static str,
        unit: Unit,
        runs: &'static [RunType],
        meaning: &'static str,
    ) -> Self {
        Self { name, meaning, unit, runs, better: None, curve: None, exact: false }
    }

    const fn drawn(mut self, group: PlotGroup, title: &'static str, label: &'static str) -> Self {
        self.curve = Some(PlotCurve { group, title, label });
        self
    }

    const fn higher_is_better(mut self) -> Self {
        self.better = Some(Better::Higher);
        self
    }

    const fn lower_is_better(mut self) -> Self {
        self.better = Some(Better::Lower);
        self
    }

    const fn exact(mut self) -> Self {
        self.exact = true;
        self
    }
}

use PlotGroup::{
    Displacement, ImplicitRewards, LogProbabilities, Loss, OptimiserAndSpeed, Other,
    RewardAndPassAtK,
};
use Unit::{Count, Nats, NatsPerToken, Number, Seconds, Share, Tokens, TokensPerSecond};

const ALL: &[RunType] = &RunType::ALL;
const SUPERVISED: &[RunType] = &[RunType::Supervised];
const PREFERENCE: &[RunType] = &[RunType::Preference];
const POLICY: &[RunType] = &[RunType::Policy];
const POLICY_AND_PREFERENCE: &[RunType] = &[RunType::Policy, RunType::Preference];
const SENTIMENT: &[RunType] = &[RunType::Sentiment];

/// The metrics of all runs, in the order in which they are drawn.
pub const METRICS: &[Metric] = &[
    Metric::new("loss", Number, ALL, "mean over the completion tokens (`sft`), the pairs or labelled answers (`prefer`) or the reviews (`sentiment`) of the global batch; `reinforce`: mean over the updates of a step")
        .drawn(Loss, "Loss", "loss"),
    Metric::new("perplexity", Number, SUPERVISED, "evaluations only: exponential of the loss")
        .drawn(Loss, "Perplexity", "perplexity")
        .lower_is_better(),
    Metric::new("stars_loss", Nats, SENTIMENT, "cross-entropy of the five stars")
        .drawn(Loss, "Losses of the tasks", "stars"),
    Metric::new("binary_loss", Nats, SENTIMENT, "cross-entropy of positive against negative")
        .drawn(Loss, "Losses of the tasks", "binary"),
    Metric::new("sentiment_loss", Number, SENTIMENT, "squared error of the sentiment score")
        .drawn(Loss, "Losses of the tasks", "sentiment"),
    Metric::new("logps/chosen", Nats, PREFERENCE, "log-probability of the chosen answers, as in TRL; with `kto` the chosen answers are the desirable ones, and the rejected the undesirable")
        .drawn(LogProbabilities, "Log-probability of the answers", "chosen")
        .higher_is_better(),
    Metric::new("logps/rejected", Nats, PREFERENCE, "log-probability of the rejected answers, as in TRL")
        .drawn(LogProbabilities, "Log-probability of the answers", "rejected"),
    Metric::new("logps/chosen_vs_ref", Nats, PREFERENCE, "log-probability of the chosen answers minus that of the reference")
        .drawn(LogProbabilities, "Chosen answers against the reference", "chosen"),
    Metric::new("rewards/chosen", Number, PREFERENCE, "implicit reward of the chosen answers, as in TRL; DPOP's penalty is not in it")
        .drawn(ImplicitRewards, "Implicit rewards", "chosen"),
    Metric::new("rewards/rejected", Number, PREFERENCE, "implicit reward of the rejected answers, as in TRL")
        .drawn(ImplicitRewards, "Implicit rewards", "rejected"),
    Metric::new("rewards/margins", Number, PREFERENCE, "chosen minus rejected; with `kto` the difference of their means, over steps with both labels")
        .drawn(ImplicitRewards, "Reward margin", "margin")
        .higher_is_better(),
    Metric::new("rewards/accuracies", Share, PREFERENCE, "share of pairs whose chosen answer has the higher reward")
        .drawn(ImplicitRewards, "Pairs ranked right", "accuracy")
        .higher_is_better(),
    Metric::new("displacement", Share, PREFERENCE, "share of chosen answers that are less likely than under the reference")
        .drawn(Displacement, "Pairs whose chosen answer lost probability", "share")
        .lower_is_better(),
    Metric::new("dpop/penalty", Nats, PREFERENCE, "DPOP only: nats by which chosen answers fell below the reference")
        .drawn(Displacement, "DPOP penalty", "penalty"),
    Metric::new("dpop/active_frac", Share, PREFERENCE, "DPOP only: share of pairs with a penalty")
        .drawn(Displacement, "Pairs under the DPOP penalty", "share"),
    Metric::new("reward", Number, POLICY, "mean over completions")
        .drawn(RewardAndPassAtK, "Reward", "reward")
        .higher_is_better(),
    Metric::new("objective", Number, POLICY, "unbiased estimate of what is optimised: max@k, the mean reward (k = 1), or max@n")
        .drawn(RewardAndPassAtK, "Objective: the expected best of k", "objective")
        .higher_is_better(),
    Metric::new("reward_std", Number, POLICY, "standard deviation within a prompt (divisor n - 1), mean over prompts")
        .drawn(RewardAndPassAtK, "Standard deviation of rewards", "standard deviation"),
    Metric::new("entropy", NatsPerToken, POLICY, "exact with an entropy bonus, otherwise the mean of `-log p` over the sampled tokens, which has the same expectation without cuts")
        .drawn(RewardAndPassAtK, "Entropy", "entropy"),
    Metric::new("kl", Nats, POLICY_AND_PREFERENCE, "divergence from the reference before the first update of a step: by `kl_estimator`, of a token (`reinforce`), or the reference point of `kto`, of a whole completion")
        .drawn(LogProbabilities, "KL divergence from the reference", "KL"),
    Metric::new("k", Count, POLICY, "the k of this step")
        .drawn(RewardAndPassAtK, "k", "k")
        .exact(),
    Metric::new("prompts/none", Share, POLICY, "share of prompts none of whose completions passed")
        .drawn(RewardAndPassAtK, "Prompts by how many of their completions passed", "none"),
    Metric::new("prompts/some", Share, POLICY, "share of prompts some of whose completions passed")
        .drawn(RewardAndPassAtK, "Prompts by how many of their completions passed", "some"),
    Metric::new("prompts/all", Share, POLICY, "share of prompts all of whose completions passed")
        .drawn(RewardAndPassAtK, "Prompts by how many of their completions passed", "all"),
    Metric::new("frac_reward_zero_std", Share, POLICY, "share of prompts whose rewards are all equal")
        .drawn(RewardAndPassAtK, "Prompts without a signal", "rewards all equal"),
    Metric::new("skipped_updates", Share, POLICY, "share of updates that had no gradient at all and were not made")
        .drawn(RewardAndPassAtK, "Prompts without a signal", "updates without gradient"),
    Metric::new("prompts/with_signal", Share, POLICY, "share of prompts with a weight that is not 0. For 0/1 rewards `loo-minus-one` has one only where 1 to n - k + 1 completions passed")
        .drawn(RewardAndPassAtK, "Prompts with a signal", "share"),
    Metric::new("cumulative_solve_rate", Share, POLICY, "share of the training prompts that were ever solved in training")
        .drawn(RewardAndPassAtK, "Prompts ever solved", "share")
        .higher_is_better(),
    Metric::new("distinct_answers", Count, POLICY, "different final answers among the completions of a prompt: what a marker declares; else the last number, with `number` and `math`; else the text")
        .drawn(RewardAndPassAtK, "Distinct answers of a prompt", "answers"),
    Metric::new("completions/mean_length", Tokens, POLICY, "mean length of the completions, without what an environment says")
        .drawn(RewardAndPassAtK, "Completions: tokens", "mean length"),
    Metric::new("completions/clipped_ratio", Share, POLICY, "share of completions that never ended")
        .drawn(RewardAndPassAtK, "Completions cut off before their end", "share"),
    Metric::new("verifier/failures", Count, POLICY, "failed verifications per step, or per evaluation")
        .drawn(RewardAndPassAtK, "Failed verifications per step", "failed"),
    Metric::new("verifier/timeouts", Count, POLICY, "those of them that took too long")
        .drawn(RewardAndPassAtK, "Failed verifications per step", "took too long"),
    Metric::new("clip_ratio", Share, POLICY, "share of tokens whose ratio a bound changed, over all updates of the step: `ppo-clip` takes their gradient away, `cispo` and `truncated-is` keep it with the bound in place of the ratio")
        .drawn(RewardAndPassAtK, "Tokens whose ratio was clipped", "share"),
    Metric::new("ratio/mean_product", Number, POLICY, "mean product of k importance ratios of a prompt's completions before an update with `exact` weights, mean over prompts and updates; its expectation is 1, and far from it the weights cannot be trusted")
        .drawn(RewardAndPassAtK, "Importance ratios of whole completions", "mean product of k"),
    Metric::new("ratio/effective_samples", Count, POLICY, "`(sum r)^2 / sum r^2` of the same ratios: how many completions of the policy itself would be as good for a mean")
        .drawn(RewardAndPassAtK, "Completions that the ratios leave", "effective samples"),
    Metric::new("prompts/redrawn", Count, POLICY, "prompts of a step that were drawn in the place of those whose completions all had one reward")
        .drawn(RewardAndPassAtK, "Prompts drawn in place of others", "redrawn"),
    Metric::new("sampling_gap", NatsPerToken, POLICY, "mean log-probability of the sampled tokens under the sampling distribution minus that under the policy, the model at `rollout.temperature`; 0 without cuts, but for rounding")
        .drawn(RewardAndPassAtK, "Distance between sampling and training", "sampling distribution"),
    Metric::new("rollout_gap", NatsPerToken, POLICY, "mean distance between the log-probabilities of tokens when they were sampled and in the first training pass, both at `rollout.temperature`: rounding, since both are the same model, unless its RoPE basis depends on the length of a sequence; with `rollout.server` what sets its model apart, age of weights included")
        .drawn(RewardAndPassAtK, "Distance between sampling and training", "rounding"),
    Metric::new("rollout/lag", Count, POLICY, "with `rollout.server`: steps since the weights that the server drew with")
        .drawn(RewardAndPassAtK, "Age of the server's weights in steps", "lag"),
    Metric::new("rollout/turns", Count, POLICY, "with an environment: turns of the policy in an episode")
        .drawn(RewardAndPassAtK, "Turns of an episode", "turns"),
    Metric::new(PASS_AT_K, Share, POLICY, "`pass@1`, `pass@2`, `pass@4` … `pass@n`: unbiased, mean over prompts; in evaluations with `/low` and `/high`, the 95 % interval over prompts")
        .drawn(RewardAndPassAtK, "pass@k", "pass@k")
        .higher_is_better(),
    Metric::new("grad_norm", Number, ALL, "norm of the gradient before clipping")
        .drawn(OptimiserAndSpeed, "Gradient norm", "norm"),
    Metric::new("learning_rate", Number, ALL, "of this step")
        .drawn(OptimiserAndSpeed, "Learning rate", "learning rate")
        .exact(),
    Metric::new("tokens_per_second", TokensPerSecond, ALL, "speed of training, without evaluations")
        .drawn(OptimiserAndSpeed, "Tokens per second", "tokens/s")
        .higher_is_better(),
    Metric::new("ranks/bytes", Count, ALL, "with several ranks: bytes that rank 0 sent to others in a step"),
    Metric::new("ranks/overlapped", Share, ALL, "with several ranks: gradients that rank 0 had sent when its backward pass ended"),
    Metric::new("ranks/waited", Seconds, ALL, "with several ranks: how long the computation of rank 0 stood still for others in a step"),
    Metric::new("accuracy", Share, SENTIMENT, "evaluations only: share of reviews whose label was found")
        .drawn(Other, "Accuracy", "accuracy")
        .higher_is_better(),
    Metric::new("balanced_accuracy", Share, SENTIMENT, "evaluations only: accuracy of each label, mean over labels")
        .drawn(Other, "Accuracy", "balanced")
        .higher_is_better(),
    Metric::new("macro_f1", Number, SENTIMENT, "evaluations only: F1 of each label, mean over labels")
        .drawn(Other, "Macro F1", "F1")
        .higher_is_better(),
    Metric::new("log_variance/stars", Number, SENTIMENT, "learned weights only: log-variance of the task")
        .drawn(Other, "Log-variances of the tasks", "stars"),
    Metric::new("log_variance/binary", Number, SENTIMENT, "learned weights only: log-variance of the task")
        .drawn(Other, "Log-variances of the tasks", "binary"),
    Metric::new("log_variance/sentiment", Number, SENTIMENT, "learned weights only: log-variance of the task")
        .drawn(Other, "Log-variances of the tasks", "sentiment"),
    Metric::new("reference_gap", Nats, PREFERENCE, "first step only: largest distance between policy and cached reference")
        .drawn(Other, "Distance from the cached reference", "distance"),
    Metric::new("epoch", Number, ALL, "passes over the rows, with fraction; evaluations have it without `eval_`").exact(),
    Metric::new("num_tokens", Tokens, ALL, "tokens of the rows trained on so far, prompts included, shared ones counted as often as they occur").exact(),
];

/// Metrics that depend on the clock, or on what ranks happen to exchange: the only ones in which two runs of one
/// seed may differ.
pub const TIMING_METRICS: [&str; 4] =
    ["tokens_per_second", "ranks/bytes", "ranks/overlapped", "ranks/waited"];

const PASS_AT_K: &str = "pass@k";

/// The name of a metric without the prefix of evaluations.
pub(crate) fn without_eval(name: &str) -> &str {
    name.strip_prefix("eval_").unwrap_or(name)
}

/// Whether a metric is an end of another one's interval: in tables, but not a curve of its own.
pub(crate) fn is_interval_end(name: &str) -> bool {
    name.ends_with("/low") || name.ends_with("/high")
}

/// The k of `pass@k`, `None` for other metrics.
pub(crate) fn k_of_pass_at_k(name: &str) -> Option<u64> {
    without_eval(name).strip_prefix("pass@")?.parse().ok()
}

/// What is known of the metric of this name, as it stands in `metrics.jsonl`.
///
/// ```
/// use bestof_report::metric;
///
/// assert_eq!(metric("eval_loss").unwrap().name, "loss");
/// assert_eq!(metric("eval_pass@16/low").unwrap().name, "pass@k");
/// assert!(metric("my/own").is_none());
/// ```
pub fn metric(name: &str) -> Option<&'static Metric> {
    let plain = without_eval(name);
    let of_interval = plain.strip_suffix("/low").or(plain.strip_suffix("/high")).unwrap_or(plain);
    let name = if k_of_pass_at_k(of_interval).is_some() { PASS_AT_K } else { plain };
    METRICS.iter().find(|metric| metric.name == name)
}

/// The names of all metrics that a kind of run writes, without the `eval_` of evaluations.
pub fn metric_names(run: RunType) -> Vec<&'static str> {
    METRICS.iter().filter(|metric| metric.runs.contains(&run)).map(|metric| metric.name).collect()
}

/// The whole table in Markdown, as it stands in `docs/metrics.md`.
pub fn metrics_markdown() -> String {
    let mut text = String::from("| metric | unit | runs | is |\n|---|---|---|---|\n");
    for metric in METRICS {
        let runs = match metric.runs {
            runs if runs.len() == RunType::ALL.len() => "all".to_owned(),
            runs => {
                runs.iter().map(|run| format!("`{}`", run.as_str())).collect::<Vec<_>>().join(", ")
            }
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {runs} | {} |",
            metric.name,
            metric.unit.as_str(),
            metric.meaning
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        for (index, entry) in METRICS.iter().enumerate() {
            assert!(
                METRICS[..index].iter().all(|other| other.name != entry.name),
                "{}",
                entry.name
            );
            assert_eq!(metric(entry.name), Some(entry));
            assert!(!entry.runs.is_empty() && !entry.meaning.is_empty(), "{}", entry.name);
        }
        assert_eq!(metric("pass@4").map(|m| m.name), Some(PASS_AT_K));
        assert_eq!(metric("loss/low"), None);
    }

    #[test]
    fn the_metrics_of_the_clock_are_those_with_such_a_unit_and_those_of_ranks() {
        let timed = METRICS.iter().filter(|metric| {
            matches!(metric.unit, TokensPerSecond | Seconds) || metric.name.starts_with("ranks/")
        });
        assert!(timed.map(|metric| metric.name).eq(TIMING_METRICS));
    }

    #[test]
    fn metrics_of_one_plot_stand_together() {
        let plots: Vec<_> =
            METRICS.iter().filter_map(|m| m.curve).map(|c| (c.group, c.title)).collect();
        let mut distinct = plots.clone();
        distinct.dedup();
        for (index, plot) in distinct.iter().enumerate() {
            assert!(!distinct[..index].contains(plot), "{plot:?}");
        }
    }
}
