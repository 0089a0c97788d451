//! Scores with 95 % intervals: preferences and perplexity.

use bestof_estimators::{Interval, mean_proportion, mean_with_interval};
use bestof_models::{CausalLm, ForwardOptions};
use serde::{Deserialize, Serialize};

use crate::data::EncodedCompletion;
use crate::error::TrainError;
use crate::forward::RowSequence;
use crate::progress::Progress;
use crate::rows::RowSet;
use crate::score::{PairScore, ScoreSettings, check_finite, score_completions, score_sequences};

/// A measured number with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// What was measured.
    pub metric: String,
    /// The value.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Number of items it was measured on.
    pub n: usize,
}

impl Estimate {
    /// A share of `n` items, with Wilson's interval.
    ///
    /// ```
    /// use bestof_trainer::evaluate::Estimate;
    ///
    /// let all = Estimate::share("accuracy", 10, 10)?;
    /// assert_eq!((all.value, all.high), (1.0, 1.0));
    /// assert!((all.low - 0.7225).abs() < 1e-4);
    /// # Ok::<(), bestof_trainer::TrainError>(())
    /// ```
    ///
    /// # Errors
    /// [`TrainError::Estimate`] if `n` is 0.
    pub fn share(metric: &str, hits: usize, n: usize) -> Result<Self, TrainError> {
        let values: Vec<f64> = (0..n).map(|item| f64::from(u8::from(item < hits))).collect();
        Ok(Self::named(metric, mean_proportion(&values)?))
    }

    /// The mean of values in `[0, 1]`, with an interval that stays there.
    ///
    /// # Errors
    /// [`TrainError::Estimate`] if there is none or one lies outside.
    pub fn proportion(metric: &str, values: &[f64]) -> Result<Self, TrainError> {
        Ok(Self::named(metric, mean_proportion(values)?))
    }

    /// The mean of values, with Student's interval; the whole line for a single value.
    ///
    /// # Errors
    /// [`TrainError::Estimate`] if there is none or one is not finite.
    pub fn mean(metric: &str, values: &[f64]) -> Result<Self, TrainError> {
        if let &[value] = values {
            let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
            return Ok(Self { metric: metric.to_owned(), value, low, high, n: 1 });
        }
        Ok(Self::named(metric, mean_with_interval(values)?))
    }

    pub(crate) fn named(metric: &str, interval: Interval) -> Self {
        let Interval { value, low, high, n, .. } = interval;
        Self { metric: metric.to_owned(), value, low, high, n }
    }
}

/// Preference accuracies and margins of a policy, and against a reference if there is one.
///
/// ```text
/// logps/accuracies      log p(chosen) > log p(rejected)
/// rewards/accuracies    log p(chosen)/ref(chosen) > log p(rejected)/ref(rejected)
/// rewards/margins       beta times that difference
/// displacement          log p(chosen) < log ref(chosen)
/// ```
/// A tie is no hit.
///
/// # Errors
/// [`TrainError::Estimate`] if there are no pairs, [`TrainError::ScoreNotFinite`] for a score that is no number.
///
/// # Panics
/// If `reference` has another length than `policy`.
pub fn preference(
    policy: &[PairScore],
    reference: Option<&[PairScore]>,
    beta: f64,
) -> Result<Vec<Estimate>, TrainError> {
    let n = policy.len();
    for scores in [Some(policy), reference].into_iter().flatten() {
        check_finite(scores.iter().map(PairScore::sum), |pair| format!("pair {}", pair + 1))?;
    }
    let share = |name: &str, hits: usize| Estimate::share(name, hits, n);
    let raw = policy.iter().filter(|score| score.chosen > score.rejected).count();
    let mean_of = |score: &&PairScore| {
        score.chosen / score.chosen_len as f64 > score.rejected / score.rejected_len as f64
    };
    let per_token = policy.iter().filter(mean_of).count();
    let mut estimates =
        vec![share("logps/accuracies", raw)?, share("logps/accuracies_per_token", per_token)?];
    if let Some(reference) = reference {
        assert_eq!(reference.len(), n, "a reference score for every pair");
        let ratios: Vec<(f64, f64)> = policy
            .iter()
            .zip(reference)
            .map(|(p, r)| (p.chosen - r.chosen, p.rejected - r.rejected))
            .collect();
        let margins: Vec<f64> = ratios.iter().map(|(u, v)| beta * (u - v)).collect();
        let chosen: Vec<f64> = ratios.iter().map(|(u, _)| *u).collect();
        let wins = margins.iter().filter(|margin| **margin > 0.0).count();
        let lost = chosen.iter().filter(|u| **u < 0.0).count();
        estimates.push(share("rewards/accuracies", wins)?);
        estimates.push(Estimate::mean("rewards/margins", &margins)?);
        estimates.push(Estimate::mean("logps/chosen_vs_ref", &chosen)?);
        estimates.push(share("displacement", lost)?);
    }
    Ok(estimates)
}

/// How long texts are cut into windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Tokens the model sees at once.
    pub length: usize,
    /// Tokens by which a window moves; each token is scored once, with at least `length - stride` before it.
    pub stride: usize,
}

impl Windows {
    /// The windows over `n` tokens: begin, end, and the first token that is scored in it.
    fn over(self, n: usize) -> Vec<(usize, usize, usize)> {
        self.from(n, 1)
    }

    /// The same where nothing before token `first` is scored.
    fn from(self, n: usize, first: usize) -> Vec<(usize, usize, usize)> {
        let (length, stride) = (self.length.max(2), self.stride.clamp(1, self.length.max(2) - 1));
        let mut windows = Vec::new();
        let (mut begin, mut scored) = (0, first.max(1));
        while scored < n {
            let end = (begin + length).min(n);
            if scored < end {
                windows.push((begin, end, scored));
                scored = end;
            }
            begin += stride;
        }
        windows
    }
}

/// Token-level perplexity of texts longer than the model can see at once: `exp` of the mean negative
/// log-probability of every token but the first of each text.
///
/// # Errors
/// [`TrainError::NoRows`] if no text has two tokens, [`TrainError::ScoreNotFinite`], or what the model says.
pub fn perplexity_of_texts<M: CausalLm + ?Sized>(
    model: &M,
    texts: &[Vec<u32>],
    windows: Windows,
    settings: ScoreSettings<'_>,
    progress: &mut dyn Progress,
) -> Result<Estimate, TrainError> {
    let cuts: Vec<(usize, (usize, usize, usize))> = texts
        .iter()
        .enumerate()
        .flat_map(|(text, ids)| windows.over(ids.len()).into_iter().map(move |cut| (text, cut)))
        .collect();
    let sequences = |row: usize| {
        let (text, (begin, end, scored)) = cuts[row];
        let tokens = texts[text][begin..end].to_vec();
        vec![RowSequence { tokens, completion_start: scored - begin }]
    };
    let options = ForwardOptions::default();
    let logprobs =
        score_sequences(model, cuts.len(), sequences, &options, settings, "perplexity", progress)?;
    perplexity(&logprobs, |cut| format!("text {}", cuts[cut].0 + 1))
}

/// Token-level perplexity of completions, given their prompts.
///
/// # Errors
/// [`TrainError::NoRows`] if there are none, [`TrainError::ScoreNotFinite`], or what the model says.
pub fn perplexity_of_completions<M: CausalLm + ?Sized>(
    model: &M,
    rows: &[EncodedCompletion],
    settings: ScoreSettings<'_>,
    progress: &mut dyn Progress,
) -> Result<Estimate, TrainError> {
    let options = ForwardOptions::default();
    let logprobs = score_completions(model, rows, &options, settings, "perplexity", progress)?;
    perplexity(&logprobs, |row| format!("row {}", row + 1))
}

/// Token-level perplexity of the rows of several files, each row cut into windows where it is longer
/// than the model can see at once: that of each file, and that of all of them together.
///
/// # Errors
/// [`TrainError::NoRows`] if a file has none, [`TrainError::ScoreNotFinite`], or what the model says.
pub fn perplexity_of_files<M: CausalLm + ?Sized>(
    model: &M,
    files: &[RowSet<EncodedCompletion>],
    windows: Windows,
    settings: ScoreSettings<'_>,
    progress: &mut dyn Progress,
) -> Result<(Vec<Estimate>, Estimate), TrainError> {
    let options = ForwardOptions::default();
    let (mut each, mut all) = (Vec::with_capacity(files.len()), Vec::new());
    for rows in files {
        let cuts: Vec<(usize, (usize, usize, usize))> = rows
            .items
            .iter()
            .enumerate()
            .flat_map(|(index, row)| {
                let n = row.prompt_ids.len() + row.completion_ids.len();
                windows.from(n, row.completion_start()).into_iter().map(move |cut| (index, cut))
            })
            .collect();
        let sequences = |cut: usize| {
            let (row, (begin, end, scored)) = cuts[cut];
            let tokens = rows.items[row].sequence()[begin..end].to_vec();
            vec![RowSequence { tokens, completion_start: scored - begin }]
        };
        let name = "perplexity";
        let logprobs =
            score_sequences(model, cuts.len(), sequences, &options, settings, name, progress)?;
        each.push(perplexity(&logprobs, |cut| rows.names[cuts[cut].0].to_string())?);
        all.extend(logprobs);
    }
    let together = perplexity(&all, |_| String::new())?;
    Ok((each, together))
}

/// The perplexity of sequences, whose names are asked for if they have none.
fn perplexity(
    logprobs: &[Vec<f32>],
    name: impl Fn(usize) -> String,
) -> Result<Estimate, TrainError> {
    let sum = |logps: &Vec<f32>| logps.iter().map(|logp| f64::from(*logp)).sum();
    check_finite(logprobs.iter().map(sum), name)?;
    let losses: Vec<f64> = logprobs.iter().flatten().map(|logp| -f64::from(*logp)).collect();
    if losses.is_empty() {
        return Err(TrainError::NoRows { what: "the evaluation set" });
    }
    let Estimate { metric, value, low, high, n } = Estimate::mean("perplexity", &losses)?;
    Ok(Estimate { metric, value: value.exp(), low: low.exp(), high: high.exp(), n })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_means_have_their_intervals() {
        // 81 of 263 at 95 %: 0.2553 to 0.3662 (Newcombe 1998, table I, method 3).
        let estimate = Estimate::share("x", 81, 263).unwrap();
        assert!((estimate.low - 0.2553).abs() < 5e-5, "{}", estimate.low);
        assert!((estimate.high - 0.3662).abs() < 5e-5, "{}", estimate.high);
        assert!(Estimate::share("x", 0, 0).is_err());
        let mean = Estimate::mean("x", &[1.0, 2.0, 3.0]).unwrap();
        assert!((mean.high - 2.0 - 4.302_652_73 / 3f64.sqrt()).abs() < 1e-8);
        assert_eq!(Estimate::mean("x", &[1.0]).unwrap().high, f64::INFINITY);
    }

    #[test]
    fn every_token_but_the_first_is_scored_once() {
        for (length, stride, n) in
            [(4, 2, 11), (4, 4, 9), (10, 3, 7), (2, 1, 5), (5, 9, 30), (3, 1, 1)]
        {
            let mut scored = vec![0; n];
            for (begin, end, first) in (Windows { length, stride }).over(n) {
                assert!(end - begin <= length && first > begin && first < end);
                scored[first..end].iter_mut().for_each(|count| *count += 1);
            }
            assert_eq!(scored[0], 0);
            assert!(
                scored[1..].iter().all(|count| *count == 1),
                "{length} {stride} {n}: {scored:?}"
            );
        }
    }

    #[test]
    fn windows_change_nothing_for_a_model_that_sees_one_token_back() {
        let toy = crate::toy::Toy::new();
        let texts: Vec<Vec<u32>> =
            [30u32, 7, 1, 12].map(|n| (0..n).map(|i| i * i % 14).collect()).to_vec();
        let measure = |length, stride| {
            let windows = Windows { length, stride };
            let settings = ScoreSettings { batch: 3, max_tokens: 20, ..ScoreSettings::default() };
            perplexity_of_texts(&toy, &texts, windows, settings, &mut crate::progress::Silent)
                .unwrap()
        };
        let whole = measure(64, 64);
        assert_eq!(whole.n, 29 + 6 + 11);
        assert!(whole.low < whole.value && whole.value < whole.high);
        for (length, stride) in [(8, 4), (5, 1), (3, 2)] {
            let cut = measure(length, stride);
            assert_eq!(cut.n, whole.n);
            assert!((cut.value - whole.value).abs() < 1e-9);
        }
    }

    #[test]
    fn a_completion_is_scored_given_its_prompt() {
        let toy = crate::toy::Toy::new();
        let rows = crate::toy::completions(9).items;
        let settings = ScoreSettings::default();
        let silent = &mut crate::progress::Silent;
        let found = perplexity_of_completions(&toy, &rows, settings, silent).unwrap();
        assert_eq!(found.n, rows.iter().map(|row| row.completion_ids.len()).sum::<usize>());
        assert!(found.value > 1.0 && found.value < 100.0);
        let none = perplexity_of_completions(&toy, &[], settings, silent);
        assert!(matches!(none, Err(TrainError::NoRows { .. })));
    }

    #[test]
    fn files_are_measured_apart_and_together() {
        let toy = crate::toy::Toy::new();
        let rows = crate::toy::completions(9).items;
        let (settings, silent) = (ScoreSettings::default(), &mut crate::progress::Silent);
        let whole = perplexity_of_completions(&toy, &rows, settings, silent).unwrap();
        let files = [&rows[..4], &rows[4..]].map(|rows| RowSet {
            items: rows.to_vec(),
            names: (1..=rows.len()).map(|line| format!("f:{line}").into()).collect(),
        });
        for length in [2, 3, 64] {
            let windows = Windows { length, stride: (length / 2).max(1) };
            let (each, all) = perplexity_of_files(&toy, &files, windows, settings, silent).unwrap();
            assert_eq!((each[0].n + each[1].n, all.n), (whole.n, whole.n));
            // The toy sees one token back, so that windows change nothing.
            assert!((all.value - whole.value).abs() < 1e-9, "{length}");
            let mean = (each[0].value.ln() * each[0].n as f64
                + each[1].value.ln() * each[1].n as f64)
                / whole.n as f64;
            assert!((all.value.ln() - mean).abs() < 1e-9);
        }
    }

    #[test]
    fn preferences_by_hand() {
        let score = |chosen, rejected| PairScore {
            chosen,
            rejected,
            chosen_len: 2,
            rejected_len: 4,
            tail: 0.0,
        };
        let policy = [score(-2.0, -3.0), score(-5.0, -4.0), score(-1.0, -1.0)];
        let reference = [score(-1.0, -3.0), score(-6.0, -4.5), score(-1.0, -0.5)];
        let estimates = preference(&policy, Some(&reference), 0.1).unwrap();
        let value = |name: &str| estimates.iter().find(|e| e.metric == name).unwrap().value;
        assert!((value("logps/accuracies") - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(value("logps/accuracies_per_token"), 0.0);
        // Log-ratio differences, pair 1: (-2+1) - (-3+3) = -1; pair 2: (-5+6) - (-4+4.5) = 0.5; pair 3: 0 - (-1+0.5) = 0.5.
        assert!((value("rewards/accuracies") - 2.0 / 3.0).abs() < 1e-12);
        assert!(value("rewards/margins").abs() < 1e-12);
        assert!((value("displacement") - 1.0 / 3.0).abs() < 1e-12);
    }
}
