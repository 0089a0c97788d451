//! Rewards of completions, several verifications at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bestof_tasks::verify::{VerificationOutcome, Verifier};

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

/// What a completion was found to be worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The reward.
    pub reward: f64,
    /// What was found.
    pub outcome: VerificationOutcome,
    /// Why, in words.
    pub reason: String,
    /// Whether the completion counts as passed.
    pub passed: bool,
}

/// A completion and who judges it.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The judge.
    pub verifier: &'a dyn Verifier,
    /// The completion's text.
    pub completion: &'a str,
}

impl Job<'_> {
    fn judge(&self, settings: &JudgeSettings) -> Judgement {
        let verdict = self.verifier.verify(self.completion);
        let failed = verdict.outcome.is_failure();
        let given = match settings.failed {
            Some(value) if failed => value,
            _ => verdict.reward,
        };
        let pass_at = settings.pass_at.unwrap_or(*self.verifier.range().end());
        Judgement {
            reward: given,
            outcome: verdict.outcome,
            reason: verdict.reason,
            passed: !failed && given >= pass_at,
        }
    }
}

/// Judges all completions, in their order, whatever order they are finished in.
///
/// A verification that fails has the reward that the settings say, and is never passed.
pub fn judge_all(jobs: &[Job<'_>], settings: &JudgeSettings) -> Vec<Judgement> {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let limit = if settings.workers == 0 { processors() } else { settings.workers };
    let workers = limit.min(jobs.len());
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
    use bestof_tasks::verify::Verification;

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
                },
                Err(_) => Verification {
                    reward: -1.0,
                    outcome: VerificationOutcome::TimedOut,
                    reason: "late".to_owned(),
                },
            }
        }
    }

    #[test]
    fn the_order_is_kept_and_failures_are_paid_as_said() {
        let texts: Vec<String> = (0..40).map(|i| format!("{}", f64::from(i) / 20.0)).collect();
        let mut jobs: Vec<Job<'_>> =
            texts.iter().map(|text| Job { verifier: &Echo, completion: text }).collect();
        jobs.push(Job { verifier: &Echo, completion: "?" });
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
}
