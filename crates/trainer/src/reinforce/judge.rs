//! Rewards of completions, several verifications at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bestof_tasks::verify::{Verification, VerificationOutcome, Verifier};

/// How verdicts become rewards, and how many are made at the same time.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct JudgeSettings {
    /// Reward of a verification that failed; `None` takes the verifier's lowest.
    pub failed: Option<f64>,
    /// Rewards from here on count as passed; `None` takes the verifier's highest.
    pub pass_at: Option<f64>,
    /// Completions verified at the same time; 0 takes the number of processors.
    pub workers: usize,
}

/// A verifier of a prompt's completions, and how much its reward counts.
#[derive(Debug)]
pub struct WeightedVerifier {
    /// The verifier.
    pub verifier: Box<dyn Verifier>,
    /// What its rewards are multiplied by before they are added.
    pub weight: f64,
}

/// What a completion was found to be worth.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Judgement {
    /// The reward that is optimised: the weighted sum of `parts`, less what length costs.
    pub reward: f64,
    /// The reward of each verifier, before weights.
    pub parts: Vec<f64>,
    /// What the first verifier found, or a failure of another.
    pub outcome: VerificationOutcome,
    /// Why, in words.
    pub reason: String,
    /// Whether the completion counts as passed, by the first verifier.
    pub passed: bool,
}

/// What an environment found an episode to be worth: a first verdict before those of the verifiers.
#[derive(Debug, Clone, Copy)]
pub struct EpisodeVerdict<'a> {
    /// What it found.
    pub verification: &'a Verification,
    /// What its reward is multiplied by.
    pub weight: f64,
    /// The greatest reward it may give.
    pub highest: f64,
}

/// A completion and who judges it.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The verdict of the environment, where there is one.
    pub episode: Option<EpisodeVerdict<'a>>,
    /// The judges, at least one unless there is an environment.
    pub verifiers: &'a [WeightedVerifier],
    /// The completion's text.
    pub completion: &'a str,
}

impl Job<'_> {
    fn judge(&self, settings: &JudgeSettings) -> Judgement {
        let played = self.episode.map(|one| (one.verification.clone(), one.weight, one.highest));
        let verified = self.verifiers.iter().map(|part| {
            let highest = *part.verifier.range().end();
            (part.verifier.verify(self.completion), part.weight, highest)
        });
        let verdicts: Vec<(Verification, f64, f64)> = played.into_iter().chain(verified).collect();
        let given = |verdict: &Verification| match settings.failed {
            Some(value) if verdict.outcome.is_failure() => value,
            _ => verdict.reward,
        };
        let parts: Vec<f64> = verdicts.iter().map(|(verdict, _, _)| given(verdict)).collect();
        let reward =
            parts.iter().zip(&verdicts).map(|(reward, (_, weight, _))| weight * reward).sum();
        let passed = match (verdicts.first(), parts.first()) {
            (Some((verdict, _, highest)), Some(reward)) => {
                !verdict.outcome.is_failure() && *reward >= settings.pass_at.unwrap_or(*highest)
            }
            _ => false,
        };
        let failed = verdicts.iter().position(|(verdict, _, _)| verdict.outcome.is_failure());
        let told = verdicts.into_iter().nth(failed.unwrap_or(0)).map(|(verdict, _, _)| verdict);
        let (outcome, reason) = told.map_or_else(
            || (VerificationOutcome::CannotTell, "there is no verifier".to_owned()),
            |verdict| (verdict.outcome, verdict.reason),
        );
        Judgement { reward, parts, outcome, reason, passed }
    }
}

/// Threads for so many jobs; 0 asks for as many as there are processors.
pub(super) fn worker_count(asked: usize, jobs: usize) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let limit = if asked == 0 { processors() } else { asked };
    limit.min(jobs)
}

/// Judges all completions, in their order, whatever order they are finished in.
///
/// A verification that fails has the reward that the settings say, and is never passed.
pub fn judge_all(jobs: &[Job<'_>], settings: &JudgeSettings) -> Vec<Judgement> {
    let workers = worker_count(settings.workers, jobs.len());
    if workers <= 1 {
        return jobs.iter().map(|job| job.judge(settings)).collect();
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(jobs.len()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(index) else { break };
                    let judged = job.judge(settings);
                    if let Ok(mut done) = done.lock() {
                        done.push((index, judged));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, judgement)| judgement).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pays the number that the completion is, and fails for what is none.
    #[derive(Debug)]
    struct Echo;

    impl Verifier for Echo {
        fn range(&self) -> std::ops::RangeInclusive<f64> {
            -1.0..=2.0
        }

        fn verify(&self, completion: &str) -> Verification {
            // Later ones are faster, so that the order of the ends is not that of the starts.
            let number = completion.parse::<f64>();
            let pause = number.clone().map_or(0.0, |n| 2.0 - n);
            std::thread::sleep(std::time::Duration::from_secs_f64(pause * 2e-3));
            match number {
                Ok(reward) => Verification {
                    reward,
                    outcome: VerificationOutcome::Partial,
                    reason: String::new(),
                    extracted: None,
                },
                Err(_) => Verification {
                    reward: -1.0,
                    outcome: VerificationOutcome::TimedOut,
                    reason: "late".to_owned(),
                    extracted: None,
                },
            }
        }
    }

    #[test]
    fn the_order_is_kept_and_failures_are_paid_as_said() {
        let texts: Vec<String> = (0..40).map(|i| format!("{}", f64::from(i) / 20.0)).collect();
        let echo = [WeightedVerifier { verifier: Box::new(Echo), weight: 1.0 }];
        let mut jobs: Vec<Job<'_>> = texts
            .iter()
            .map(|text| Job { episode: None, verifiers: &echo, completion: text })
            .collect();
        jobs.push(Job { episode: None, verifiers: &echo, completion: "?" });
        for workers in [0, 1, 3, 100] {
            let settings =
                JudgeSettings { workers, pass_at: Some(1.5), ..JudgeSettings::default() };
            let judged = judge_all(&jobs, &settings);
            let rewards: Vec<f64> = judged.iter().map(|judgement| judgement.reward).collect();
            let expected: Vec<f64> = (0..40).map(|i| f64::from(i) / 20.0).chain([-1.0]).collect();
            assert_eq!(rewards, expected, "{workers} workers");
            assert_eq!(judged.iter().filter(|judgement| judgement.passed).count(), 10);
            assert_eq!(judged[40].outcome, VerificationOutcome::TimedOut);
        }
        // Not even a reward at the top makes a failed verification a pass.
        let settings = JudgeSettings { failed: Some(2.0), ..JudgeSettings::default() };
        let judged = judge_all(&jobs, &settings);
        assert_eq!((judged[40].reward, judged[40].passed), (2.0, false));
        assert!(judge_all(&[], &settings).is_empty());
    }

    /// Pays for being short.
    #[derive(Debug)]
    struct Short;

    impl Verifier for Short {
        fn range(&self) -> std::ops::RangeInclusive<f64> {
            0.0..=1.0
        }

        fn verify(&self, completion: &str) -> Verification {
            Verification::partial(1.0 / completion.len() as f64, "")
        }
    }

    #[test]
    fn an_environment_is_the_first_to_judge() {
        let verifiers = [WeightedVerifier { verifier: Box::new(Short), weight: 0.5 }];
        let found = |reward: f64, outcome| Verification {
            reward,
            outcome,
            reason: "played".to_owned(),
            extracted: None,
        };
        let verdicts = [
            found(3.0, VerificationOutcome::Right),
            found(2.0, VerificationOutcome::Partial),
            found(-1.0, VerificationOutcome::TimedOut),
        ];
        let jobs = verdicts.each_ref().map(|verification| Job {
            episode: Some(EpisodeVerdict { verification, weight: 2.0, highest: 3.0 }),
            verifiers: &verifiers,
            completion: "four",
        });
        let judged = judge_all(&jobs, &JudgeSettings { workers: 1, ..JudgeSettings::default() });
        let rewards: Vec<f64> = judged.iter().map(|judgement| judgement.reward).collect();
        assert_eq!(rewards, [6.0 + 0.125, 4.0 + 0.125, -2.0 + 0.125]);
        let passed: Vec<bool> = judged.iter().map(|judgement| judgement.passed).collect();
        assert_eq!(passed, [true, false, false]);
        assert_eq!(judged[1].parts, [2.0, 0.25]);
        assert_eq!(
            (judged[2].outcome, judged[2].reason.as_str()),
            (VerificationOutcome::TimedOut, "played")
        );
        let alone = [Job { verifiers: &[], ..jobs[0] }];
        assert_eq!(judge_all(&alone, &JudgeSettings::default())[0].reward, 6.0);
    }

    #[test]
    fn rewards_are_added_by_weight_and_the_first_says_what_passed() {
        let verifiers = [
            WeightedVerifier { verifier: Box::new(Echo), weight: 2.0 },
            WeightedVerifier { verifier: Box::new(Short), weight: -0.5 },
        ];
        let jobs = ["2", "1.25", "?"].map(|completion| Job {
            episode: None,
            verifiers: &verifiers,
            completion,
        });
        let judged = judge_all(&jobs, &JudgeSettings { workers: 1, ..JudgeSettings::default() });
        let rewards: Vec<f64> = judged.iter().map(|judgement| judgement.reward).collect();
        assert_eq!(rewards, [2.0 * 2.0 - 0.5, 2.0 * 1.25 - 0.125, -2.0 - 0.5]);
        assert_eq!(judged[1].parts, [1.25, 0.25]);
        let passed: Vec<bool> = judged.iter().map(|judgement| judgement.passed).collect();
        assert_eq!(passed, [true, false, false]);
        assert_eq!(judged[2].outcome, VerificationOutcome::TimedOut);
    }
}
