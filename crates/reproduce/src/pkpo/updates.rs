//! `pkpo-updates`: several updates of each batch, with the weights of the first update or with those
//! of the policy as it has become.

use bestof_trainer::reinforce::OffPolicyWeights;

use super::arm::{Arm, K, UPDATES};
use super::claims::{HELD_OUT, over, over_before};
use super::compared::Compared;
use super::settings::Settings;
use super::study::Study;
use crate::Claim;
use crate::judge::{Stated, gains};

const EXACT: Arm = Arm::Several(OffPolicyWeights::Exact);
const OWN_RATIO: Arm = Arm::Several(OffPolicyWeights::OwnRatio);

/// The experiment `pkpo-updates`.
pub(crate) static PKPO_UPDATES: Study = Study {
    name: "pkpo-updates",
    about: "the model of `pkpo` makes several updates of a batch: weights of own ratios, exact weights",
    minutes: 20.0,
    settings: Settings::of_updates,
    title: "Several updates of a batch, for the best of k",
    source: "off-policy weights (docs/estimators.md) against those of Walder and Karkhanis 2025, arXiv:2505.15201v4, with each completion's own ratio",
    choice: |settings| {
        format!(
            "Every arm is run at each of its learning rates and compared at the one with the highest mean over seeds of pass@k on \
             {} validation puzzles, chosen for each k by itself. Both ways of several updates bound the ratios of whole completions \
             as PPO does, within 0.2 of 1.",
            2 * settings.validation,
        )
    },
    tried: "the settings of `pkpo` with a third of the batches; two learning rates each, since several updates ask for \
            another than one",
    claims,
};

fn claims(runs: &Compared) -> Vec<Claim> {
    let raises = |arm: Arm, than: Arm, claim: String| Stated {
        claim,
        of: format!(
            "held-out pass@{K} over that before training, and over that after {}",
            than.label()
        ),
        effects: vec![over_before(runs, arm, HELD_OUT, K), over(runs, arm, than, HELD_OUT, K)],
    };
    gains(&[
        raises(
            EXACT,
            OWN_RATIO,
            format!(
                "With {UPDATES} updates of a batch, exact weights raise pass@{K} more than own ratios"
            ),
        ),
        raises(
            EXACT,
            Arm::Fixed(K),
            format!(
                "{UPDATES} updates of a batch with exact weights raise pass@{K} more than one update"
            ),
        ),
        raises(
            OWN_RATIO,
            Arm::Fixed(K),
            format!(
                "{UPDATES} updates of a batch with own ratios raise pass@{K} more than one update"
            ),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use bestof_report::Verdict;

    use super::*;
    use crate::pkpo::compared::{KS, Scores, Trained};
    use crate::{Options, Silent};

    fn scores(pass: f64) -> Scores {
        let all = [pass; KS.len()];
        Scores { validation: all, held_out: all, easy: all, hard: all, entropy: 0.5 }
    }

    /// Verdicts where each arm solves so much more than before, with noise between seeds.
    fn verdicts(gain: impl Fn(Arm) -> f64) -> Vec<Verdict> {
        let noise = [0.002, -0.001, 0.001, 0.0, -0.002];
        let runs = Arm::UPDATES.into_iter().map(|arm| Trained {
            arm,
            rate: 0.1,
            seeds: noise
                .map(|by| scores(0.2 + gain(arm) + if gain(arm) == 0.0 { 0.0 } else { by }))
                .to_vec(),
        });
        let compared = Compared { before: vec![scores(0.2); 5], runs: runs.collect() };
        claims(&compared).into_iter().map(|claim| claim.verdict).collect()
    }

    #[test]
    fn what_is_not_there_does_not_hold() {
        assert!(!verdicts(|_| 0.0).contains(&Verdict::Holds));
        assert!(!verdicts(|_| f64::NAN).contains(&Verdict::Holds));
        // A gain that all arms have is none of the weights.
        assert!(!verdicts(|_| 0.1).contains(&Verdict::Holds));
    }

    #[test]
    fn what_is_there_is_found() {
        let found = verdicts(|arm| match arm {
            EXACT => 0.1,
            OWN_RATIO => 0.05,
            Arm::Frozen => 0.0,
            _ => -0.05,
        });
        assert_eq!(found, [Verdict::Holds; 3]);
    }

    #[test]
    fn a_study_of_a_few_steps_runs_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { seeds: Some(2), ..Options::new(dir.path()) };
        let settings = Settings {
            demonstrations: 64,
            epochs: 1.0,
            validation: 2,
            held_out: 3,
            samples: 32,
            steps: 2,
            prompts: 3,
            ..Settings::of_updates(&options)
        };
        let page = PKPO_UPDATES.measure(&settings, &options, &mut Silent).unwrap();
        assert_eq!(page.all_claims().len(), 3);
        // One idle arm, and three at two learning rates.
        assert_eq!(page.to_json()["numbers"]["runs"].as_array().unwrap().len(), 7);
    }
}
