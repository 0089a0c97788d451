//! What the paper claims, judged on these runs.

use super::basis::{
    ALL, Basis, FURTHER, LINEAR, PLAIN, POWERED, RANDOMIZED, TRUNCATED, rivals_of_linear,
};
use super::measure::AtLength;
use super::size::{Extending, Size, TIMES};
use super::study::Found;
use crate::{Claim, Measured, Verdict, all_hold};

/// Accuracy up to which nothing was found: a value of the document is guessed in one case of
/// its records, a fifteenth at the first length.
const NOTHING: f64 = 0.1;
/// Accuracy of the model to be extended above which the comparison means something.
const LEARNED: f64 = 0.8;
/// Share of the accuracy above which a factor still works, and below which it does not.
const WORKS: f64 = 0.5;

/// Places in [`TIMES`].
const TWICE: usize = 1;
const FOUR_TIMES: usize = 2;
const EIGHT_TIMES: usize = 3;
/// Lengths that a factor of 4 reaches.
const REACHED: [usize; 3] = [0, TWICE, FOUR_TIMES];
/// Lengths of the rows that extended models were trained on.
const TRAINED_ON: [usize; 2] = [0, TWICE];

/// Claims that are judged together.
pub(super) const JUDGED: usize = 14;

/// The mean over seeds, as one of the claims judged here.
fn over_seeds(values: &[f64]) -> Measured {
    Measured::of_seeds_among(values, JUDGED)
}

/// All models, to be compared repetition by repetition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Runs<'a> {
    pub(super) found: &'a [Found],
    /// The training that most claims are about.
    pub(super) extended: Extending,
}

impl Runs<'_> {
    /// The models of a kind in the order of repetitions.
    pub(super) fn of(
        &self,
        basis: Basis,
        trained: Option<Extending>,
        eval_factor: Option<f64>,
    ) -> impl Iterator<Item = &Found> {
        self.found.iter().filter(move |found| {
            (found.basis, found.trained, found.eval_factor) == (basis, trained, eval_factor)
        })
    }

    /// One number of each repetition of a trained basis.
    fn trained(&self, basis: Basis, number: impl Fn(&[AtLength]) -> f64) -> Vec<f64> {
        self.of(basis, Some(self.extended), None).map(|found| number(&found.at)).collect()
    }

    /// The same of linear scaling by 4, evaluated at another factor.
    fn at_factor(&self, factor: f64, number: impl Fn(&[AtLength]) -> f64) -> Vec<f64> {
        self.of(LINEAR, Some(self.extended), Some(factor)).map(|found| number(&found.at)).collect()
    }
}

/// Mean accuracy at some of the lengths.
fn accuracy(at: &[AtLength], lengths: &[usize]) -> f64 {
    lengths.iter().map(|place| at[*place].accuracy()).sum::<f64>() / lengths.len() as f64
}

/// `a - b`, repetition by repetition.
fn gain(a: &[f64], b: &[f64]) -> Measured {
    over_seeds(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// `a / b`, repetition by repetition.
fn share(a: &[f64], b: &[f64]) -> Measured {
    over_seeds(&a.iter().zip(b).map(|(a, b)| a / b).collect::<Vec<_>>())
}

/// Every claim, in the order of the paper.
pub(super) fn claims(found: &[Found], size: &Size) -> Vec<Claim> {
    let (runs, lengths) = (Runs { found, extended: size.extended }, size.lengths());
    let field = |basis: &Basis| !PAPER.contains(basis);
    let lookup = looks_up(runs, lengths);
    let judged = vec![
        plain_fails(runs, lengths),
        untrained_factor(runs, lengths),
        linear_is_best(runs, "of the paper's methods", &PAPER),
        linear_is_best(
            runs,
            "of those that it leaves out",
            &rivals_of_linear().filter(field).collect::<Vec<_>>(),
        ),
        truncated_extrapolates(runs, lengths),
        truncated_is_lower(runs),
        larger_factor_helps(runs, lengths),
        twice_works(runs),
        perplexity_separates_less(runs, lengths),
    ];
    let further = size.further.iter().map(|extending| linear_is_best_after(runs, *extending));
    let judged = judged.into_iter().chain(further);
    // Of a model that cannot look anything up, no basis can be said to lose it.
    let learned = lookup.verdict == Verdict::Holds;
    let judged = judged.map(|claim| Claim {
        verdict: if learned { claim.verdict } else { Verdict::Unclear },
        ..claim
    });
    std::iter::once(lookup).chain(judged).collect()
}

fn looks_up(runs: Runs<'_>, lengths: [usize; TIMES.len()]) -> Claim {
    let each: Vec<f64> = runs.of(PLAIN, None, None).map(|found| found.at[0].accuracy()).collect();
    let measured = over_seeds(&each);
    Claim::new(
        "The model to be extended finds what stands in texts of its own length",
        format!(
            "the interval over seeds of its accuracy lies above {LEARNED}; otherwise nothing else can be told"
        ),
        format!("{measured} at {} tokens", lengths[0]),
        measured.is_above(LEARNED),
    )
}

/// The paper's own bases beside linear scaling.
const PAPER: [Basis; 4] = [PLAIN, POWERED, TRUNCATED, RANDOMIZED];

fn plain_fails(runs: Runs<'_>, lengths: [usize; TIMES.len()]) -> Claim {
    let (mut verdicts, mut listed) = (Vec::new(), Vec::new());
    for place in [TWICE, FOUR_TIMES, EIGHT_TIMES] {
        let each: Vec<f64> =
            runs.of(PLAIN, None, None).map(|found| found.at[place].accuracy()).collect();
        let measured = over_seeds(&each);
        verdicts.push(measured.is_below(NOTHING));
        listed.push(format!("{measured} at {} tokens", lengths[place]));
    }
    Claim::new(
        "Plain RoPE finds nothing beyond the length it was trained for",
        format!(
            "the interval over seeds of its accuracy lies below {NOTHING} at 2, 4 and 8 times that length"
        ),
        listed.join(", "),
        all_hold(verdicts),
    )
}

fn untrained_factor(runs: Runs<'_>, lengths: [usize; TIMES.len()]) -> Claim {
    let plain = |factor| -> Vec<f64> {
        runs.of(PLAIN, None, factor).map(|found| found.at[TWICE].accuracy()).collect()
    };
    let (at_two, at_one) = (plain(Some(2.0)), plain(None));
    let (measured, gain) = (over_seeds(&at_two), gain(&at_two, &at_one));
    Claim::new(
        "Without any training, evaluating at factor 2 reaches twice the length",
        format!(
            "the intervals over seeds of the accuracy at twice the length lie above {NOTHING}, and above that of plain RoPE"
        ),
        format!("{measured} at {} tokens, {gain} more than plain RoPE", lengths[TWICE]),
        all_hold([measured.is_above(NOTHING), gain.is_above(0.0)]),
    )
}

fn linear_is_best(runs: Runs<'_>, whom: &str, rivals: &[Basis]) -> Claim {
    let of = |basis| runs.trained(basis, |at| accuracy(at, &REACHED));
    let linear = of(LINEAR);
    let (mut verdicts, mut listed) = (Vec::new(), Vec::new());
    for rival in rivals {
        let lead = gain(&linear, &of(*rival));
        verdicts.push(lead.is_above(0.0));
        listed.push(format!("{} {lead}", rival.label()));
    }
    Claim::new(
        format!("After training, linear scaling is the best {whom}"),
        "the interval over seeds of its lead in mean accuracy at 1, 2 and 4 times the first length lies above 0, \
         over each of them",
        format!("linear 4 has {}; its lead over {}", over_seeds(&linear), listed.join(", ")),
        all_hold(verdicts),
    )
}

/// The same of a few after another training.
fn linear_is_best_after(runs: Runs<'_>, extending: Extending) -> Claim {
    let of = |basis| -> Vec<f64> {
        runs.of(basis, Some(extending), None).map(|found| accuracy(&found.at, &REACHED)).collect()
    };
    let linear = of(LINEAR);
    let (mut verdicts, mut listed) = (Vec::new(), Vec::new());
    for rival in FURTHER.into_iter().filter(|rival| *rival != LINEAR) {
        let lead = gain(&linear, &of(rival));
        verdicts.push(lead.is_above(0.0));
        listed.push(format!("{} {lead}", rival.label()));
    }
    Claim::new(
        format!(
            "Linear scaling is the best after {} steps on rows of {} times the first length",
            extending.steps, extending.times
        ),
        "the interval over seeds of its lead in mean accuracy at 1, 2 and 4 times the first length lies above 0, \
         over truncation and over YaRN",
        format!("linear 4 has {}; its lead over {}", over_seeds(&linear), listed.join(", ")),
        all_hold(verdicts),
    )
}

fn truncated_extrapolates(runs: Runs<'_>, lengths: [usize; TIMES.len()]) -> Claim {
    let beyond = over_seeds(&runs.trained(TRUNCATED, |at| at[FOUR_TIMES].accuracy()));
    let farther = over_seeds(&runs.trained(TRUNCATED, |at| at[EIGHT_TIMES].accuracy()));
    Claim::new(
        "The truncated basis extrapolates beyond every length it has seen",
        format!(
            "trained on rows of twice the first length, the interval over seeds of its accuracy at 4 times that length lies above {NOTHING}"
        ),
        format!(
            "{beyond} at {} tokens, {farther} at {} tokens",
            lengths[FOUR_TIMES], lengths[EIGHT_TIMES]
        ),
        beyond.is_above(NOTHING),
    )
}

fn truncated_is_lower(runs: Runs<'_>) -> Claim {
    let of = |basis| runs.trained(basis, |at| accuracy(at, &TRAINED_ON));
    let (truncated, linear) = (of(TRUNCATED), of(LINEAR));
    let lead = gain(&linear, &truncated);
    Claim::new(
        "The truncated basis is less accurate than linear scaling where both were trained",
        "the interval over seeds of linear scaling's lead at 1 and 2 times the first length lies above 0",
        format!(
            "truncated {}, linear 4 {}, lead {lead}",
            over_seeds(&truncated),
            over_seeds(&linear)
        ),
        lead.is_above(0.0),
    )
}

fn larger_factor_helps(runs: Runs<'_>, lengths: [usize; TIMES.len()]) -> Claim {
    let longest = |at: &[AtLength]| at[EIGHT_TIMES].accuracy();
    let (own, larger) = (runs.trained(LINEAR, longest), runs.at_factor(8.0, longest));
    let gained = gain(&larger, &own);
    Claim::new(
        "A larger factor in evaluation than in training finds more in longer texts",
        "trained at factor 4, the interval over seeds of what factor 8 adds to the accuracy at 8 times the first length lies above 0",
        format!(
            "at {} tokens {} with factor 4, {} with factor 8, difference {gained}",
            lengths[EIGHT_TIMES],
            over_seeds(&own),
            over_seeds(&larger)
        ),
        gained.is_above(0.0),
    )
}

fn twice_works(runs: Runs<'_>) -> Claim {
    let trained_on = |at: &[AtLength]| accuracy(at, &TRAINED_ON);
    let own = runs.trained(LINEAR, trained_on);
    let kept = |factor| share(&runs.at_factor(factor, trained_on), &own);
    let (twice, four_times) = (kept(8.0), kept(16.0));
    Claim::new(
        "Twice the factor of training works, four times does not",
        format!(
            "trained at factor 4, the share of its accuracy at 1 and 2 times the first length that is left lies above {WORKS} \
             with factor 8 and below {WORKS} with factor 16, by intervals over seeds"
        ),
        format!("{twice} with factor 8, {four_times} with factor 16"),
        all_hold([twice.is_above(WORKS), four_times.is_below(WORKS)]),
    )
}

fn perplexity_separates_less(runs: Runs<'_>, lengths: [usize; TIMES.len()]) -> Claim {
    let spread = |number: &dyn Fn(&AtLength) -> f64| -> Vec<f64> {
        let of_basis: Vec<Vec<f64>> =
            ALL.iter().map(|basis| runs.trained(*basis, |at| number(&at[FOUR_TIMES]))).collect();
        (0..of_basis.first().map_or(0, Vec::len))
            .map(|repetition| {
                let (low, high) = of_basis
                    .iter()
                    .map(|each| each[repetition])
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
                high - low
            })
            .collect()
    };
    let found = spread(&AtLength::accuracy);
    let predicted = spread(&|at| 1.0 / at.perplexity);
    let difference = gain(&found, &predicted);
    Claim::new(
        "Perplexity tells the methods apart less than retrieval does",
        "over the trained models at 4 times the first length, the interval over seeds of the spread of accuracies less that of the \
         mean probabilities of a token (1 / perplexity) lies above 0",
        format!(
            "at {} tokens the spread is {} in accuracy, {} in probability, difference {difference}",
            lengths[FOUR_TIMES],
            over_seeds(&found),
            over_seeds(&predicted)
        ),
        difference.is_above(0.0),
    )
}

#[cfg(test)]
mod tests;
