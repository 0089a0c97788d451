//! `pkpo-toy`: the one-dimensional toy of PKPO, where everything can be compared with exact
//! numbers.
//!
//! Policy `N(theta, 0.1)`, reward `x^2` on `[0, 1]` and 0 elsewhere (arXiv:2505.15201v4, section
//! 5.1): the reward is highest at the very edge beyond which there is none. With one sample it
//! pays to keep away from the edge; the best of many may be aimed at it.

mod learning;
mod learning_claims;
mod method;
mod objective;
mod offset;
mod partitioned;
mod policy;
mod quadrature;
mod rank_weights;
mod reference;
mod variance;
mod variance_claims;

use bestof_report::{Section, Text};
use serde_json::json;

use self::quadrature::Quadrature;
use crate::{Design, Experiment, Options, Progress, ReproduceError, Reproduction};

/// Estimates a point of figure 4, as in the paper; and for `full`.
const ESTIMATES: (usize, usize) = (10_000, 200_000);
/// Groups of figure 5.
const GROUPS: usize = 4000;
/// Runs of each learning curve.
const SEEDS: usize = 16;

/// The experiment `pkpo-toy`.
///
/// ```
/// use bestof_reproduce::pkpo_toy::PkpoToy;
/// use bestof_reproduce::{Experiment, Options, Silent, Verdict};
///
/// let out = tempfile::tempdir()?;
/// let outcome = PkpoToy.run(&Options::new(out.path()), &mut Silent)?;
/// assert_eq!(outcome.all_claims()[0].verdict, Verdict::Holds);
/// outcome.write(out.path())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct PkpoToy;

impl Experiment for PkpoToy {
    fn name(&self) -> &'static str {
        "pkpo-toy"
    }

    fn about(&self) -> &'static str {
        "PKPO's one-dimensional toy: optima, learning curves, variance of the estimators"
    }

    fn minutes(&self) -> f64 {
        0.1
    }

    fn run(
        &self,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        let seeds = options.seeds_or(SEEDS)?;
        let estimates = if options.full { ESTIMATES.1 } else { ESTIMATES.0 };
        let quadrature = Quadrature::new();
        let curves = objective::measure(&quadrature);
        let ranks = rank_weights::measure()?;
        let learning = learning::measure(&quadrature, options.seed, seeds, progress)?;
        let points = variance::measure(options.seed, estimates, progress)?;
        let exact = quadrature.gradient(variance::THETA, variance::K);
        let weights = offset::measure(options.seed, GROUPS)?;

        let about = Text::new(
            "Policy N(theta, 0.1), reward x^2 on [0, 1] and 0 elsewhere. The reward is highest at \
             the edge beyond which there is none: one sample had better keep away from it, the \
             best of many may aim at it. Objective and gradient come from quadrature, everything \
             else from the estimators of the crate estimators and seeded noise.",
        );
        Ok(Reproduction::new(
            self.name(),
            options,
            "PKPO on the one-dimensional toy",
            "Walder and Karkhanis 2025, arXiv:2505.15201v4, section 5.1",
            design(options, seeds),
        )
        .claims([objective::claim(&curves), rank_weights::claim(&ranks)])
        .claims(learning_claims::claims(&learning, &curves))
        .claims(variance_claims::claims(&points, exact))
        .claims(offset::claims(&weights))
        .numbers(json!({
            "optima": objective::numbers(&curves),
            "rank_weights": rank_weights::numbers(&ranks),
            "learning": learning_claims::numbers(&learning),
            "variance": variance_claims::numbers(&points, exact),
            "weights": offset::numbers(&weights),
        }))
        .section(Section::new("The toy").element(about))
        .section(objective::section(&curves))
        .section(rank_weights::section(&ranks))
        .section(learning_claims::section(&learning, &curves))
        .section(variance_claims::section(&points, exact, estimates))
        .section(offset::section(&weights)))
    }
}

fn design(options: &Options, seeds: usize) -> Design {
    Design {
        seeds: format!("{seeds} learning curves of seed {}; the estimates of variance are one stream of draws", options.seed),
        varies: "the noise of the samples; objectives that are compared share it, curve by curve".into(),
        correction: format!(
            "the {} claims about learning are judged by intervals of 1 - 0.05 / {0} (Bonferroni), means over draws by four \
             standard errors, which one comparison in 16,000 leaves by chance",
            learning_claims::JUDGED
        ),
        tried: "nothing else: policy, reward, k and n are the paper's; 6,000 steps were enough for the slowest curve".into(),
    }
}
